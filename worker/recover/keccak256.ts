/// <reference path="./wasm-module.d.ts" />
import compiled from './hashes.wasm';

/** Keccak-256 as ox builds it: hashes `length` bytes at `input` to 32 bytes at `digest`. Pointers are byte offsets. */
type Exports = {
  readonly memory: WebAssembly.Memory;
  readonly heap_base: () => number;
  readonly keccak256: (input: number, length: number, digest: number) => void;
};

let library: { readonly exports: Exports; readonly base: number } | undefined;

/** Keccak-256 in WebAssembly. */
export function keccak256(input: Uint8Array): Uint8Array {
  if (library === undefined) {
    const exports = new WebAssembly.Instance(compiled, {}).exports as unknown as Exports;
    library = { exports, base: exports.heap_base() };
  }
  const { exports, base } = library;
  const missing = base + 32 + input.length - exports.memory.buffer.byteLength;
  if (missing > 0) exports.memory.grow(Math.ceil(missing / 65_536));
  const memory = new Uint8Array(exports.memory.buffer);
  memory.set(input, base + 32);
  exports.keccak256(base + 32, input.length, base);
  return memory.slice(base, base + 32);
}
