import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { concatBytes, hexToBytes } from '@noble/hashes/utils.js';
import type { Address, Hex } from 'viem';
import { toHex } from './hex.ts';

const bytesOf = (hex: Hex): Uint8Array => hexToBytes(hex.slice(2));

/**
 * Signs a 32-byte digest: 65 bytes `r || s || v`, v 27 or 28, low-s, RFC 6979 nonce. The same input always gives the
 * same bytes, so evidence signed again after a crash is the evidence signed before it.
 */
export function signDigest(digest: Hex, privateKey: Hex): Hex {
  // noble's recovered format is `recovery || r || s`.
  const [recovery = 0, ...rs] = secp256k1.sign(bytesOf(digest), bytesOf(privateKey), {
    prehash: false,
    lowS: true,
    format: 'recovered',
  });
  return toHex(Uint8Array.from([...rs, 27 + recovery]));
}

/** The EOA that signed `digest`; `undefined` unless the signature is 65 bytes, low-s, v 27 or 28, and valid. */
export function recoverDigest(digest: Hex, signature: Hex): Address | undefined {
  const bytes = /^0x[0-9a-fA-F]{130}$/.test(signature) ? bytesOf(signature) : undefined;
  const v = bytes?.[64];
  if (bytes === undefined || (v !== 27 && v !== 28)) return undefined;
  try {
    const parsed = secp256k1.Signature.fromBytes(
      concatBytes(Uint8Array.of(v - 27), bytes.subarray(0, 64)),
      'recovered',
    );
    if (parsed.hasHighS()) return undefined;
    return addressOfPoint(parsed.recoverPublicKey(bytesOf(digest)).toBytes(false));
  } catch {
    return undefined; // r or s out of range, or no such point: simply not a signature
  }
}

/** The address a private key controls. */
export function addressOfKey(privateKey: Hex): Address {
  return addressOfPoint(secp256k1.getPublicKey(bytesOf(privateKey), false));
}

/** @param point an uncompressed public key, 65 bytes starting with 0x04 */
function addressOfPoint(point: Uint8Array): Address {
  return toHex(keccak_256(point.subarray(1)).subarray(12)) as Address;
}
