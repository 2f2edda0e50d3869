import { members } from '../usage.ts';
import type { UpstreamError } from './dialect.ts';

/** `{"error": {"code", "type", "message"}}`, or `{"error": "text"}`: Model Studio, vLLM, llama.cpp, Ollama, 0G's Router. */
export function wrappedError(body: unknown): UpstreamError | undefined {
  const wrapped = members(body)?.['error'];
  if (typeof wrapped === 'string') return { code: undefined, message: wrapped };
  const error = members(wrapped);
  return error && plainError(error);
}

/** `{"object": "error", "code", "message"}` as SGLang answers, `{"code", "message"}` as Model Studio's own protocol does. */
export function bareError(body: unknown): UpstreamError | undefined {
  const error = members(body);
  if (!error) return undefined;
  const bare =
    error['object'] === 'error' || (!('choices' in error) && 'code' in error && 'message' in error);
  return bare ? plainError(error) : undefined;
}

function plainError(error: { readonly [key: string]: unknown }): UpstreamError {
  const code = error['code'] ?? error['type'] ?? undefined;
  const message = error['message'];
  return {
    code: typeof code === 'string' || typeof code === 'number' ? String(code) : undefined,
    message: typeof message === 'string' ? message : 'The upstream reported an error.',
  };
}

/** Whichever of the two it is: for a reader that does not know its dialect. */
export const anyError = (body: unknown): UpstreamError | undefined => wrappedError(body) ?? bareError(body);
