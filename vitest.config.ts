import path from 'node:path';
import { defineConfig } from 'vitest/config';

const here = import.meta.dirname;

// What Node has compiled, or stripped of types, it need not compile again: every worker loads the same packages, and tests of
// the command line start a new Node for each command.
process.env['NODE_COMPILE_CACHE'] = path.join(here, '.local/compile-cache');

export default defineConfig({
  resolve: { alias: { 'cloudflare:workers': path.join(here, 'test/cloudflare-workers.ts') } },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/bundle.ts'],
    // Most of a stack test is waiting (for blocks, seals, deadlines): four at once keep two cores busy.
    maxWorkers: 4,
    // A machine of CI's can stall for seconds; a test about time then gets a second chance. Locally none does.
    retry: process.env['CI'] ? 1 : 0,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
