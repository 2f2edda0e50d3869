/**
 * The Merkle tree of RFC 9162, section 2.1, over SHA-256 (docs/protocol.md, section 5).
 *
 * Sizes and indices are `number`, guarded to 0 … 2^53 - 1; at a million entries a second that lasts 285 years. They
 * exceed 2^31, so nothing here may use bit operators on them: those truncate to 32 bits. Convert to bigint only where an
 * ABI asks for it.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes } from '@noble/hashes/utils.js';
import { ok, type Result, refuse } from '../result.ts';

/** Bytes in a hash, and in an entry of our log. */
export const HASH_BYTES = 32;

/** A complete subtree: the 2^level leaves from leaf `index * 2^level` on. */
export type Node = { readonly level: number; readonly index: number };

/** The hash of a complete subtree; `undefined` when the source does not hold it. */
export type NodeSource = (level: number, index: number) => Uint8Array | undefined;

export type MerkleRefusal =
  | { readonly kind: 'out_of_range' }
  | { readonly kind: 'node_missing'; readonly node: Node };

const LEAF_PREFIX = Uint8Array.of(0x00);
const NODE_PREFIX = Uint8Array.of(0x01);

/** Whether a number can be a tree size: a whole number from 0 to 2^53 - 1. */
export const isTreeSize = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;

/** The root of the empty tree, SHA-256 of nothing (RFC 9162, 2.1.1). */
export const emptyRoot = (): Uint8Array => sha256(new Uint8Array(0));

/** The leaf hash of an entry's bytes (RFC 9162, 2.1.1). */
export const leafHash = (entry: Uint8Array): Uint8Array => sha256(concatBytes(LEAF_PREFIX, entry));

/** The hash of an inner node (RFC 9162, 2.1.1). */
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  sha256(concatBytes(NODE_PREFIX, left, right));

/** The root of the tree with these leaf hashes, in order. */
export function rootOf(leafHashes: readonly Uint8Array[]): Uint8Array {
  let row = leafHashes;
  while (row.length > 1) {
    const above: Uint8Array[] = [];
    for (let i = 0; i < row.length; i += 2) {
      const [left, right] = row.slice(i, i + 2);
      // The last of an odd row moves up as it is: the RFC's split at a power of two says the same.
      if (left !== undefined) above.push(right === undefined ? left : nodeHash(left, right));
    }
    row = above;
  }
  return row[0] ?? emptyRoot();
}

/** The complete subtrees of a tree of `size` leaves, left to right: what its root is folded from. */
export const rootNodes = (size: number): Node[] => completeSubtrees(0, size);

/**
 * PATH(index, D[size]) of RFC 9162, 2.1.3.1, as the nodes each proof hash is folded from. `undefined` unless
 * index < size.
 */
export function inclusionNodes(size: number, index: number): Node[][] | undefined {
  if (!isTreeSize(size) || !isTreeSize(index) || index >= size) return undefined;
  const path: Node[][] = [];
  let [start, end] = [0, size];
  while (end - start > 1) {
    const middle = start + split(end - start);
    if (index < middle) {
      path.push(completeSubtrees(middle, end));
      end = middle;
    } else {
      path.push(completeSubtrees(start, middle));
      start = middle;
    }
  }
  return path.reverse();
}

/**
 * PROOF(oldSize, D[newSize]) of RFC 9162, 2.1.4.1, as the nodes each proof hash is folded from. Empty for equal sizes
 * and from the empty tree; `undefined` unless oldSize <= newSize.
 */
export function consistencyNodes(oldSize: number, newSize: number): Node[][] | undefined {
  if (!isTreeSize(oldSize) || !isTreeSize(newSize) || oldSize > newSize) return undefined;
  if (oldSize === 0) return [];
  const path: Node[][] = [];
  let [start, end] = [0, newSize];
  while (end > oldSize) {
    const middle = start + split(end - start);
    if (oldSize <= middle) {
      path.push(completeSubtrees(middle, end));
      end = middle;
    } else {
      path.push(completeSubtrees(start, middle));
      start = middle;
    }
  }
  // SUBPROOF's flag: a subtree that begins at 0 is the old tree itself, whose root the verifier has.
  if (start > 0) path.push(completeSubtrees(start, end));
  return path.reverse();
}

/** The root of the tree of `size` leaves that a source holds. */
export function rootFrom(source: NodeSource, size: number): Result<Uint8Array, MerkleRefusal> {
  if (!isTreeSize(size)) return refuse({ kind: 'out_of_range' });
  return size === 0 ? ok(emptyRoot()) : fold(source, rootNodes(size));
}

/**
 * The inclusion proof of the leaf at `index` in the tree of `size` leaves, from the leaf's sibling up (RFC 9162, 2.1.3).
 * Refuses an index outside the tree and names the first node the source does not hold.
 */
export function inclusionProof(
  source: NodeSource,
  size: number,
  index: number,
): Result<Uint8Array[], MerkleRefusal> {
  return foldAll(source, inclusionNodes(size, index));
}

/**
 * The consistency proof between the trees of `oldSize` and `newSize` leaves (RFC 9162, 2.1.4); empty for equal sizes and
 * from the empty tree. Refuses a shrinking tree and names the first node the source does not hold.
 */
export function consistencyProof(
  source: NodeSource,
  oldSize: number,
  newSize: number,
): Result<Uint8Array[], MerkleRefusal> {
  return foldAll(source, consistencyNodes(oldSize, newSize));
}

/**
 * Whether `proof` shows that the leaf hash `leaf` stands at `index` in the tree of `size` leaves with this root
 * (RFC 9162, 2.1.3.2). Any malformed input is simply false.
 */
export function verifyInclusion(claim: {
  readonly root: Uint8Array;
  readonly size: number;
  readonly index: number;
  readonly leaf: Uint8Array;
  readonly proof: readonly Uint8Array[];
}): boolean {
  const { root, size, index, leaf, proof } = claim;
  if (!isTreeSize(size) || !isTreeSize(index) || index >= size) return false;
  if (![root, leaf, ...proof].every(isHash)) return false;
  let [fn, sn, r] = [index, size - 1, leaf];
  for (const p of proof) {
    if (sn === 0) return false;
    if (isOdd(fn) || fn === sn) {
      r = nodeHash(p, r);
      while (!isOdd(fn) && fn > 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      r = nodeHash(r, p);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && sameHash(r, root);
}

/**
 * Whether `proof` shows that the tree with `newRoot` extends the tree with `oldRoot` (RFC 9162, 2.1.4.2). The RFC leaves
 * two edges open: equal sizes take an empty proof and equal roots, and every tree extends the empty one with an empty
 * proof. Any malformed input is simply false.
 */
export function verifyConsistency(claim: {
  readonly oldRoot: Uint8Array;
  readonly oldSize: number;
  readonly newRoot: Uint8Array;
  readonly newSize: number;
  readonly proof: readonly Uint8Array[];
}): boolean {
  const { oldRoot, oldSize, newRoot, newSize, proof } = claim;
  if (!isTreeSize(oldSize) || !isTreeSize(newSize) || oldSize > newSize) return false;
  if (![oldRoot, newRoot, ...proof].every(isHash)) return false;
  if (oldSize === 0 && !sameHash(oldRoot, emptyRoot())) return false;
  if (oldSize === newSize) return proof.length === 0 && sameHash(oldRoot, newRoot);
  if (oldSize === 0) return proof.length === 0;
  if (proof.length === 0) return false;

  const [first, ...rest] = isPowerOfTwo(oldSize) ? [oldRoot, ...proof] : proof;
  if (first === undefined) return false;
  let [fn, sn, fr, sr] = [oldSize - 1, newSize - 1, first, first];
  while (isOdd(fn)) [fn, sn] = [half(fn), half(sn)];
  for (const c of rest) {
    if (sn === 0) return false;
    if (isOdd(fn) || fn === sn) {
      [fr, sr] = [nodeHash(c, fr), nodeHash(c, sr)];
      while (!isOdd(fn) && fn > 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      sr = nodeHash(sr, c);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && sameHash(fr, oldRoot) && sameHash(sr, newRoot);
}

/** Whether two hashes are the same bytes. Hashes here are public: no need for constant time. */
export const sameHash = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

/**
 * The complete subtrees that D[start:end] is folded from, left to right. Only for ranges the RFC's splits produce: `start`
 * is a multiple of the smallest power of two that is at least `end - start`.
 */
function completeSubtrees(start: number, end: number): Node[] {
  const nodes: Node[] = [];
  for (let at = start; at < end; ) {
    let [level, width] = [0, 1];
    while (width * 2 <= end - at) [level, width] = [level + 1, width * 2];
    nodes.push({ level, index: at / width });
    at += width;
  }
  return nodes;
}

function foldAll(
  source: NodeSource,
  plan: readonly Node[][] | undefined,
): Result<Uint8Array[], MerkleRefusal> {
  if (plan === undefined) return refuse({ kind: 'out_of_range' });
  const proof: Uint8Array[] = [];
  for (const nodes of plan) {
    const hash = fold(source, nodes);
    if (!hash.ok) return hash;
    proof.push(hash.value);
  }
  return ok(proof);
}

/** Folds complete subtrees, left to right, into the hash of their union: the smaller ones on the right first. */
function fold(source: NodeSource, nodes: readonly Node[]): Result<Uint8Array, MerkleRefusal> {
  let right: Uint8Array | undefined;
  for (const node of nodes.toReversed()) {
    const left = source(node.level, node.index);
    if (left === undefined) return refuse({ kind: 'node_missing', node });
    right = right === undefined ? left : nodeHash(left, right);
  }
  return ok(right ?? emptyRoot());
}

/** The largest power of two smaller than `n`, for n > 1 (RFC 9162, 2.1.1). */
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

function isPowerOfTwo(n: number): boolean {
  let k = 1;
  while (k < n) k *= 2;
  return k === n;
}

const isHash = (bytes: Uint8Array): boolean => bytes.length === HASH_BYTES;
const isOdd = (n: number): boolean => n % 2 === 1;
const half = (n: number): number => Math.floor(n / 2);
