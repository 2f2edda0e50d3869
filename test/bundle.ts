import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { buildWorker } from '../dev/gateway.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The Worker as `wrangler deploy` would upload it, built once for the whole run. */
    bundleDir: string;
  }
}

export default async function setup(project: TestProject): Promise<() => void> {
  const local = path.resolve(import.meta.dirname, '../.local');
  mkdirSync(local, { recursive: true });
  const dir = mkdtempSync(path.join(local, 'bundle-'));
  project.provide('bundleDir', await buildWorker(dir));
  return () => rmSync(dir, { recursive: true, force: true });
}
