import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { receiptDigest, receiptToJson } from '../../protocol/receipt.ts';
import { formatReceiptFile } from '../receipt-file.ts';
import { fetchProofFor } from '../verify.ts';
import { formatAmount, parseDuration } from './amount.ts';
import { usage } from './failure.ts';
import { allReceipts, readReceipt } from './receipt-pages.ts';
import { type GivenOptions, Settings, withSettings } from './settings.ts';
import { table } from './terminal.ts';

/** `receipts`: lists them, and saves one with all that is needed to verify it. */
export function addReceipts(program: Command): void {
  const group = program
    .command('receipts')
    .helpGroup('Looking around:')
    .summary('list receipts, or save one for ever')
    .description('The agent’s receipts, as the gateway signed them.');
  const list = group
    .command('list', { isDefault: true })
    .description('Lists receipts, oldest first.')
    .option('--from <sequence>', 'from this number on', '1')
    .action((given: GivenOptions & { from: string }) => runList(given));
  withSettings(list);
  const save = group
    .command('save')
    .description(
      'Writes a receipt to a file that stands on its own: receipt, signature, inclusion proof, and where it is anchored. `tallystick verify <file>` needs nothing but a node of that chain.',
    )
    .argument('<sequence>', 'the receipt’s number')
    .argument('[file]', 'default: receipt-<sequence>.json')
    .option('--wait <duration>', 'how long to wait for it to be sealed and anchored', '2m')
    .action((sequence: string, file: string | undefined, given: GivenOptions & { wait: string }) =>
      runSave(sequence, file, given),
    );
  withSettings(save);
}

async function runList(given: GivenOptions & { from: string }): Promise<void> {
  const settings = new Settings(given);
  const from = sequenceOf(given.from);
  const asset = await settings.asset();
  const receipts = await settings.terminal.progress('reading receipts', () => allReceipts(settings, from));
  settings.terminal.result(
    receipts.map((signed) => ({ digest: receiptDigest(signed.receipt), ...receiptToJson(signed) })),
    receipts.length === 0
      ? ['no receipts yet']
      : table([
          ['no', 'time', 'model', 'in', 'out', 'cost', 'digest'],
          ...receipts.map(({ receipt }) => [
            `${receipt.sequence}`,
            new Date(Number(receipt.time) * 1000).toISOString().slice(0, 19).replace('T', ' '),
            receipt.model,
            `${receipt.usage.input}`,
            `${receipt.usage.output}`,
            formatAmount(receipt.amount, asset),
            `${receiptDigest(receipt).slice(0, 18)}…`,
          ]),
        ]),
  );
}

async function runSave(
  text: string,
  file: string | undefined,
  given: GivenOptions & { wait: string },
): Promise<void> {
  const settings = new Settings(given);
  const sequence = sequenceOf(text);
  const wait = parseDuration(given.wait);
  const signed = readReceipt(await settings.ask(`/v1/receipts/${sequence}`));
  const { log } = await settings.deployment();
  const agentFetch = await settings.agentFetch();
  const anchor = { chainId: log.chainId, address: log.anchor, logId: log.logId };
  const proof = await settings.terminal.progress('waiting for the receipt to be in an anchored head', () =>
    fetchProofFor(agentFetch, sequence, {
      timeoutMs: wait * 1000,
      log: { rpcUrl: settings.rpcUrl(log.chainId), anchor: log.anchor, logId: log.logId },
    }),
  );
  const name = file ?? `receipt-${sequence}.json`;
  writeFileSync(name, formatReceiptFile({ signed, proof, anchor, checkpointKey: log.checkpointKey }));
  settings.terminal.result({ file: name, digest: receiptDigest(signed.receipt), anchor }, [
    `receipt ${sequence} is in ${name}`,
    `verify it any time, gateway or not: tallystick verify ${name} --rpc <a node of chain ${log.chainId}>`,
  ]);
}

/** A receipt's number, as typed. */
export function sequenceOf(text: string): bigint {
  if (/^[1-9]\d{0,14}$/.test(text)) return BigInt(text);
  throw usage(`${JSON.stringify(text)} is not a receipt’s number: 1, 2, 3, …`);
}
