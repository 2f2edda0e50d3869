/// <reference path="./wasm-module.d.ts" />
import { compiledHashes } from './hash.ts';
import compiled from './hashes.wasm';

/** See {@link compiledHashes}. */
export const { keccak256, sha256 } = compiledHashes(compiled);
