// What went wrong elsewhere, and what a dishonest agent or operator would try, each from outside. Which test answers which
// attack is listed in docs/money.md.
import { createHash } from 'node:crypto';
import { type Hex, parseAbiItem, parseEther } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mined } from '../contracts/deploy-contract.ts';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { identityRegistryAbi } from '../contracts-abi/generated/IdentityRegistry.ts';
import { type Wallet, walletOf } from '../dev/clients.ts';
import { startedWorkerds } from '../dev/processes.ts';
import type { Stack } from '../dev/stack.ts';
import { type Observation, replaces } from '../durable-objects/chain/observation.ts';
import { compactSignature } from '../protocol/money/claim.ts';
import { parsePaymentSignature } from '../protocol/money/x402.ts';
import { accountOf, receiptsOf, until, vaultAccount } from './money.ts';
import { type RawAgent, rawAgent } from './raw-agent.ts';
import { startRpcProxy } from './rpc-proxy.ts';
import { startTestStack } from './test-stack.ts';

let stack: Stack;
const withdrawalDelay = 12;

beforeAll(async () => {
  stack = await startTestStack({
    agents: 8,
    vars: { HOLD_SECONDS: '3' },
    withdrawalDelay: BigInt(withdrawalDelay),
    chain: { settleMarginSeconds: 3 },
  });
});
afterAll(() => stack?.close());

function numbered(number: number): { agent: RawAgent; owner: Wallet; agentId: bigint; privateKey: Hex } {
  const local = stack.agents[number];
  if (!local) throw new Error(`no agent ${number}`);
  const { privateKey, agentId } = local;
  const owner = walletOf(stack.rpcUrl, stack.chainId, privateKeyToAccount(privateKey));
  return { agent: rawAgent(stack, local), owner, agentId: BigInt(agentId), privateKey };
}

const inVault = async (wallet: Wallet, functionName: string, args: readonly unknown[], value = 0n) =>
  mined(
    stack.reader,
    await wallet.writeContract({
      address: stack.vault,
      abi: agentVaultAbi,
      functionName,
      args: [stack.identityRegistry, ...args],
      value,
    } as never),
  );

const reasonOf = async (answer: Promise<Response>): Promise<string> => {
  const response = await answer;
  const { reason = '' } = (await response.json()) as { reason?: string };
  return `${response.status} ${reason}`.trim();
};

/** One answered and charged call. @returns what has been captured by then */
async function spend(agent: RawAgent, headers: Record<string, string>): Promise<bigint> {
  const answer = await agent.chat('Hello.', { headers });
  expect(answer.status).toBe(200);
  await answer.text();
  return (await accountOf(agent)).captured;
}

const claimedBecomes = (agentId: bigint, amount: bigint) =>
  until(
    () => vaultAccount(stack, agentId),
    ({ claimed }) => claimed === amount,
    30_000,
  );

/** Tries to complete until the chain lets it. */
const complete = (wallet: Wallet, functionName: string, agentId: bigint) =>
  until(
    () =>
      inVault(wallet, functionName, [agentId]).then(
        () => true,
        () => false,
      ),
    (done) => done,
    30_000,
  );

/** What the vault would answer the operator, row by row. */
async function simulateSettle(
  rows: readonly { agentId: bigint; cumulative: bigint; header: string }[],
): Promise<readonly number[]> {
  const claims = rows.map(({ agentId, cumulative, header }) => {
    const signed = parsePaymentSignature(header, stack.chainId);
    if (!signed) throw new Error('not a voucher');
    const { epoch, cumulative: voucherCumulative } = signed.voucher;
    return { agentId, epoch, voucherCumulative, cumulative, ...compactSignature(signed.signature) };
  });
  const { result } = await stack.reader.simulateContract({
    account: stack.operator,
    address: stack.vault,
    abi: agentVaultAbi,
    functionName: 'settle',
    args: [stack.identityRegistry, claims],
  });
  return result;
}

const headerOf = async (agent: RawAgent, cumulative: bigint, over = {}): Promise<string> =>
  (await agent.payment(cumulative, over))['payment-signature'] ?? '';

// Each with an agent of its own, and most of it waiting for the chain: all at once.
describe.concurrent('what a dishonest agent would try', () => {
  test('spend, then sell the agent: what was spent is paid all the same', { timeout: 60_000 }, async () => {
    const { agent, owner, agentId } = numbered(0);
    const captured = await spend(agent, await agent.payment(parseEther('9')));
    await mined(
      stack.reader,
      await owner.writeContract({
        address: stack.identityRegistry,
        abi: identityRegistryAbi,
        functionName: 'transferFrom',
        args: [owner.account.address, numbered(1).owner.account.address, agentId],
      }),
    );
    await claimedBecomes(agentId, captured);
  });

  test('spend, then name another spender: paid within the delay; afterwards only the new one’s word counts', {
    timeout: 90_000,
  }, async () => {
    const { agent, owner, agentId } = numbered(1);
    const headers = await agent.payment(parseEther('9'));
    await spend(agent, headers);
    const next = privateKeyToAccount(`0x${'5e'.repeat(32)}`);
    await inVault(owner, 'setSpender', [agentId, next.address]);
    // The voucher is good until the change takes effect.
    const captured = await spend(agent, headers);
    await claimedBecomes(agentId, captured);
    await complete(owner, 'completeSpenderChange', agentId);
    await until(
      () => reasonOf(agent.chat('Hello.', { headers })),
      (reason) => reason === '402 voucher_wrong_epoch',
    );
    const old = await agent.payment(parseEther('9'), { epoch: 1n });
    expect(await reasonOf(agent.chat('Hello.', { headers: old }))).toBe('402 voucher_bad_signature');
    const heir = rawAgent(stack, { agentId: `${agentId}`, privateKey: `0x${'5e'.repeat(32)}` });
    const fresh = await heir.payment(parseEther('9'), { epoch: 1n });
    expect((await agent.chat('Hello.', { headers: fresh })).status).toBe(200);
  });

  test('an old voucher after a new deposit bites neither at the gateway nor in the vault', {
    timeout: 90_000,
  }, async () => {
    const { agent, owner, agentId } = numbered(2);
    const headers = await agent.payment(parseEther('9'));
    const captured = await spend(agent, headers);
    await inVault(owner, 'startWithdrawal', [agentId, parseEther('10'), owner.account.address]);
    await claimedBecomes(agentId, captured);
    await complete(owner, 'completeWithdrawal', agentId);
    await inVault(owner, 'deposit', [agentId, parseEther('3')], parseEther('3'));
    await until(
      () => reasonOf(agent.chat('Hello.', { headers })),
      (reason) => reason === '402 voucher_wrong_epoch',
    );
    const wrongEpoch = 4;
    const header = headers['payment-signature'] ?? '';
    expect(await simulateSettle([{ agentId, cumulative: parseEther('9'), header }])).toEqual([wrongEpoch]);
  });

  test('a stranger’s one wei moves no timer, epoch or spender, and no voucher', async () => {
    const { agent, owner, agentId } = numbered(3);
    const headers = await agent.payment(parseEther('9'));
    await spend(agent, headers);
    await inVault(owner, 'startWithdrawal', [agentId, 1n, owner.account.address]);
    const before = await vaultAccount(stack, agentId);
    await inVault(stack.deployer, 'deposit', [agentId, 1n], 1n);
    const after = await vaultAccount(stack, agentId);
    const { blockNumber, blockTime, deposited, claimed, ...same } = after;
    expect(before).toMatchObject(same);
    expect([deposited, claimed >= before.claimed]).toEqual([before.deposited + 1n, true]);
    await inVault(owner, 'cancelWithdrawal', [agentId]);
    await spend(agent, {});
  });

  test('a voucher with a bad signature is refused, however little it asks for', async () => {
    const { agent, privateKey } = numbered(4);
    await spend(agent, await agent.payment(parseEther('9')));
    const stranger = rawAgent(stack, {
      agentId: agent.agentId.split(':').at(-1) ?? '',
      privateKey: `0x${'01'.repeat(32)}`,
    });
    expect(privateKey).not.toBe(`0x${'01'.repeat(32)}`);
    // The one on file would do; the one that came along is looked at first.
    expect(await reasonOf(agent.chat('Hello.', { headers: await stranger.payment(1n) }))).toBe(
      '402 voucher_bad_signature',
    );
    const body = JSON.stringify(
      (JSON.parse(atob((await stranger.payment(1n))['payment-signature'] ?? '')) as { payload: unknown })
        .payload,
    );
    expect(await reasonOf(agent.call('PUT', '/v1/account/voucher', { body }))).toBe(
      '402 voucher_bad_signature',
    );
    // An older good one is no reason to refuse, and does not lower what is on file.
    await spend(agent, await agent.payment(2n));
    await spend(agent, {});
  });

  test('another agent’s voucher, shown as one’s own', async () => {
    const { agent } = numbered(4);
    const headers = await numbered(5).agent.payment(parseEther('9'));
    expect(await reasonOf(agent.chat('Hello.', { headers }))).toBe('402 voucher_wrong_agent');
  });
});

describe('what went wrong elsewhere', () => {
  test('a call that sleeps past its hold’s deadline', { timeout: 60_000 }, async () => {
    const { agent } = numbered(6);
    const headers = await agent.payment(parseEther('9'));
    await spend(agent, headers);
    const before = await accountOf(agent);
    const call = agent.chat('[[slow:100]] Say something long, please.', { headers, more: { stream: true } });
    await (await call).body?.getReader().read();
    const [workerd] = startedWorkerds();
    if (workerd === undefined) throw new Error('no workerd');
    process.kill(workerd, 'SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    process.kill(workerd, 'SIGCONT');
    const after = await until(
      () => accountOf(agent),
      ({ held, sequence }) => held === 0n && sequence > before.sequence,
    );
    const receipts = await receiptsOf(agent);
    expect(after.captured).toBe(receipts.reduce((sum, { receipt }) => sum + receipt.amount, 0n));
    expect(after.sequence).toBe(before.sequence + 1n);
  });

  test('one bad row does not spoil a settlement; rows out of order pay once', async () => {
    const { agent, agentId } = numbered(7);
    const other = numbered(5);
    const good = await headerOf(agent, 100n);
    const forged = await headerOf(other.agent, 100n, { agentId });
    const [paid, nothingDue, badSignature, aboveVoucher] = [0, 2, 5, 6];
    expect(
      await simulateSettle([
        { agentId: other.agentId, cumulative: 100n, header: forged },
        { agentId, cumulative: 80n, header: good },
        { agentId, cumulative: 50n, header: good },
        { agentId, cumulative: 101n, header: good },
      ]),
    ).toEqual([badSignature, paid, nothingDue, aboveVoucher]);
  });

  test('a node that lags cannot hide a withdrawal that was seen', () => {
    const nowMs = 1_800_000_000_000;
    const seen = { blockNumber: 100n, blockTime: nowMs / 1000, readAtMs: nowMs } as Observation;
    const lagging = { ...seen, blockNumber: 99n, readAtMs: nowMs + 1_000 };
    expect(replaces(seen, lagging, nowMs + 1_000)).toBe(false);
    expect(replaces(seen, { ...lagging, blockNumber: 101n }, nowMs + 1_000)).toBe(true);
    // Nor does a height nobody else has win for longer than an observation is good.
    const liar = { ...seen, blockNumber: 10n ** 12n };
    const later = nowMs + 61_000;
    const honest = { ...seen, blockNumber: 130n, readAtMs: later, blockTime: later / 1000 };
    expect(replaces(liar, honest, later)).toBe(true);
    // And an observation from a head that is not recent replaces nothing.
    expect(replaces(undefined, { ...seen, blockTime: nowMs / 1000 - 61 }, nowMs)).toBe(false);
  });

  test('a settlement whose outcome is unknown is neither lost nor paid twice', {
    timeout: 90_000,
  }, async () => {
    const { agent, agentId } = numbered(7);
    const node = await startRpcProxy(stack.rpcUrl);
    try {
      let lost = 0;
      node.meddle = ({ method }, answer) => {
        if (method !== 'eth_sendRawTransaction') return answer;
        lost += 1;
        // It was taken; whoever sent it never hears so.
        return lost % 2 === 1 ? undefined : { error: { code: -32000, message: 'internal error' } };
      };
      const chains = stack.chains.map((chain) => ({ ...chain, rpcUrls: [node.url] }));
      await stack.restartGateway({ CHAINS: JSON.stringify(chains) });
      const fromBlock = await stack.reader.getBlockNumber();
      await spend(agent, await agent.payment(parseEther('9')));
      const captured = await spend(agent, {});
      await claimedBecomes(agentId, captured);
      expect(lost).toBeGreaterThan(0);
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      const event = parseAbiItem(
        'event Claimed(address registry, uint256 indexed agentId, uint256 amount, uint256 cumulative)',
      );
      const logs = await stack.reader.getLogs({ address: stack.vault, event, args: { agentId }, fromBlock });
      expect(logs.reduce((sum, { args }) => sum + (args.amount ?? 0n), 0n)).toBe(captured);
    } finally {
      await stack.restartGateway();
      await node.close();
    }
  });

  test('somebody else sends with the operator’s key: the nonce is taken, the claim is made', {
    timeout: 90_000,
  }, async () => {
    const { agent, agentId } = numbered(7);
    const key: Hex = `0x${createHash('sha256').update('tallystick local operator').digest('hex')}`;
    const operator = walletOf(stack.rpcUrl, stack.chainId, privateKeyToAccount(key));
    expect(operator.account.address.toLowerCase()).toBe(stack.operator);
    let racing = true;
    const race = (async () => {
      while (racing) {
        await operator.sendTransaction({ to: stack.payee, value: 1n }).catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 150));
      }
    })();
    try {
      const captured = await spend(agent, await agent.payment(parseEther('9')));
      await claimedBecomes(agentId, captured);
    } finally {
      racing = false;
      await race;
    }
  });
});
