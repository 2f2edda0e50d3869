import { ok, type Result, refuse } from '../protocol/result.ts';
import type { Problem } from './problem.ts';

/** A client still writing a body that is too long reads no answer: up to here the rest is read and thrown away. */
const discardedBytesMax = 64 * 1024 * 1024;

/** Reads a body of at most `maxBytes`, all of it (the digest needs it), and keeps no more than that. */
export async function readBody(request: Request, maxBytes: number): Promise<Result<Uint8Array, Problem>> {
  const tooLarge: Problem = {
    status: 413,
    code: 'body_too_large',
    detail: `The body is larger than ${maxBytes} bytes. Send a shorter prompt.`,
  };
  if (request.body === null) return ok(new Uint8Array());
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request.body as ReadableStream<Uint8Array>) {
    length += part.length;
    if (length > discardedBytesMax) break;
    if (length > maxBytes) parts = [];
    else parts.push(part);
  }
  if (length > maxBytes) return refuse(tooLarge);
  const body = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return ok(body);
}
