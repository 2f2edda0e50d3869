// Ethereum keystore files (Web3 Secret Storage, version 3): what geth, foundry and most wallets write.
import { pbkdf2Async } from '@noble/hashes/pbkdf2.js';
import { scryptAsync } from '@noble/hashes/scrypt.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { toHex } from '../protocol/hex.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';

/** Files that ask for more memory than this are refused: a keystore is not a reason to exhaust the machine. */
const scryptMemoryMax = 2 ** 30;
const pbkdf2RoundsMax = 10_000_000;

/** The private key in a keystore file. The error is a sentence; it never has a part of the key in it. */
export async function readKeystore(text: string, password: string): Promise<Result<Hex, string>> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return refuse('the keystore file is not JSON');
  }
  const file = isRecord(json) ? json : {};
  const crypto = isRecord(file['crypto']) ? file['crypto'] : isRecord(file['Crypto']) ? file['Crypto'] : {};
  const cipherparams = isRecord(crypto['cipherparams']) ? crypto['cipherparams'] : {};
  const ciphertext = bytesOf(crypto['ciphertext']);
  const iv = bytesOf(cipherparams['iv']);
  const mac = bytesOf(crypto['mac']);
  if (
    file['version'] !== 3 ||
    crypto['cipher'] !== 'aes-128-ctr' ||
    !ciphertext ||
    !mac ||
    iv?.length !== 16
  ) {
    return refuse('only keystore files of version 3 with aes-128-ctr can be read');
  }
  const derived = await derive(crypto, utf8ToBytes(password));
  if (!derived.ok) return derived;
  if (toHex(keccak_256(concatBytes(derived.value.subarray(16, 32), ciphertext))) !== toHex(mac)) {
    return refuse('the password does not open the keystore');
  }
  const raw = new Uint8Array(derived.value.subarray(0, 16));
  const key = await globalThis.crypto.subtle.importKey('raw', raw, 'AES-CTR', false, ['decrypt']);
  const algorithm = { name: 'AES-CTR', counter: iv, length: 128 };
  const secret = new Uint8Array(await globalThis.crypto.subtle.decrypt(algorithm, key, ciphertext));
  return secret.length === 32 ? ok(toHex(secret)) : refuse('the keystore holds no private key');
}

async function derive(
  crypto: Readonly<Record<string, unknown>>,
  password: Uint8Array,
): Promise<Result<Uint8Array, string>> {
  const params = isRecord(crypto['kdfparams']) ? crypto['kdfparams'] : {};
  const salt = bytesOf(params['salt']);
  const { n, r, p, c, dklen, prf } = params;
  if (!salt || dklen !== 32) return refuse('the keystore lacks a salt, or derives no 32 bytes');
  if (crypto['kdf'] === 'scrypt' && isCount(n) && isCount(r) && isCount(p)) {
    if (128 * n * r > scryptMemoryMax || p > 16) return refuse('the keystore asks for too much memory');
    if ((n & (n - 1)) !== 0) return refuse('the keystore’s scrypt n is no power of two');
    return ok(await scryptAsync(password, salt, { N: n, r, p, dkLen: 32, maxmem: 2 * scryptMemoryMax }));
  }
  if (crypto['kdf'] === 'pbkdf2' && prf === 'hmac-sha256' && isCount(c) && c <= pbkdf2RoundsMax) {
    return ok(await pbkdf2Async(sha256, password, salt, { c, dkLen: 32 }));
  }
  return refuse('the keystore’s key derivation is neither scrypt nor pbkdf2 with hmac-sha256');
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;

function bytesOf(value: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (typeof value !== 'string') return undefined;
  const bare = value.replace(/^0x/, '');
  return /^([0-9a-fA-F]{2})+$/.test(bare) ? new Uint8Array(hexToBytes(bare)) : undefined;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
