// What the gateway is measured beside: Portkey's open-source gateway, installed from npm on first use, and a bare Worker.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { freePort } from '../dev/stack.ts';

const folder = path.join(import.meta.dirname, 'portkey');
const server = path.join(folder, 'node_modules/@portkey-ai/gateway/build/start-server.js');

export type Portkey = {
  readonly url: string;
  readonly pid: number;
  /** What tells it where to go. */
  readonly headers: (upstreamUrl: string) => Readonly<Record<string, string>>;
  readonly close: () => void;
};

export async function startPortkey(): Promise<Portkey> {
  if (!existsSync(server)) {
    console.log('installing Portkey’s gateway …');
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder, stdio: 'ignore' });
  }
  const port = await freePort();
  const child = spawn(process.execPath, [server, '--headless', `--port=${port}`], {
    stdio: 'ignore',
    env: { ...process.env, NODE_ENV: 'production' },
  });
  if (child.pid === undefined) throw new Error('Portkey’s gateway has no process id');
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; ; tries += 1) {
    const up = await fetch(url).then(
      (response) => response.ok,
      () => false,
    );
    if (up) break;
    if (tries === 100 || child.exitCode !== null) throw new Error('Portkey’s gateway did not start');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    url,
    pid: child.pid,
    headers: (upstreamUrl) => ({
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `${upstreamUrl}/v1`,
      authorization: 'Bearer bench',
    }),
    close: () => void child.kill(),
  };
}
