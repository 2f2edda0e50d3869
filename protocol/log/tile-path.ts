/** The URL paths of C2SP tlog-tiles, below the log's prefix: one path for one resource, and one resource for one path. */
import { TILE_WIDTH } from './tiles.ts';

/** What a path names: a tile of hashes, or the bundle of entries beside a level-0 tile. */
export type TileName = {
  readonly level: number | 'entries';
  readonly index: number;
  /** 1 to 256; 256 is the full tile. */
  readonly width: number;
};

const MAX_LEVEL = 63;
/** Beyond this a tile's first hash has an index that is no tree size, at any level. */
const MAX_INDEX = Math.floor(Number.MAX_SAFE_INTEGER / TILE_WIDTH);

const PATH = /^tile\/(entries|0|[1-9]\d?)\/((?!x000\/)(?:x\d{3}\/){0,5}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/;

/**
 * `tile/<L>/<N>` for a full tile, `tile/<L>/<N>.p/<W>` for a partial one; level `'entries'` names the entry bundle.
 * @throws for numbers that name no tile
 */
export function tilePath(level: number | 'entries', index: number, width: number = TILE_WIDTH): string {
  const valid =
    (level === 'entries' || isWhole(level, 0, MAX_LEVEL)) &&
    isWhole(index, 0, MAX_INDEX) &&
    isWhole(width, 1, TILE_WIDTH);
  if (!valid) throw new RangeError(`no such tile: ${level} ${index} ${width}`);
  return `tile/${level}/${indexPath(index)}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

/** Reads a path made by {@link tilePath}; `undefined` for every other spelling of anything. */
export function parseTilePath(path: string): TileName | undefined {
  const match = PATH.exec(path);
  if (match === null) return undefined;
  const [, level = '', digits = '', width] = match;
  const name = {
    level: level === 'entries' ? level : Number(level),
    index: Number(digits.replace(/[x/]/g, '')),
    width: width === undefined ? TILE_WIDTH : Number(width),
  } as const;
  if (name.level !== 'entries' && name.level > MAX_LEVEL) return undefined;
  if (name.index > MAX_INDEX) return undefined;
  // A full tile has no suffix, so `.p/256` would be its second name.
  if (width !== undefined && name.width >= TILE_WIDTH) return undefined;
  return name;
}

/** 1234067 is `x001/x234/067`. */
function indexPath(index: number): string {
  const digits = `${index}`;
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/\d{3}/g) ?? [];
  return groups.map((group, i) => (i === groups.length - 1 ? group : `x${group}`)).join('/');
}

const isWhole = (n: number, min: number, max: number): boolean =>
  Number.isSafeInteger(n) && n >= min && n <= max;
