import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { keccak_256 } from '@noble/hashes/sha3.js';

/**
 * The hash functions verification needs. A platform may have faster ones than plain JavaScript: Keccak compiled, and the
 * SHA-2 family in hardware, which for long contents is a matter of milliseconds.
 */
export type Hashes = {
  readonly keccak256: (bytes: Uint8Array) => Uint8Array;
  readonly sha256: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>;
  readonly sha512: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>;
};

/** {@link Hashes} that run anywhere. */
export const plainHashes: Hashes = { keccak256: keccak_256, sha256, sha512 };
