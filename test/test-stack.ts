import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { inject } from 'vitest';
import { type Stack, type StackOptions, startStack } from '../dev/stack.ts';

/** A stack of the test's own, in a folder of its own, on the bundle that was built for this run, without the console's files. */
export async function startTestStack(options: StackOptions = {}): Promise<Stack> {
  const local = path.resolve(import.meta.dirname, '../.local');
  mkdirSync(local, { recursive: true });
  const localDir = mkdtempSync(path.join(local, 'test-'));
  const stack = await startStack({ bundleDir: inject('bundleDir'), localDir, console: false, ...options });
  const { close } = stack;
  return Object.assign(Object.create(stack) as Stack, {
    close: async () => {
      await close();
      rmSync(localDir, { recursive: true, force: true });
    },
  });
}
