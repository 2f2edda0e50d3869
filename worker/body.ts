import { ok, type Result, refuse } from '../protocol/result.ts';
import type { Problem } from './problem.ts';

/** Reads a body of at most `maxBytes`, all of it (the digest needs it), and no more than that. */
export async function readBody(request: Request, maxBytes: number): Promise<Result<Uint8Array, Problem>> {
  const tooLarge: Problem = {
    status: 413,
    code: 'body_too_large',
    detail: `The body is larger than ${maxBytes} bytes. Send a shorter prompt.`,
  };
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) return refuse(tooLarge);
  if (request.body === null) return ok(new Uint8Array());
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request.body as ReadableStream<Uint8Array>) {
    length += part.length;
    if (length > maxBytes) return refuse(tooLarge);
    parts.push(part);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return ok(body);
}
