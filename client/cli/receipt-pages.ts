// All receipts of an account, page by page.
import { receiptDigest, receiptFromJson, type SignedReceipt } from '../../protocol/receipt.ts';
import { exitCodes, Failure } from './failure.ts';
import type { Settings } from './settings.ts';

/** From a sequence number on, oldest first. Throws a failure where the gateway's answer is none. */
export async function* receiptsFrom(settings: Settings, from: bigint): AsyncGenerator<SignedReceipt> {
  for (let next: bigint | undefined = from; next !== undefined; ) {
    const page = (await settings.ask(`/v1/receipts?from=${next}`)) as { receipts?: unknown; next?: unknown };
    if (!Array.isArray(page.receipts)) throw malformed('no list');
    for (const item of page.receipts as unknown[]) yield readReceipt(item);
    const following: bigint | undefined =
      typeof page.next === 'string' && /^\d{1,15}$/.test(page.next) ? BigInt(page.next) : undefined;
    next = following !== undefined && following > next ? following : undefined;
  }
}

/** The same as a list. */
export async function allReceipts(settings: Settings, from = 1n): Promise<SignedReceipt[]> {
  const receipts: SignedReceipt[] = [];
  for await (const signed of receiptsFrom(settings, from)) receipts.push(signed);
  return receipts;
}

/** One of the gateway's receipts. */
export function readReceipt(item: unknown): SignedReceipt {
  const read = receiptFromJson(item);
  if (!read.ok) throw malformed(read.error);
  const stated = (item as { digest?: unknown }).digest;
  const digest = receiptDigest(read.value.receipt);
  if (stated !== undefined && stated !== digest) {
    throw malformed(`receipt ${read.value.receipt.sequence} has digest ${digest}, the gateway says another`);
  }
  return read.value;
}

const malformed = (why: string): Failure =>
  new Failure(exitCodes.notRight, 'receipt_unreadable', `The gateway's receipts cannot be read: ${why}.`);
