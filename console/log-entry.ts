// Proofs made from the log's public tiles. Nothing here is believed: a proof from false tiles does not lead to the root that
// the chain holds.
import { hexToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { decodeEntries } from '../protocol/log/entry-bundle.ts';
import { sameHash } from '../protocol/log/merkle.ts';
import { tilePath } from '../protocol/log/tile-path.ts';
import {
  consistencyProofFrom,
  inclusionProofFrom,
  TILE_WIDTH,
  type Tile,
  type TileSource,
  tileSourceOf,
  tilesForConsistency,
  tilesForInclusion,
  tileWidth,
} from '../protocol/log/tiles.ts';
import { logFile } from './gateway.ts';

/** Bundles of 256 entries looked through for one receipt, the newest first. */
const bundlesMax = 64;
const atOnce = 8;

export const entriesSearched = bundlesMax * TILE_WIDTH;

/** Where a digest stands among the first `size` entries; `undefined` when it is not among the newest of them. */
export async function findEntry(digest: Hex, size: number): Promise<number | undefined> {
  const wanted = hexToBytes(digest.slice(2));
  const last = Math.ceil(size / TILE_WIDTH) - 1;
  const oldest = Math.max(0, last - bundlesMax + 1);
  for (let newest = last; newest >= oldest; newest -= atOnce) {
    const bundles = Array.from({ length: Math.min(atOnce, newest - oldest + 1) }, (_, i) => newest - i);
    const found = await Promise.all(
      bundles.map(async (bundle) => {
        const bytes = await logFile(tilePath('entries', bundle, tileWidth(size, 0, bundle)));
        const at = (decodeEntries(bytes) ?? []).findIndex((entry) => sameHash(entry, wanted));
        return at < 0 ? undefined : bundle * TILE_WIDTH + at;
      }),
    );
    const index = found.find((one) => one !== undefined);
    if (index !== undefined) return index;
  }
  return undefined;
}

/** The inclusion proof of an entry in the tree of `size`; `undefined` where the tiles do not give one. */
export async function inclusionFromTiles(size: number, index: number): Promise<Uint8Array[] | undefined> {
  const proof = inclusionProofFrom(await sourceOf(tilesForInclusion(size, index)), size, index);
  return proof.ok ? proof.value : undefined;
}

/** The consistency proof between two sizes; `undefined` where the tiles do not give one. */
export async function consistencyFromTiles(
  oldSize: number,
  newSize: number,
): Promise<Uint8Array[] | undefined> {
  const proof = consistencyProofFrom(await sourceOf(tilesForConsistency(oldSize, newSize)), oldSize, newSize);
  return proof.ok ? proof.value : undefined;
}

async function sourceOf(tiles: readonly Tile[]): Promise<TileSource> {
  const fetched = await Promise.all(
    tiles.map(async ({ level, index, width }) => ({
      level,
      index,
      bytes: await logFile(tilePath(level, index, width)),
    })),
  );
  return tileSourceOf(fetched);
}
