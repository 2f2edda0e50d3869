/** Growing the tree: what an append changes, and nothing else. */
import { concatBytes } from '@noble/hashes/utils.js';
import { ok, type Result, refuse } from '../result.ts';
import { HASH_BYTES, isTreeSize, rootOf } from './merkle.ts';
import {
  hashesOf,
  readOnce,
  rootAt,
  TILE_WIDTH,
  type TileBytes,
  type TileRefusal,
  type TileSource,
  tileSourceOf,
} from './tiles.ts';

export type Appended = {
  /** Every tile whose content changed, whole, lowest level first. Nothing else needs writing. */
  readonly changedTiles: readonly TileBytes[];
  readonly root: Uint8Array;
  readonly size: number;
};

/**
 * Adds leaf hashes to the tree of `size` leaves that `source` holds. Reads the right-most partial tile of each level, at
 * most seven, and hashes what is new: never the whole tree. It writes nothing. Hashes that `source` holds past `size` (an
 * append that was staged and never committed) are overwritten, not trusted.
 *
 * Refuses a size that is none, a tree of 2^53 leaves or more, and a source that lacks a tile of the tree.
 * @throws when a leaf hash is not 32 bytes: a bug of the caller's, which must not reach the tree
 */
export function append(
  source: TileSource,
  size: number,
  newLeafHashes: readonly Uint8Array[],
): Result<Appended, TileRefusal> {
  if (newLeafHashes.some((hash) => hash.length !== HASH_BYTES))
    throw new TypeError('a leaf hash is 32 bytes');
  const newSize = size + newLeafHashes.length;
  if (!isTreeSize(size) || !isTreeSize(newSize)) return refuse({ kind: 'out_of_range' });

  const read = readOnce(source);
  const changedTiles: TileBytes[] = [];
  let fresh = newLeafHashes;
  for (let [level, start] = [0, size]; fresh.length > 0; level++, start = Math.floor(start / TILE_WIDTH)) {
    const above: Uint8Array[] = [];
    for (let at = 0; at < fresh.length; ) {
      const index = Math.floor((start + at) / TILE_WIDTH);
      const kept = { level, index, width: (start + at) % TILE_WIDTH };
      const before = hashesOf(read, kept);
      if (before === undefined) return refuse({ kind: 'tile_missing', tile: kept });
      const hashes = [...before, ...fresh.slice(at, at + TILE_WIDTH - kept.width)];
      changedTiles.push({ level, index, bytes: concatBytes(...hashes) });
      // Only a full tile has a hash in the level above (tlog-tiles, "Partial Tiles").
      if (hashes.length === TILE_WIDTH) above.push(rootOf(hashes));
      at += hashes.length - kept.width;
    }
    fresh = above;
  }

  const changed = tileSourceOf(changedTiles);
  const root = rootAt((level, index) => changed(level, index) ?? read(level, index), newSize);
  return root.ok ? ok({ changedTiles, root: root.value, size: newSize }) : root;
}
