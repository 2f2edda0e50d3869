import { defineConfig } from 'vitest/config';

export default defineConfig({
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
