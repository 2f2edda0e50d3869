import { sha256 } from '@noble/hashes/sha2.js';
import { toHex } from '../protocol/hex.ts';
import type { Call } from './call.ts';
import { evidenceHeader, evidenceOf, formatEvidence } from './evidence.ts';
import type { OpenHold } from './hold.ts';
import type { PricedRequest } from './priced-request.ts';
import { formatReceipt, receiptHeader } from './receipt-header.ts';
import type { WholeAnswer } from './upstreams/attempt.ts';
import { estimateUsage } from './usage.ts';

/** Answers a call that is not streamed: the whole body, with the receipt in a header. */
export async function deliverWhole(
  call: Call,
  priced: PricedRequest,
  hold: OpenHold,
  whole: WholeAnswer,
): Promise<Response> {
  const { body, answer, upstream, forwardedHash, ending } = whole;
  ending.done();
  const hash = toHex(sha256(body));
  const evidence = await evidenceOf(call, whole, priced.model, answer.upstreamId, hash);
  const receipt = await hold.capture({
    usage: answer.usage ?? estimateUsage(answer.observed, priced),
    upstream: upstream.name,
    upstreamId: answer.upstreamId ?? '',
    forwardedHash,
    responseHash: hash,
    upstreamResponseHash: hash,
    ...(evidence === undefined ? {} : { evidence: evidence.hash }),
  });
  return new Response(body, {
    headers: {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-request-id': call.id,
      [receiptHeader]: formatReceipt(receipt),
      ...(evidence === undefined ? {} : { [evidenceHeader]: formatEvidence(evidence) }),
    },
  });
}
