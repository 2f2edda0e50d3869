/// <reference path="../compiled/wasm-module.d.ts" />
// The peer of our recovery: libsecp256k1 in WebAssembly, as ox carries it and as the gateway once ran it.
import { bytesToHex } from '@noble/hashes/utils.js';
import { keccak256 } from '../compiled/hash-with-wasm.ts';
import compiled from '../compiled/libsecp256k1.wasm';
import type { Recover } from '../protocol/identity/recover.ts';

/** Pointers are byte offsets; 1 is success. */
type Exports = {
  readonly memory: WebAssembly.Memory;
  readonly heap_base: () => number;
  readonly secp256k1_init: () => number;
  readonly secp256k1_randomize: (seed32: number) => number;
  readonly secp256k1_recover_public_key: (
    signature65: number,
    message: number,
    messageLength: number,
    publicKey65: number,
  ) => number;
};

let library: { readonly exports: Exports; readonly memory: Uint8Array; readonly base: number } | undefined;

function load(): NonNullable<typeof library> {
  const exports = new WebAssembly.Instance(compiled, {}).exports as unknown as Exports;
  const base = exports.heap_base();
  // `recovery id || r || s`, the digest and the public key go behind one another from here.
  if (exports.memory.buffer.byteLength < base + 65 + 32 + 65) exports.memory.grow(1);
  if (exports.secp256k1_init() !== 1) throw new Error('ox: no context');
  const memory = new Uint8Array(exports.memory.buffer);
  memory.set(crypto.getRandomValues(new Uint8Array(32)), base);
  if (exports.secp256k1_randomize(base) !== 1) throw new Error('ox: not randomized');
  return { exports, memory, base };
}

export const recoverWithOx: Recover = (digest, signature) => {
  library ??= load();
  const { exports, memory, base } = library;
  const message = base + 65;
  const publicKey = message + 32;
  memory[base] = (signature[64] ?? 0) - 27;
  memory.set(signature.subarray(0, 64), base + 1);
  memory.set(digest, message);
  if (exports.secp256k1_recover_public_key(base, message, 32, publicKey) !== 1) return undefined;
  return `0x${bytesToHex(keccak256(memory.subarray(publicKey + 1, publicKey + 65)).subarray(12))}`;
};
