import { createHash } from 'node:crypto';
import { hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import {
  consistencyProof,
  emptyRoot,
  inclusionProof,
  leafHash,
  type NodeSource,
  nodeHash,
  rootFrom,
  rootOf,
  verifyConsistency,
  verifyInclusion,
} from '../protocol/log/merkle.ts';
import type { Result } from '../protocol/result.ts';
import {
  otherInclusionProof,
  otherRoot,
  otherVerifiesConsistency,
  otherVerifiesInclusion,
} from './other-rfc9162.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);
vi.setConfig({ testTimeout: runs(15_000) });
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const unwrap = <T, E>(result: Result<T, E>): T => {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
};

/**
 * MTH, PATH and SUBPROOF as RFC 9162 (2.1.1, 2.1.3.1, 2.1.4.1) writes them, over another SHA-256: the oracle. It shares
 * nothing with the code under test, which works from complete subtrees and never recurses.
 */
class Textbook {
  readonly #entries: readonly Uint8Array[];
  readonly #memo = new Map<string, Buffer>();
  constructor(entries: readonly Uint8Array[]) {
    this.#entries = entries;
  }
  static #sha(...parts: Uint8Array[]): Buffer {
    return createHash('sha256').update(Buffer.concat(parts)).digest();
  }
  static #k(n: number): number {
    return 2 ** Math.ceil(Math.log2(n) - 1);
  }
  mth(from: number, to: number): Buffer {
    const key = `${from}:${to}`;
    const known = this.#memo.get(key);
    if (known) return known;
    const n = to - from;
    const entry = this.#entries[from];
    const k = Textbook.#k(n);
    const hash =
      n === 0
        ? Textbook.#sha()
        : n === 1 && entry
          ? Textbook.#sha(Buffer.from([0]), entry)
          : Textbook.#sha(Buffer.from([1]), this.mth(from, from + k), this.mth(from + k, to));
    this.#memo.set(key, hash);
    return hash;
  }
  path(m: number, from: number, to: number): Buffer[] {
    const n = to - from;
    if (n === 1) return [];
    const k = Textbook.#k(n);
    return m < k
      ? [...this.path(m, from, from + k), this.mth(from + k, to)]
      : [...this.path(m - k, from + k, to), this.mth(from, from + k)];
  }
  subproof(m: number, from: number, to: number, b: boolean): Buffer[] {
    const n = to - from;
    if (m === n) return b ? [] : [this.mth(from, to)];
    const k = Textbook.#k(n);
    return m <= k
      ? [...this.subproof(m, from, from + k, b), this.mth(from + k, to)]
      : [...this.subproof(m - k, from + k, to, false), this.mth(from, from + k)];
  }
}

/** A source that holds every complete subtree of the given leaves. */
const sourceOf =
  (leaves: readonly Uint8Array[]): NodeSource =>
  (level, index) => {
    const [start, end] = [index * 2 ** level, (index + 1) * 2 ** level];
    return end <= leaves.length ? rootOf(leaves.slice(start, end)) : undefined;
  };

/** The eight entries of Certificate Transparency's reference tree, and what its implementations publish about it. */
const CT_ENTRIES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map(hexToBytes);
const CT_ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
] as const;
const N1_1 = '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e';
const N1_2 = '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a';
const N1_3 = 'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0';
const N2_1 = '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4';
const L0 = CT_ROOTS[1];
const L1 = '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7';
const L4 = 'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b';
const CT_INCLUSION: readonly (readonly [index: number, size: number, proof: readonly string[]])[] = [
  [0, 1, []],
  [0, 8, [L1, N1_1, N2_1]],
  [5, 8, [L4, N1_3, CT_ROOTS[4]]],
  [2, 3, [CT_ROOTS[2]]],
  [1, 5, [L0, N1_1, L4]],
];
const CT_CONSISTENCY: readonly (readonly [oldSize: number, newSize: number, proof: readonly string[]])[] = [
  [1, 1, []],
  [1, 8, [L1, N1_1, N2_1]],
  [6, 8, [N1_2, N1_3, CT_ROOTS[4]]],
  [2, 5, [N1_1, L4]],
];

describe("Certificate Transparency's reference tree", () => {
  const leaves = CT_ENTRIES.map(leafHash);
  const root = (size: number) => rootOf(leaves.slice(0, size));

  it('has the published roots', () => {
    expect(CT_ROOTS.map((_, size) => hex(root(size)))).toEqual(CT_ROOTS);
    expect(hex(emptyRoot())).toBe(CT_ROOTS[0]);
    expect(CT_ROOTS.map((_, size) => hex(unwrap(rootFrom(sourceOf(leaves), size))))).toEqual(CT_ROOTS);
  });

  it('hashes leaves and nodes apart', () => {
    expect(hex(leafHash(utf8ToBytes('L123456')))).toBe(
      '395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56',
    );
    expect(hex(nodeHash(utf8ToBytes('N123'), utf8ToBytes('N456')))).toBe(
      'aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb',
    );
  });

  it.each(CT_INCLUSION)('inclusion of %i in %i', (index, size, proof) => {
    expect(unwrap(inclusionProof(sourceOf(leaves), size, index)).map(hex)).toEqual(proof);
    const leaf = leafHash(CT_ENTRIES[index] ?? new Uint8Array());
    expect(verifyInclusion({ root: root(size), size, index, leaf, proof: proof.map(hexToBytes) })).toBe(true);
  });

  it.each(CT_CONSISTENCY)('consistency from %i to %i', (oldSize, newSize, proof) => {
    expect(unwrap(consistencyProof(sourceOf(leaves), oldSize, newSize)).map(hex)).toEqual(proof);
    const [oldRoot, newRoot] = [root(oldSize), root(newSize)];
    expect(verifyConsistency({ oldRoot, oldSize, newRoot, newSize, proof: proof.map(hexToBytes) })).toBe(
      true,
    );
  });
});

describe('every tree of up to 70 leaves', () => {
  const LARGEST = 70;
  const entries = Array.from({ length: LARGEST }, (_, i) => utf8ToBytes(`entry ${i}`));
  const leaves = entries.map(leafHash);
  const oracle = new Textbook(entries);
  const source = sourceOf(leaves);
  const roots = Array.from({ length: LARGEST + 1 }, (_, size) => rootOf(leaves.slice(0, size)));
  const rootAt = (size: number) => roots[size] ?? new Uint8Array();

  it("has the RFC's root", () => {
    expect(roots.map(hex)).toEqual(roots.map((_, size) => hex(oracle.mth(0, size))));
    expect(hex(unwrap(rootFrom(source, LARGEST)))).toBe(hex(oracle.mth(0, LARGEST)));
  });

  it("has the RFC's inclusion proof for every leaf, and it verifies", () => {
    for (let size = 1; size <= LARGEST; size++) {
      for (const [index, leaf] of leaves.slice(0, size).entries()) {
        const proof = unwrap(inclusionProof(source, size, index));
        expect(proof.map(hex)).toEqual(oracle.path(index, 0, size).map(hex));
        expect(verifyInclusion({ root: rootAt(size), size, index, leaf, proof })).toBe(true);
        expect(verifyInclusion({ root: rootAt(size), size, index: index ^ 1, leaf, proof })).toBe(false);
      }
    }
  });

  it("has the RFC's consistency proof for every older tree, and it verifies", () => {
    for (let newSize = 1; newSize <= LARGEST; newSize++) {
      for (let oldSize = 1; oldSize <= newSize; oldSize++) {
        const proof = unwrap(consistencyProof(source, oldSize, newSize));
        expect(proof.map(hex)).toEqual(oracle.subproof(oldSize, 0, newSize, true).map(hex));
        const [oldRoot, newRoot] = [rootAt(oldSize), rootAt(newSize)];
        expect(verifyConsistency({ oldRoot, oldSize, newRoot, newSize, proof })).toBe(true);
      }
    }
  });

  it('is the tree of another implementation, which takes our proofs and makes the same', async () => {
    for (let size = 1; size <= LARGEST; size++) {
      const [root, some] = [rootAt(size), entries.slice(0, size)];
      expect(hex(await otherRoot(some))).toBe(hex(root));
      for (const index of new Set([0, Math.floor(size / 3), Math.floor(size / 2), size - 1])) {
        const proof = unwrap(inclusionProof(source, size, index));
        const entry = entries[index] ?? new Uint8Array();
        expect((await otherInclusionProof(some, index)).map(hex)).toEqual(proof.map(hex));
        expect(await otherVerifiesInclusion({ root, size, index, entry, proof })).toBe(true);
        const other = utf8ToBytes('another entry');
        expect(await otherVerifiesInclusion({ root, size, index, entry: other, proof })).toBe(false);
      }
      for (let oldSize = 1; oldSize < size; oldSize++) {
        const proof = unwrap(consistencyProof(source, oldSize, size));
        const claim = { oldSize, oldRoot: rootAt(oldSize), newSize: size, newRoot: root, proof };
        expect(await otherVerifiesConsistency(claim)).toBe(true);
        expect(await otherVerifiesConsistency({ ...claim, oldRoot: root })).toBe(false);
      }
    }
  });

  const flip = (bytes: Uint8Array, bit: number): Uint8Array =>
    bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
  const flipIn = (hashes: readonly Uint8Array[], which: number, bit: number) =>
    hashes.map((hash, i) => (i === which ? flip(hash, bit) : hash));
  const sizes = fc
    .tuple(fc.integer({ min: 1, max: LARGEST }), fc.integer({ min: 1, max: LARGEST }))
    .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
  const bit = fc.integer({ min: 0, max: 255 });

  it('takes no inclusion proof with a bit, a hash or an index changed', () => {
    fc.assert(
      fc.property(sizes, bit, fc.nat(), ([older, size], b, n) => {
        const index = older - 1;
        const leaf = leaves[index] ?? new Uint8Array();
        const proof = unwrap(inclusionProof(source, size, index));
        const good = { root: rootAt(size), size, index, leaf, proof };
        expect(verifyInclusion(good)).toBe(true);
        expect(verifyInclusion({ ...good, root: flip(good.root, b) })).toBe(false);
        expect(verifyInclusion({ ...good, leaf: flip(leaf, b) })).toBe(false);
        expect(verifyInclusion({ ...good, proof: [...proof, leaf] })).toBe(false);
        expect(verifyInclusion({ ...good, proof: [leaf, ...proof] })).toBe(false);
        if (n % size !== index) expect(verifyInclusion({ ...good, index: n % size })).toBe(false);
        if (proof.length === 0) return;
        expect(verifyInclusion({ ...good, proof: flipIn(proof, n % proof.length, b) })).toBe(false);
        expect(verifyInclusion({ ...good, proof: proof.slice(1) })).toBe(false);
        expect(verifyInclusion({ ...good, proof: proof.slice(0, -1) })).toBe(false);
      }),
      { numRuns: runs(300), seed: 9162 },
    );
  });

  it('takes no consistency proof with a bit or a hash changed', () => {
    fc.assert(
      fc.property(sizes, bit, fc.nat(), ([oldSize, newSize], b, n) => {
        const proof = unwrap(consistencyProof(source, oldSize, newSize));
        const good = { oldRoot: rootAt(oldSize), oldSize, newRoot: rootAt(newSize), newSize, proof };
        expect(verifyConsistency(good)).toBe(true);
        expect(verifyConsistency({ ...good, oldRoot: flip(good.oldRoot, b) })).toBe(false);
        expect(verifyConsistency({ ...good, newRoot: flip(good.newRoot, b) })).toBe(false);
        expect(verifyConsistency({ ...good, proof: [...proof, good.oldRoot] })).toBe(false);
        expect(verifyConsistency({ ...good, proof: [good.oldRoot, ...proof] })).toBe(false);
        if (proof.length === 0) return;
        expect(verifyConsistency({ ...good, proof: flipIn(proof, n % proof.length, b) })).toBe(false);
        expect(verifyConsistency({ ...good, proof: proof.slice(1) })).toBe(false);
        expect(verifyConsistency({ ...good, proof: proof.slice(0, -1) })).toBe(false);
      }),
      { numRuns: runs(300), seed: 9162 },
    );
  });
});

describe('edges', () => {
  const leaf = leafHash(utf8ToBytes('a'));
  const none = () => undefined;

  it('takes every tree as an extension of the empty one, and only of the empty one', () => {
    const claim = { oldRoot: emptyRoot(), oldSize: 0, newRoot: leaf, newSize: 1, proof: [] };
    expect(verifyConsistency(claim)).toBe(true);
    expect(verifyConsistency({ ...claim, newRoot: emptyRoot(), newSize: 0 })).toBe(true);
    expect(verifyConsistency({ ...claim, oldRoot: leaf })).toBe(false);
    expect(verifyConsistency({ ...claim, oldRoot: leaf, newSize: 0 })).toBe(false);
    expect(verifyConsistency({ ...claim, proof: [leaf] })).toBe(false);
  });

  it('refuses what is no size, index or hash, without throwing', () => {
    const sizes = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53];
    for (const bad of sizes) {
      expect(verifyInclusion({ root: leaf, size: bad, index: 0, leaf, proof: [] })).toBe(false);
      expect(verifyInclusion({ root: leaf, size: 1, index: bad, leaf, proof: [] })).toBe(false);
      const consistency = { oldRoot: leaf, newRoot: leaf, proof: [] };
      expect(verifyConsistency({ ...consistency, oldSize: bad, newSize: 1 })).toBe(false);
      expect(verifyConsistency({ ...consistency, oldSize: 1, newSize: bad })).toBe(false);
      expect(rootFrom(none, bad)).toEqual({ ok: false, error: { kind: 'out_of_range' } });
      expect(inclusionProof(none, bad, 0)).toEqual({ ok: false, error: { kind: 'out_of_range' } });
      expect(inclusionProof(none, 1, bad)).toEqual({ ok: false, error: { kind: 'out_of_range' } });
      expect(consistencyProof(none, 1, bad)).toEqual({ ok: false, error: { kind: 'out_of_range' } });
    }
    const short = leaf.slice(1);
    expect(verifyInclusion({ root: short, size: 1, index: 0, leaf: short, proof: [] })).toBe(false);
    expect(verifyConsistency({ oldRoot: short, oldSize: 1, newRoot: short, newSize: 1, proof: [] })).toBe(
      false,
    );
    expect(inclusionProof(none, 3, 3)).toEqual({ ok: false, error: { kind: 'out_of_range' } });
    expect(consistencyProof(none, 4, 3)).toEqual({ ok: false, error: { kind: 'out_of_range' } });
  });

  it('takes no proof of a larger tree for a smaller one', () => {
    const eight = CT_ENTRIES.map(leafHash);
    const root = (from: number, to: number) => rootOf(eight.slice(from, to));
    const [first, second] = [root(0, 1), root(1, 2)];
    expect(verifyInclusion({ root: root(0, 2), size: 1, index: 0, leaf: second, proof: [first] })).toBe(
      false,
    );
    // 3 to 4 leaves is the right half of 7 to 8: one hash more at the end, and only the sizes are wrong.
    const proof = unwrap(consistencyProof(sourceOf(eight), 7, 8));
    const claim = { oldRoot: root(0, 7), oldSize: 7, newRoot: root(0, 8), newSize: 8, proof };
    expect(verifyConsistency(claim)).toBe(true);
    expect(verifyConsistency({ ...claim, oldSize: 3, newSize: 4 })).toBe(false);
  });

  it('names the node a source lacks', () => {
    expect(inclusionProof(none, 8, 5)).toEqual({
      ok: false,
      error: { kind: 'node_missing', node: { level: 0, index: 4 } },
    });
  });
});
