// The platform's module, as far as an object needs it outside the platform. Whoever imports this file may import, dynamically and after it,
// files that import `cloudflare:workers`: they get this one.
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
});
