/** What ox's module of hash functions offers: hashes `length` bytes at `input` to 32 bytes at `digest`, byte offsets all. */
type Exports = {
  readonly memory: WebAssembly.Memory;
  readonly heap_base: () => number;
  readonly keccak256: (input: number, length: number, digest: number) => void;
};

/** Keccak-256 in WebAssembly. One instance, made at the first use. */
export function compiledKeccak256(compiled: WebAssembly.Module): (input: Uint8Array) => Uint8Array {
  let exports: Exports | undefined;
  let base = 0;
  return (input) => {
    if (exports === undefined) {
      exports = new WebAssembly.Instance(compiled, {}).exports as unknown as Exports;
      base = exports.heap_base();
    }
    const missing = base + 32 + input.length - exports.memory.buffer.byteLength;
    if (missing > 0) exports.memory.grow(Math.ceil(missing / 65_536));
    const memory = new Uint8Array(exports.memory.buffer);
    memory.set(input, base + 32);
    exports.keccak256(base + 32, input.length, base);
    return memory.slice(base, base + 32);
  };
}
