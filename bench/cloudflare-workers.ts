// The platform's module, as far as an object needs it outside the platform. Whoever imports this file may import, dynamically and after it,
// files that import `cloudflare:workers`: they get this one. They may import compiled modules too, as the platform lets them.
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

export class DurableObject {
  readonly ctx: unknown;
  readonly env: unknown;

  constructor(ctx: unknown, env: unknown) {
    this.ctx = ctx;
    this.env = env;
  }
}

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'cloudflare:workers'
      ? { url: import.meta.url, shortCircuit: true }
      : next(specifier, context),
  load(url, context, next) {
    if (!url.endsWith('.wasm')) return next(url, context);
    const bytes = readFileSync(new URL(url)).toString('base64');
    const source = `export default new WebAssembly.Module(Buffer.from('${bytes}', 'base64'));`;
    return { format: 'module', source, shortCircuit: true };
  },
});
