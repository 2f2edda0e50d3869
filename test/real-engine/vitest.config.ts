import path from 'node:path';
import { defineConfig } from 'vitest/config';

// `npm run test:engine`: not part of `npm test`, because the engine is 725 MB to install.
export default defineConfig({
  test: {
    root: path.resolve(import.meta.dirname, '../..'),
    include: ['test/real-engine/engine.spec.ts'],
    globalSetup: ['test/bundle.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
