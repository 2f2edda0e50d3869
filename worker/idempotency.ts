// `Idempotency-Key`: a call that may have been made before is made at most once. docs/money.md says what is kept, and for how long.
import type { Hex } from 'viem';
import type { Idempotency, KeptAnswer } from '../durable-objects/account/ledger.ts';
import { receiptKeyAt } from '../durable-objects/config.ts';
import { signReceipt } from '../protocol/receipt.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import type { Call } from './call.ts';
import type { Problem } from './problem.ts';
import { formatReceipt, receiptHeader } from './receipt-header.ts';

/** The client's own name for this call; `undefined` when it gave none. */
export function idempotencyOf(call: Call, requestHash: Hex): Result<Idempotency | undefined, Problem> {
  const key = call.request.headers.get('idempotency-key');
  if (key === null) return ok(undefined);
  if (/^[\x21-\x7e]{1,200}$/.test(key)) return ok({ key: `${call.url.pathname} ${key}`, requestHash });
  return refuse({
    status: 400,
    code: 'idempotency_key_invalid',
    detail: 'An Idempotency-Key is 1 to 200 visible ASCII characters. Send a UUID.',
  });
}

/** What was answered the first time, and nothing new: no upstream, no charge, the same receipt. */
export const answerAgain = (call: Call, { body, receipt }: KeptAnswer): Response =>
  new Response(new Uint8Array(body), {
    headers: {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-request-id': call.id,
      'idempotency-replayed': 'true',
      [receiptHeader]: formatReceipt(signReceipt(receipt, receiptKeyAt(call.env, receipt.time))),
    },
  });
