import { hexToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { toHex } from '../protocol/hex.ts';

/** What ox's build of libsecp256k1 offers. Pointers are byte offsets; 1 is success. */
type Exports = {
  readonly memory: WebAssembly.Memory;
  readonly heap_base: () => number;
  readonly secp256k1_init: () => number;
  /** Blinds the context against whoever measures it. */
  readonly secp256k1_randomize: (seed32: number) => number;
  /** RFC 6979 with SHA-256, low s; the signature comes as `recovery id || r || s`. No entropy: deterministic. */
  readonly secp256k1_sign: (
    message: number,
    messageLength: number,
    privateKey32: number,
    entropy: number,
    entropyLength: number,
    prehash: 0 | 1,
    signature65: number,
  ) => number;
  readonly zero: (pointer: number, length: number) => void;
};

const digestLength = 32;
const keyLength = 32;
const signatureLength = 65;
const workspaceLength = digestLength + keyLength + signatureLength;

function instantiate(compiled: WebAssembly.Module): { exports: Exports; memory: Uint8Array; at: number } {
  const exports = new WebAssembly.Instance(compiled, {}).exports as unknown as Exports;
  const at = exports.heap_base();
  const missing = at + workspaceLength - exports.memory.buffer.byteLength;
  if (missing > 0) exports.memory.grow(Math.ceil(missing / 65_536));
  if (exports.secp256k1_init() !== 1) throw new Error('libsecp256k1 has no context');
  const memory = new Uint8Array(exports.memory.buffer);
  memory.set(crypto.getRandomValues(new Uint8Array(32)), at);
  if (exports.secp256k1_randomize(at) !== 1) throw new Error('libsecp256k1 cannot be randomized');
  return { exports, memory, at };
}

/**
 * `signDigest` of protocol/ecdsa.ts by libsecp256k1 in WebAssembly: the same bytes, in constant time, ten times as fast. One
 * instance, made at the first use; the key is wiped from its memory after each.
 *
 * @returns `digest` (32 bytes) and a private key to 65 bytes `r || s || v`, v 27 or 28; throws for a key that is none
 */
export function compiledSign(compiled: WebAssembly.Module): (digest: Hex, privateKey: Hex) => Hex {
  let library: ReturnType<typeof instantiate> | undefined;
  return (digest, privateKey) => {
    library ??= instantiate(compiled);
    const { exports, memory, at } = library;
    const message = hexToBytes(digest.slice(2));
    const key = hexToBytes(privateKey.slice(2));
    if (message.length !== digestLength || key.length !== keyLength)
      throw new RangeError('a digest and a private key are 32 bytes each');
    const keyAt = at + digestLength;
    const signatureAt = keyAt + keyLength;
    try {
      memory.set(message, at);
      memory.set(key, keyAt);
      if (exports.secp256k1_sign(at, digestLength, keyAt, 0, 0, 0, signatureAt) !== 1)
        throw new Error('this private key cannot sign: it is zero or not below the order of the curve');
      const signature = new Uint8Array(signatureLength);
      signature.set(memory.subarray(signatureAt + 1, signatureAt + signatureLength));
      signature[64] = 27 + (memory[signatureAt] ?? 0);
      return toHex(signature);
    } finally {
      exports.zero(at, workspaceLength);
    }
  };
}
