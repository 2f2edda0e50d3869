// `npm start` as a person meets it: what it prints, what it leaves behind, what happens when it is killed.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createPublicClient, http } from 'viem';
import { afterEach, expect, inject, test } from 'vitest';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { processes } from '../dev/processes.ts';
import type { StackDescription } from '../dev/stack.ts';

const root = path.resolve(import.meta.dirname, '..');
const localDir = path.join(root, '.local', `start-test-${process.pid}`);
const description = path.join(localDir, 'stack.json');

let running: ChildProcess[] = [];

/** Only the whole life builds its Worker too, as a person's first start does; the others take the one of this run. */
function start(...flags: string[]) {
  const bundle = flags.includes('--once') ? {} : { TALLYSTICK_BUNDLE_DIR: inject('bundleDir') };
  const child = spawn(process.execPath, ['dev/start.ts', ...flags], {
    cwd: root,
    env: { ...process.env, TALLYSTICK_LOCAL_DIR: localDir, NO_COLOR: '1', ...bundle },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk));
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  const said = async (text: string, ms = 40_000): Promise<void> => {
    for (const end = Date.now() + ms; !output.includes(text); ) {
      if (Date.now() > end || child.exitCode !== null)
        throw new Error(`never said ${JSON.stringify(text)}:\n${output}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  return { child, ended, said, output: () => output };
}

const alive = (pid: number): boolean => processes().some((running) => running.pid === pid);
const childrenOf = (pid: number): number[] =>
  processes()
    .filter((running) => running.parent === pid)
    .map((running) => running.pid);

afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
  running = [];
  rmSync(localDir, { recursive: true, force: true });
});

test('--once shows every step of an agent’s life, ends with 0, and leaves nothing running', async () => {
  const { child, ended, output } = start('--once');
  const code = await ended;
  const shown = output();
  expect(shown).toMatch(/registered\s+as agent 3: eip155:31337:0x[0-9a-f]{40}:3/);
  expect(shown).toMatch(/deposited\s+5 0G into the vault, transaction 0x/);
  expect(shown).toMatch(/answer\s+\S/);
  expect(shown).toMatch(/usage\s+\d+ tokens in, \d+ out/);
  expect(shown).toMatch(/cost\s+0\.\d+ 0G/);
  expect(shown).toMatch(/receipt\s+0x[0-9a-f]{64}/);
  expect(shown).toMatch(/published\s+0G Storage root 0x[0-9a-f]{64}, submission \d+ \(node-confirmed\)/);
  expect(shown).toMatch(/anchored\s+a head of \d+ entries, transaction 0x/);
  expect(shown.match(/ ✓ /g)?.length).toBeGreaterThan(10);
  expect(shown).not.toContain('✗');
  expect(shown).toMatch(/settled\s+the vault has paid the operator 0\.\d+ 0G/);
  expect(code).toBe(0);
  expect(childrenOf(child.pid ?? 0)).toEqual([]);
  expect(existsSync(description)).toBe(false);
}, 90_000);

test('a stack says how to reach it; what a killed one left behind is ended at the next start; Ctrl-C ends everything', async () => {
  const killed = start('--no-agent');
  await killed.said('Ctrl-C ends everything.');
  const stack = JSON.parse(readFileSync(description, 'utf8')) as StackDescription;
  expect(Object.keys(stack)).toEqual(
    expect.arrayContaining(
      'gatewayUrl rpcUrl chainId identityRegistry vault anchor flow storageUrl qwenUrl operator agents'.split(
        ' ',
      ),
    ),
  );
  expect(stack.agents.map((agent) => agent.agentId)).toEqual(['0', '1', '2']);
  expect((await fetch(`${stack.gatewayUrl}/healthz`)).status).toBe(200);
  const reader = createPublicClient({ transport: http(stack.rpcUrl) });
  const account = await reader.readContract({
    address: stack.vault,
    abi: agentVaultAbi,
    functionName: 'account',
    args: [stack.identityRegistry, 0n],
  });
  expect(account.deposited).toBe(10n ** 19n);
  expect(account.owner.toLowerCase()).toBe(stack.agents[0]?.address);

  const orphans = childrenOf(killed.child.pid ?? 0);

  const second = start('--no-agent');
  expect(await second.ended).toBe(1);
  expect(second.output()).toContain('A stack is already running here');
  expect(orphans.every(alive)).toBe(true);

  killed.child.kill('SIGKILL');
  await killed.ended;
  const third = start('--no-agent');
  await third.said('Ctrl-C ends everything.');
  expect(third.output()).toMatch(/ended \d+ processes an earlier stack left behind/);
  expect(orphans.filter(alive)).toEqual([]);

  const started = childrenOf(third.child.pid ?? 0);
  expect(started.length).toBeGreaterThanOrEqual(2);
  third.child.kill('SIGINT');
  // 130 is what shells call a program ended by Ctrl-C.
  expect([0, 130]).toContain(await third.ended);
  expect(existsSync(description)).toBe(false);
  expect(started.filter(alive)).toEqual([]);
}, 90_000);

test('a port that is none is refused in words', async () => {
  const child = spawn(process.execPath, ['dev/start.ts', '--once'], {
    cwd: root,
    env: { ...process.env, TALLYSTICK_LOCAL_DIR: localDir, PORT: 'eighty' },
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk));
  const [code] = await once(child, 'exit');
  expect(code).toBe(1);
  expect(said).toContain('PORT is "eighty"');
});
