import { sha256 } from '@noble/hashes/sha2.js';
import { toHex } from '../protocol/hex.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import type { Call } from './call.ts';
import type { ChatRequest } from './chat-request.ts';
import type { OpenHold } from './hold.ts';
import { readAnswer } from './meter.ts';
import { type Problem, problemResponse } from './problem.ts';
import { formatReceipt, receiptHeader } from './receipt-header.ts';
import { estimateUsage } from './usage.ts';

/** An answer longer than this is no answer: `maxOutputTokens` times `n` is far below. */
const answerBytesMax = 16 * 1024 * 1024;

/** Answers a call that is not streamed: the whole body, with the receipt in a header. */
export async function deliverWhole(
  call: Call,
  priced: ChatRequest,
  hold: OpenHold,
  upstream: Response,
  ending: AbortController,
): Promise<Response> {
  const work = answer(call, priced, hold, upstream, ending);
  // Goes on when the client has left: what upstream charges for is captured.
  call.waitUntil(work.catch(() => undefined));
  return work;
}

async function answer(
  call: Call,
  priced: ChatRequest,
  hold: OpenHold,
  upstream: Response,
  ending: AbortController,
): Promise<Response> {
  const failed = async (problem: Problem) => {
    await hold.release();
    return problemResponse(problem, call.id, true);
  };
  const body = await readWhole(upstream, ending);
  if (!body.ok) return failed(body.error);
  const read = readAnswer(body.value);
  if (!read.ok || read.value.error) {
    const why = read.ok ? (read.value.error?.message ?? '') : 'it is not JSON';
    return failed({
      status: 502,
      code: 'upstream_failed',
      detail: `The model's answer is unusable: ${why}. Nothing was charged. Try again.`,
    });
  }
  const hash = toHex(sha256(body.value));
  const receipt = await hold.capture({
    usage: read.value.usage ?? estimateUsage(read.value.observed, priced),
    upstreamId: read.value.upstreamId ?? '',
    responseHash: hash,
    upstreamResponseHash: hash,
  });
  return new Response(body.value, {
    headers: {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-request-id': call.id,
      [receiptHeader]: formatReceipt(receipt),
    },
  });
}

async function readWhole(
  upstream: Response,
  ending: AbortController,
): Promise<Result<Uint8Array<ArrayBuffer>, Problem>> {
  try {
    const body = new Uint8Array(await upstream.arrayBuffer());
    if (body.length <= answerBytesMax) return ok(body);
  } catch {
    // cut off, or our own deadline
  }
  return refuse(
    ending.signal.aborted
      ? {
          status: 504,
          code: 'upstream_timeout',
          detail: 'The model did not finish in time. Nothing was charged.',
        }
      : {
          status: 502,
          code: 'upstream_failed',
          detail: 'The model’s answer broke off. Nothing was charged. Try again.',
        },
  );
}
