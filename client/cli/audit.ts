import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { formatUnits } from 'viem';
import type { Evidence } from '../../protocol/evidence/evidence.ts';
import { evidenceOfOverdue } from '../../protocol/evidence/overdue-receipt.ts';
import { evidenceOfReceipts } from '../../protocol/evidence/two-receipts.ts';
import { parseAddress, parseHex } from '../../protocol/hex.ts';
import type { LogDomain } from '../../protocol/log/head.ts';
import type { SignedReceipt } from '../../protocol/receipt.ts';
import { audit } from '../audit.ts';
import { accountOf } from '../audit-accounts.ts';
import type { DaEndpoint } from '../audit-files.ts';
import type { Finding } from '../audit-findings.ts';
import { writeEvidence } from './evidence-file.ts';
import { exitCodes, failureOf, usage } from './failure.ts';
import { keptReceipts, together } from './kept-receipts.ts';
import { allReceipts } from './receipt-pages.ts';
import { type GivenOptions, Settings, withSettings } from './settings.ts';

type Given = GivenOptions & {
  readonly anchor?: string;
  readonly log?: string;
  readonly da: readonly string[];
  readonly state?: string;
  readonly fromBlock?: string;
};

/** `audit`: a whole log against chain and DA layer; with an agent, its bill, too. */
export function addAudit(program: Command): void {
  const command = program
    .command('audit')
    .helpGroup('Doubting:')
    .summary('rebuild the whole log from the DA layer and hold it against the chain')
    .description(
      'Rebuilds a receipt log from what was published to the DA layer and holds it against the chain: heads, receipts, claims. With --agent, the agent’s receipts are looked for in it, and its bill is proven to be exactly them; what is overdue or contradicts itself is written to evidence files. Without --anchor and --log the gateway is asked which log is its own.',
    )
    .requiredOption(
      '--da <url...>',
      'a 0G storage node; indexer:<url> an indexer, side-car:<url> 0G DA’s side-car',
    )
    .option('--anchor <address>', 'the ReceiptAnchor contract')
    .option('--log <id>', 'the log')
    .option('--state <file>', 'go on from here, and keep here how far it came')
    .option('--from-block <n>', 'where to begin reading events')
    .addHelpText('after', '\nExit status 3 when there is any doubt.\n')
    .action((given: Given) => run(given));
  withSettings(command);
}

async function run(given: Given): Promise<void> {
  const settings = new Settings(given);
  const { terminal } = settings;
  // The gateway may be gone: it is asked only for what was not given.
  const isGiven = given.anchor !== undefined && given.log !== undefined && settings.rpcGiven !== undefined;
  const log = settings.hasGateway && !isGiven ? (await settings.deployment()).log : undefined;
  const anchor = given.anchor === undefined ? log?.anchor : parseAddress(given.anchor.toLowerCase());
  const logId = given.log === undefined ? log?.logId : parseHex(given.log.toLowerCase(), 32);
  if (anchor === undefined || logId === undefined) {
    throw usage('Which log? Give --anchor and --log, or the --gateway whose log it is.');
  }
  const rpcUrl = log === undefined ? settings.rpcGiven : settings.rpcUrl(log.chainId);
  if (rpcUrl === undefined) throw usage('Give --rpc: a node of the chain the log is anchored on.');
  const receipts: SignedReceipt[] =
    settings.hasAgent && settings.hasGateway
      ? await terminal.progress('reading the agent’s receipts', () => receiptsOf(settings))
      : keptReceipts(settings.receiptsFile);
  const { state } = given;
  const result = await terminal.progress('auditing', () =>
    audit({
      rpcUrl,
      anchor,
      logId,
      da: given.da.map(endpointOf),
      receipts,
      ...(settings.hasGateway ? { gateway: settings.gateway } : {}),
      ...(given.fromBlock === undefined ? {} : { fromBlock: BigInt(given.fromBlock) }),
      ...(state === undefined || !existsSync(state) ? {} : { state: readFileSync(state, 'utf8') }),
      ...(state === undefined
        ? {}
        : {
            keep: (text: string) => {
              writeFileSync(`${state}.part`, text);
              renameSync(`${state}.part`, state);
            },
          }),
    }),
  );
  const { counts, through, bills, findings } = result;
  const evidence = evidenceIn(findings, receipts, { chainId: result.log.chainId, anchor, logId }).map(
    writeEvidence,
  );
  terminal.result({ ...result, evidence }, [
    `log ${logId}, anchored by ${anchor} on chain ${result.log.chainId}`,
    `through block ${through.block}: ${through.size} entries in ${counts.files} files, ${counts.anchors} anchors, ${counts.vaultClaims} claims paid`,
    ...bills.map(
      (bill) =>
        `bill: ${bill.receipts} receipts (${bill.pending} not due yet), ${formatUnits(bill.total, 18)} in all, ${formatUnits(bill.claimed, 18)} claimed: ${bill.exact ? 'exact' : 'not proven'}`,
    ),
    ...findings.map(
      ({ severity, code, where, detail }) =>
        `${terminal.paint('bad', severity)} ${code}: ${where}: ${detail}`,
    ),
    findings.length === 0
      ? terminal.paint('good', 'No doubt.')
      : terminal.paint('bad', `${findings.length} doubts.`),
    ...(evidence.length > 0 && findings.some(({ severity }) => severity !== 'wrong')
      ? ['Not everything published could be read: a receipt may yet be shown, and then a challenge is lost.']
      : []),
    ...evidence.map((name) => `evidence in ${name}: tallystick verify ${name} --bond <the operator’s bond>`),
    ...result.proves.map((line) => `+ ${line}`),
    ...result.doesNotProve.map((line) => `- not proven: ${line}`),
  ]);
  if (!result.ok) process.exitCode = exitCodes.notRight;
}

/** What the agent kept, and what the gateway lists. One that is gone lists nothing. */
async function receiptsOf(settings: Settings): Promise<SignedReceipt[]> {
  const kept = keptReceipts(settings.receiptsFile);
  if (kept.length === 0) return allReceipts(settings);
  const listed = await allReceipts(settings).catch((error: unknown) => {
    settings.terminal.warn(`the gateway’s list: ${failureOf(error).message} Going on with what was kept.`);
    return [];
  });
  return together(kept, listed);
}

/** What can be laid before a bond: receipts that are overdue, and receipts that contradict each other. */
function evidenceIn(
  findings: readonly Finding[],
  receipts: readonly SignedReceipt[],
  log: LogDomain,
): Evidence[] {
  return findings.flatMap(({ code, where }): Evidence[] => {
    const meant = receipts.filter(
      ({ receipt }) => where === `${accountOf(receipt)} sequence ${receipt.sequence}`,
    );
    const [first, second] = meant;
    if (first === undefined) return [];
    if (code === 'receipt_overdue') {
      const made = evidenceOfOverdue(log, first);
      return made.ok ? [made.value] : [];
    }
    if (code !== 'two_receipts' || second === undefined) return [];
    const made = evidenceOfReceipts(log, first, second);
    return made.ok ? [made.value] : [];
  });
}

function endpointOf(text: string): DaEndpoint {
  const [, kind = 'node', url] = /^(?:(node|indexer|side-car):)?(https?:\/\/.+)$/.exec(text) ?? [];
  if (url === undefined) throw usage(`--da ${text}: a URL is expected.`);
  return { kind: kind as DaEndpoint['kind'], url };
}
