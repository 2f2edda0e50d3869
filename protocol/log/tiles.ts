/**
 * The tree cut into tiles (C2SP tlog-tiles, "Merkle Tree"): a tile at level l holds up to 256 consecutive hashes of
 * complete subtrees of 256^l leaves. Reading a root or a proof needs O(log n) tiles, and each is read once.
 *
 * A source is synchronous, like a Durable Object's SQLite. Whoever fetches tiles asks `tilesFor…` which ones are needed,
 * fetches them in parallel, and reads from {@link tileSourceOf} them. Nothing here verifies the tiles: a proof built from
 * false tiles fails against the checkpoint's root, so verify it there.
 */
import { ok, type Result, refuse } from '../result.ts';
import {
  consistencyNodes,
  consistencyProof,
  HASH_BYTES,
  inclusionNodes,
  inclusionProof,
  isTreeSize,
  type MerkleRefusal,
  type Node,
  type NodeSource,
  nodeHash,
  rootFrom,
  rootNodes,
  rootOf,
} from './merkle.ts';

/** Hashes in a full tile; a full tile is 8,192 bytes. */
export const TILE_WIDTH = 256;
/** Tree levels a tile spans: 2^8 = 256. */
const TILE_HEIGHT = 8;

/** A tile as far as a tree of some size fills it: `width` hashes, 1 to 256. */
export type Tile = { readonly level: number; readonly index: number; readonly width: number };

/** A tile's concatenated hashes. */
export type TileBytes = { readonly level: number; readonly index: number; readonly bytes: Uint8Array };

/**
 * The concatenated hashes held for a tile, partial or not; `undefined` for none. More hashes than a tree of the size in
 * question has are fine: the surplus is never looked at.
 */
export type TileSource = (level: number, index: number) => Uint8Array | undefined;

export type TileRefusal =
  | { readonly kind: 'out_of_range' }
  /** The source does not hold that many hashes of that tile. */
  | { readonly kind: 'tile_missing'; readonly tile: Tile };

/** How many hashes a tree of `size` leaves has in a tile: 0 when the tile does not exist. */
export function tileWidth(size: number, level: number, index: number): number {
  const hashes = Math.floor(size / TILE_WIDTH ** level) - index * TILE_WIDTH;
  return Math.min(TILE_WIDTH, Math.max(0, hashes));
}

/** The root of the tree of `size` leaves. Reads the partial tile of each level at most. */
export function rootAt(source: TileSource, size: number): Result<Uint8Array, TileRefusal> {
  return named(rootFrom(nodesOf(source), size), size);
}

/** The inclusion proof of the leaf at `index` in the tree of `size` leaves (RFC 9162, 2.1.3). */
export function inclusionProofFrom(
  source: TileSource,
  size: number,
  index: number,
): Result<Uint8Array[], TileRefusal> {
  return named(inclusionProof(nodesOf(source), size, index), size);
}

/** The consistency proof between the trees of `oldSize` and `newSize` leaves (RFC 9162, 2.1.4). */
export function consistencyProofFrom(
  source: TileSource,
  oldSize: number,
  newSize: number,
): Result<Uint8Array[], TileRefusal> {
  return named(consistencyProof(nodesOf(source), oldSize, newSize), newSize);
}

/** The tree's nodes, each hashed once however many proofs pass it: for a source that does not change meanwhile. */
export function nodesOnce(source: TileSource): NodeSource {
  const read = readOnce(source);
  const known = new Map<string, Uint8Array | undefined>();
  const node: NodeSource = (level, index) => {
    const key = `${level}/${index}`;
    if (known.has(key)) return known.get(key);
    const hash = level % TILE_HEIGHT === 0 ? ofTile(level, index) : ofChildren(level, index);
    known.set(key, hash);
    return hash;
  };
  const ofTile = (level: number, index: number): Uint8Array | undefined => {
    const { first, count, ...tile } = placeOf({ level, index });
    return hashesOf(read, { ...tile, width: first + count })?.at(-1);
  };
  const ofChildren = (level: number, index: number): Uint8Array | undefined => {
    const [left, right] = [node(level - 1, index * 2), node(level - 1, index * 2 + 1)];
    return left && right && nodeHash(left, right);
  };
  return node;
}

/** The tiles {@link rootAt} will read, each as wide as a tree of that size has it. */
export const tilesForRoot = (size: number): Tile[] =>
  isTreeSize(size) ? tilesHolding([rootNodes(size)], size) : [];

/** The tiles {@link inclusionProofFrom} will read; none when `index` is outside the tree. */
export const tilesForInclusion = (size: number, index: number): Tile[] =>
  tilesHolding(inclusionNodes(size, index) ?? [], size);

/** The tiles {@link consistencyProofFrom} will read; none when the sizes do not ascend. */
export const tilesForConsistency = (oldSize: number, newSize: number): Tile[] =>
  tilesHolding(consistencyNodes(oldSize, newSize) ?? [], newSize);

/** A source over tiles already in hand. Of the same tile twice, the later counts. */
export function tileSourceOf(tiles: Iterable<TileBytes>): TileSource {
  const held = new Map<string, Uint8Array>();
  for (const tile of tiles) held.set(`${tile.level}/${tile.index}`, tile.bytes);
  return (level, index) => held.get(`${level}/${index}`);
}

/** The first `tile.width` hashes of a tile; `undefined` when the source holds fewer. */
export function hashesOf(source: TileSource, tile: Tile): Uint8Array[] | undefined {
  if (tile.width === 0) return [];
  const bytes = source(tile.level, tile.index);
  if (bytes === undefined || bytes.length < tile.width * HASH_BYTES) return undefined;
  return Array.from({ length: tile.width }, (_, i) => bytes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES));
}

/** The same source, asked for each tile once. */
export function readOnce(source: TileSource): TileSource {
  const seen = new Map<string, Uint8Array | undefined>();
  return (level, index) => {
    const key = `${level}/${index}`;
    if (!seen.has(key)) seen.set(key, source(level, index));
    return seen.get(key);
  };
}

/** Where a node's hash comes from: hashes `first` to `first + count - 1` of one tile. */
function placeOf(node: Node): { level: number; index: number; first: number; count: number } {
  const count = 2 ** (node.level % TILE_HEIGHT);
  const at = node.index * count;
  return {
    level: Math.floor(node.level / TILE_HEIGHT),
    index: Math.floor(at / TILE_WIDTH),
    first: at % TILE_WIDTH,
    count,
  };
}

function nodesOf(source: TileSource): NodeSource {
  const read = readOnce(source);
  return (level, index) => {
    const place = placeOf({ level, index });
    return fold(hashesOf(read, { ...place, width: place.first + place.count })?.slice(place.first));
  };
}

const fold = (hashes: Uint8Array[] | undefined): Uint8Array | undefined =>
  hashes === undefined ? undefined : rootOf(hashes);

function tileHolding(node: Node, size: number): Tile {
  const { level, index } = placeOf(node);
  return { level, index, width: tileWidth(size, level, index) };
}

function tilesHolding(plan: readonly Node[][], size: number): Tile[] {
  const tiles = plan.flat().map((node) => tileHolding(node, size));
  return [...new Map(tiles.map((tile) => [`${tile.level}/${tile.index}`, tile])).values()];
}

function named<T>(result: Result<T, MerkleRefusal>, size: number): Result<T, TileRefusal> {
  if (result.ok) return ok(result.value);
  if (result.error.kind === 'out_of_range') return refuse(result.error);
  return refuse({ kind: 'tile_missing', tile: tileHolding(result.error.node, size) });
}
