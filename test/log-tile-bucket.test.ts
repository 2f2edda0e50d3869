// The log's tiles from the object that made them, and from an R2 bucket before it: the same questions to both, and what
// happens when the bucket fails.
import { createHash } from 'node:crypto';
import { Miniflare } from 'miniflare';
import type { Hex } from 'viem';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { bucketFirst, type TileBucket, type TileReader } from '../durable-objects/log/tile-bucket.ts';
import { toHex } from '../protocol/hex.ts';
import { decodeEntries } from '../protocol/log/entry-bundle.ts';
import type { TileName } from '../protocol/log/tile-path.ts';
import { type LogRun, startWorld, type World } from './log-world.ts';

const sha256 = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(createHash('sha256').update(Buffer.concat(parts)).digest());

/** 256 full tiles and with them one of level 1, two more, and a partial one. */
const size = 258 * 256 + 77;
const entries = Array.from({ length: size }, (_, index) => sha256(Buffer.from(`entry ${index}`)));

let world: World;
let run: LogRun;
let miniflare: Miniflare;
let held: TileBucket;
/** What the bucket is asked, and how it fails. */
const bucket = {
  isDown: false,
  puts: 0,
  reads: 0,
  async get(name: string) {
    this.reads += 1;
    if (this.isDown) throw new Error('the bucket is down');
    return held.get(name);
  },
  async put(name: string, bytes: Uint8Array) {
    if (this.isDown) throw new Error('the bucket is down');
    this.puts += 1;
    return held.put(name, bytes);
  },
};
let object: TileReader;
let copied: TileReader;

const ring = async (binding: string, times = 1): Promise<void> => {
  for (let time = 0; time < times; time++) {
    for (const { name } of run.sim.alarms().filter((alarm) => alarm.binding === binding)) {
      await run.sim.ring(binding, name);
      await run.sim.settled();
    }
  }
};

beforeAll(async () => {
  for (const level of ['error', 'warn'] as const)
    vi.spyOn(console, level).mockImplementation(() => undefined);
  miniflare = new Miniflare({
    modules: true,
    script: 'export default { fetch: () => new Response() }',
    r2Buckets: ['TILES'],
  });
  held = (await miniflare.getR2Bucket('TILES')) as unknown as TileBucket;
  world = await startWorld();
  // Nothing is published here: only tiles are.
  world.storage.faults.down = true;
  run = await world.openLog();
  run.sim.env['TILES'] = bucket;
  object = {
    tile: async (name) => (await run.log['tile']?.(name)) as Uint8Array | undefined,
  };
  copied = bucketFirst(bucket, run.logId, object);

  run.capture(0, 1n);
  const [account = '', [lastReceipt] = []] = [...run.receipts][0] ?? [];
  for (let from = 0; from < size; from += 4_096) {
    const digests: Hex[] = entries.slice(from, from + 4_096).map(toHex);
    await run.log['append']?.({
      account,
      firstSequence: from + 1,
      digests,
      lastReceipt,
      mergeBy: Number(lastReceipt?.mergeBy),
    });
  }
  await ring('RECEIPT_LOG', 8);
  expect((await run.status()).sealed).toBe(size);
}, 60_000);
afterAll(async () => {
  await miniflare?.dispose();
  await world?.close();
});

const named = (level: TileName['level'], index: number, width = 256): TileName => ({ level, index, width });

test('a bucket that is down holds up no seal, and is filled when it is back, once', async () => {
  bucket.isDown = true;
  await ring('PUBLISHER', 2);
  expect(bucket.puts).toBe(0);
  bucket.isDown = false;
  // 258 tiles and bundles, and the tile above the first 256; in rounds of 64.
  await ring('PUBLISHER', 8);
  expect(bucket.puts).toBe(2 * 258 + 1);
  await ring('PUBLISHER', 2);
  expect(bucket.puts).toBe(2 * 258 + 1);
});

describe.each<[string, () => TileReader, boolean]>([
  ['the object', () => object, false],
  ['the bucket, then the object', () => copied, true],
  ['a bucket that is down, then the object', () => copied, false],
])('tiles from %s', (name, readerOf, isFromBucket) => {
  beforeAll(() => {
    bucket.isDown = name.includes('down');
    bucket.reads = 0;
  });

  const leaves = entries.map((entry) => sha256(Uint8Array.of(0), entry));
  const treeHash = (hashes: readonly Uint8Array[]): Uint8Array => {
    let level = [...hashes];
    while (level.length > 1) {
      level = Array.from({ length: level.length / 2 }, (_, at) =>
        sha256(Uint8Array.of(1), level[2 * at] ?? Buffer.of(), level[2 * at + 1] ?? Buffer.of()),
      );
    }
    return level[0] ?? Buffer.of();
  };

  test('have the tree’s hashes and the log’s entries, full and partial', async () => {
    const reader = readerOf();
    const widths = [
      ...[0, 1, 255, 256, 257].map((index) => [index, 256] as const),
      // Of the last tile, and of full ones, as wide as any checkpoint was.
      ...[1, 76, 77].map((width) => [258, width] as const),
      [3, 100] as const,
    ];
    for (const [index, width] of widths) {
      const [from, to] = [index * 256, index * 256 + width];
      const tile = await reader.tile(named(0, index, width));
      expect(tile && toHex(tile)).toBe(toHex(Buffer.concat(leaves.slice(from, to))));
      const bundle = await reader.tile(named('entries', index, width));
      expect(bundle && decodeEntries(bundle)?.map(toHex)).toEqual(entries.slice(from, to).map(toHex));
    }
    const above = Array.from({ length: 258 }, (_, at) => treeHash(leaves.slice(at * 256, at * 256 + 256)));
    for (const [index, width] of [
      [0, 256],
      [0, 255],
      [1, 1],
      [1, 2],
    ] as const) {
      const tile = await reader.tile(named(1, index, width));
      const hashes = above.slice(index * 256, index * 256 + width);
      expect(tile && toHex(tile)).toBe(toHex(Buffer.concat(hashes)));
    }
    const top = await reader.tile(named(2, 0, 1));
    expect(top && toHex(top)).toBe(toHex(treeHash(above.slice(0, 256))));
    expect(bucket.reads > 0).toBe(name !== 'the object');
  });

  test('are not there before the tree has them', async () => {
    const reader = readerOf();
    for (const missing of [
      named(0, 258),
      named(0, 258, 78),
      named(0, 259, 1),
      named('entries', 258),
      named(1, 1, 3),
      named(1, 1),
      named(2, 0, 2),
      named(3, 0, 1),
    ]) {
      expect(await reader.tile(missing)).toBeUndefined();
    }
  });

  test.runIf(isFromBucket)('do not take the object’s time when they are full', async () => {
    const nobody: TileReader = { tile: () => Promise.reject(new Error('the object was asked')) };
    const alone = bucketFirst(bucket, run.logId, nobody);
    for (let index = 0; index < 258; index += 37) {
      for (const level of [0, 'entries'] as const) {
        expect(await alone.tile(named(level, index))).toEqual(await object.tile(named(level, index)));
      }
    }
    expect(await alone.tile(named(1, 0))).toEqual(await object.tile(named(1, 0)));
  });
});
