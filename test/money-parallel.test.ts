// Nothing starts that is not covered, however many ask at once; and what is charged is what the vault pays.
import { parseEther } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { walletOf } from '../dev/clients.ts';
import { fund, fundAgent } from '../dev/contracts.ts';
import type { Stack } from '../dev/stack.ts';
import { accountOf, ceilingOf, receiptsOf, until, vaultAccount } from './money.ts';
import { rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startTestStack({ agents: 1 });
});
afterAll(() => stack?.close());

test('200 calls at once on a deposit for exactly 50: 50 start, 150 get 402, chain and account agree to the wei', {
  timeout: 60_000,
}, async () => {
  const { qwen } = stack;
  const [first] = stack.agents;
  if (!first || !qwen) throw new Error('a local stack has agents and a stand-in');
  const prompt = 'Count to three.';
  const ceiling = await ceilingOf(rawAgent(stack, first), prompt);

  const privateKey = `0x${'50'.repeat(32)}` as const;
  const owner = walletOf(stack.rpcUrl, stack.chainId, privateKeyToAccount(privateKey));
  await fund(stack.reader, stack.deployer, owner.account.address, parseEther('20'));
  const where = { registry: stack.identityRegistry, vault: stack.vault };
  const agentId = await fundAgent(stack.reader, owner, where, 'data:,', 50n * ceiling);
  const agent = rawAgent(stack, { agentId: `${agentId}`, privateKey });
  // The voucher is worth more than the deposit: the deposit is what binds.
  const headers = await agent.payment(1000n * ceiling);

  qwen.gate.shut();
  let refused = 0;
  const answers = Array.from({ length: 200 }, async () => {
    const response = await agent.chat(prompt, { headers });
    if (response.status !== 200) refused += 1;
    const { reason } = (await response.json()) as { reason?: string };
    return [response.status, reason ?? 'answered'];
  });
  await until(
    async () => [qwen.gate.waiting, refused],
    ([waiting, turnedAway]) => waiting === 50 && turnedAway === 150,
  );
  const full = await accountOf(agent);
  expect([full.held, full.available, full.captured]).toEqual([50n * ceiling, 0n, 0n]);
  expect((await agent.chat(prompt, { headers })).status).toBe(402);

  qwen.gate.open();
  const outcomes = Map.groupBy(await Promise.all(answers), ([status, reason]) => `${status} ${reason}`);
  expect([...outcomes].map(([outcome, calls]) => [outcome, calls.length]).sort()).toEqual([
    ['200 answered', 50],
    ['402 deposit_insufficient', 150],
  ]);

  const receipts = await receiptsOf(agent);
  const charged = receipts.reduce((sum, { receipt }) => sum + receipt.amount, 0n);
  expect(receipts.length).toBe(50);
  const after = await accountOf(agent);
  expect([after.held, after.captured, after.sequence]).toEqual([0n, charged, 50n]);
  expect(after.available).toBe(50n * ceiling - charged);

  const paid = await until(
    () => vaultAccount(stack, agentId),
    ({ claimed }) => claimed >= charged,
  );
  expect(paid.claimed).toBe(charged);
  expect(paid.deposited).toBe(50n * ceiling);
});
