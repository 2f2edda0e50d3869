import { bytesToHex } from '@noble/hashes/utils.js';
import { isStrictSignature, type Recover } from '../../protocol/identity/recover.ts';

/** What libsecp256k1, as ox builds it, offers to recovery. Pointers are byte offsets; 1 is success. */
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

type Library = { readonly exports: Exports; readonly memory: Uint8Array; readonly base: number };

/** `recovery id || r || s`, the digest, the public key: one after the other from the heap's base. */
const workspaceBytes = 65 + 32 + 65;

function load(compiled: WebAssembly.Module): Library {
  const exports = new WebAssembly.Instance(compiled, {}).exports as unknown as Exports;
  const base = exports.heap_base();
  if (exports.memory.buffer.byteLength < base + workspaceBytes) exports.memory.grow(1);
  if (exports.secp256k1_init() !== 1) throw new Error('secp256k1.wasm: no context');
  // Nothing grows the memory from here on, so this view stays good.
  const memory = new Uint8Array(exports.memory.buffer);
  memory.set(crypto.getRandomValues(new Uint8Array(32)), base);
  if (exports.secp256k1_randomize(base) !== 1) throw new Error('secp256k1.wasm: not randomized');
  memory.fill(0, base, base + 32);
  return { exports, memory, base };
}

/**
 * {@link Recover} by libsecp256k1 in WebAssembly: the same answers as `recoverWithNoble`, many times as fast. One instance,
 * made at the first use: random bytes are not to be had while a Worker starts.
 */
export function compiledRecover(
  compiled: WebAssembly.Module,
  keccak256: (input: Uint8Array) => Uint8Array,
): Recover {
  let library: Library | undefined;
  return (digest, signature) => {
    if (digest.length !== 32 || !isStrictSignature(signature)) return undefined;
    library ??= load(compiled);
    const { exports, memory, base } = library;
    const message = base + 65;
    const publicKey = message + 32;
    memory[base] = (signature[64] ?? 0) - 27;
    memory.set(signature.subarray(0, 64), base + 1);
    memory.set(digest, message);
    if (exports.secp256k1_recover_public_key(base, message, 32, publicKey) !== 1) return undefined;
    return `0x${bytesToHex(keccak256(memory.subarray(publicKey + 1, publicKey + 65)).subarray(12))}`;
  };
}
