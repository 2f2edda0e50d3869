import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';

/**
 * Recovers the address that signed a 32-byte digest, lower-case hex, or `undefined` when no key did. Synchronous; the
 * verifier calls it only with signatures that passed {@link isStrictSignature}.
 */
export type Recover = (digest: Uint8Array, signature: Uint8Array) => Hex | undefined;

const ORDER = secp256k1.Point.CURVE().n;

const bytesOf = (value: bigint): Uint8Array => hexToBytes(value.toString(16).padStart(64, '0'));
const LAST_BYTES = bytesOf(ORDER - 1n);
const HALF_ORDER_BYTES = bytesOf(ORDER >> 1n);

/** Where two big-endian numbers of 32 bytes differ first decides. */
const isAbove = (bytes: Uint8Array, at: number, bound: Uint8Array): boolean => {
  for (let i = 0; i < 32; i++) {
    const difference = (bytes[at + i] ?? 0) - (bound[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
};
const isZero = (bytes: Uint8Array, at: number): boolean => {
  for (let i = at; i < at + 32; i++) if (bytes[i] !== 0) return false;
  return true;
};

/**
 * The one encoding of an EOA signature (ERC-8128 section 3.4.3): 65 bytes `r || s || v`, 1 <= r < n,
 * 1 <= s <= n / 2, v 27 or 28. Anything else would be a second spelling of a signature, or another scheme's.
 */
export const isStrictSignature = (signature: Uint8Array): boolean => {
  if (signature.length !== 65) return false;
  const v = signature[64];
  if (v !== 27 && v !== 28) return false;
  return (
    !isZero(signature, 0) &&
    !isZero(signature, 32) &&
    !isAbove(signature, 0, LAST_BYTES) &&
    !isAbove(signature, 32, HALF_ORDER_BYTES)
  );
};

/** The 20-byte account of an uncompressed public key (65 bytes, leading 0x04). */
const addressOf = (publicKey: Uint8Array): Hex =>
  `0x${bytesToHex(keccak_256(publicKey.subarray(1)).subarray(12))}`;

/** {@link Recover} in plain JavaScript, for where no faster one is at hand. Strict by itself. */
export const recoverWithNoble: Recover = (digest, signature) => {
  if (digest.length !== 32 || !isStrictSignature(signature)) return undefined;
  try {
    const compact = secp256k1.Signature.fromBytes(signature.subarray(0, 64), 'compact');
    const point = compact.addRecoveryBit((signature[64] ?? 0) - 27).recoverPublicKey(digest);
    return addressOf(point.toBytes(false));
  } catch {
    // r is no x coordinate of a curve point, or the point found is the one at infinity.
    return undefined;
  }
};
