// The whole life of an agent by the command line alone, against the local stack. SESSION=file records it as a terminal shows it.
import { execFile } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Address, createTestClient, type Hex, http, parseEther } from 'viem';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fund } from '../dev/contracts.ts';
import type { Stack } from '../dev/stack.ts';
import { until, vaultAccount } from './money.ts';
import { startTestStack } from './test-stack.ts';

const entry = path.resolve(import.meta.dirname, '../client/cli/tallystick.ts');
const session = process.env['SESSION'];
let stack: Stack;
let folder: string;
let environment: Record<string, string>;

type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string };

function cli(...args: string[]): Promise<Ended> {
  const { PATH = '', NODE_COMPILE_CACHE = '' } = process.env;
  const env = { PATH, NODE_COMPILE_CACHE, HOME: folder, NO_COLOR: '1', ...environment };
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [entry, ...args],
      { cwd: folder, env },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code);
        if (session) appendFileSync(session, `$ tallystick ${args.join(' ')}\n${stdout}${stderr}\n`);
        resolve({ code, stdout, stderr });
      },
    );
    child.stdin?.end();
  });
}

/** One that has to succeed. */
async function done(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cli(...args);
  expect({ code, stderr: code === 0 ? '' : stderr, args }).toEqual({ code: 0, stderr: '', args });
  return stdout;
}

const json = async (...args: string[]) =>
  JSON.parse(await done(...args, '--json')) as Record<string, unknown>;

beforeAll(async () => {
  stack = await startTestStack();
  folder = mkdtempSync(path.join(tmpdir(), 'tallystick-cli-'));
  environment = { TALLYSTICK_GATEWAY: stack.gatewayUrl, TALLYSTICK_RPC: stack.rpcUrl };
});
afterAll(async () => {
  await stack?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

test('register, deposit, chat, usage, verify, audit, withdraw to the wei', async () => {
  const wallet = await json('wallet', 'new', 'agent.key');
  const address = wallet['address'] as Address;
  expect(statSync(path.join(folder, 'agent.key')).mode & 0o777).toBe(0o600);
  environment['TALLYSTICK_KEY_FILE'] = 'agent.key';
  await fund(stack.reader, stack.deployer, address, parseEther('6'));

  const registered = await done('register', '--name', 'poet');
  const [, agent = ''] = /export TALLYSTICK_AGENT=(\S+)/.exec(registered) ?? [];
  expect(agent).toMatch(/^eip155:31337:0x[0-9a-f]{40}:\d+$/);
  environment['TALLYSTICK_AGENT'] = agent;
  expect(await done('deposit', '5')).toContain('in the vault for this agent: 5 0G');

  const asked = await cli('chat', '-m', 'qwen-flash', 'What is 6*7?');
  expect(asked.stdout).toContain('42');
  expect(asked.stderr).toMatch(/tokens in, \d+ out · 0\.\d+ 0G · receipt 1, checked/);
  await done('chat', 'Write a poem about tally sticks');

  const { total } = await json('usage');
  const spent = BigInt((total as { cost: { amount: string } }).cost.amount);
  expect(total).toMatchObject({ calls: 2 });
  expect(spent).toBeGreaterThan(0n);
  expect(await done('usage')).toContain('qwen-plus');
  expect(await done('balance')).toMatch(/spent\s+0\.\d+ 0G in 2 calls/);
  expect((await done('receipts')).split('\n')).toHaveLength(4);

  expect(await done('receipts', 'save', '1', 'first.json')).toContain('receipt 1 is in first.json');
  const offline = { ...environment };
  environment = { TALLYSTICK_RPC: stack.rpcUrl };
  expect(await done('verify', 'first.json', '--anchor', stack.anchor, '--log', stack.logId)).toContain(
    'Verified',
  );
  environment = offline;
  expect(await done('verify', '2')).toContain('Verified with the chain');
  expect(await done('audit', '--da', stack.storageUrl)).toMatch(/bill: 2 receipts .*exact[\s\S]*No doubt/);
  expect(await done('doctor')).toContain('All is well');

  await done('withdraw', 'start', 'all');
  const early = await cli('withdraw', 'complete');
  expect(early.code).toBe(5);
  expect(early.stderr).toContain('ready in');
  // What the operator has not claimed yet it claims while the withdrawal waits.
  await until(
    () => vaultAccount(stack, agent.split(':').at(-1) ?? ''),
    ({ claimed }) => claimed === spent,
    30_000,
  );
  expect(await json('balance')).toMatchObject({ chain: { claimed: { amount: `${spent}` } } });
  const clock = createTestClient({ mode: 'anvil', transport: http(stack.rpcUrl) });
  await clock.increaseTime({ seconds: 3_600 });
  await clock.mine({ blocks: 1 });
  const before = await stack.reader.getBalance({ address });
  const completed = await json('withdraw', 'complete');
  const out = parseEther('5') - spent;
  expect(completed).toMatchObject({ amount: `${out}`, remaining: { amount: '0' } });
  const { gasUsed, effectiveGasPrice } = await stack.reader.getTransactionReceipt({
    hash: completed['transaction'] as Hex,
  });
  expect(await stack.reader.getBalance({ address })).toBe(before + out - gasUsed * effectiveGasPrice);
}, 180_000);

test('a receipt file that was changed is not verified, and the exit code says so', async () => {
  const file = path.join(folder, 'first.json');
  expect(existsSync(file)).toBe(true);
  const text = readFileSync(file, 'utf8');
  const forged = path.join(folder, 'forged.json');
  writeFileSync(forged, text.replace(/"amount": "\d+"/, '"amount": "1"'));
  const { code, stderr } = await cli('verify', 'forged.json');
  expect(code).toBe(3);
  expect(stderr).toContain('digest');
});

test('no key is ever shown, not even a wrong one', async () => {
  const key = readFileSync(path.join(folder, 'agent.key'), 'utf8').trim().slice(2);
  for (const args of [
    ['wallet', 'show'],
    ['doctor'],
    ['balance', '--json'],
    ['register', '--registry', '0x00'],
  ]) {
    const { stdout, stderr } = await cli(...args);
    expect(stdout + stderr).not.toContain(key);
  }
  const kept = environment;
  environment = { TALLYSTICK_GATEWAY: stack.gatewayUrl, TALLYSTICK_KEY: `${key}ff` };
  const { code, stderr } = await cli('wallet', 'show');
  environment = kept;
  expect(code).toBe(2);
  expect(stderr).not.toContain(key);
});
