/** Entry bundles of C2SP tlog-tiles ("Log entries"): each entry behind its length as a big-endian uint16. */
import { concatBytes } from '@noble/hashes/utils.js';
import { TILE_WIDTH } from './tiles.ts';

const MAX_ENTRY_BYTES = 0xffff;

/**
 * The bundle of 1 to 256 entries.
 * @throws for no entries, more than 256, or one above 65,535 bytes
 */
export function encodeEntries(entries: readonly Uint8Array[]): Uint8Array {
  if (entries.length === 0 || entries.length > TILE_WIDTH)
    throw new RangeError('a bundle holds 1 to 256 entries');
  if (entries.some((entry) => entry.length > MAX_ENTRY_BYTES))
    throw new RangeError('an entry exceeds 65,535 bytes');
  return concatBytes(
    ...entries.flatMap((entry) => [Uint8Array.of(entry.length >> 8, entry.length & 0xff), entry]),
  );
}

/** The entries of a bundle; `undefined` when bytes are missing or left over, or there are none or more than 256. */
export function decodeEntries(bundle: Uint8Array): Uint8Array[] | undefined {
  const view = new DataView(bundle.buffer, bundle.byteOffset, bundle.byteLength);
  const entries: Uint8Array[] = [];
  for (let at = 0; at < bundle.length; ) {
    if (at + 2 > bundle.length || entries.length === TILE_WIDTH) return undefined;
    const end = at + 2 + view.getUint16(at);
    if (end > bundle.length) return undefined;
    entries.push(bundle.slice(at + 2, end));
    at = end;
  }
  return entries.length === 0 ? undefined : entries;
}
