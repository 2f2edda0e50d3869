// A receipt that never reaches the log: signed, paid, promised, and in no head that the chain ever holds. The client notices,
// says so, and leaves a file that the operator's bond acts on.
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Address, createTestClient, http, parseEther } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgentFetch } from '../client/agent-fetch.ts';
import { readBond, verifyEvidence } from '../client/evidence.ts';
import { findOverdue } from '../client/overdue-receipts.ts';
import type { LogLocation } from '../client/verify.ts';
import { mined } from '../contracts/deploy-contract.ts';
import { operatorBondBytecode } from '../contracts-abi/generated/OperatorBond.bytecode.ts';
import { operatorBondAbi } from '../contracts-abi/generated/OperatorBond.ts';
import { walletOf } from '../dev/clients.ts';
import type { Stack } from '../dev/stack.ts';
import { startTestStack } from './test-stack.ts';

const entry = path.resolve(import.meta.dirname, '../client/cli/tallystick.ts');
const [mergeDelay, grace, answerWindow] = [120, 60, 3_600];
let stack: Stack;
let folder: string;
let where: LogLocation;
let bond: Address;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'tallystick-overdue-'));
  stack = await startTestStack({ agents: 1 });
  where = { rpcUrl: stack.rpcUrl, anchor: stack.anchor, logId: stack.logId };
  const deployed = await mined(
    stack.reader,
    await stack.deployer.deployContract({
      abi: operatorBondAbi,
      bytecode: operatorBondBytecode,
      args: [stack.anchor, parseEther('2'), parseEther('0.5'), mergeDelay, grace, answerWindow],
    }),
  );
  bond = (deployed.contractAddress ?? '0x').toLowerCase() as Address;
  const staked = await stack.deployer.writeContract({
    address: bond,
    abi: operatorBondAbi,
    functionName: 'bond',
    args: [stack.logId],
    value: parseEther('20'),
  });
  await mined(stack.reader, staked);
});
afterAll(async () => {
  await stack?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

function identity() {
  const [agent] = stack.agents;
  if (!agent) throw new Error('no agent');
  const { privateKey } = agent;
  return {
    privateKey,
    wallet: privateKeyToAccount(privateKey),
    agent: `eip155:${stack.chainId}:${stack.identityRegistry}:${agent.agentId}`,
  };
}

function cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { privateKey, agent } = identity();
  const { PATH = '', NODE_COMPILE_CACHE = '' } = process.env;
  const env = {
    PATH,
    NODE_COMPILE_CACHE,
    HOME: folder,
    NO_COLOR: '1',
    TALLYSTICK_GATEWAY: stack.gatewayUrl,
    TALLYSTICK_RPC: stack.rpcUrl,
    TALLYSTICK_KEY: privateKey,
    TALLYSTICK_AGENT: agent,
    TALLYSTICK_RECEIPTS: 'kept.jsonl',
  };
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [entry, ...args],
      { cwd: folder, env },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
    child.stdin?.end();
  });
}

const evidenceFiles = () => readdirSync(folder).filter((name) => name.startsWith('evidence-'));

test('is noticed, said, and kept as evidence that the bond acts on', async () => {
  const { wallet, agent } = identity();
  // One call whose receipt goes the usual way, so that there is an anchored head; then no file reaches the DA layer any more.
  expect((await cli('chat', '-m', 'qwen-flash', 'What is 2*7?')).code).toBe(0);
  expect((await cli('verify', '1', '--wait', '30s')).code).toBe(0);
  await stack.storageNode.close();
  const asked = await cli('chat', '-m', 'qwen-flash', 'What is 3*7?');
  expect(asked.stderr).toContain('receipt 2, checked');
  expect(readFileSync(path.join(folder, 'kept.jsonl'), 'utf8').trim().split('\n')).toHaveLength(2);

  const agentFetch = createAgentFetch({ wallet, agent, gateway: stack.gatewayUrl, rpcUrl: stack.rpcUrl });
  const answer = await agentFetch(`${stack.gatewayUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'qwen-flash', messages: [{ role: 'user', content: 'What is 4*7?' }] }),
  });
  await answer.text();
  const mine = agentFetch.receipts.map(({ signed }) => signed);
  expect(mine.map(({ receipt }) => receipt.sequence)).toEqual([3n]);

  // Not due yet: nothing to say.
  expect(await findOverdue(agentFetch, where, mine)).toEqual([]);
  const clock = createTestClient({ mode: 'anvil', transport: http(stack.rpcUrl) });
  await clock.increaseTime({ seconds: mergeDelay + grace + 10 });
  await clock.mine({ blocks: 1 });

  const [overdue, ...more] = await findOverdue(agentFetch, where, mine);
  expect(more).toEqual([]);
  expect(overdue?.evidence).toMatchObject({ type: 'overdue-receipt', overdue: mine[0] });
  expect(overdue?.why).toMatch(/\w/);

  // The command line: the one in the log still verifies; of the other it says what is missing, and writes it down.
  expect((await cli('verify', '1')).code).toBe(0);
  const verified = await cli('verify', '2');
  expect(verified.code).toBe(3);
  expect(verified.stderr).toMatch(
    /Receipt 2 was to be in an anchored head by .*The evidence is in evidence-overdue-receipt/s,
  );
  expect(evidenceFiles()).toHaveLength(1);
  const [name = ''] = evidenceFiles();

  const judged = await cli('verify', name, '--bond', bond, '--json');
  expect(judged.code).toBe(0);
  const { verdict, transaction } = JSON.parse(judged.stdout) as {
    verdict: string;
    transaction: { to: Address; data: `0x${string}`; value: string };
  };
  expect(verdict).toBe('challengeable');
  const owner = walletOf(stack.rpcUrl, stack.chainId, wallet);
  const { to, data, value } = transaction;
  await mined(stack.reader, await owner.sendTransaction({ to, data, value: BigInt(value) }));
  const held = await readBond(stack.rpcUrl, { bond, anchor: stack.anchor, logId: stack.logId });
  expect(held.openChallenges).toBe(1n);
}, 60_000);

test('and the audit finds it in what the agent kept, though the gateway be gone', async () => {
  await stack.gateway.close();
  const audited = await cli(
    'audit',
    '--da',
    stack.storageUrl,
    '--anchor',
    stack.anchor,
    '--log',
    stack.logId,
  );
  expect(audited.code).toBe(3);
  expect(audited.stdout + audited.stderr).toMatch(/receipt_overdue: \S+ sequence 2/);
  // Receipt 1 is in a file that nobody serves any more: for all the audit can see it is missing, too, and it says so.
  expect(evidenceFiles()).toHaveLength(2);
  expect(audited.stdout).toMatch(/file_withheld[\s\S]*Not everything published could be read/);
});

test('a file that says otherwise is no evidence', async () => {
  const [name = ''] = evidenceFiles();
  const text = JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as {
    overdue: { receipt: { amount: string } };
  };
  text.overdue.receipt.amount = '1';
  const judged = await verifyEvidence(text, { rpcUrl: stack.rpcUrl, bond });
  expect(judged.ok && judged.value.verdict).toBe('no-evidence');
});
