/// <reference path="./wasm-module.d.ts" />
import { compiledRecover } from './compiled-recover.ts';
import { keccak256 } from './keccak256.ts';
import compiled from './secp256k1.wasm';

/** See {@link compiledRecover}. */
export const recoverWithWasm = compiledRecover(compiled, keccak256);
