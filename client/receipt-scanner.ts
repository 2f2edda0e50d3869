// Finds the receipt in an event stream and hashes everything else, however the bytes are cut. Pure.
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { toHex } from '../protocol/hex.ts';

export type ReceiptScanner = {
  push(chunk: Uint8Array): void;
  /** The base64 of the last receipt comment; undefined until one is complete. */
  readonly receipt: string | undefined;
  /** The base64 of the evidence comment directly before that receipt; undefined where there was none. */
  readonly evidence: string | undefined;
  /** What came last is a complete `data: [DONE]` event. */
  readonly done: boolean;
  /**
   * SHA-256 of all bytes so far but the last receipt comment: the receipt's `responseHash` (protocol, section 4). Where the
   * receipt says there is evidence, the evidence comment before it is not part of the response either.
   */
  responseHash(hasEvidence: boolean): Hex;
};

type Kind = 'receipt' | 'evidence';
const prefixes: { readonly [K in Kind]: Uint8Array } = {
  receipt: utf8ToBytes(': tallystick-receipt '),
  evidence: utf8ToBytes(': tallystick-evidence '),
};
const kinds: readonly Kind[] = ['receipt', 'evidence'];

/** A comment longer than this is none of ours: receipts have some 3,000 bytes, evidence is bounded at 16 KiB. */
const commentBytesMax = 65_536;
const colon = 0x3a;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;
/** The last event of a stream, with the end of what was before it. */
const doneEvent = /(\n\n|\r\n\r\n|\r\r)data: ?\[DONE\](\n\n|\r\n\r\n|\r\r)$/;
const tailLength = 32;

type Hash = ReturnType<typeof sha256.create>;

/** A line that may become one of our comments: not hashed yet. */
type Candidate = { readonly bytes: number[]; kinds: readonly Kind[]; lineEnded: boolean };

/**
 * A machine without I/O. Only the last comment counts as the receipt: an upstream may have sent one of its own earlier,
 * which is then content like everything else and part of the hash. So is evidence that no receipt follows.
 */
export function createReceiptScanner(): ReceiptScanner {
  /** Over everything, comments included. */
  const whole = sha256.create();
  /** The same without the last receipt, and without the evidence before it, too. */
  let withoutReceipt: Hash | undefined;
  let withoutBoth: Hash | undefined;
  let receipt: string | undefined;
  let evidence: string | undefined;
  /** An evidence comment that nothing has followed yet, and the hash of what was before it. */
  let pending: { readonly base64: string; readonly before: Hash } | undefined;
  let atLineStart = true;
  let candidate: Candidate | undefined;
  /** The last content, a byte a character; begins with an empty line, so that what comes first begins an event. */
  let tail = '\n\n';

  function content(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    whole.update(bytes);
    withoutReceipt?.update(bytes);
    withoutBoth?.update(bytes);
    pending = undefined;
    tail = (tail + String.fromCharCode(...bytes.subarray(-tailLength))).slice(-tailLength);
  }

  function giveBack(): void {
    if (candidate) content(Uint8Array.from(candidate.bytes));
    candidate = undefined;
  }

  function complete(kind: Kind, bytes: Uint8Array): void {
    candidate = undefined;
    atLineStart = true;
    const base64 = new TextDecoder().decode(bytes.subarray(prefixes[kind].length, -2));
    const before = whole.clone();
    if (kind === 'evidence') {
      content(bytes);
      pending = { base64, before };
    } else {
      [receipt, evidence] = [base64, pending?.base64];
      [withoutReceipt, withoutBoth] = [before, pending?.before];
      pending = undefined;
      whole.update(bytes);
    }
    tail = '\n\n';
  }

  function take(byte: number, line: Candidate): void {
    line.bytes.push(byte);
    const { length } = line.bytes;
    if (line.lineEnded) {
      const [kind] = line.kinds;
      if (kind) complete(kind, Uint8Array.from(line.bytes));
      return;
    }
    line.kinds = line.kinds.filter(
      (kind) => length > prefixes[kind].length || prefixes[kind][length - 1] === byte,
    );
    if (line.kinds.length === 0 || length > commentBytesMax) {
      giveBack();
      atLineStart = byte === lineFeed || byte === carriageReturn;
    } else if (byte === lineFeed) {
      line.lineEnded = true;
    }
  }

  function push(chunk: Uint8Array): void {
    let start = 0; // of content in this chunk that is not hashed yet
    for (let index = 0; index < chunk.length; index += 1) {
      const byte = chunk[index] ?? 0;
      if (candidate?.lineEnded && byte !== lineFeed) {
        // A comment, but not followed by an empty line: content. This byte starts a line of its own.
        giveBack();
        start = index;
        atLineStart = true;
      }
      if (candidate) {
        take(byte, candidate);
        start = index + 1;
      } else if (atLineStart && byte === colon) {
        content(chunk.subarray(start, index));
        start = index + 1;
        candidate = { bytes: [byte], kinds, lineEnded: false };
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
    get evidence() {
      return evidence;
    },
    get done() {
      return candidate === undefined && doneEvent.test(tail);
    },
    responseHash(hasEvidence) {
      const hash = ((hasEvidence ? withoutBoth : undefined) ?? withoutReceipt ?? whole).clone();
      if (candidate) hash.update(Uint8Array.from(candidate.bytes));
      return toHex(hash.digest());
    },
  };
}
