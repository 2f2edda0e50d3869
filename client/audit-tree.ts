// The log's tree, grown again from its entries. Only its right edge is kept, so the log may be of any size.
import { hexToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { toHex } from '../protocol/hex.ts';
import { append } from '../protocol/log/append.ts';
import { emptyRoot, leafHash } from '../protocol/log/merkle.ts';
import { TILE_WIDTH, type TileBytes } from '../protocol/log/tiles.ts';

/** As JSON, to go on from later. */
export type TreeState = {
  readonly size: number;
  readonly root: Hex;
  /** The right-most tile of each level, and the entries beside the one at level 0. */
  readonly edge: readonly { readonly level: number; readonly index: number; readonly bytes: Hex }[];
  readonly entries: readonly Hex[];
};

/** A tile, or the entries beside one, as a gateway should serve it. */
export type RebuiltTile = TileBytes & { readonly entries: readonly Uint8Array[] | undefined };

export class AuditTree {
  #size = 0;
  #root = emptyRoot();
  #edge = new Map<number, TileBytes>();
  #entries: Uint8Array[] = [];

  static from(state: TreeState | undefined): AuditTree {
    const tree = new AuditTree();
    if (state === undefined) return tree;
    tree.#size = state.size;
    tree.#root = hexToBytes(state.root.slice(2));
    for (const { level, index, bytes } of state.edge) {
      tree.#edge.set(level, { level, index, bytes: hexToBytes(bytes.slice(2)) });
    }
    tree.#entries = state.entries.map((entry) => hexToBytes(entry.slice(2)));
    return tree;
  }

  get size(): number {
    return this.#size;
  }

  get root(): Uint8Array {
    return this.#root;
  }

  /** Adds entries. @returns the tiles that are full now and will not change again */
  add(entries: readonly Uint8Array[]): RebuiltTile[] {
    const grown = append(
      (level, index) => {
        const tile = this.#edge.get(level);
        return tile?.index === index ? tile.bytes : undefined;
      },
      this.#size,
      entries.map(leafHash),
    );
    if (!grown.ok) throw new Error(`the audit's own tree does not hold: ${JSON.stringify(grown.error)}`);
    const firstOfEdge = this.#size - this.#entries.length;
    const all = [...this.#entries, ...entries];
    const full: RebuiltTile[] = [];
    for (const tile of grown.value.changedTiles) {
      this.#edge.set(tile.level, tile);
      if (tile.bytes.length < TILE_WIDTH * 32) continue;
      const start = tile.index * TILE_WIDTH - firstOfEdge;
      full.push({ ...tile, entries: tile.level === 0 ? all.slice(start, start + TILE_WIDTH) : undefined });
    }
    this.#size = grown.value.size;
    this.#root = grown.value.root;
    this.#entries = all.slice(all.length - (this.#size % TILE_WIDTH));
    if (this.#size % TILE_WIDTH === 0) this.#entries = [];
    return full;
  }

  /** The partial tiles at the right edge, as wide as they are now. */
  partialTiles(): RebuiltTile[] {
    return [...this.#edge.values()]
      .filter(({ bytes }) => bytes.length < TILE_WIDTH * 32)
      .map((tile) => ({ ...tile, entries: tile.level === 0 ? this.#entries : undefined }));
  }

  toState(): TreeState {
    return {
      size: this.#size,
      root: toHex(this.#root),
      edge: [...this.#edge.values()].map(({ level, index, bytes }) => ({
        level,
        index,
        bytes: toHex(bytes),
      })),
      entries: this.#entries.map(toHex),
    };
  }
}
