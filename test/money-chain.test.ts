// What happens on the chain reaches accounts that never ask: deposits, withdrawals, sales, reorgs, and nodes that lie.
import { parseEther } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mined } from '../contracts/deploy-contract.ts';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { identityRegistryAbi } from '../contracts-abi/generated/IdentityRegistry.ts';
import { type Wallet, walletOf } from '../dev/clients.ts';
import type { Stack } from '../dev/stack.ts';
import { accountOf, until, vaultAccount } from './money.ts';
import { type RawAgent, rawAgent } from './raw-agent.ts';
import { startRpcProxy } from './rpc-proxy.ts';
import { startTestStack } from './test-stack.ts';

let stack: Stack;
const agents: RawAgent[] = [];
const owners: Wallet[] = [];
const depositDepth = 3;

beforeAll(async () => {
  stack = await startTestStack({
    agents: 5,
    vars: { HOLD_SECONDS: '3' },
    withdrawalDelay: 12n,
    chain: { depositDepth, settleMarginSeconds: 4 },
  });
  for (const local of stack.agents) {
    agents.push(rawAgent(stack, local));
    owners.push(walletOf(stack.rpcUrl, stack.chainId, privateKeyToAccount(local.privateKey)));
  }
});
afterAll(() => stack?.close());

function numbered(number: number): { agent: RawAgent; owner: Wallet; agentId: bigint } {
  const [agent, owner] = [agents[number], owners[number]];
  if (agent === undefined || owner === undefined) throw new Error(`no agent ${number}`);
  return { agent, owner, agentId: BigInt(number) };
}

/** A call that is answered and charged; then Chain hears of the account. */
async function earn(agent: RawAgent): Promise<void> {
  const headers = await agent.payment(parseEther('9'));
  // The stack's deposits are a few blocks old: the first call may come too early.
  await until(
    () => agent.chat('Hello.', { headers }).then((answer) => answer.text().then(() => answer.status)),
    (status) => status === 200,
  );
  await new Promise((resolve) => setTimeout(resolve, 2_500));
}

const inVault = async (
  owner: Wallet,
  functionName: 'startWithdrawal' | 'completeWithdrawal' | 'deposit' | 'setSpender' | 'cancelWithdrawal',
  args: readonly unknown[],
  value = 0n,
) =>
  mined(
    stack.reader,
    await owner.writeContract({
      address: stack.vault,
      abi: agentVaultAbi,
      functionName,
      args: [stack.identityRegistry, ...args],
      value,
    } as never),
  );

describe('events', () => {
  test('a deposit counts when it is deep enough, and not before', async () => {
    const { agent, agentId } = numbered(0);
    await earn(agent);
    const before = await accountOf(agent);
    const deposit = parseEther('2');
    const { blockNumber } = await inVault(stack.deployer, 'deposit', [agentId, deposit], deposit);
    const credited = await until(
      async () => ({ ...(await accountOf(agent)), head: await stack.reader.getBlockNumber() }),
      ({ deposited }) => deposited !== before.deposited,
      10_000,
    );
    expect(credited.deposited).toBe(before.deposited + deposit);
    expect(credited.head).toBeGreaterThanOrEqual(blockNumber + BigInt(depositDepth));
  });

  test('an agent that is sold is no longer its old owner’s, within seconds', async () => {
    const { agent, owner, agentId } = numbered(1);
    await earn(agent);
    const buyer = numbered(0).owner.account.address;
    await mined(
      stack.reader,
      await owner.writeContract({
        address: stack.identityRegistry,
        abi: identityRegistryAbi,
        functionName: 'transferFrom',
        args: [owner.account.address, buyer, agentId],
      }),
    );
    const refused = await until(
      () => agent.call('GET', '/v1/account').then((answer) => answer.json() as Promise<{ reason?: string }>),
      ({ reason }) => reason !== undefined,
      6_000,
    );
    expect(refused.reason).toBe('signer_not_allowed');
  });

  test('a reorg that takes a deposit back is noticed', { timeout: 60_000 }, async () => {
    const { agent, agentId } = numbered(2);
    await earn(agent);
    const before = await accountOf(agent);
    const deposit = parseEther('1');
    await inVault(stack.deployer, 'deposit', [agentId, deposit], deposit);
    await until(
      () => accountOf(agent),
      ({ deposited }) => deposited === before.deposited + deposit,
    );
    const depth = depositDepth + 8;
    await stack.reader.request({ method: 'anvil_reorg', params: [depth, []] } as never);
    // The chain is as it was before; the account follows, and goes on.
    const { deposited } = await vaultAccount(stack, agentId);
    expect(deposited).toBe(before.deposited);
    await until(
      () => accountOf(agent),
      (standing) => standing.deposited === before.deposited,
    );
    expect((await agent.chat('Hello again.')).status).toBe(200);
  });
});

// Each with an agent of its own, and most of it waiting.
describe.concurrent('an epoch that ends', () => {
  test('withdraw and go silent: what was captured is claimed in time, though the log cannot be published', {
    timeout: 90_000,
  }, async () => {
    const { agent, owner, agentId } = numbered(3);
    // From here nothing can be anchored, so nothing is settled in the ordinary way.
    await stack.storageNode.close();
    await earn(agent);
    const { captured, deposited } = await accountOf(agent);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect((await vaultAccount(stack, agentId)).claimed).toBe(0n);

    await inVault(owner, 'startWithdrawal', [agentId, deposited, owner.account.address]);
    const startedMs = Date.now();
    const paid = await until(
      () => vaultAccount(stack, agentId),
      ({ claimed }) => claimed > 0n,
    );
    expect(paid.claimed).toBe(captured);
    // And the account knows, without having asked: nothing is left to spend.
    const standing = await accountOf(agent);
    expect([standing.withdrawing, standing.available]).toEqual([deposited, 0n]);
    expect((await agent.chat('Hello?')).status).toBe(402);

    // The owner gets the rest, and the money has not moved twice.
    await until(
      async () => Date.now() - startedMs,
      (waited) => waited > 13_000,
      30_000,
    );
    await inVault(owner, 'completeWithdrawal', [agentId]);
    const end = await vaultAccount(stack, agentId);
    expect([end.claimed, end.withdrawn]).toEqual([captured, deposited - captured]);
  });

  test('near the end of an epoch no call starts that could not be settled in it', {
    timeout: 60_000,
  }, async () => {
    const { agent, owner, agentId } = numbered(4);
    await earn(agent);
    await inVault(owner, 'startWithdrawal', [agentId, 1n, owner.account.address]);
    // One wei leaves; the epoch it takes along covers everything else.
    const refused = await until(
      () =>
        agent.chat('Hello.').then(async (answer) => ({ status: answer.status, body: await answer.json() })),
      ({ status }) => status !== 200,
    );
    expect(refused).toMatchObject({ status: 402, body: { reason: 'epoch_ending' } });
    await until(
      () =>
        inVault(owner, 'completeWithdrawal', [agentId]).then(
          () => true,
          () => false,
        ),
      (done) => done,
    );
    expect((await vaultAccount(stack, agentId)).epoch).toBe(1n);
    const next = await until(
      async () => agent.chat('Hello.', { headers: await agent.payment(parseEther('9'), { epoch: 1n }) }),
      ({ status }) => status === 200,
    );
    await next.text();
  });
});

describe('several nodes', () => {
  const chains = (rpcUrls: readonly string[]) => ({
    CHAINS: JSON.stringify(stack.chains.map((chain) => ({ ...chain, rpcUrls }))),
  });

  test('one that is down, or has stopped, is left out; two that disagree are not believed', {
    timeout: 60_000,
  }, async () => {
    const { agent } = numbered(0);
    const headers = await agent.payment(parseEther('9'));
    const ask = async () => {
      const answer = await agent.chat('Hello.', { headers });
      const { reason } = (await answer.json()) as { reason?: string };
      return `${answer.status} ${reason ?? ''}`.trim();
    };
    const other = await startRpcProxy(stack.rpcUrl);
    try {
      await stack.restartGateway(chains([stack.rpcUrl, other.url]));
      expect(await ask()).toBe('200');

      other.meddle = () => undefined;
      await stack.restartGateway(chains([other.url, stack.rpcUrl]));
      expect(await ask()).toBe('200');

      // A node that stopped following the chain ten minutes ago.
      other.meddle = ({ method }, answer) =>
        method === 'eth_getBlockByNumber' && answer.result
          ? {
              ...answer,
              result: {
                ...answer.result,
                timestamp: `0x${Math.floor(Date.now() / 1000 - 600).toString(16)}`,
              },
            }
          : answer;
      await stack.restartGateway(chains([other.url, stack.rpcUrl]));
      expect(await ask()).toBe('200');

      // One that says what is true of the block, and lies about what the vault holds.
      other.meddle = ({ method }, answer) =>
        method === 'eth_call' && typeof answer.result === 'string'
          ? { ...answer, result: answer.result.replace(/.$/, (last) => (last === '0' ? '1' : '0')) }
          : answer;
      await stack.restartGateway(chains([other.url, stack.rpcUrl]));
      expect(await ask()).toBe('503 chain_unavailable');

      // One on another branch.
      other.meddle = ({ method }, answer) =>
        method === 'eth_getBlockByNumber' && answer.result
          ? { ...answer, result: { ...answer.result, hash: `0x${'ab'.repeat(32)}` } }
          : answer;
      await stack.restartGateway(chains([other.url, stack.rpcUrl]));
      expect(await ask()).toBe('503 chain_unavailable');
    } finally {
      await other.close();
    }
  });

  test('a node with a huge block number does not win for ever', async () => {
    const { agent } = numbered(0);
    const headers = await agent.payment(parseEther('9'));
    const liar = await startRpcProxy(stack.rpcUrl);
    try {
      liar.meddle = ({ method }, answer) =>
        method === 'eth_getBlockByNumber' && answer.result
          ? { ...answer, result: { ...answer.result, number: '0xffffffffffff' } }
          : answer;
      await stack.restartGateway(chains([liar.url]));
      const answer = await agent.chat('Hello.', { headers });
      // It is asked about a block that is not there, and has nothing to say.
      expect(answer.status).toBe(503);
      await answer.text();
      liar.meddle = (_, same) => same;
      expect((await agent.chat('Hello.', { headers })).status).toBe(200);
    } finally {
      await liar.close();
    }
  });
});
