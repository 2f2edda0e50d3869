// Makes the .wasm files beside this one: workerd compiles no code at run time, so a module must be imported as one. Run by
// wrangler before every build (wrangler.toml, [build]).
//
// Neither file is committed. secp256k1.wasm is assembled from secp256k1/; hashes.wasm is what ox carries as base64, decoded,
// and checked here against what was reviewed.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { recoveryModule } from './secp256k1/recover.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));

/** Of ox 1.8.3's hash functions, in C, without imports. */
const hashesSha256 = '94542e317c6d743a8b4451f00ac8a68e0e7dd76375af55d9737c450e1db321ed';

/** Two builds at once must not read each other's half; one that changes nothing writes nothing. */
function write(name, bytes) {
  const target = path.join(here, name);
  if (existsSync(target) && readFileSync(target).equals(bytes)) return;
  const whole = `${target}.${process.pid}`;
  writeFileSync(whole, bytes);
  renameSync(whole, target);
}

const ox = path.dirname(createRequire(import.meta.url).resolve('ox/wasm/Secp256k1'));
const source = path.join(ox, 'internal/hashes.wasm.js');
const { wasmBase64 } = await import(pathToFileURL(source).href);
const hashes = Buffer.from(wasmBase64, 'base64');
const found = createHash('sha256').update(hashes).digest('hex');
if (found !== hashesSha256) {
  throw new Error(`${source} is not the module that was reviewed: ${found}, expected ${hashesSha256}`);
}
write('hashes.wasm', hashes);
write('secp256k1.wasm', Buffer.from(recoveryModule()));
