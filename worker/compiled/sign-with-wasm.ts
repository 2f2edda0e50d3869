/// <reference path="./wasm-module.d.ts" />
import { compiledSign } from './compiled-sign.ts';
import compiled from './libsecp256k1.wasm';

/** See {@link compiledSign}. */
export const signWithWasm = compiledSign(compiled);
