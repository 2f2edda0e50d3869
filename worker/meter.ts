import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { toHex } from '../protocol/hex.ts';
import type { Usage } from '../protocol/pricing.ts';
import type { UpstreamError } from './dialects/dialect.ts';
import { utf8Length } from './prompt-weight.ts';
import { nothingObserved, type Observed } from './usage.ts';

/**
 * The stream meter: reads an upstream's server-sent events on their way to the client.
 *
 * Content passes byte for byte. Three things do not: the usage chunk, where the client did not ask for one (upstream always
 * is); the event the client stops reading at (`[DONE]`), which is held back because the receipt has to come before it (protocol
 * section 4); and an upstream's error, which the gateway words itself, after the receipt. Nothing is counted but what
 * upstream counts; what was seen is kept for the case that upstream never tells.
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
  /** Bytes kept of an event that is still coming. */
  carried(): number;
  readonly seen: Seen;
};

/** What the meter knows by now. Read it, do not keep it: it changes with every push. */
export type Seen = {
  /** Upstream's count; undefined until it has counted everything that was seen. */
  readonly usage: Usage | undefined;
  /** For `estimateUsage`, where `usage` stays undefined. */
  readonly observed: Observed;
  readonly upstreamId: string | undefined;
  /** The held last event (`data: [DONE]`); undefined until upstream sent it. Goes to the client last, after the receipt. */
  readonly done: Uint8Array | undefined;
  /** Some choice has a finish reason: the answer is complete, whatever happens to the stream. */
  readonly finished: boolean;
  /** The first error upstream reported in band. Its frame was not passed on: it may say what is the operator's alone. */
  readonly error: UpstreamError | undefined;
  /** The stream cannot be read on. Nothing more is passed. */
  readonly fault: 'frame_too_large' | undefined;
  /** Events that are neither JSON nor `[DONE]`. Passed on, and counted as content. */
  readonly garbled: number;
};

export type MeterOptions = {
  /** What the events of this endpoint mean. */
  readonly readEvent: ReadEvent;
  readonly maxFrameBytes?: number;
};

/** What becomes of an event: it passes, it is taken out, or it is held to be the last. */
export type Fate = 'pass' | 'remove' | 'hold';

/** Reads the data of one event and notes what it says. */
export type ReadEvent = (data: string, notes: Notes) => Fate;

/** What an event reader may write down. */
export type Notes = {
  readonly seen: Mutable<Seen>;
  /** Text came, this many bytes of it: an earlier count no longer covers everything. */
  readonly observe: (thinkingBytes: number, answerBytes: number) => void;
};

const defaultMaxFrameBytes = 1_048_576;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const byteOrderMark = '\ufeff';

const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export function createMeter({ readEvent, maxFrameBytes = defaultMaxFrameBytes }: MeterOptions): StreamMeter {
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
    return readEvent(data, { seen, observe });
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
    carried: () => carriedLength,
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

/** Parsed JSON; undefined where it is none. */
export function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
