import { bytesToHex } from '@noble/hashes/utils.js';
import { isStrictSignature, type Recover } from '../protocol/identity/recover.ts';

/** What secp256k1/recover.mjs assembles. */
type Exports = {
  readonly memory: WebAssembly.Memory;
  /** Where r, s and the digest go, 32 bytes each, and the public key's coordinates come. */
  readonly workspace: () => number;
  /** 1 if there is a public key. */
  readonly recover: (odd: number) => number;
};

/**
 * {@link Recover} in WebAssembly: the same answers as `recoverWithNoble`, many times as fast. One instance, made at the first
 * use.
 */
export function compiledRecover(
  compiled: WebAssembly.Module,
  keccak256: (input: Uint8Array) => Uint8Array,
): Recover {
  let library: { readonly exports: Exports; readonly memory: Uint8Array; readonly at: number } | undefined;
  return (digest, signature) => {
    if (digest.length !== 32 || !isStrictSignature(signature)) return undefined;
    if (library === undefined) {
      const exports = new WebAssembly.Instance(compiled, {}).exports as unknown as Exports;
      library = { exports, memory: new Uint8Array(exports.memory.buffer), at: exports.workspace() };
    }
    const { exports, memory, at } = library;
    memory.set(signature.subarray(0, 64), at);
    memory.set(digest, at + 64);
    if (exports.recover((signature[64] ?? 0) - 27) !== 1) return undefined;
    return `0x${bytesToHex(keccak256(memory.subarray(at + 96, at + 160)).subarray(12))}`;
  };
}
