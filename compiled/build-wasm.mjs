// Makes the .wasm files beside this one: workerd compiles no code at run time, so a module must be imported as one. Run by
// wrangler before every build (wrangler.toml, [build]).
//
// None of the files is committed. secp256k1.wasm (recovery) is assembled from secp256k1/; hashes.wasm and libsecp256k1.wasm
// (signing) are what ox carries as base64, decoded, and checked here against what was tested.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { recoveryModule } from './secp256k1/recover.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));

/** What ox 1.8.3 carries, compiled from C, without imports: file here, module there, SHA-256. */
const carried = [
  ['hashes.wasm', 'hashes.wasm.js', '94542e317c6d743a8b4451f00ac8a68e0e7dd76375af55d9737c450e1db321ed'],
  [
    'libsecp256k1.wasm',
    'secp256k1.wasm.js',
    '43c2577db864818370d5fc57221369aa1ee2b0211264629f7055c6fdeaec2caa',
  ],
];

/** Two builds at once must not read each other's half; one that changes nothing writes nothing. */
function write(name, bytes) {
  const target = path.join(here, name);
  if (existsSync(target) && readFileSync(target).equals(bytes)) return;
  const whole = `${target}.${process.pid}`;
  writeFileSync(whole, bytes);
  renameSync(whole, target);
}

const ox = path.dirname(createRequire(import.meta.url).resolve('ox/wasm/Secp256k1'));
for (const [name, module, sha256] of carried) {
  const source = path.join(ox, 'internal', module);
  const { wasmBase64 } = await import(pathToFileURL(source).href);
  const bytes = Buffer.from(wasmBase64, 'base64');
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found !== sha256) {
    throw new Error(`${source} is not the module that was tested: ${found}, expected ${sha256}`);
  }
  write(name, bytes);
}
write('secp256k1.wasm', Buffer.from(recoveryModule()));
