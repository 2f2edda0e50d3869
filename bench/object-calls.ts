// How many calls the Worker makes to Durable Objects for one request: each is a round trip, and billed.
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseEther } from 'viem';
import { buildWorker } from '../dev/gateway.ts';
import { startStack } from '../dev/stack.ts';
import { rawAgent } from '../test/raw-agent.ts';

const root = path.resolve(import.meta.dirname, '..');
const counted = 'counted-worker';
const warmCalls = 100;

/** Calls a request, by the objects' binding: of an agent's very first request, and of its later ones on average. */
export type ObjectCalls = {
  readonly first: Readonly<Record<string, number>>;
  readonly warm: Readonly<Record<string, number>>;
};

/** The gateway as wrangler.toml has it, but for the counting. */
async function buildCounted(outDir: string): Promise<void> {
  const absolute = (text: string, name: string, file: string): string => {
    const line = new RegExp(`^${name} = ".*"$`, 'm');
    if (!line.test(text)) throw new Error(`wrangler.toml has no ${name}`);
    return text.replace(line, `${name} = ${JSON.stringify(path.join(root, file))}`);
  };
  let config = readFileSync(path.join(root, 'wrangler.toml'), 'utf8');
  config = absolute(config, 'main', `bench/${counted}.mjs`);
  config = absolute(config, 'directory', 'console/dist');
  config = config.replace(/^\[build\]$/m, `[build]\ncwd = ${JSON.stringify(root)}`);
  const configFile = path.join(outDir, 'wrangler.toml');
  writeFileSync(configFile, config);
  await buildWorker(outDir, configFile);
  renameSync(path.join(outDir, `${counted}.js`), path.join(outDir, 'index.js'));
}

export async function objectCalls(): Promise<ObjectCalls> {
  const localDir = mkdtempSync('/dev/shm/tallystick-calls-');
  const bundleDir = mkdtempSync('/dev/shm/tallystick-calls-bundle-');
  try {
    await buildCounted(bundleDir);
    const stack = await startStack({
      localDir,
      bundleDir,
      agents: 1,
      direct: true,
      deposit: parseEther('90'),
    });
    try {
      const [local] = stack.agents;
      if (!local) throw new Error('the stack has no agent');
      const agent = rawAgent(stack, local);
      const headers = await agent.payment(parseEther('80'));
      const call = async (): Promise<void> => {
        const answer = await agent.chat('Hello.', { headers });
        if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
        await answer.text();
      };
      const calls = async (): Promise<Record<string, number>> =>
        (await (await fetch(`${stack.gatewayUrl}/bench/calls`)).json()) as Record<string, number>;
      await calls();
      await call();
      const first = await calls();
      for (let made = 0; made < warmCalls; made += 1) await call();
      const warm = Object.fromEntries(
        Object.entries(await calls()).map(([binding, count]) => [binding, count / warmCalls]),
      );
      return { first, warm };
    } finally {
      await stack.close();
    }
  } finally {
    for (const folder of [localDir, bundleDir]) rmSync(folder, { recursive: true, force: true });
  }
}
