import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { parseHex, toHex } from '../hex.ts';
import { ok, type Result, refuse } from '../result.ts';

/** How much is known about a publication, in rising order (docs/protocol.md, section 7). */
export type DaState = 'announced' | 'node-confirmed' | 'proven';

/** A file in 0G Storage: its root, and its position in the Flow's list of submissions (uint64). */
export interface ZeroGStorageReference {
  readonly kind: '0g-storage';
  readonly state: DaState;
  readonly root: Hex;
  readonly txSeq: bigint;
}

/** A blob in 0G DA: the 50-byte commitment its HTTP side-car answered. */
export interface ZeroGDaReference {
  readonly kind: '0g-da';
  readonly state: DaState;
  readonly commitment: Hex;
}

export type DaReference = ZeroGStorageReference | ZeroGDaReference;

/** `hex`: not lower-case hex bytes; `truncated`: an item is cut short; the rest say what they name. */
export type DaReferenceRefusal = 'hex' | 'version' | 'empty' | 'kind' | 'state' | 'truncated';

const VERSION = 0x01;
const KIND_STORAGE = 0x01;
const KIND_DA = 0x02;
const ROOT_BYTES = 32;
const TX_SEQ_BYTES = 8;
const COMMITMENT_BYTES = 50;
const MAX_TX_SEQ = (1n << 64n) - 1n;

const states: readonly DaState[] = ['announced', 'node-confirmed', 'proven'];

const byte = (value: number): string => value.toString(16).padStart(2, '0');

function hexOfLength(hex: Hex, length: number): string {
  const parsed = parseHex(hex, length);
  if (parsed === undefined) throw new RangeError(`expected ${length} bytes of lower-case hex`);
  return parsed.slice(2);
}

function encodeItem(item: DaReference): string {
  const state = byte(states.indexOf(item.state) + 1);
  switch (item.kind) {
    case '0g-storage':
      if (item.txSeq < 0n || item.txSeq > MAX_TX_SEQ) throw new RangeError(`txSeq ${item.txSeq}`);
      return (
        byte(KIND_STORAGE) +
        state +
        hexOfLength(item.root, ROOT_BYTES) +
        item.txSeq.toString(16).padStart(TX_SEQ_BYTES * 2, '0')
      );
    case '0g-da':
      return byte(KIND_DA) + state + hexOfLength(item.commitment, COMMITMENT_BYTES);
  }
}

/**
 * The `bytes` of the anchor's event (docs/protocol.md, section 7). RangeError for no items, a root or commitment of the
 * wrong length, or a txSeq beyond uint64: a caller's bug, not an outcome.
 */
export function encodeDaReference(items: readonly DaReference[]): Hex {
  if (items.length === 0) throw new RangeError('a DA reference has at least one item');
  return `0x${byte(VERSION)}${items.map(encodeItem).join('')}`;
}

/** Reads what `encodeDaReference` wrote, and nothing else: each refusal names the first thing that is wrong. */
export function decodeDaReference(reference: Hex): Result<readonly DaReference[], DaReferenceRefusal> {
  if (!/^0x([0-9a-f]{2})*$/.test(reference)) return refuse('hex');
  const bytes = hexToBytes(reference.slice(2));
  if (bytes.length === 0) return refuse('truncated');
  if (bytes[0] !== VERSION) return refuse('version');
  if (bytes.length === 1) return refuse('empty');

  const items: DaReference[] = [];
  let at = 1;
  while (at < bytes.length) {
    const kind = bytes[at];
    if (kind !== KIND_STORAGE && kind !== KIND_DA) return refuse('kind');
    if (at + 2 > bytes.length) return refuse('truncated');
    const state = states[(bytes[at + 1] ?? 0) - 1];
    if (state === undefined) return refuse('state');
    at += 2;

    const end = at + (kind === KIND_STORAGE ? ROOT_BYTES + TX_SEQ_BYTES : COMMITMENT_BYTES);
    if (end > bytes.length) return refuse('truncated');
    const body = bytes.subarray(at, end);
    if (kind === KIND_STORAGE) {
      const txSeq = BigInt(`0x${bytesToHex(body.subarray(ROOT_BYTES))}`);
      items.push({ kind: '0g-storage', state, root: toHex(body.subarray(0, ROOT_BYTES)), txSeq });
    } else {
      items.push({ kind: '0g-da', state, commitment: toHex(body) });
    }
    at = end;
  }
  return ok(items);
}

/** What the 50 bytes of a 0G DA commitment say: `0x01 0x47 | epoch u64 LE | quorum u64 LE | storage root`. */
export type DaCommitment = {
  readonly bytes: Uint8Array;
  readonly root: Hex;
  readonly epoch: bigint;
  readonly quorumId: bigint;
};

/** Reads the side-car's commitment; `undefined` for anything else. */
export function decodeCommitment(commitment: string): DaCommitment | undefined {
  const hex = parseHex(commitment, COMMITMENT_BYTES);
  if (hex === undefined) return undefined;
  const bytes = hexToBytes(hex.slice(2));
  if (bytes[0] !== 0x01 || bytes[1] !== 0x47) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    bytes,
    root: toHex(bytes.subarray(18)),
    epoch: view.getBigUint64(2, true),
    quorumId: view.getBigUint64(10, true),
  };
}
