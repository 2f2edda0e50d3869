import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';

export type Child = { readonly url: string; readonly process: ChildProcess; readonly close: () => void };

/** Runs a script of this folder that prints its URL first. */
export async function startScript(script: string): Promise<Child> {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, script)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const died = once(child, 'exit').then(() => {
    throw new Error(`${script} did not start`);
  });
  const [url] = (await Promise.race([once(createInterface(child.stdout), 'line'), died])) as [string];
  died.catch(() => undefined);
  return { url, process: child, close: () => void child.kill() };
}
