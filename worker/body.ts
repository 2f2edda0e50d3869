import { ok, type Result, refuse } from '../protocol/result.ts';
import type { Allotment } from './in-flight.ts';
import { joined } from './joined.ts';
import type { Problem } from './problem.ts';

/** A client still writing a body that is too long reads no answer: up to here the rest is read and thrown away. */
const discardedBytesMax = 64 * 1024 * 1024;
/** A body has to be here by then: a client that trickles must not hold a place for long. */
const bodyMs = 30_000;

export const busy: Problem = {
  status: 503,
  code: 'gateway_busy',
  detail: 'This gateway holds as many calls as it can. Nothing was charged. Try again in a second.',
  headers: { 'retry-after': '1' },
};

/**
 * Reads a body of at most `maxBytes`, all of it (the digest needs it), and keeps no more than that. With `room`, each byte
 * takes its place as it arrives (as received, as parsed, as sent): what a client only announces takes none.
 */
export async function readBody(
  request: Pick<Request, 'body'>,
  maxBytes: number,
  { room, timeoutMs = bodyMs }: { readonly room?: Allotment; readonly timeoutMs?: number } = {},
): Promise<Result<Uint8Array, Problem>> {
  if (request.body === null) return ok(new Uint8Array());
  const reader = (request.body as ReadableStream<Uint8Array>).getReader();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    void reader.cancel().catch(() => undefined);
  }, timeoutMs);
  let parts: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const chunk = await reader.read();
      if (isLate) return refuse(tooSlow(timeoutMs));
      if (chunk.done) break;
      const part = chunk.value;
      length += part.length;
      if (length > discardedBytesMax) return give(tooLarge(maxBytes));
      if (length > maxBytes) parts = [];
      else if (room === undefined || room.grow(3 * part.length)) parts.push(part);
      else return give(busy);
    }
  } catch (error) {
    if (isLate) return refuse(tooSlow(timeoutMs));
    throw error;
  } finally {
    clearTimeout(timer);
  }
  if (length > maxBytes) return refuse(tooLarge(maxBytes));
  return ok(joined(parts, length));

  /** Nothing more is read. */
  function give(problem: Problem): Result<never, Problem> {
    void reader.cancel().catch(() => undefined);
    return refuse(problem);
  }
}

const tooLarge = (maxBytes: number): Problem => ({
  status: 413,
  code: 'body_too_large',
  detail: `The body is larger than ${maxBytes} bytes. Send a shorter prompt.`,
});

const tooSlow = (timeoutMs: number): Problem => ({
  status: 408,
  code: 'body_too_slow',
  detail: `The body was not here within ${timeoutMs / 1000} s. Nothing was charged. Send it in one go.`,
});
