// An agent's own copy of its receipts, one a line. What the gateway lists later is held against it.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { receiptDigest, receiptFromJson, receiptToJson, type SignedReceipt } from '../../protocol/receipt.ts';
import { usage } from './failure.ts';

/** Adds a receipt that was checked. */
export const keepReceipt = (file: string, signed: SignedReceipt): void =>
  appendFileSync(file, `${JSON.stringify(receiptToJson(signed))}\n`, { mode: 0o600 });

/** All that were kept; none where nothing was yet. */
export function keptReceipts(file: string | undefined): SignedReceipt[] {
  if (file === undefined || !existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line, at) => {
    if (line.trim() === '') return [];
    const read = receiptOf(line);
    if (read === undefined) throw usage(`${file}, line ${at + 1}: this is no receipt.`);
    return [read];
  });
}

function receiptOf(line: string): SignedReceipt | undefined {
  try {
    const read = receiptFromJson(JSON.parse(line));
    return read.ok ? read.value : undefined;
  } catch {
    return undefined;
  }
}

/** Both lists, without what is in both. Two receipts for one number both stay: they are evidence. */
export function together(kept: readonly SignedReceipt[], listed: readonly SignedReceipt[]): SignedReceipt[] {
  const byDigest = new Map([...kept, ...listed].map((signed) => [receiptDigest(signed.receipt), signed]));
  return [...byDigest.values()];
}
