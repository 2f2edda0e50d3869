// Full tiles in a bucket (R2 by binding), so that readers of the log do not ask its object. The object keeps every tile, and
// makes proofs from its own: the bucket is a copy that may be behind, or gone, and is then asked past. Only full tiles are
// copied: they never change, so a copy is written once and may be written again.

import { type TileName, tilePath } from '../../protocol/log/tile-path.ts';
import { TILE_WIDTH } from '../../protocol/log/tiles.ts';

/** R2's shape, as far as it is used. */
export type TileBucket = {
  get(name: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
  put(name: string, bytes: Uint8Array): Promise<unknown>;
};

/** Where tiles are read from; `undefined` for what the committed tree does not have. */
export type TileReader = {
  tile(name: TileName): Promise<Uint8Array | undefined>;
};

/** A bucket may hold several logs. */
export const tileKey = (logId: string, { level, index, width }: TileName): string =>
  `log/${logId}/${tilePath(level, index, width)}`;

/** The bucket for full tiles, and the log itself for what is not there, or when the bucket does not answer. */
export const bucketFirst = (bucket: TileBucket, logId: string, log: TileReader): TileReader => ({
  async tile(name) {
    if (name.width === TILE_WIDTH) {
      try {
        const held = await bucket.get(tileKey(logId, name));
        if (held !== null) return new Uint8Array(await held.arrayBuffer());
      } catch (error) {
        console.warn(JSON.stringify({ event: 'tile_bucket_failed', error: String(error) }));
      }
    }
    return log.tile(name);
  },
});

/**
 * The tiles that become full with the level-0 tile of this index: the tile, its bundle of entries, and each tile above that
 * it completes.
 */
export function completedWith(index: number): TileName[] {
  const names: TileName[] = [
    { level: 'entries', index, width: TILE_WIDTH },
    { level: 0, index, width: TILE_WIDTH },
  ];
  let above = index + 1;
  for (let level = 1; above % TILE_WIDTH === 0; level++) {
    above /= TILE_WIDTH;
    names.push({ level, index: above - 1, width: TILE_WIDTH });
  }
  return names;
}

/**
 * Copies what became full since, a bounded piece at a time. Throws what the bucket throws: nothing is lost, the same piece is
 * copied again.
 * @param copied how many level-0 tiles are in the bucket
 * @param size the committed tree's
 * @returns how many are there now
 */
export async function copyFullTiles(
  bucket: TileBucket,
  logId: string,
  log: TileReader,
  copied: number,
  size: number,
  tilesAtOnce: number,
): Promise<number> {
  const full = Math.min(Math.floor(size / TILE_WIDTH), copied + tilesAtOnce);
  for (let index = copied; index < full; index++) {
    for (const name of completedWith(index)) {
      const bytes = await log.tile(name);
      if (bytes === undefined) throw new Error(`the log has no tile ${tilePath(name.level, name.index)}`);
      await bucket.put(tileKey(logId, name), bytes);
    }
  }
  return full;
}
