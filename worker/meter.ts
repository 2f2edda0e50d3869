import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { toHex } from '../protocol/hex.ts';
import type { Usage } from '../protocol/pricing.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import { utf8Length } from './prompt-weight.ts';
import { members, nothingObserved, type Observed, readUsage } from './usage.ts';

/**
 * The stream meter: reads an upstream's server-sent events on their way to the client.
 *
 * Content passes byte for byte. Two things do not: the usage chunk, where the client did not ask for one (upstream always
 * is), and `[DONE]`, which is held back because the receipt has to come before it (protocol section 4). Nothing is
 * counted but what upstream counts; what was seen is kept for the case that upstream never tells.
 *
 * A machine without I/O: bytes in, bytes out. It works on whole events and so behaves the same however the bytes are cut.
 */
export type StreamMeter = {
  /**
   * Takes the next bytes from upstream, returns what goes to the client now. The chunk must not be reused: slices of it are
   * passed on and kept.
   */
  push(chunk: Uint8Array): readonly Uint8Array[];
  /**
   * Upstream has ended, or was ended. Returns what still goes to the client: an event that only lacks its closing
   * blank line. Half an event is dropped, as the event-stream format says. Calling it again does nothing.
   */
  end(): readonly Uint8Array[];
  /** Notes bytes of the gateway's own (an error frame) as part of the response, and returns them. Not for the receipt. */
  send(bytes: Uint8Array): Uint8Array;
  /** Hashes of all bytes so far; `response` counts the held `[DONE]` in. */
  hashes(): { readonly upstream: Hex; readonly response: Hex };
  readonly seen: Seen;
};

/** What the meter knows by now. Read it, do not keep it: it changes with every push. */
export type Seen = {
  /** Upstream's count; undefined until it has counted everything that was seen. */
  readonly usage: Usage | undefined;
  /** For `estimateUsage`, where `usage` stays undefined. */
  readonly observed: Observed;
  readonly upstreamId: string | undefined;
  /** The held `data: [DONE]` event; undefined until upstream sent it. Goes to the client last, after the receipt. */
  readonly done: Uint8Array | undefined;
  /** Some choice has a finish reason: the answer is complete, whatever happens to the stream. */
  readonly finished: boolean;
  /** The first error upstream reported in band. Its frame was passed on. */
  readonly error: UpstreamError | undefined;
  /** The stream cannot be read on. Nothing more is passed. */
  readonly fault: 'frame_too_large' | undefined;
  /** Events that are neither JSON nor `[DONE]`. Passed on, and counted as content. */
  readonly garbled: number;
};

export type UpstreamError = { readonly code: string | undefined; readonly message: string };

export type MeterOptions = {
  /** Whether the client asked for the usage chunk. */
  readonly includeUsage: boolean;
  readonly maxFrameBytes?: number;
};

const defaultMaxFrameBytes = 1_048_576;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const byteOrderMark = '\ufeff';

const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

type Fate = 'pass' | 'remove' | 'hold';
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export function createMeter({
  includeUsage,
  maxFrameBytes = defaultMaxFrameBytes,
}: MeterOptions): StreamMeter {
  const upstreamHash = sha256.create();
  const responseHash = sha256.create();
  const seen: Mutable<Seen> = {
    usage: undefined,
    observed: nothingObserved,
    upstreamId: undefined,
    done: undefined,
    finished: false,
    error: undefined,
    fault: undefined,
    garbled: 0,
  };
  let ended = false;
  let firstFrame = true;
  /** The current event's bytes from earlier chunks. */
  let carried: Uint8Array[] = [];
  let carriedLength = 0;
  let lineIsEmpty = true;
  /** The last byte was a CR: an LF now belongs to that line end. */
  let afterReturn = false;
  /** What became of the event that CR closed, if it closed one. */
  let closed: Fate | undefined;

  function settle(frame: Uint8Array, out: Uint8Array[]): Fate {
    const text = decoder.decode(frame);
    const fate = judge(firstFrame && text.startsWith(byteOrderMark) ? text.slice(1) : text);
    firstFrame = false;
    dispose(fate, frame, out);
    return fate;
  }

  function dispose(fate: Fate, bytes: Uint8Array, out: Uint8Array[]): void {
    if (fate === 'hold') seen.done = seen.done ? concatBytes(seen.done, bytes) : bytes;
    if (fate === 'pass') {
      responseHash.update(bytes);
      append(out, bytes);
    }
  }

  function judge(frame: string): Fate {
    // What follows the end of the stream is not part of it.
    if (seen.done) return 'remove';
    const data = dataOf(frame);
    if (data === undefined) return 'pass';
    if (data.trim() === '[DONE]') return 'hold';
    const chunk = members(parsed(data));
    if (!chunk) {
      seen.garbled += 1;
      observe(0, utf8Length(data));
      return 'pass';
    }
    const id = chunk['id'];
    if (seen.upstreamId === undefined && typeof id === 'string' && id !== '') seen.upstreamId = id;
    const error = errorOf(chunk);
    if (error) seen.error ??= error;
    const choices = Array.isArray(chunk['choices']) ? chunk['choices'] : undefined;
    const text = textOf(choices ?? [], 'delta');
    observe(text.thinkingBytes, text.answerBytes);
    if (text.finished) seen.finished = true;
    const usage = readUsage(chunk['usage']);
    if (usage.ok) {
      seen.usage = usage.value;
      seen.observed = { reported: usage.value, since: nothingObserved.since };
    }
    const countsOnly = choices?.length === 0 && members(chunk['usage']) !== undefined && !error;
    return countsOnly && !includeUsage ? 'remove' : 'pass';
  }

  function observe(thinkingBytes: number, answerBytes: number): void {
    if (thinkingBytes + answerBytes === 0) return;
    // A count that does not cover what came later is not the answer's usage.
    seen.usage = undefined;
    const { reported, since } = seen.observed;
    seen.observed = {
      reported,
      since: {
        thinkingBytes: since.thinkingBytes + thinkingBytes,
        answerBytes: since.answerBytes + answerBytes,
        frames: since.frames + 1,
      },
    };
  }

  function push(chunk: Uint8Array): readonly Uint8Array[] {
    if (ended) throw new TypeError('the meter has ended');
    upstreamHash.update(chunk);
    const out: Uint8Array[] = [];
    if (seen.fault) return out;
    let start = 0;
    for (let index = 0; index < chunk.length; index += 1) {
      const byte = chunk[index];
      if (afterReturn && byte === lineFeed) {
        afterReturn = false;
        if (closed === undefined) continue;
        dispose(closed, chunk.subarray(index, index + 1), out);
        closed = undefined;
        start = index + 1;
        continue;
      }
      afterReturn = byte === carriageReturn;
      closed = undefined;
      if (byte !== lineFeed && byte !== carriageReturn) {
        lineIsEmpty = false;
        continue;
      }
      if (!lineIsEmpty) {
        lineIsEmpty = true;
        continue;
      }
      const tail = chunk.subarray(start, index + 1);
      start = index + 1;
      if (carriedLength + tail.length > maxFrameBytes) return refuseFrame(out);
      const fate = settle(carriedLength === 0 ? tail : concatBytes(...carried, tail), out);
      carried = [];
      carriedLength = 0;
      if (afterReturn) closed = fate;
    }
    if (start < chunk.length) {
      const rest = chunk.subarray(start);
      carried.push(rest);
      carriedLength += rest.length;
      if (carriedLength > maxFrameBytes) return refuseFrame(out);
    }
    return out;
  }

  function refuseFrame(out: Uint8Array[]): Uint8Array[] {
    seen.fault = 'frame_too_large';
    carried = [];
    carriedLength = 0;
    return out;
  }

  function end(): readonly Uint8Array[] {
    const out: Uint8Array[] = [];
    if (ended) return out;
    ended = true;
    if (carriedLength === 0) return out;
    const frame = concatBytes(...carried);
    const data = dataOf(decoder.decode(frame));
    const whole = data !== undefined && (data.trim() === '[DONE]' || parsed(data) !== undefined);
    // Closed here, or the receipt's comment would run into it.
    const closing = lineIsEmpty ? [lineFeed] : [lineFeed, lineFeed];
    if (whole) settle(concatBytes(frame, Uint8Array.from(closing)), out);
    else if (data !== undefined) observe(0, utf8Length(data));
    return out;
  }

  return {
    push,
    end,
    send(bytes) {
      responseHash.update(bytes);
      return bytes;
    },
    hashes() {
      const response = responseHash.clone();
      if (seen.done) response.update(seen.done);
      return { upstream: toHex(upstreamHash.clone().digest()), response: toHex(response.digest()) };
    },
    seen,
  };
}

/** Neighbouring slices of one chunk go out as one. */
function append(out: Uint8Array[], bytes: Uint8Array): void {
  const last = out.at(-1);
  if (last && last.buffer === bytes.buffer && last.byteOffset + last.length === bytes.byteOffset)
    out[out.length - 1] = new Uint8Array(last.buffer, last.byteOffset, last.length + bytes.length);
  else out.push(bytes);
}

/** The data of an event (WHATWG HTML, section 9.2.6): its data lines joined by line feeds; undefined where it has none. */
function dataOf(frame: string): string | undefined {
  const lines: string[] = [];
  for (const line of frame.split(/\r\n|\r|\n/)) {
    if (line === 'data') lines.push('');
    else if (line.startsWith('data:')) lines.push(line.slice(line[5] === ' ' ? 6 : 5));
  }
  return lines.length === 0 ? undefined : lines.join('\n');
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** `{"error": ...}` as Model Studio and vLLM have it, `{"object": "error", ...}` as SGLang, `{"code", "message"}` without choices. */
function errorOf(body: { readonly [key: string]: unknown }): UpstreamError | undefined {
  const wrapped = body['error'];
  if (typeof wrapped === 'string') return { code: undefined, message: wrapped };
  const error =
    members(wrapped) ??
    (body['object'] === 'error' || (!('choices' in body) && 'code' in body && 'message' in body)
      ? body
      : undefined);
  if (!error) return undefined;
  const code = error['code'] ?? error['type'] ?? undefined;
  const message = error['message'];
  return {
    code: typeof code === 'string' || typeof code === 'number' ? String(code) : undefined,
    message: typeof message === 'string' ? message : 'The upstream reported an error.',
  };
}

type Text = { thinkingBytes: number; answerBytes: number; finished: boolean };

/** How much text there is in the choices of a chunk (`delta`) or of an answer (`message`). */
function textOf(choices: readonly unknown[], holder: 'delta' | 'message'): Text {
  const text: Text = { thinkingBytes: 0, answerBytes: 0, finished: false };
  const bytes = (value: unknown): number => (typeof value === 'string' ? utf8Length(value) : 0);
  for (const choice of choices) {
    const picked = members(choice);
    if (typeof picked?.['finish_reason'] === 'string') text.finished = true;
    const written = members(picked?.[holder]);
    if (!written) continue;
    // Model Studio, SGLang and llama.cpp call it reasoning_content; vLLM and Ollama reasoning.
    text.thinkingBytes += bytes(written['reasoning_content'] ?? written['reasoning']);
    text.answerBytes += bytes(written['content']) + bytes(written['refusal']);
    const calls = Array.isArray(written['tool_calls']) ? written['tool_calls'] : [];
    for (const call of calls) {
      const made = members(members(call)?.['function']);
      text.answerBytes += bytes(made?.['name']) + bytes(made?.['arguments']);
    }
  }
  return text;
}

/** An answer that came as one JSON body. */
export type Answer = {
  /** Undefined where upstream did not count: estimate from `observed`. */
  readonly usage: Usage | undefined;
  readonly observed: Observed;
  readonly upstreamId: string | undefined;
  /** An error in a 200. */
  readonly error: UpstreamError | undefined;
};

/** Reads a whole answer of `/chat/completions` or `/embeddings`. Refuses what is not a JSON object. */
export function readAnswer(body: Uint8Array): Result<Answer, 'not_json'> {
  const answer = members(parsed(decoder.decode(body)));
  if (!answer) return refuse('not_json');
  const choices = Array.isArray(answer['choices']) ? answer['choices'] : [];
  const { thinkingBytes, answerBytes } = textOf(choices, 'message');
  const usage = readUsage(answer['usage']);
  const id = answer['id'];
  return ok({
    usage: usage.ok ? usage.value : undefined,
    observed: {
      reported: usage.ok ? usage.value : undefined,
      since: usage.ok ? nothingObserved.since : { thinkingBytes, answerBytes, frames: choices.length },
    },
    upstreamId: typeof id === 'string' && id !== '' ? id : undefined,
    error: errorOf(answer),
  });
}
