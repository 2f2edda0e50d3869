import { keccak_256 } from '@noble/hashes/sha3.js';
import { hexToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { parseHex, toHex } from '../hex.ts';
import { ok, type Result, refuse } from '../result.ts';
import {
  CHUNK_BYTES,
  fileShape,
  SEGMENT_HEIGHT,
  type SegmentProof,
  segmentLength,
  segmentRoot,
} from './file-tree.ts';

/** Which file a segment claims to belong to. */
export interface FileClaim {
  readonly root: Hex;
  /** Length of the file in bytes. */
  readonly size: number;
}

export interface Segment {
  readonly index: number;
  readonly bytes: Uint8Array;
  readonly proof: SegmentProof;
}

/**
 * Why a segment is not that part of that file, in the order the checks are made:
 * - `index`: beyond the file's segments
 * - `length`: not the number of bytes that segment has
 * - `proof_shape`: lemma and path do not fit each other, or a hash is not 32 bytes of lower-case hex
 * - `position`: the path leads to another segment
 * - `broken_proof`: hashing up the path does not give the lemma's last hash
 * - `root`: a sound proof, of another file
 * - `content`: a sound proof of this file, for other bytes
 * - `padding`: a sibling that should be empty padding is not
 */
export type SegmentFault =
  | 'index'
  | 'length'
  | 'proof_shape'
  | 'position'
  | 'broken_proof'
  | 'root'
  | 'content'
  | 'padding';

const parent = (left: Hex, right: Hex): Hex => toHex(keccak_256(hexToBytes(left.slice(2) + right.slice(2))));

/** Root of a full tree of empty chunks, `height` levels above them. */
function emptyRoot(height: number): Hex {
  let root = toHex(keccak_256(new Uint8Array(CHUNK_BYTES)));
  for (let level = 0; level < height; level++) root = parent(root, root);
  return root;
}

interface Step {
  readonly isLeft: boolean;
  readonly sibling: Hex;
  /** First leaf under the sibling, and how many leaves a full sibling at this level has. */
  readonly siblingStart: number;
  readonly siblingSpan: number;
}

/**
 * Walks `path` from the root down through a tree of `leaves` leaves, whose left subtrees are always full powers of two.
 * `undefined` if the path is too long or too short for such a tree.
 */
function walk(proof: SegmentProof, leaves: number): { position: number; steps: readonly Step[] } | undefined {
  let position = 0;
  let left = leaves;
  const steps: Step[] = [];
  for (let k = proof.path.length - 1; k >= 0; k--) {
    const isLeft = proof.path[k];
    const sibling = proof.lemma[k + 1];
    if (left <= 1 || isLeft === undefined || sibling === undefined) return undefined;
    let span = 1;
    while (span * 2 < left) span *= 2;
    steps.push({ isLeft, sibling, siblingStart: isLeft ? position + span : position, siblingSpan: span });
    if (isLeft) left = span;
    else {
      position += span;
      left -= span;
    }
  }
  return left === 1 ? { position, steps } : undefined;
}

/**
 * Checks that `segment` is part `segment.index` of the file, exactly as a 0G storage node does before it stores one
 * (`SegmentWithProof::validate`). A chain's Flow contract sees only the roots: this is what ties bytes to them.
 */
export function checkSegment(file: FileClaim, segment: Segment): Result<undefined, SegmentFault> {
  const { index, bytes, proof } = segment;
  const shape = fileShape(file.size);
  if (!Number.isInteger(index) || index < 0 || index >= shape.segments) return refuse('index');
  if (bytes.length !== segmentLength(shape, index)) return refuse('length');

  const shapely = proof.lemma.length === (proof.path.length === 0 ? 1 : proof.path.length + 2);
  if (!shapely || proof.lemma.some((hash) => parseHex(hash, 32) === undefined)) return refuse('proof_shape');

  const walked = walk(proof, shape.paddedSegments);
  if (walked === undefined || walked.position !== index) return refuse('position');

  const leaf = proof.lemma[0];
  const top = proof.lemma.at(-1);
  if (leaf === undefined || top === undefined) return refuse('proof_shape');
  let node = leaf;
  for (const { isLeft, sibling } of walked.steps.toReversed()) {
    node = isLeft ? parent(node, sibling) : parent(sibling, node);
  }
  if (node !== top) return refuse('broken_proof');
  if (top !== file.root) return refuse('root');
  if (segmentRoot(shape, index, bytes) !== leaf) return refuse('content');

  for (const { isLeft, sibling, siblingStart, siblingSpan } of walked.steps) {
    if (!isLeft || siblingStart < shape.segments) continue;
    if (sibling !== emptyRoot(SEGMENT_HEIGHT + Math.log2(siblingSpan))) return refuse('padding');
  }
  return ok(undefined);
}
