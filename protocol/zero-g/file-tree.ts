import { keccak_256 } from '@noble/hashes/sha3.js';
import type { Hex } from 'viem';
import { toHex } from '../hex.ts';

/** A chunk ("sector" on chain) is the unit 0G prices and hashes: 256 bytes, the last one of a file zero padded. */
export const CHUNK_BYTES = 256;
/** A segment is the unit that is uploaded and proved: 1024 chunks. */
export const SEGMENT_CHUNKS = 1024;
export const SEGMENT_BYTES = CHUNK_BYTES * SEGMENT_CHUNKS;
/** log2(SEGMENT_CHUNKS): the level of the tree at which segment roots stand. */
export const SEGMENT_HEIGHT = 10;

const HASH_BYTES = 32;

/** One subtree of a submission: its root and its height above the chunk hashes. It spans `2^height` chunks. */
export interface SubmissionNode {
  readonly root: Hex;
  readonly height: bigint;
}

/** What `Flow.submit` is told about a file: its length in bytes, free-form tags, its subtrees from left to right. */
export interface SubmissionData {
  readonly length: bigint;
  readonly tags: Hex;
  readonly nodes: readonly SubmissionNode[];
}

/**
 * Merkle proof of one segment in 0G's own shape. `lemma` is the segment's root, its siblings from the bottom up, the
 * file root; `path[k]` is true where the proved node is the left child. A file of one segment has `{ [root], [] }`.
 */
export interface SegmentProof {
  readonly lemma: readonly Hex[];
  readonly path: readonly boolean[];
}

/** How a file of a given size is cut. "Padded" counts include the empty chunks the Flow contract makes it pay for. */
export interface FileShape {
  readonly chunks: number;
  readonly paddedChunks: number;
  /** Segments that hold data: what is uploaded. */
  readonly segments: number;
  /** Leaves of the tree over segment roots: what proofs are made against. */
  readonly paddedSegments: number;
}

export interface FileTree {
  /** Root over all padded chunks. It does not commit to the file's length: files that differ in trailing zeros share it. */
  readonly root: Hex;
  /** Length of the file in bytes. */
  readonly size: number;
  /** Chunks that hold data. */
  readonly chunks: number;
  /** Segments that hold data. */
  readonly segments: number;
  /** For `Flow.submit`; tags are empty. */
  readonly submission: SubmissionData;
  /** Proof of segment `index` (0 to `segments - 1`; RangeError beyond). */
  segmentProof(index: number): SegmentProof;
  /** Bytes of segment `index` as they are uploaded: zero padded to whole chunks, without the Flow's empty chunks. */
  segmentBytes(index: number): Uint8Array;
}

/** Smallest power of two that is at least `n` (n >= 1). */
function nextPowerOfTwo(n: number): number {
  let power = 1;
  while (power < n) power *= 2;
  return power;
}

/**
 * Cuts a file of `size` bytes. Chunks are rounded up to a multiple of max(1, nextPow2 / 16), so that a
 * submission has at most four nodes. RangeError for an empty file, which the Flow contract refuses.
 */
export function fileShape(size: number): FileShape {
  if (!Number.isSafeInteger(size) || size < 1) throw new RangeError(`0G file size: ${size}`);
  const chunks = Math.ceil(size / CHUNK_BYTES);
  const step = Math.max(1, nextPowerOfTwo(chunks) / 16);
  const paddedChunks = Math.ceil(chunks / step) * step;
  return {
    chunks,
    paddedChunks,
    segments: Math.ceil(chunks / SEGMENT_CHUNKS),
    paddedSegments: Math.ceil(paddedChunks / SEGMENT_CHUNKS),
  };
}

/** Chunks under the root of segment `index`, empty padding included. */
const chunksUnder = (shape: FileShape, index: number): number =>
  Math.min(SEGMENT_CHUNKS, shape.paddedChunks - index * SEGMENT_CHUNKS);

/** Bytes uploaded for segment `index`: whole chunks of data, without the Flow's empty chunks. */
export function segmentLength(shape: FileShape, index: number): number {
  return Math.min(SEGMENT_CHUNKS, shape.chunks - index * SEGMENT_CHUNKS) * CHUNK_BYTES;
}

/** keccak256 of an all-zero chunk: the leaf of every padding chunk. */
const emptyChunkHash = keccak_256(new Uint8Array(CHUNK_BYTES));

/** Leaf hashes, side by side, of `chunks` chunks of which only the first are covered by `bytes`. */
function chunkHashes(bytes: Uint8Array, chunks: number): Uint8Array {
  const hashes = new Uint8Array(chunks * HASH_BYTES);
  const last = new Uint8Array(CHUNK_BYTES);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const start = chunk * CHUNK_BYTES;
    let hash = emptyChunkHash;
    if (start + CHUNK_BYTES <= bytes.length) hash = keccak_256(bytes.subarray(start, start + CHUNK_BYTES));
    else if (start < bytes.length) {
      last.set(bytes.subarray(start));
      hash = keccak_256(last);
    }
    hashes.set(hash, chunk * HASH_BYTES);
  }
  return hashes;
}

/** The level above: each pair hashed together, an odd last node carried up as it is. */
function levelAbove(level: Uint8Array): Uint8Array {
  const count = level.length / HASH_BYTES;
  const above = new Uint8Array(Math.ceil(count / 2) * HASH_BYTES);
  for (let node = 0; node + 1 < count; node += 2) {
    const pair = level.subarray(node * HASH_BYTES, (node + 2) * HASH_BYTES);
    above.set(keccak_256(pair), (node / 2) * HASH_BYTES);
  }
  if (count % 2 === 1) above.set(level.subarray(level.length - HASH_BYTES), above.length - HASH_BYTES);
  return above;
}

const nodeAt = (level: Uint8Array, index: number): Hex =>
  toHex(level.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES));

/** Root of the tree over `level`. */
function rootOf(level: Uint8Array): Hex {
  let top = level;
  while (top.length > HASH_BYTES) top = levelAbove(top);
  return toHex(top);
}

/**
 * The 0G storage tree of a file. Because segments are aligned powers of two, the tree over segment roots, the tree over
 * the submission's nodes and the tree over all chunks are one tree: chunk hashes at level 0, segment roots at level 10,
 * a submission node of height h at level h.
 *
 * Pure and synchronous; about three keccak permutations per 256 bytes. RangeError for an empty file.
 */
export function fileTree(bytes: Uint8Array): FileTree {
  const size = bytes.length;
  const shape = fileShape(size);
  let top = chunkHashes(bytes, shape.paddedChunks);
  const levels = [top];
  while (top.length > HASH_BYTES) {
    top = levelAbove(top);
    levels.push(top);
  }
  // Above its root a tree goes on as that one node, carried up: a file shorter than a segment is its own segment root.
  const levelOf = (height: number): Uint8Array => levels[height] ?? top;
  const root = nodeAt(top, 0);

  const nodes: SubmissionNode[] = [];
  let offset = 0;
  for (let height = Math.floor(Math.log2(shape.paddedChunks)); height >= 0; height--) {
    const span = 2 ** height;
    if (shape.paddedChunks - offset < span) continue;
    nodes.push({ root: nodeAt(levelOf(height), offset / span), height: BigInt(height) });
    offset += span;
  }

  const checkIndex = (index: number): void => {
    if (!Number.isInteger(index) || index < 0 || index >= shape.segments) {
      throw new RangeError(`segment ${index} of ${shape.segments}`);
    }
  };

  return {
    root,
    size,
    chunks: shape.chunks,
    segments: shape.segments,
    submission: { length: BigInt(size), tags: '0x', nodes },
    segmentProof(index) {
      checkIndex(index);
      if (shape.paddedSegments === 1) return { lemma: [root], path: [] };
      const lemma = [nodeAt(levelOf(SEGMENT_HEIGHT), index)];
      const path: boolean[] = [];
      let node = index;
      for (let height = SEGMENT_HEIGHT; height < levels.length - 1; height++) {
        const level = levelOf(height);
        const sibling = node ^ 1;
        // No sibling: this node is the odd one and is carried up without a step in the path.
        if (sibling * HASH_BYTES < level.length) {
          lemma.push(nodeAt(level, sibling));
          path.push(node % 2 === 0);
        }
        node >>= 1;
      }
      lemma.push(root);
      return { lemma, path };
    },
    segmentBytes(index) {
      checkIndex(index);
      const segment = new Uint8Array(segmentLength(shape, index));
      const start = index * SEGMENT_BYTES;
      segment.set(bytes.subarray(start, start + segment.length));
      return segment;
    },
  };
}

/** The root over one uploaded segment's bytes, with the empty chunks the file's padding puts behind them. */
export function segmentRoot(shape: FileShape, index: number, bytes: Uint8Array): Hex {
  return rootOf(chunkHashes(bytes, chunksUnder(shape, index)));
}
