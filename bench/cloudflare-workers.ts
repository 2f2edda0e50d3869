// Whoever imports this file may import, dynamically and after it, files that are made for the platform: those that import
// `cloudflare:workers`, for which the tests have a stand-in, and compiled modules.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

const standIn = new URL('../test/cloudflare-workers.ts', import.meta.url).href;

// They are built where the Worker is built, which may never have happened here.
execFileSync(process.execPath, [fileURLToPath(new URL('../compiled/build-wasm.mjs', import.meta.url))]);

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'cloudflare:workers' ? { url: standIn, shortCircuit: true } : next(specifier, context),
  load(url, context, next) {
    if (!url.endsWith('.wasm')) return next(url, context);
    const bytes = readFileSync(new URL(url)).toString('base64');
    const source = `export default new WebAssembly.Module(Buffer.from('${bytes}', 'base64'));`;
    return { format: 'module', source, shortCircuit: true };
  },
});
