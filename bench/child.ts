import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { startedWorkerds } from '../dev/processes.ts';

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

/** Runs `start`, and finds the workerd that it started. */
export async function withPid<T>(
  start: () => Promise<T>,
): Promise<{ readonly started: T; readonly pid: number }> {
  const before = new Set(startedWorkerds());
  const started = await start();
  const pid = startedWorkerds().find((one) => !before.has(one));
  if (pid === undefined) throw new Error('no workerd was started');
  return { started, pid };
}
