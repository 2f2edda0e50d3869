import type { Hex } from 'viem';
import { toHex } from '../protocol/hex.ts';
import { type Hashes, plainHashes } from '../protocol/identity/hashes.ts';
import { keccak256, sha256 } from './hash-with-wasm.ts';

/** Below this many bytes compiled code is done before WebCrypto has been called; far above, hardware is several times as fast. */
const hardwareFrom = 4096;

const inHardware = async (name: 'SHA-256' | 'SHA-512', bytes: Uint8Array): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest(name, bytes as Uint8Array<ArrayBuffer>));

/** {@link Hashes} as this platform does them fastest. */
export const platformHashes: Hashes = {
  keccak256,
  sha256: (bytes) => (bytes.length < hardwareFrom ? sha256(bytes) : inHardware('SHA-256', bytes)),
  sha512: (bytes) => (bytes.length < hardwareFrom ? plainHashes.sha512(bytes) : inHardware('SHA-512', bytes)),
};

/** SHA-256 of a whole body, as receipts write it. */
export const sha256Hex = async (bytes: Uint8Array): Promise<Hex> => toHex(await platformHashes.sha256(bytes));
