// An agent pays on the chain its identity lives on. Two chains here: each with its registry, its vault and its agents; the log
// is anchored on the first.
import { type Hex, parseEther } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { walletOf } from '../dev/clients.ts';
import { fund, fundAgent } from '../dev/contracts.ts';
import type { SecondChain } from '../dev/second-chain.ts';
import type { Stack } from '../dev/stack.ts';
import { type Voucher, voucherTypedData } from '../protocol/money/voucher.ts';
import { formatPaymentSignature } from '../protocol/money/x402.ts';
import { accountOf, receiptIn, receiptsOf, until, vaultAccount } from './money.ts';
import { type RawAgent, rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

let stack: Stack;
let far: SecondChain;
let home: RawAgent;
let abroad: RawAgent;
const key: Hex = `0x${'31'.repeat(32)}`;

beforeAll(async () => {
  stack = await startTestStack({ agents: 1, secondChain: true, vars: { LOG_INTAKES: '2' } });
  const [local] = stack.agents;
  if (!local || !stack.secondChain) throw new Error('an agent on each chain');
  far = stack.secondChain;
  home = rawAgent(stack, local);
  const owner = walletOf(far.rpcUrl, far.chainId, privateKeyToAccount(key));
  await fund(far.reader, far.deployer, owner.account.address);
  const where = { registry: far.identityRegistry, vault: far.vault };
  // The same number as the agent at home: only the chain tells them apart.
  const agentId = await fundAgent(far.reader, owner, where, 'data:,', parseEther('5'));
  expect(`${agentId}`).toBe(local.agentId);
  abroad = rawAgent({ ...far, gatewayUrl: stack.gatewayUrl }, { agentId: `${agentId}`, privateKey: key });
});
afterAll(() => stack?.close());

test('each pays on its own chain; both receipts are in the one log', { timeout: 60_000 }, async () => {
  for (const [agent, chainId, deposit] of [
    [home, stack.chainId, parseEther('10')],
    [abroad, far.chainId, parseEther('5')],
  ] as const) {
    const response = await agent.chat('Hello.', { headers: await agent.payment(parseEther('4')) });
    expect(response.status).toBe(200);
    const receipt = receiptIn(response, await response.text());
    expect(receipt?.receipt.chainId).toBe(BigInt(chainId));
    expect((await accountOf(agent)).deposited).toBe(deposit);
  }
  const spentHome = (await accountOf(home)).captured;
  const spentAbroad = (await accountOf(abroad)).captured;
  const vaults = [
    [stack, spentHome],
    [far, spentAbroad],
  ] as const;
  for (const [chain, spent] of vaults) {
    const paid = await until(
      () => vaultAccount(chain, 0n),
      ({ claimed }) => claimed >= spent,
      30_000,
    );
    expect(paid.claimed).toBe(spent);
  }
  const [receipt] = await receiptsOf(abroad);
  const shown = await until(
    () =>
      abroad
        .call('GET', `/v1/receipts/${receipt?.receipt.sequence}`)
        .then((answer) => answer.json()) as Promise<{
        log: { anchored?: unknown } | null;
      }>,
    ({ log }) => log !== null,
  );
  expect(shown.log).not.toBeNull();
});

describe('what is of one chain is nothing on the other', () => {
  test('an account', async () => {
    // The account hears a moment after the vault that it has been claimed from: that is not what is looked for here.
    const before = await until(
      () => accountOf(home),
      ({ claimed, captured }) => claimed === captured,
    );
    const after = await accountOf(abroad);
    await (await abroad.chat('Hello.')).text();
    expect(await accountOf(home)).toEqual(before);
    expect((await accountOf(abroad)).sequence).toBe(after.sequence + 1n);
  });

  test('a signature of a key on the other chain', async () => {
    const refused = await abroad.call('GET', '/v1/account', { keyidChain: stack.chainId });
    expect([refused.status, ((await refused.json()) as { reason: string }).reason]).toEqual([
      401,
      'principal_not_allowed',
    ]);
  });

  test('a voucher, also one that says it is of this chain', async () => {
    const voucher: Voucher = {
      registry: far.identityRegistry,
      agentId: 0n,
      epoch: 0n,
      cumulative: parseEther('4.9'),
    };
    // For the vault at home, signed by the right key, and labelled as if for the other.
    const signature = await privateKeyToAccount(key).signTypedData(
      voucherTypedData({ chainId: stack.chainId, vault: stack.vault }, voucher),
    );
    const send = (chainId: number) =>
      abroad
        .chat('Hello.', {
          headers: { 'payment-signature': formatPaymentSignature(chainId, { voucher, signature }) },
        })
        .then(async (answer) => [answer.status, ((await answer.json()) as { reason: string }).reason]);
    expect(await send(stack.chainId)).toEqual([400, 'payment_malformed']);
    expect(await send(far.chainId)).toEqual([402, 'voucher_bad_signature']);
  });
});
