import { existsSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Address } from 'viem';
import { parseAddress, parseHex } from '../../protocol/hex.ts';
import { receiptDigest, type SignedReceipt } from '../../protocol/receipt.ts';
import { findOverdue } from '../overdue-receipts.ts';
import { isVerified } from '../receipt-evidence.ts';
import { parseReceiptFile, type ReceiptFile, verifyReceiptFile } from '../receipt-file.ts';
import { fetchProofFor } from '../verify.ts';
import { parseDuration } from './amount.ts';
import { checkLines } from './check-lines.ts';
import { isEvidence, showEvidence, writeEvidence } from './evidence-file.ts';
import { exitCodes, Failure, usage } from './failure.ts';
import { keptReceipts } from './kept-receipts.ts';
import { readReceipt } from './receipt-pages.ts';
import { sequenceOf } from './receipts.ts';
import { type GivenOptions, Settings, withSettings } from './settings.ts';

type Given = GivenOptions & {
  readonly anchor?: string;
  readonly log?: string;
  readonly bond?: string;
  readonly wait: string;
};

/** `verify`: a receipt against the log the chain holds. */
export function addVerify(program: Command): void {
  const command = program
    .command('verify')
    .helpGroup('Doubting:')
    .summary('check a receipt against the log the chain holds')
    .description(
      'Verifies a receipt: its digest, its signature by a key the anchor contract knows, its inclusion in the log, and that the chain holds the head it is included in. A file (tallystick receipts save) is verified without asking any gateway. A receipt that is overdue and not shown in an anchored head is written to an evidence file, which this command judges, too.',
    )
    .argument('<receipt>', 'a receipt or evidence file, or the number of one of the agent’s receipts')
    .option('--anchor <address>', 'the ReceiptAnchor you trust; else the one the file or the gateway names')
    .option('--log <id>', 'the log you trust; else the one the file or the gateway names')
    .option('--bond <address>', 'the OperatorBond that evidence is for: says which transaction acts on it')
    .option('--wait <duration>', 'how long to wait for a number to be anchored', '2m')
    .addHelpText('after', '\nExit status 3 when any check fails.\n')
    .action((receipt: string, given: Given) => run(receipt, given));
  withSettings(command);
}

async function run(text: string, given: Given): Promise<void> {
  const settings = new Settings(given);
  const { terminal } = settings;
  const anchor = given.anchor === undefined ? undefined : parseAddress(given.anchor.toLowerCase());
  const logId = given.log === undefined ? undefined : parseHex(given.log.toLowerCase(), 32);
  if (given.anchor !== undefined && anchor === undefined) throw usage('--anchor is an address.');
  if (given.log !== undefined && logId === undefined) throw usage('--log is 32 bytes of 0x hex.');
  const isNumber = /^\d+$/.test(text) && !existsSync(text);
  const content = isNumber || !existsSync(text) ? '' : readFileSync(text, 'utf8');
  if (isEvidence(content)) return showEvidence(settings, content, bondOf(given.bond));
  const file = isNumber ? await fromGateway(settings, text, given.wait) : fromFile(text);
  const rpcUrl = settings.rpcUrl(file.anchor.chainId);
  const checks = await terminal.progress('asking the chain', () =>
    verifyReceiptFile(file, {
      rpcUrl,
      ...(anchor === undefined ? {} : { anchor }),
      ...(logId === undefined ? {} : { logId }),
    }),
  );
  const verified = isVerified(checks);
  const { receipt } = file.signed;
  terminal.result({ verified, digest: receiptDigest(receipt), sequence: receipt.sequence, checks }, [
    ...checkLines(terminal, checks),
    '',
    verified
      ? terminal.paint('good', `Verified with the chain at ${rpcUrl}.`)
      : terminal.paint('bad', 'Not verified. Keep the receipt: it is signed evidence.'),
    ...(anchor === undefined || logId === undefined
      ? [
          `Anchor ${anchor ?? file.anchor.address} and log ${logId ?? file.anchor.logId} are ${isNumber ? 'the gateway’s' : 'the file’s'} word: pin them with --anchor and --log.`,
        ]
      : []),
  ]);
  if (!verified) process.exitCode = exitCodes.notRight;
}

function bondOf(text: string | undefined): Address | undefined {
  const bond = text === undefined ? undefined : parseAddress(text.toLowerCase());
  if (text !== undefined && bond === undefined) throw usage('--bond is an address.');
  return bond;
}

function fromFile(name: string): ReceiptFile {
  if (!existsSync(name)) throw usage(`There is no file ${name}, and it is not a receipt’s number.`);
  const read = parseReceiptFile(readFileSync(name, 'utf8'));
  if (read.ok) return read.value;
  throw new Failure(exitCodes.notRight, 'receipt_file', `${name}: ${read.error}.`);
}

async function fromGateway(settings: Settings, text: string, wait: string): Promise<ReceiptFile> {
  const sequence = sequenceOf(text);
  const signed = await ownReceipt(settings, sequence);
  const { log } = await settings.deployment();
  const agentFetch = await settings.agentFetch();
  const where = { rpcUrl: settings.rpcUrl(log.chainId), anchor: log.anchor, logId: log.logId };
  const [overdue] = await findOverdue(agentFetch, where, [signed]);
  if (overdue !== undefined) {
    const name = writeEvidence(overdue.evidence);
    throw new Failure(
      exitCodes.notRight,
      'receipt_overdue',
      `Receipt ${sequence} was to be in an anchored head by ${timeOf(signed.receipt.mergeBy)}, and it is in none that anybody shows: ${overdue.why.replace(/\.$/, '')}. The evidence is in ${name}: tallystick verify ${name} --bond <the operator’s bond>.`,
    );
  }
  const proof = await settings.terminal.progress('waiting for the receipt to be in an anchored head', () =>
    fetchProofFor(agentFetch, sequence, {
      timeoutMs: parseDuration(wait) * 1000,
      log: where,
    }),
  );
  return {
    signed,
    proof,
    anchor: { chainId: log.chainId, address: log.anchor, logId: log.logId },
    checkpointKey: log.checkpointKey,
  };
}

/** As the agent kept it, where it did; else as the gateway lists it. */
async function ownReceipt(settings: Settings, sequence: bigint): Promise<SignedReceipt> {
  const account = await settings.account();
  const kept = keptReceipts(settings.receiptsFile).findLast(
    ({ receipt }) =>
      receipt.sequence === sequence &&
      receipt.agentId === account.agentId &&
      receipt.registry === account.registry &&
      receipt.vault === account.vault,
  );
  return kept ?? readReceipt(await settings.ask(`/v1/receipts/${sequence}`));
}

const timeOf = (seconds: bigint): string => new Date(Number(seconds) * 1000).toISOString();
