// POST /v1/chat/completions: the story of a request, in order.
import { sha256 } from '@noble/hashes/sha2.js';
import { toHex } from '../protocol/hex.ts';
import type { SignedVoucher } from '../protocol/money/voucher.ts';
import { parsePaymentSignature, paymentSignatureHeader } from '../protocol/money/x402.ts';
import { priceTableHash } from '../protocol/price-table.ts';
import { prices } from '../protocol/prices.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import { authenticate } from './authenticate.ts';
import { readBody } from './body.ts';
import type { Call } from './call.ts';
import { readChatRequest } from './chat-request.ts';
import { deliverStream } from './deliver-stream.ts';
import { deliverWhole } from './deliver-whole.ts';
import { reserve } from './hold.ts';
import { type Problem, problemResponse } from './problem.ts';
import { defaultRequestLimits } from './request-limits.ts';
import { forward } from './upstream.ts';

const priceTable = priceTableHash(prices);

export async function completions(call: Call): Promise<Response> {
  const refused = (problem: Problem) => problemResponse(problem, call.id, true);

  const body = await readBody(call.request, defaultRequestLimits.maxBodyBytes);
  if (!body.ok) return refused(body.error);

  const caller = await authenticate(call, body.value, 'spends'); //  1 identity
  if (!caller.ok) return refused(caller.error);

  const priced = readChatRequest(body.value, prices); //             2 pricing
  if (!priced.ok) return refused({ ...priced.error, detail: priced.error.message });

  const voucher = voucherOf(call, caller.value.account.chainId);
  if (!voucher.ok) return refused(voucher.error);
  const hashes = {
    requestHash: toHex(sha256(body.value)),
    forwardedHash: toHex(sha256(priced.value.forwarded)),
  };
  const hold = await reserve(call, caller.value, priced.value, priceTable, hashes, voucher.value); // 3 reserve
  if (!hold.ok) return refused(hold.error);

  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(), hold.value.endUpstreamMs - call.now());
  const upstream = await forward(call, priced.value.forwarded, ending.signal); //                    4 forward
  if (!upstream.ok) {
    clearTimeout(timer);
    await hold.value.release();
    return refused(upstream.error);
  }

  // 5 meter, 6 capture, 7 deliver
  const deliver = priced.value.stream ? deliverStream : deliverWhole;
  return deliver(call, priced.value, hold.value, upstream.value, ending);
}

/** A voucher that came along. One that cannot be read is refused rather than ignored: the agent meant to pay with it. */
function voucherOf(call: Call, chainId: number): Result<SignedVoucher | undefined, Problem> {
  const header = call.request.headers.get(paymentSignatureHeader);
  if (header === null) return ok(undefined);
  const voucher = parsePaymentSignature(header, chainId);
  if (voucher !== undefined) return ok(voucher);
  return refuse({
    status: 400,
    code: 'payment_malformed',
    detail: `PAYMENT-SIGNATURE is not an x402 v2 payment of scheme agent-vault on eip155:${chainId}. See docs/protocol.md, section 3.`,
  });
}
