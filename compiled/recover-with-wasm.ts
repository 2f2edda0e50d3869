/// <reference path="./wasm-module.d.ts" />
import { keccak256 } from './hash-with-wasm.ts';
import { compiledRecover } from './recover.ts';
import compiled from './secp256k1.wasm';

/** See {@link compiledRecover}. */
export const recoverWithWasm = compiledRecover(compiled, keccak256);
