// `node client/audit-cli.ts --rpc URL --anchor 0x… --log 0x… --da URL …`
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Hex } from 'viem';
import { parseAddress, parseHex } from '../protocol/hex.ts';
import { receiptFromJson, type SignedReceipt } from '../protocol/receipt.ts';
import { type AuditOptions, audit } from './audit.ts';
import type { DaEndpoint } from './audit-files.ts';
import type { AuditResult } from './audit-findings.ts';

const usage = `tallystick audit: a receipt log against the chain and the DA layer alone

  --rpc URL           of the chain the log is anchored on; again as CHAINID=URL for other chains with vaults
  --anchor 0x…        the ReceiptAnchor contract
  --log 0x…           the log's id; again for other logs whose receipts the same vaults have paid
  --da URL            a 0G storage node; indexer:URL an indexer, side-car:URL 0G DA's side-car. May be repeated
  --receipts FILE     an agent's receipts, as JSON: a list of, or one a line, {"receipt":…,"signature":…}
  --gateway URL       compare what this gateway serves, too
  --checkpoint-key K  check the log's Ed25519 signatures with this C2SP vkey, too
  --state FILE        go on from here, and keep here how far it came
  --from-block N      where to begin reading events           --depth N   leave the newest N blocks out
  --json              the result as JSON, nothing else

Exit status: 0 no doubt; 1 something is wrong; 2 something is withheld or could not be checked; 3 the audit could not be made.`;

class UsageError extends Error {}

async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rpc: { type: 'string', multiple: true },
      anchor: { type: 'string' },
      log: { type: 'string', multiple: true },
      da: { type: 'string', multiple: true },
      receipts: { type: 'string', multiple: true },
      gateway: { type: 'string' },
      'checkpoint-key': { type: 'string' },
      state: { type: 'string' },
      'from-block': { type: 'string' },
      depth: { type: 'string' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const rpcs = values.rpc ?? [];
  const rpcUrl = rpcs.find((rpc) => !/^\d+=/.test(rpc));
  const anchor = parseAddress(values.anchor?.toLowerCase());
  const [logId, ...otherLogs] = (values.log ?? []).map(logIdOf);
  if (rpcUrl === undefined || anchor === undefined || logId === undefined || values.da === undefined) {
    throw new UsageError('--rpc, --anchor, --log and --da are needed');
  }
  const { state: stateFile, json = false } = values;
  const isShown = !json && process.stderr.isTTY === true;
  const options: AuditOptions = {
    rpcUrl,
    otherRpcUrls: Object.fromEntries(
      rpcs
        .filter((rpc) => /^\d+=/.test(rpc))
        .map((rpc) => [rpc.replace(/=.*/, ''), rpc.replace(/^\d+=/, '')]),
    ),
    anchor,
    logId,
    otherLogs,
    da: values.da.map(endpointOf),
    receipts: (values.receipts ?? []).flatMap(readReceipts),
    ...(values.gateway === undefined ? {} : { gateway: values.gateway }),
    ...(values['checkpoint-key'] === undefined ? {} : { checkpointKey: values['checkpoint-key'] }),
    ...(values['from-block'] === undefined ? {} : { fromBlock: BigInt(values['from-block']) }),
    ...(values.depth === undefined ? {} : { depth: Number(values.depth) }),
    ...(stateFile === undefined || !existsSync(stateFile) ? {} : { state: readFileSync(stateFile, 'utf8') }),
    ...(stateFile === undefined
      ? {}
      : {
          keep: (state: string) => {
            writeFileSync(`${stateFile}.part`, state);
            renameSync(`${stateFile}.part`, stateFile);
          },
        }),
    progress: ({ step, done, of }) => {
      if (isShown) process.stderr.write(`\r${step} ${done}/${of}   ${done === of ? '\n' : ''}`);
    },
  };
  const result = await audit(options);
  console.log(json ? JSON.stringify(result, bigints, 2) : page(result));
  if (result.ok) return 0;
  return result.findings.some(({ severity }) => severity === 'wrong') ? 1 : 2;
}

function page(result: AuditResult): string {
  const { log, through, counts, bills, findings } = result;
  return [
    `log ${log.logId} (${log.origin}), anchored by ${log.anchor} on chain ${log.chainId}`,
    `through block ${through.block}: ${through.size} entries, root ${through.root}`,
    `${counts.anchors} anchors, ${counts.files} files (${counts.bytes} bytes), ${counts.entries} entries, ${counts.claims} receipts disclosed, ${counts.vaultClaims} claims paid, ${counts.tiles} tiles compared`,
    ...bills.map(
      (bill) =>
        `bill of ${bill.account}: ${bill.receipts} receipts (${bill.logged} in the log, ${bill.pending} not due yet), ${bill.total} in all, ${bill.claimed} claimed: ${bill.exact ? 'exact' : 'NOT PROVEN'}`,
    ),
    '',
    ...findings.map(
      ({ severity, code, where, detail }) => `${severity.toUpperCase()} ${code}: ${where}: ${detail}`,
    ),
    ...(findings.length === 0 ? ['No doubt.'] : [`${findings.length} doubts.`]),
    '',
    ...result.proves.map((line) => `+ ${line}`),
    ...result.doesNotProve.map((line) => `- Not proven: ${line}`),
  ].join('\n');
}

function logIdOf(text: string): Hex {
  const logId = parseHex(text.toLowerCase(), 32);
  if (logId === undefined) throw new UsageError(`--log ${text}: 32 bytes of 0x hex are expected`);
  return logId;
}

function endpointOf(text: string): DaEndpoint {
  const [, kind = 'node', url = ''] = /^(?:(node|indexer|side-car):)?(https?:\/\/.+)$/.exec(text) ?? [];
  if (url === '') throw new UsageError(`--da ${text}: a URL is expected`);
  return { kind: kind as DaEndpoint['kind'], url };
}

function readReceipts(file: string): SignedReceipt[] {
  const text = readFileSync(file, 'utf8').trim();
  const list: unknown = text.startsWith('[')
    ? JSON.parse(text)
    : text.split('\n').map((line) => JSON.parse(line) as unknown);
  return (list as unknown[]).map((json, at) => {
    const read = receiptFromJson(json);
    if (!read.ok) throw new UsageError(`${file}, receipt ${at + 1}: ${read.error}`);
    return read.value;
  });
}

const bigints = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value);

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const isUsage = error instanceof UsageError || String(error).includes('ERR_PARSE_ARGS');
    console.error(isUsage ? `${String(error)}\n\n${usage}` : `the audit could not be made: ${String(error)}`);
    process.exitCode = 3;
  },
);
