// Finds the receipt in an event stream and hashes everything else, however the bytes are cut. Pure.
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { toHex } from '../protocol/hex.ts';

export type ReceiptScanner = {
  push(chunk: Uint8Array): void;
  /** The base64 of the last receipt comment; undefined until one is complete. */
  readonly receipt: string | undefined;
  /** What came last is a complete `data: [DONE]` event. */
  readonly done: boolean;
  /** SHA-256 of all bytes so far but the last receipt comment: the receipt's `responseHash` (protocol, section 4). */
  responseHash(): Hex;
};

const prefix = utf8ToBytes(': tallystick-receipt ');
/** A comment longer than this is no receipt of ours (they have some 3,000 bytes). */
const commentBytesMax = 65_536;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;
/** The last event of a stream, with the end of what was before it. */
const doneEvent = /(\n\n|\r\n\r\n|\r\r)data: ?\[DONE\](\n\n|\r\n\r\n|\r\r)$/;
const tailLength = 32;

/**
 * A machine without I/O. Only the last comment counts as the receipt: an upstream may have sent one of its own earlier,
 * which is then content like everything else and part of the hash.
 */
export function createReceiptScanner(): ReceiptScanner {
  /** Over all content, earlier comments included. */
  const whole = sha256.create();
  /** The same without the last comment; undefined until there is one. */
  let withoutLast: typeof whole | undefined;
  let receipt: string | undefined;
  let atLineStart = true;
  /** What may become the comment: not hashed yet. */
  let candidate: number[] | undefined;
  let lineEnded = false;
  /** The last content, a byte a character; begins with an empty line, so that what comes first begins an event. */
  let tail = '\n\n';

  function content(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    whole.update(bytes);
    withoutLast?.update(bytes);
    tail = (tail + String.fromCharCode(...bytes.subarray(-tailLength))).slice(-tailLength);
  }

  function giveBack(): void {
    if (candidate) content(Uint8Array.from(candidate));
    candidate = undefined;
    lineEnded = false;
  }

  function complete(bytes: readonly number[]): void {
    withoutLast = whole.clone();
    whole.update(Uint8Array.from(bytes));
    receipt = String.fromCharCode(...bytes.slice(prefix.length, -2));
    tail = '\n\n';
    candidate = undefined;
    lineEnded = false;
    atLineStart = true;
  }

  function push(chunk: Uint8Array): void {
    let start = 0; // of content in this chunk that is not hashed yet
    for (let index = 0; index < chunk.length; index += 1) {
      const byte = chunk[index] ?? 0;
      if (candidate && lineEnded && byte !== lineFeed) {
        // A comment, but not followed by an empty line: content. This byte starts a line of its own.
        giveBack();
        start = index;
        atLineStart = true;
      }
      if (candidate) {
        candidate.push(byte);
        start = index + 1;
        if (lineEnded) complete(candidate);
        else if (candidate.length <= prefix.length && byte !== prefix[candidate.length - 1]) {
          giveBack();
          atLineStart = byte === lineFeed || byte === carriageReturn;
        } else if (byte === lineFeed) lineEnded = true;
        else if (candidate.length > commentBytesMax) {
          giveBack();
          atLineStart = false;
        }
      } else if (atLineStart && byte === prefix[0]) {
        content(chunk.subarray(start, index));
        start = index + 1;
        candidate = [byte];
      } else {
        atLineStart = byte === lineFeed || byte === carriageReturn;
      }
    }
    content(chunk.subarray(start));
  }

  return {
    push,
    get receipt() {
      return receipt;
    },
    get done() {
      return candidate === undefined && doneEvent.test(tail);
    },
    responseHash() {
      const hash = (withoutLast ?? whole).clone();
      if (candidate) hash.update(Uint8Array.from(candidate));
      return toHex(hash.digest());
    },
  };
}
