/** What is published to the DA layer for each commit (docs/protocol.md, section 6). */
import { concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { parseUint } from '../decimal.ts';
import { parseHex, toHex } from '../hex.ts';
import { receiptDigest, receiptFromJson, receiptToJson, type SignedReceipt } from '../receipt.ts';
import { ok, type Result, refuse } from '../result.ts';
import { type Checkpoint, type CheckpointRefusal, openCheckpoint } from './checkpoint.ts';
import { HASH_BYTES, isTreeSize, leafHash, sameHash, verifyInclusion } from './merkle.ts';
import type { NoteKey } from './note.ts';

/** An account's last receipt in a commit, disclosed, with its inclusion proof in the commit's checkpoint. */
export type Claim = {
  readonly signed: SignedReceipt;
  /** Index of the receipt's entry in the log. */
  readonly index: number;
  readonly proof: readonly Uint8Array[];
};

export type Blob = {
  readonly logId: Hex;
  /** Index in the log of `entries[0]`; the others follow without a gap. */
  readonly first: number;
  /** 1 to 2^18 entries of 32 bytes. */
  readonly entries: readonly Uint8Array[];
  /** The signed checkpoint of the tree that ends with the last of these entries. */
  readonly checkpoint: string;
  readonly claims: readonly Claim[];
};

export type BlobRefusal =
  /** Not our magic and version. */
  | 'not_a_blob'
  /** Bytes are missing, left over, or more than the limits allow. */
  | 'wrong_length'
  /** No entries, or indices past 2^53 - 1. */
  | 'bad_range'
  /** A part that should be UTF-8 is not. */
  | 'not_utf8'
  /** The claim sheet is not what {@link encodeBlob} writes for any claims. */
  | 'bad_claims';

export type BlobFault =
  | CheckpointRefusal
  /** The checkpoint is of another size than where these entries end. */
  | 'checkpoint_elsewhere'
  /** A claim's receipt is for another log, its digest is not the entry at its index, or two claims share one. */
  | 'claim_mismatch'
  /** A claim's proof does not lead to the checkpoint's root. */
  | 'claim_not_included';

/** Limits that keep a blob within what DA layers take (0G DA: 32,505,852 bytes) and a reader's memory bounded. */
export const BLOB_LIMITS = {
  entries: 2 ** 18,
  checkpointBytes: 2 ** 16,
  claimsBytes: 20 * 2 ** 20,
  proofHashes: 53,
} as const;

const MAGIC = utf8ToBytes('TALLYBLB');
const VERSION = 1;
/** Magic, version, log id, first index, number of entries. */
const HEADER_BYTES = 8 + 2 + 32 + 8 + 4;

/**
 * The bytes of a blob. Their claim sheet is compact JSON with keys in the order of the specification: the same blob is
 * always the same bytes.
 * @throws when the blob exceeds a limit or has an entry or id of another length
 */
export function encodeBlob({ logId, first, entries, checkpoint, claims }: Blob): Uint8Array {
  const note = utf8ToBytes(checkpoint);
  const sheet = utf8ToBytes(formatClaims(claims));
  const fits =
    isRange(first, entries.length) &&
    entries.length <= BLOB_LIMITS.entries &&
    note.length <= BLOB_LIMITS.checkpointBytes &&
    sheet.length <= BLOB_LIMITS.claimsBytes;
  if (!fits) throw new RangeError('the blob exceeds a limit');
  if (entries.some((entry) => entry.length !== HASH_BYTES)) throw new TypeError('an entry is 32 bytes');
  if (parseHex(logId, 32) === undefined) throw new TypeError('a log id is 32 bytes of lower-case hex');

  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  header.set(MAGIC, 0);
  view.setUint16(8, VERSION);
  header.set(hexToBytes(logId.slice(2)), 10);
  view.setBigUint64(42, BigInt(first));
  view.setUint32(50, entries.length);
  return concatBytes(header, ...entries, uint32(note.length), note, uint32(sheet.length), sheet);
}

/**
 * Reads one blob: every length checked, nothing left over, every receipt in its one spelling. What it says is not verified:
 * see {@link verifyBlob}.
 */
export function decodeBlob(bytes: Uint8Array): Result<Blob, BlobRefusal> {
  const read = readBlob(bytes);
  if (!read.ok) return read;
  return read.value.end === bytes.length ? ok(read.value.blob) : refuse('wrong_length');
}

/** Reads a published file: one blob or more, each beginning where the one before ends, in bytes and in the log. */
export function decodeFile(bytes: Uint8Array): Result<readonly Blob[], BlobRefusal> {
  const blobs: Blob[] = [];
  let at = 0;
  do {
    const read = readBlob(bytes.subarray(at));
    if (!read.ok) return read;
    const { blob, end } = read.value;
    const before = blobs.at(-1);
    if (before !== undefined && blob.first !== before.first + before.entries.length) {
      return refuse('bad_range');
    }
    blobs.push(blob);
    at += end;
  } while (at < bytes.length);
  return ok(blobs);
}

/** The blob at the start of `bytes`, and where it ends. */
function readBlob(bytes: Uint8Array): Result<{ blob: Blob; end: number }, BlobRefusal> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES) return refuse('not_a_blob');
  if (!sameHash(bytes.subarray(0, 8), MAGIC) || view.getUint16(8) !== VERSION) return refuse('not_a_blob');
  const logId = toHex(bytes.subarray(10, 42));
  const first = Number(view.getBigUint64(42));
  const n = view.getUint32(50);
  if (!isRange(first, n)) return refuse('bad_range');

  const entriesEnd = HEADER_BYTES + n * HASH_BYTES;
  if (n > BLOB_LIMITS.entries || entriesEnd > bytes.length) return refuse('wrong_length');
  const note = chunkAt(bytes, entriesEnd, BLOB_LIMITS.checkpointBytes);
  const sheet = note && chunkAt(bytes, note.end, BLOB_LIMITS.claimsBytes);
  if (note === undefined || sheet === undefined) return refuse('wrong_length');

  const checkpoint = fromUtf8(note.content);
  const json = fromUtf8(sheet.content);
  if (checkpoint === undefined || json === undefined) return refuse('not_utf8');
  const claims = parseClaims(json);
  if (claims === undefined) return refuse('bad_claims');
  const entries = Array.from({ length: n }, (_, i) =>
    bytes.slice(HEADER_BYTES + i * HASH_BYTES, HEADER_BYTES + (i + 1) * HASH_BYTES),
  );
  return ok({ blob: { logId, first, entries, checkpoint, claims }, end: sheet.end });
}

/**
 * Verifies what a blob says, as far as it can be verified from the blob: its checkpoint is signed by one of `keys` and is
 * of the tree that ends with these entries, and each claim's receipt is an entry of this log and this blob, included in that
 * tree. That the entries themselves lead to the root takes the tree before them; whose signature a receipt needs, the
 * anchor's key registry.
 */
export function verifyBlob(blob: Blob, keys: readonly NoteKey[]): Result<Checkpoint, BlobFault> {
  const opened = openCheckpoint(blob.checkpoint, keys);
  if (!opened.ok) return opened;
  const { checkpoint } = opened.value;
  const { root, size } = checkpoint;
  if (size !== blob.first + blob.entries.length) return refuse('checkpoint_elsewhere');
  const claimed = new Set<number>();
  for (const { signed, index, proof } of blob.claims) {
    const entry = hexToBytes(receiptDigest(signed.receipt).slice(2));
    const logged = blob.entries[index - blob.first];
    if (signed.receipt.logId !== blob.logId || claimed.has(index)) return refuse('claim_mismatch');
    if (logged === undefined || !sameHash(logged, entry)) return refuse('claim_mismatch');
    claimed.add(index);
    if (!verifyInclusion({ root, size, index, leaf: leafHash(entry), proof }))
      return refuse('claim_not_included');
  }
  return ok(checkpoint);
}

function formatClaims(claims: readonly Claim[]): string {
  return JSON.stringify({
    claims: claims.map(({ signed, index, proof }) => ({
      ...receiptToJson(signed),
      index: `${index}`,
      proof: proof.map(toHex),
    })),
  });
}

function parseClaims(text: string): Claim[] | undefined {
  const sheet = parseJson(text);
  const items =
    isRecord(sheet) && Array.isArray(sheet['claims']) ? (sheet['claims'] as unknown[]) : undefined;
  const claims = items?.map(parseClaim).filter((claim) => claim !== undefined);
  if (claims === undefined || claims.length !== items?.length) return undefined;
  // One spelling: duplicate or extra keys, which two JSON readers may take for different claims, do not survive this.
  return formatClaims(claims) === text ? claims : undefined;
}

function parseClaim(json: unknown): Claim | undefined {
  if (!isRecord(json)) return undefined;
  const signed = receiptFromJson(json);
  const index = parseUint(json['index'], 53);
  const hashes = json['proof'];
  if (!signed.ok || index === undefined || !Array.isArray(hashes)) return undefined;
  if (hashes.length > BLOB_LIMITS.proofHashes) return undefined;
  const proof = hashes.map((hash) => parseHex(hash, HASH_BYTES)).filter((hash) => hash !== undefined);
  if (proof.length !== hashes.length) return undefined;
  return {
    signed: signed.value,
    index: Number(index),
    proof: proof.map((hash) => hexToBytes(hash.slice(2))),
  };
}

/** The length-prefixed part at `at`; `undefined` when it is cut short or longer than `limit`. */
function chunkAt(
  bytes: Uint8Array,
  at: number,
  limit: number,
): { content: Uint8Array; end: number } | undefined {
  const start = at + 4;
  if (start > bytes.length) return undefined;
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at);
  const end = start + length;
  return length > limit || end > bytes.length ? undefined : { content: bytes.subarray(start, end), end };
}

const isRange = (first: number, n: number): boolean => isTreeSize(first) && n > 0 && isTreeSize(first + n);

function fromUtf8(bytes: Uint8Array): string | undefined {
  try {
    // Keep a byte order mark: dropping it would give two byte strings one meaning.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined; // the only way TextDecoder has to say "not UTF-8"
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the only way JSON.parse has to say "not JSON"
  }
}

function uint32(n: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, n);
  return bytes;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
