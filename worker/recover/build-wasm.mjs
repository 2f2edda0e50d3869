// Decodes the WebAssembly that ox carries as base64 into .wasm files beside this one: workerd compiles no code at run
// time, so a module must be imported as one. Run by wrangler before every build (wrangler.toml, [build]).
//
// The files are not committed: they are made from the locked package, and checked here against what was reviewed.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const ox = path.dirname(createRequire(import.meta.url).resolve('ox/wasm/Secp256k1'));

/** SHA-256 of each module as built by ox 1.8.3: libsecp256k1 0.7 and the Keccak reference, without imports. */
const modules = {
  secp256k1: '43c2577db864818370d5fc57221369aa1ee2b0211264629f7055c6fdeaec2caa',
  hashes: '94542e317c6d743a8b4451f00ac8a68e0e7dd76375af55d9737c450e1db321ed',
};

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

for (const [name, expected] of Object.entries(modules)) {
  const target = path.join(here, `${name}.wasm`);
  if (existsSync(target) && sha256(readFileSync(target)) === expected) continue;
  const source = path.join(ox, 'internal', `${name}.wasm.js`);
  const { wasmBase64 } = await import(pathToFileURL(source).href);
  const bytes = Buffer.from(wasmBase64, 'base64');
  if (sha256(bytes) !== expected) {
    throw new Error(`${source} is not the module that was reviewed: ${sha256(bytes)}, expected ${expected}`);
  }
  // Two builds at once must not read each other's half.
  const whole = `${target}.${process.pid}`;
  writeFileSync(whole, bytes);
  renameSync(whole, target);
}
