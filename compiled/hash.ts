/** What ox's module of hash functions offers: each hashes `length` bytes at `input` to 32 bytes at `digest`, byte offsets all. */
type Hash = (input: number, length: number, digest: number) => void;
type Exports = {
  readonly memory: WebAssembly.Memory;
  readonly heap_base: () => number;
  readonly keccak256: Hash;
  readonly sha256: Hash;
};

export type CompiledHashes = {
  readonly keccak256: (input: Uint8Array) => Uint8Array;
  readonly sha256: (input: Uint8Array) => Uint8Array;
};

/** Hash functions in WebAssembly. One instance, made at the first use. */
export function compiledHashes(compiled: WebAssembly.Module): CompiledHashes {
  let exports: Exports | undefined;
  let base = 0;
  let memory = new Uint8Array();
  const hash = (name: 'keccak256' | 'sha256') => (input: Uint8Array) => {
    if (exports === undefined) {
      exports = new WebAssembly.Instance(compiled, {}).exports as unknown as Exports;
      base = exports.heap_base();
      memory = new Uint8Array(exports.memory.buffer);
    }
    const missing = base + 32 + input.length - memory.length;
    if (missing > 0) {
      exports.memory.grow(Math.ceil(missing / 65_536));
      memory = new Uint8Array(exports.memory.buffer);
    }
    memory.set(input, base + 32);
    exports[name](base + 32, input.length, base);
    return memory.slice(base, base + 32);
  };
  return { keccak256: hash('keccak256'), sha256: hash('sha256') };
}
