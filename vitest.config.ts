import path from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const here = import.meta.dirname;

// What Node has compiled, or stripped of types, it need not compile again: every worker loads the same packages, and tests of
// the command line start a new Node for each command.
process.env['NODE_COMPILE_CACHE'] = path.join(here, '.local/compile-cache');

/** The tests that take longest, the longest first. */
const longest = [
  'log-faults',
  'money-chain',
  'money-attacks',
  'package',
  'cli-life',
  'start',
  'console',
  'log-chain-faults',
  'observe',
  'doctor',
];

/**
 * These before all others: one that began last would have the machine to itself for most of a minute. Left alone, vitest
 * goes by what it remembers of an earlier run, and on a fresh clone by the size of the files.
 */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = longest.indexOf(path.basename(moduleId, '.test.ts'));
      return at < 0 ? longest.length : at;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

/** A compiled module, as workerd imports one. */
const wasm = {
  name: 'wasm',
  enforce: 'pre' as const,
  load(file: string) {
    if (!file.endsWith('.wasm')) return;
    return `import { readFileSync } from 'node:fs';
      export default new WebAssembly.Module(readFileSync(${JSON.stringify(file)}));`;
  },
};

export default defineConfig({
  resolve: { alias: { 'cloudflare:workers': path.join(here, 'test/cloudflare-workers.ts') } },
  plugins: [wasm],
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/bundle.ts'],
    // Most of a stack test is waiting (for blocks, seals, deadlines): four at once keep two cores busy.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    // A machine of CI's can stall for seconds; a test about time then gets a second chance. Locally none does.
    retry: process.env['CI'] ? 1 : 0,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
