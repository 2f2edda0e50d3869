import { type Hashes, plainHashes } from '../../protocol/identity/hashes.ts';
import { keccak256 } from './keccak256.ts';

/** Below this many bytes plain JavaScript is done before WebCrypto has been called; far above, hardware is ten times as fast. */
const hardwareFrom = 1024;

const sha2 =
  (name: 'SHA-256' | 'SHA-512', plain: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>) =>
  (bytes: Uint8Array): Uint8Array | Promise<Uint8Array> =>
    bytes.length < hardwareFrom
      ? plain(bytes)
      : crypto.subtle.digest(name, bytes as Uint8Array<ArrayBuffer>).then((digest) => new Uint8Array(digest));

/** {@link Hashes} as this platform does them fastest. */
export const platformHashes: Hashes = {
  keccak256,
  sha256: sha2('SHA-256', plainHashes.sha256),
  sha512: sha2('SHA-512', plainHashes.sha512),
};
