// All four keys exchanged on a running stack, streams in flight: nothing is charged twice, nothing is lost, and no receipt stops
// verifying, neither those that were given before nor those after.
import { createHash } from 'node:crypto';
import { type Address, type Hex, parseEther } from 'viem';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isVerified } from '../client/receipt-evidence.ts';
import { verifyReceipt } from '../client/verify.ts';
import { mined } from '../contracts/deploy-contract.ts';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';
import { fund } from '../dev/contracts.ts';
import type { Stack } from '../dev/stack.ts';
import { addressOfKey } from '../protocol/ecdsa.ts';
import { receiptDigest, receiptSigner, type SignedReceipt } from '../protocol/receipt.ts';
import { accountOf, receiptIn, receiptsOf, until, vaultAccount } from './money.ts';
import { type RawAgent, rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

const keyOf = (word: string): Hex => `0x${createHash('sha256').update(word).digest('hex')}`;
/** The stack's own receipt key: dev/stack.ts. */
const oldReceiptKey = keyOf('tallystick local receipt key');
const fresh = {
  OPERATOR_KEY: keyOf('rotated operator'),
  RECEIPT_KEY: keyOf('rotated receipt key'),
  HEAD_KEY: keyOf('rotated head key'),
  CHECKPOINT_KEY: keyOf('rotated checkpoint key'),
};
const holdSeconds = 5;

let stack: Stack;
let agent: RawAgent;
beforeAll(async () => {
  stack = await startTestStack({
    agents: 1,
    deposit: parseEther('10'),
    vars: { HOLD_SECONDS: `${holdSeconds}` },
  });
  const [first] = stack.agents;
  if (!first) throw new Error('no agent');
  agent = rawAgent(stack, first);
});
afterAll(() => stack?.close());

async function asOwner(
  functionName: 'addReceiptKey' | 'setHeadKey' | 'setSender' | 'retireReceiptKey',
  address: Address,
): Promise<void> {
  await mined(
    stack.reader,
    await stack.deployer.writeContract({
      address: stack.anchor,
      abi: receiptAnchorAbi,
      functionName,
      args: [stack.logId, address],
    }),
  );
}

/** Every check of docs/clients.md, with a proof fetched now or kept since. */
async function verifies(signed: SignedReceipt, kept?: string): Promise<boolean> {
  const proof =
    kept ??
    (await (
      await agent.call('GET', `/v1/receipts/${signed.receipt.sequence}/proof?size=${await anchoredSize()}`)
    ).text());
  const where = { rpcUrl: stack.rpcUrl, anchor: stack.anchor, logId: stack.logId };
  const checks = await verifyReceipt({ ...where, signed, proof });
  for (const { name, ok, detail } of checks)
    expect(ok, `${signed.receipt.sequence} ${name}: ${detail}`).toBe(true);
  return isVerified(checks);
}

const anchoredSize = async (): Promise<bigint> =>
  (
    await stack.reader.readContract({
      address: stack.anchor,
      abi: receiptAnchorAbi,
      functionName: 'head',
      args: [stack.logId],
    })
  )[0];

test('receipt, head, checkpoint and transaction keys are exchanged under load', {
  timeout: 90_000,
}, async () => {
  const headers = await agent.payment(parseEther('9'));
  const given = new Map<string, SignedReceipt>();
  let attempts = 0;
  let running = true;
  const client = async (number: number): Promise<void> => {
    for (let turn = 0; running; turn += 1) {
      attempts += 1;
      try {
        const response = await agent.chat(`[[slow:40]] ${number}.${turn}`, {
          headers,
          more: { stream: (number + turn) % 2 === 0, max_tokens: 30 },
        });
        const receipt = receiptIn(response, await response.text());
        if (receipt) given.set(receiptDigest(receipt.receipt), receipt);
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  };
  const clients = Array.from({ length: 3 }, (_, number) => client(number));
  await until(
    async () => given.size,
    (size) => size > 5,
  );
  await until(anchoredSize, (size) => size > 2n);
  const keptProof = await (
    await agent.call('GET', `/v1/receipts/1/proof?size=${await anchoredSize()}`)
  ).text();
  const [first] = await receiptsOf(agent);
  if (!first) throw new Error('no receipt');
  expect(await verifies(first, keptProof)).toBe(true);

  // The order of docs/operating.md, "Exchanging keys". First what makes the new keys count.
  const operator = addressOfKey(fresh.OPERATOR_KEY);
  await fund(stack.reader, stack.deployer, operator);
  await asOwner('addReceiptKey', addressOfKey(fresh.RECEIPT_KEY));
  await asOwner('setHeadKey', addressOfKey(fresh.HEAD_KEY));
  await asOwner('setSender', operator);
  await mined(
    stack.reader,
    await stack.deployer.writeContract({
      address: stack.vault,
      abi: agentVaultAbi,
      functionName: 'setOperator',
      args: [operator],
    }),
  );
  // Then the secrets: from this second on the new receipt key signs.
  const changeover = Math.floor(Date.now() / 1000) + 3;
  const secrets = {
    ...fresh,
    RECEIPT_KEYS_BEFORE: JSON.stringify([{ until: changeover, key: oldReceiptKey }]),
  };
  await stack.restartGateway(secrets);
  // Whoever asks is named the key that signs now, not the one that will.
  const named = async (): Promise<string> => {
    const response = await fetch(`${stack.gatewayUrl}/.well-known/tallystick`);
    return ((await response.json()) as { log: { receiptKey: string } }).log.receiptKey;
  };
  const atFirst = await named();
  if (Date.now() / 1000 < changeover) expect(atFirst).toBe(addressOfKey(oldReceiptKey));

  const signers = () => new Set([...given.values()].map(receiptSigner));
  await until(
    async () => signers().size,
    (size) => size === 2,
  );
  const before = given.size;
  await until(
    async () => given.size,
    (size) => size > before + 6,
  );
  expect(await named()).toBe(addressOfKey(fresh.RECEIPT_KEY));
  running = false;
  await Promise.all(clients);

  const settled = await until(
    () => accountOf(agent),
    ({ held }) => held === 0n,
    (holdSeconds + 8) * 1000,
  );
  const receipts = await receiptsOf(agent);
  const digests: string[] = receipts.map(({ receipt }) => receiptDigest(receipt));
  expect([...given.keys()].filter((digest) => !digests.includes(digest))).toEqual([]);
  expect(new Set(receipts.map(({ receipt }) => receipt.upstreamId)).size).toBe(receipts.length);
  expect(receipts.length).toBeLessThanOrEqual(attempts);
  expect(settled.captured).toBe(receipts.reduce((sum, { receipt }) => sum + receipt.amount, 0n));

  // Each receipt has one signature for ever, by the key of its time.
  for (const { receipt, signature } of receipts) {
    const key = receipt.time < BigInt(changeover) ? oldReceiptKey : fresh.RECEIPT_KEY;
    expect(receiptSigner({ receipt, signature })).toBe(addressOfKey(key));
    const handed = given.get(receiptDigest(receipt));
    if (handed) expect(handed.signature).toBe(signature);
  }

  // All is anchored by the new keys, and paid.
  await until(anchoredSize, (size) => size === BigInt(receipts.length), 40_000);
  await until(
    () => vaultAccount(stack, 0n),
    ({ claimed }) => claimed === settled.captured,
    40_000,
  );
  // Only now may the old receipt key end: what it signed is under an anchored head.
  await asOwner('retireReceiptKey', addressOfKey(oldReceiptKey));
  // All of them in the long run; in the short one those on both sides of the exchange, and the ends.
  const turn = receipts.findIndex(({ receipt }) => receipt.time >= BigInt(changeover));
  const sample = process.env['LONG']
    ? receipts
    : [...receipts.slice(0, 2), ...receipts.slice(turn - 4, turn + 4), ...receipts.slice(-2)];
  for (const signed of sample) expect(await verifies(signed)).toBe(true);
  // And a proof kept from before the exchange, under the old head key's signature, is as good as it was.
  const [one] = receipts;
  if (one) expect(await verifies(one, keptProof)).toBe(true);
});
