import { bytesToHex as bareHex } from '@noble/hashes/utils.js';
import type { Address, Hex } from 'viem';

/** 32 zero bytes: "nothing before", "no evidence". */
export const zeroHash: Hex = `0x${'00'.repeat(32)}`;

export const toHex = (bytes: Uint8Array): Hex => `0x${bareHex(bytes)}`;

/** Lower-case 0x hex of exactly `length` bytes; `undefined` for anything else. */
export function parseHex(text: unknown, length: number): Hex | undefined {
  return typeof text === 'string' && new RegExp(`^0x[0-9a-f]{${length * 2}}$`).test(text)
    ? (text as Hex)
    : undefined;
}

/** An address in lower-case hex, the only spelling used on the wire; `undefined` for anything else. */
export const parseAddress = (text: unknown): Address | undefined => parseHex(text, 20);
