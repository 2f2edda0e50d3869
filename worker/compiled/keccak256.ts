/// <reference path="./wasm-module.d.ts" />
import { compiledKeccak256 } from './compiled-hash.ts';
import compiled from './hashes.wasm';

/** Keccak-256 in WebAssembly. */
export const keccak256 = compiledKeccak256(compiled);
