import { sha256Hex } from '../compiled/platform-hashes.ts';
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
  const headers = await captureWhole(call, priced, hold, whole, whole.body);
  return new Response(whole.body, {
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers },
  });
}

/** Captures a whole answer that reaches the client as `delivered`; answers the headers that prove it. */
export async function captureWhole(
  call: Call,
  priced: PricedRequest,
  hold: OpenHold,
  whole: WholeAnswer,
  delivered: Uint8Array,
): Promise<Record<string, string>> {
  const { body, answer, upstream, forwardedHash } = whole;
  const upstreamHash = await sha256Hex(body);
  const evidence = await evidenceOf(call, whole, priced.model, answer.upstreamId, upstreamHash);
  const used = {
    usage: answer.usage ?? estimateUsage(answer.observed, priced),
    upstream: upstream.name,
    upstreamId: answer.upstreamId ?? '',
    forwardedHash,
    responseHash: delivered === body ? upstreamHash : await sha256Hex(delivered),
    upstreamResponseHash: upstreamHash,
    ...(evidence === undefined ? {} : { evidence: evidence.hash }),
  };
  const receipt = await hold.capture(used, delivered);
  return {
    'x-request-id': call.id,
    [receiptHeader]: formatReceipt(receipt),
    ...(evidence === undefined ? {} : { [evidenceHeader]: formatEvidence(evidence) }),
  };
}
