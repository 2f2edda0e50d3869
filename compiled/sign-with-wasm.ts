/// <reference path="./wasm-module.d.ts" />

import compiled from './libsecp256k1.wasm';
import { compiledSign } from './sign.ts';

/** See {@link compiledSign}. */
export const signWithWasm = compiledSign(compiled);
