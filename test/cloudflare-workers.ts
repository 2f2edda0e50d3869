// As much of the platform's module `cloudflare:workers` as Durable Objects need outside of it: vitest.config.ts puts it there.

export class DurableObject {
  readonly ctx: unknown;
  readonly env: unknown;

  constructor(ctx: unknown, env: unknown) {
    this.ctx = ctx;
    this.env = env;
  }
}
