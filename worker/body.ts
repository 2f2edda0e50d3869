import { ok, type Result, refuse } from '../protocol/result.ts';
import type { Allotment } from './in-flight.ts';
import { joined } from './joined.ts';
import { piecesOf } from './pieces.ts';
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

/** A body whose length is known and no more than this is read in one go: it fits into what every call has for its own needs. */
const oneGoBytesMax = 16 * 1024;

type Body = Pick<Request, 'body' | 'headers' | 'arrayBuffer'>;
type Limits = { readonly room?: Allotment; readonly timeoutMs?: number };

/**
 * Reads a body of at most `maxBytes`, all of it (the digest needs it), and keeps no more than that. With `room`, each byte
 * takes its place as it arrives (as received, as parsed, as sent): what a client only announces takes none.
 */
export async function readBody(
  request: Body,
  maxBytes: number,
  { room, timeoutMs = bodyMs }: Limits = {},
): Promise<Result<Uint8Array, Problem>> {
  if (request.body === null) return ok(new Uint8Array());
  const isShort =
    Number(request.headers.get('content-length') ?? Infinity) <= Math.min(oneGoBytesMax, maxBytes);
  if (!isShort) return readParts(request.body, maxBytes, timeoutMs, room);
  const whole = await inOneGo(request, timeoutMs);
  if (whole === undefined) return refuse(tooSlow(timeoutMs));
  return room === undefined || room.grow(3 * whole.length) ? ok(whole) : refuse(busy);
}

/** One step instead of one for each piece and one for the end. `undefined` when it has taken too long. */
function inOneGo(request: Body, timeoutMs: number): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), timeoutMs);
    request
      .arrayBuffer()
      .then((whole) => resolve(new Uint8Array(whole)), reject)
      .finally(() => clearTimeout(timer));
  });
}

async function readParts(
  body: ReadableStream,
  maxBytes: number,
  timeoutMs: number,
  room: Allotment | undefined,
): Promise<Result<Uint8Array, Problem>> {
  const pieces = piecesOf(body);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    pieces.cancel();
  }, timeoutMs);
  let parts: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const part = await pieces.next();
      if (isLate) return refuse(tooSlow(timeoutMs));
      if (part === undefined) break;
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
    pieces.cancel();
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
