import { sha256 as plainSha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { type Hashes, plainHashes } from './hashes.ts';

/** The 32 bytes an account signs for a message (ERC-191 `personal_sign`, ERC-8128 section 3.4.3). */
export const personalMessageHash = (message: Uint8Array, hashes: Hashes = plainHashes): Uint8Array =>
  hashes.keccak256(concatBytes(utf8ToBytes(`\x19Ethereum Signed Message:\n${message.length}`), message));

/** The same for a text of ASCII alone, whose bytes are its characters: one encoding and no copies. */
export const personalTextHash = (text: string, hashes: Hashes = plainHashes): Uint8Array =>
  hashes.keccak256(utf8ToBytes(`\x19Ethereum Signed Message:\n${text.length}${text}`));

/**
 * The receipt's *authorization hash* (docs/protocol.md section 1): what was signed and with which signature. A platform may have a
 * faster SHA-256 than plain JavaScript.
 */
export const authorizationHash = (
  base: string,
  signature: Uint8Array,
  sha256: (bytes: Uint8Array) => Uint8Array = plainSha256,
): Hex => `0x${bytesToHex(sha256(concatBytes(sha256(utf8ToBytes(base)), sha256(signature))))}`;
