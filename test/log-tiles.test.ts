import { createHash } from 'node:crypto';
import { concatBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { append } from '../protocol/log/append.ts';
import { decodeEntries, encodeEntries } from '../protocol/log/entry-bundle.ts';
import { leafHash, nodeHash, rootOf, verifyConsistency, verifyInclusion } from '../protocol/log/merkle.ts';
import { parseTilePath, tilePath } from '../protocol/log/tile-path.ts';
import {
  consistencyProofFrom,
  inclusionProofFrom,
  rootAt,
  type Tile,
  type TileBytes,
  type TileSource,
  tileSourceOf,
  tilesForConsistency,
  tilesForInclusion,
  tilesForRoot,
  tileWidth,
} from '../protocol/log/tiles.ts';
import type { Result } from '../protocol/result.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);
vi.setConfig({ testTimeout: runs(15_000) });
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const unwrap = <T, E>(result: Result<T, E>): T => {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
};
const leafAt = (i: number | bigint): Uint8Array => leafHash(createHash('sha256').update(`${i}`).digest());
const leavesFrom = (start: number, n: number) => Array.from({ length: n }, (_, i) => leafAt(start + i));
const keyOf = ({ level, index }: { level: number; index: number }) => `${level}/${index}`;

/** A store as a log keeps one: tiles by level and index, and the size it has committed. */
class Store {
  readonly tiles = new Map<string, TileBytes>();
  size = 0;
  reads: string[] = [];
  readonly source: TileSource = (level, index) => {
    this.reads.push(keyOf({ level, index }));
    return this.tiles.get(keyOf({ level, index }))?.bytes;
  };
  append(leaves: readonly Uint8Array[]) {
    this.reads = [];
    const appended = unwrap(append(this.source, this.size, leaves));
    for (const tile of appended.changedTiles) this.tiles.set(keyOf(tile), tile);
    this.size = appended.size;
    return appended;
  }
}

describe('append', () => {
  const batches = fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 6 });

  it('leads to the same root whatever the batches', () => {
    fc.assert(
      fc.property(batches, (sizes) => {
        const store = new Store();
        for (const n of sizes) {
          const { root, size } = store.append(leavesFrom(store.size, n));
          expect(hex(root)).toBe(hex(rootOf(leavesFrom(0, size))));
        }
      }),
      { numRuns: runs(15), seed: 1 },
    );
  });

  it('writes exactly the tiles of C2SP, over three levels', () => {
    const store = new Store();
    for (const n of [1, 254, 1, 1, 65_279, 1, 400]) store.append(leavesFrom(store.size, n));
    expect(store.size).toBe(65_937);
    const leaves = leavesFrom(0, store.size);
    for (let level = 0; level < 3; level++) {
      const span = 256 ** level;
      for (let index = 0; tileWidth(store.size, level, index) > 0; index++) {
        const hashes = Array.from({ length: tileWidth(store.size, level, index) }, (_, i) =>
          rootOf(leaves.slice((index * 256 + i) * span, (index * 256 + i + 1) * span)),
        );
        const key = keyOf({ level, index });
        expect(hex(store.tiles.get(key)?.bytes ?? new Uint8Array()), key).toBe(hex(concatBytes(...hashes)));
      }
    }
    // 258 tiles of leaves, two above them, one on top: nothing else was ever written.
    expect(store.tiles.size).toBe(261);
    expect(hex(unwrap(rootAt(store.source, store.size)))).toBe(hex(rootOf(leaves)));
  });

  it('reads at most one tile a level and changes only what is new', () => {
    fc.assert(
      fc.property(batches, (sizes) => {
        const store = new Store();
        for (const n of sizes) {
          const before = store.size;
          const { changedTiles } = store.append(leavesFrom(before, n));
          const levels = store.reads.map((key) => key.split('/')[0]);
          expect(new Set(levels).size).toBe(store.reads.length);
          expect(changedTiles.length).toBeLessThanOrEqual(Math.ceil(n / 256) + 1 + 1 + 1);
          for (const { level, index, bytes } of changedTiles) {
            expect(bytes.length / 32).toBe(tileWidth(store.size, level, index));
            expect(bytes.length / 32).toBeGreaterThan(tileWidth(before, level, index));
          }
        }
      }),
      { numRuns: runs(15), seed: 2 },
    );
  });

  it('overwrites what a staged, never committed append left behind', () => {
    const store = new Store();
    store.append(leavesFrom(0, 250));
    const other = unwrap(append(store.source, 250, leavesFrom(9_000, 300)));
    for (const tile of other.changedTiles) store.tiles.set(keyOf(tile), tile);
    expect(hex(unwrap(rootAt(store.source, 250)))).toBe(hex(rootOf(leavesFrom(0, 250))));
    const { root } = store.append(leavesFrom(250, 3));
    expect(hex(root)).toBe(hex(rootOf(leavesFrom(0, 253))));
    store.append(leavesFrom(253, 300));
    expect(hex(unwrap(rootAt(store.source, store.size)))).toBe(hex(rootOf(leavesFrom(0, 553))));
  });

  it('does not change what the source handed out', () => {
    const store = new Store();
    const [first] = store.append(leavesFrom(0, 3)).changedTiles;
    const before = hex(first?.bytes ?? new Uint8Array());
    store.append(leavesFrom(3, 3));
    expect(hex(first?.bytes ?? new Uint8Array())).toBe(before);
  });

  it('refuses a store with a hole, and sizes that are none', () => {
    const none: TileSource = () => undefined;
    expect(append(none, 5, [leafAt(5)])).toEqual({
      ok: false,
      error: { kind: 'tile_missing', tile: { level: 0, index: 0, width: 5 } },
    });
    expect(append(none, 256, [leafAt(256)])).toEqual({
      ok: false,
      error: { kind: 'tile_missing', tile: { level: 1, index: 0, width: 1 } },
    });
    for (const size of [-1, 0.5, Number.MAX_SAFE_INTEGER]) {
      expect(append(none, size, [leafAt(0)])).toEqual({ ok: false, error: { kind: 'out_of_range' } });
    }
    expect(() => append(none, 0, [new Uint8Array(31)])).toThrow(TypeError);
  });
});

/**
 * A tree of any size whose leaves are all the same but for a few: its hashes are computed in O(log n), from the top, with
 * bigint arithmetic. It knows nothing of tiles, complete subtrees from the left, or `number`.
 */
class SparseTree {
  readonly #special: readonly bigint[];
  readonly #memo = new Map<string, Uint8Array>();
  readonly #plain: Uint8Array[] = [leafHash(new Uint8Array(32))];
  constructor(special: readonly bigint[]) {
    this.#special = special;
  }
  leaf(index: bigint): Uint8Array {
    return this.complete(0, index);
  }
  complete(level: number, index: bigint): Uint8Array {
    const [start, end] = [index << BigInt(level), (index + 1n) << BigInt(level)];
    if (!this.#special.some((s) => s >= start && s < end)) return this.#plainAt(level);
    if (level === 0) return leafAt(index);
    const key = `${level}/${index}`;
    const hash =
      this.#memo.get(key) ??
      nodeHash(this.complete(level - 1, index * 2n), this.complete(level - 1, index * 2n + 1n));
    this.#memo.set(key, hash);
    return hash;
  }
  /** MTH of RFC 9162, 2.1.1, over D[start:end] with start aligned as its splits leave it. */
  mth(start: bigint, end: bigint): Uint8Array {
    let k = 1n;
    while (k * 2n <= end - start) k *= 2n;
    const level = k.toString(2).length - 1;
    const left = this.complete(level, start / k);
    return k === end - start ? left : nodeHash(left, this.mth(start + k, end));
  }
  /** The tile as a tree of `size` leaves has it (C2SP tlog-tiles' formula). */
  tile({ level, index, width }: Tile): TileBytes {
    const hashes = Array.from({ length: width }, (_, i) =>
      this.complete(8 * level, BigInt(index) * 256n + BigInt(i)),
    );
    return { level, index, bytes: concatBytes(...hashes) };
  }
  #plainAt(level: number): Uint8Array {
    for (let l = this.#plain.length; l <= level; l++) {
      const below = this.#plain[l - 1];
      if (below) this.#plain.push(nodeHash(below, below));
    }
    return this.#plain[level] ?? new Uint8Array();
  }
}

describe('proofs from tiles of trees up to 2^53 - 1 leaves', () => {
  // Any order of magnitude, and both sides of every power of two and of 256.
  const size = fc
    .tuple(fc.integer({ min: 0, max: 52 }), fc.nat(), fc.integer({ min: -2, max: 2 }), fc.boolean())
    .map(([exponent, n, near, exact]) => {
      const base = 2 ** exponent;
      const spread = exact ? near : Math.floor((n / 2 ** 31) * base);
      return Math.min(Number.MAX_SAFE_INTEGER, Math.max(1, base + spread));
    });
  const pair = fc.tuple(size, size).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);

  /** The given tiles and no others; asking for another, or twice for the same, fails the test. */
  const only = (tree: SparseTree, tiles: readonly Tile[], asked: Set<string>): TileSource => {
    const held = tileSourceOf(tiles.map((tile) => tree.tile(tile)));
    return (level, index) => {
      const bytes = held(level, index);
      const key = keyOf({ level, index });
      if (bytes === undefined || asked.has(key)) throw new Error(`asked for ${key}`);
      asked.add(key);
      return bytes;
    };
  };

  it('need only the tiles named, each read once, and verify', () => {
    fc.assert(
      fc.property(pair, ([older, newer]) => {
        const index = older - 1;
        const tree = new SparseTree([0n, BigInt(index), BigInt(newer - 1), BigInt(newer) / 2n]);
        const [oldRoot, newRoot] = [tree.mth(0n, BigInt(older)), tree.mth(0n, BigInt(newer))];

        const rootTiles = tilesForRoot(newer);
        const forRoot = new Set<string>();
        expect(hex(unwrap(rootAt(only(tree, rootTiles, forRoot), newer)))).toBe(hex(newRoot));
        expect(forRoot).toEqual(new Set(rootTiles.map(keyOf)));
        expect(rootTiles.length).toBeLessThanOrEqual(7);

        const inclusionTiles = tilesForInclusion(newer, index);
        const forInclusion = new Set<string>();
        const inclusion = unwrap(inclusionProofFrom(only(tree, inclusionTiles, forInclusion), newer, index));
        expect(forInclusion).toEqual(new Set(inclusionTiles.map(keyOf)));
        expect(inclusionTiles.length).toBeLessThanOrEqual(14);
        const claim = { root: newRoot, size: newer, index, leaf: tree.leaf(BigInt(index)), proof: inclusion };
        expect(verifyInclusion(claim)).toBe(true);
        for (const elsewhere of [index - 1, index + 1, newer - 1 - index].filter((i) => i !== index)) {
          expect(verifyInclusion({ ...claim, index: elsewhere })).toBe(false);
        }

        const consistencyTiles = tilesForConsistency(older, newer);
        const forConsistency = new Set<string>();
        const proof = unwrap(
          consistencyProofFrom(only(tree, consistencyTiles, forConsistency), older, newer),
        );
        expect(forConsistency).toEqual(new Set(consistencyTiles.map(keyOf)));
        expect(consistencyTiles.length).toBeLessThanOrEqual(14);
        const consistency = { oldRoot, oldSize: older, newRoot, newSize: newer, proof };
        expect(verifyConsistency(consistency)).toBe(true);
        // The tree that differs in the old tree's last leaf is another tree.
        const forked = new SparseTree([0n]).mth(0n, BigInt(older));
        if (hex(forked) !== hex(oldRoot)) {
          expect(verifyConsistency({ ...consistency, oldRoot: forked })).toBe(false);
        }
      }),
      { numRuns: runs(60), seed: 3 },
    );
  });

  it('append to a huge log as to a small one', () => {
    fc.assert(
      fc.property(size, fc.integer({ min: 1, max: 600 }), (huge, n) => {
        const before = Math.min(huge, Number.MAX_SAFE_INTEGER - n);
        const special = [0n, BigInt(before - 1), ...Array.from({ length: n }, (_, i) => BigInt(before + i))];
        const tree = new SparseTree(special);
        const asked = new Set<string>();
        const edges = Array.from({ length: 7 }, (_, level) => {
          const index = Math.floor(before / 256 ** (level + 1));
          return { level, index, width: tileWidth(before, level, index) };
        });
        const source = only(
          tree,
          edges.filter(({ width }) => width > 0),
          asked,
        );
        const appended = unwrap(append(source, before, leavesFrom(before, n)));
        expect(hex(appended.root)).toBe(hex(tree.mth(0n, BigInt(before + n))));
        // The leaves' tiles, two where those carry over a tile's edge, one on each of the five levels above.
        expect(appended.changedTiles.length).toBeLessThanOrEqual(Math.ceil(n / 256) + 1 + 2 + 5);
      }),
      { numRuns: runs(25), seed: 4 },
    );
  });

  it('name the tile that is missing or too short', () => {
    const tree = new SparseTree([7n]);
    const short = tree.tile({ level: 0, index: 3, width: 1 });
    const missing = { ok: false, error: { kind: 'tile_missing', tile: { level: 0, index: 3, width: 232 } } };
    expect(inclusionProofFrom(tileSourceOf([]), 1_000, 770)).toEqual(missing);
    expect(inclusionProofFrom(tileSourceOf([short]), 1_000, 770)).toEqual(missing);
    expect(inclusionProofFrom(tileSourceOf([]), 3, 3)).toEqual({
      ok: false,
      error: { kind: 'out_of_range' },
    });
    expect(consistencyProofFrom(tileSourceOf([]), 4, 3)).toEqual({
      ok: false,
      error: { kind: 'out_of_range' },
    });
    expect([tilesForRoot(-1), tilesForInclusion(3, 3), tilesForConsistency(4, 3)]).toEqual([[], [], []]);
  });
});

describe('tile geometry and paths (C2SP tlog-tiles)', () => {
  it("has the specification's widths for a tree of 70,000 and one of 256", () => {
    expect(tileWidth(70_000, 0, 272)).toBe(256);
    expect(tileWidth(70_000, 0, 273)).toBe(112);
    expect(tileWidth(70_000, 0, 274)).toBe(0);
    expect([0, 1, 2].map((i) => tileWidth(70_000, 1, i))).toEqual([256, 17, 0]);
    expect([0, 1].map((i) => tileWidth(70_000, 2, i))).toEqual([1, 0]);
    expect([tileWidth(256, 0, 0), tileWidth(256, 1, 0), tileWidth(256, 2, 0)]).toEqual([256, 1, 0]);
    expect(tileWidth(Number.MAX_SAFE_INTEGER, 63, 0)).toBe(0);
  });

  it.each([
    ['tile/0/x001/x234/067', 0, 1_234_067, 256],
    ['tile/0/000', 0, 0, 256],
    ['tile/1/999.p/1', 1, 999, 1],
    ['tile/63/x001/000.p/255', 63, 1_000, 255],
    ['tile/entries/x001/000', 'entries', 1_000, 256],
    ['tile/entries/007.p/16', 'entries', 7, 16],
  ] as const)('%s', (path, level, index, width) => {
    expect(tilePath(level, index, width)).toBe(path);
    expect(parseTilePath(path)).toEqual({ level, index, width });
  });

  it('has one path for one tile', () => {
    const name = fc.record({
      level: fc.oneof(fc.constant('entries' as const), fc.integer({ min: 0, max: 63 })),
      index: fc.oneof(fc.nat(2_000), fc.integer({ min: 0, max: Math.floor(Number.MAX_SAFE_INTEGER / 256) })),
      width: fc.integer({ min: 1, max: 256 }),
    });
    fc.assert(
      fc.property(name, ({ level, index, width }) => {
        expect(parseTilePath(tilePath(level, index, width))).toEqual({ level, index, width });
      }),
      { numRuns: runs(500), seed: 5 },
    );
  });

  it.each([
    '',
    'tile',
    'tile/0',
    'tile/0/',
    '/tile/0/000',
    'tile/0/000/',
    'tile/0/0',
    'tile/0/00',
    'tile/0/0000',
    'tile/00/000',
    'tile/01/000',
    'tile/64/000',
    'tile/-1/000',
    'tile/data/000',
    'tile/0/x000/001',
    'tile/0/x001',
    'tile/0/001/002',
    'tile/0/x001/x002',
    'tile/0/X001/002',
    'tile/0/x01/002',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/000.p/999',
    'tile/0/000.p/01',
    'tile/0/000.p/',
    'tile/0/000.p',
    'tile/0/000.p/1/',
    'tile/0/000.p/1\n',
    'tile/0/000\n',
    'tile/0/٠٠٠',
    'tile/0/x999/x999/x999/x999/x999',
    'tile/0/x035/x184/x372/x088/832',
    'tile/0/x001/x000/x000/x000/x000/x000/x000/000',
  ])('refuses %j', (path) => {
    expect(parseTilePath(path)).toBeUndefined();
  });

  it('takes nothing it would not have written', () => {
    const text = fc.oneof(
      fc.string(),
      fc.stringMatching(/^tile\/(entries|\d{1,3})(\/x?\d{1,4}){1,4}(\.p\/\d{1,4})?$/),
    );
    fc.assert(
      fc.property(text, (path) => {
        const name = parseTilePath(path);
        if (name !== undefined) expect(tilePath(name.level, name.index, name.width)).toBe(path);
      }),
      { numRuns: runs(1_000), seed: 6 },
    );
  });

  it('throws for numbers that name no tile', () => {
    for (const [level, index, width] of [
      [64, 0, 256],
      [0, -1, 256],
      [0, 0.5, 256],
      [0, 2 ** 53, 256],
      [0, 0, 0],
      [0, 0, 257],
    ] as const) {
      expect(() => tilePath(level, index, width)).toThrow(RangeError);
    }
  });
});

describe('entry bundles', () => {
  const entries = fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 256 });

  it('are uint16-prefixed: 0x0020 and 32 bytes for an entry of ours', () => {
    const entry = new Uint8Array(32).fill(7);
    expect(hex(encodeEntries([entry, entry]))).toBe(`0020${hex(entry)}0020${hex(entry)}`);
  });

  it('round-trip, and refuse a byte less or more', () => {
    fc.assert(
      fc.property(entries, (list) => {
        const bundle = encodeEntries(list);
        expect(decodeEntries(bundle)).toEqual(list);
        expect(decodeEntries(bundle.subarray(0, -1))).not.toEqual(list);
        expect(decodeEntries(concatBytes(bundle, Uint8Array.of(0)))).toBeUndefined();
      }),
      { numRuns: runs(100), seed: 7 },
    );
  });

  it('never throw, and take nothing they would not have written', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const list = decodeEntries(bytes);
        if (list !== undefined) expect(encodeEntries(list)).toEqual(bytes);
      }),
      { numRuns: runs(500), seed: 8 },
    );
  });

  it('hold 1 to 256 entries of at most 65,535 bytes', () => {
    const many = Array.from({ length: 257 }, () => new Uint8Array(1));
    expect(() => encodeEntries([])).toThrow(RangeError);
    expect(() => encodeEntries(many)).toThrow(RangeError);
    expect(() => encodeEntries([new Uint8Array(65_536)])).toThrow(RangeError);
    expect(decodeEntries(new Uint8Array())).toBeUndefined();
    const oversize = concatBytes(...many.map((entry) => concatBytes(Uint8Array.of(0, 1), entry)));
    expect(decodeEntries(oversize)).toBeUndefined();
    expect(decodeEntries(oversize.subarray(3))).toHaveLength(256);
    const longest = new Uint8Array(65_535).fill(1);
    expect(decodeEntries(encodeEntries([longest]))).toEqual([longest]);
  });
});
