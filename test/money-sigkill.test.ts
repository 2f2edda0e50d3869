// workerd dies at any moment. What was acknowledged stays, once; what was not is given back.
import { parseEther } from 'viem';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Stack } from '../dev/stack.ts';
import { receiptDigest } from '../protocol/receipt.ts';
import { killWorkerd } from './kill-workerd.ts';
import { accountOf, receiptIn, receiptsOf, until, vaultAccount } from './money.ts';
import { type RawAgent, rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

const kills = 5 * Math.min(10, Number(process.env['LONG'] ?? 1));
const holdSeconds = 4;

let stack: Stack;
let agent: RawAgent;
beforeAll(async () => {
  stack = await startTestStack({
    agents: 1,
    deposit: parseEther('100'),
    vars: { HOLD_SECONDS: `${holdSeconds}` },
  });
  const [first] = stack.agents;
  if (!first) throw new Error('the stack has an agent');
  agent = rawAgent(stack, first);
});
afterAll(() => stack?.close());

test(`SIGKILL of workerd under load, ${kills} times`, { timeout: 60_000 + kills * 15_000 }, async () => {
  const headers = await agent.payment(parseEther('90'));
  const acknowledged = new Set<string>();
  let attempts = 0;
  let broken = 0;
  let running = true;

  /** One of several clients that never stop asking. */
  const client = async (number: number): Promise<void> => {
    for (let turn = 0; running; turn += 1) {
      attempts += 1;
      try {
        const stream = (number + turn) % 2 === 0;
        const response = await agent.chat(`[[slow:${5 + 10 * number}]] Say something, ${number}.${turn}`, {
          headers,
          more: { stream, max_tokens: 40 },
        });
        const body = await response.text();
        const receipt = receiptIn(response, body);
        if (receipt) acknowledged.add(receiptDigest(receipt.receipt));
      } catch {
        broken += 1;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  };
  const clients = Array.from({ length: 6 }, (_, number) => client(number));

  for (let kill = 0; kill < kills; kill += 1) {
    const before = acknowledged.size;
    await until(
      async () => acknowledged.size,
      (size) => size > before + 3,
    );
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 800));
    await killWorkerd(stack);
  }
  running = false;
  await Promise.all(clients);
  expect(broken).toBeGreaterThanOrEqual(kills); // the kills did hit calls in flight

  // Within a hold's lifetime everything that was in flight has ended one way or the other.
  const settled = await until(
    () => accountOf(agent),
    ({ held }) => held === 0n,
    (holdSeconds + 8) * 1000,
  );
  const receipts = await receiptsOf(agent);
  const digests: string[] = receipts.map(({ receipt }) => receiptDigest(receipt));
  expect(settled.sequence).toBe(BigInt(receipts.length));
  expect(settled.captured).toBe(receipts.reduce((sum, { receipt }) => sum + receipt.amount, 0n));
  // Nothing acknowledged is lost, nothing is charged twice, and nothing is charged that was not asked.
  expect([...acknowledged].filter((digest) => !digests.includes(digest))).toEqual([]);
  expect(new Set(receipts.map(({ receipt }) => receipt.upstreamId)).size).toBe(receipts.length);
  expect(receipts.length).toBeLessThanOrEqual(attempts);

  const paid = await until(
    () => vaultAccount(stack, 0n),
    ({ claimed }) => claimed >= settled.captured,
  );
  expect(paid.claimed).toBe(settled.captured);
});
