// What tests about money ask of a gateway and a vault, from outside.
import { expect } from 'vitest';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import type { Stack } from '../dev/stack.ts';
import { receiptDigest, receiptFromJson, receiptSigner, type SignedReceipt } from '../protocol/receipt.ts';
import type { RawAgent } from './raw-agent.ts';

export type Account = {
  readonly held: bigint;
  readonly captured: bigint;
  readonly available: bigint;
  readonly deposited: bigint;
  readonly claimed: bigint;
  readonly withdrawing: bigint;
  readonly sequence: bigint;
  readonly epoch: bigint;
};

export async function accountOf(agent: RawAgent): Promise<Account> {
  const response = await agent.call('GET', '/v1/account');
  expect(response.status).toBe(200);
  const said = (await response.json()) as Record<string, string>;
  const figure = (name: string): bigint => BigInt(said[name] ?? 'missing');
  return {
    held: figure('held'),
    captured: figure('captured'),
    available: figure('available'),
    deposited: figure('deposited'),
    claimed: figure('claimed'),
    withdrawing: figure('withdrawing'),
    sequence: figure('sequence'),
    epoch: figure('epoch'),
  };
}

/** Every receipt the gateway shows, page by page, checked: signed, in order, each naming the one before. */
export async function receiptsOf(agent: RawAgent): Promise<SignedReceipt[]> {
  const all: SignedReceipt[] = [];
  for (let from: string | null = '1'; from !== null; ) {
    const response = await agent.call('GET', `/v1/receipts?from=${from}`);
    expect(response.status).toBe(200);
    const page = (await response.json()) as { receipts: Record<string, unknown>[]; next: string | null };
    for (const { receipt, signature, digest } of page.receipts) {
      const read = receiptFromJson({ receipt, signature });
      if (!read.ok) throw new Error(read.error);
      expect(receiptDigest(read.value.receipt)).toBe(digest);
      expect(receiptSigner(read.value)).toBeDefined();
      const before = all.at(-1);
      expect(read.value.receipt.sequence).toBe((before?.receipt.sequence ?? 0n) + 1n);
      if (before) expect(read.value.receipt.previous).toBe(receiptDigest(before.receipt));
      all.push(read.value);
    }
    from = page.next;
  }
  return all;
}

/** The receipt of an answer, in its header or in the stream's comment. */
export function receiptIn(response: Response, body: string): SignedReceipt | undefined {
  const text =
    response.headers.get('tallystick-receipt') ??
    /^: tallystick-receipt (\S+)$/m.exec(body)?.[1] ??
    undefined;
  if (text === undefined) return undefined;
  const read = receiptFromJson(JSON.parse(Buffer.from(text, 'base64').toString('utf8')));
  if (!read.ok) throw new Error(read.error);
  return read.value;
}

export const vaultAccount = (
  stack: Pick<Stack, 'reader' | 'vault' | 'identityRegistry'>,
  agentId: string | bigint,
) =>
  stack.reader.readContract({
    address: stack.vault,
    abi: agentVaultAbi,
    functionName: 'account',
    args: [stack.identityRegistry, BigInt(agentId)],
  });

/** Asks again and again until the answer is right, or fails with the last one. */
export async function until<T>(
  ask: () => Promise<T>,
  isRight: (answer: T) => boolean,
  timeoutMs = 20_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (isRight(answer)) return answer;
    if (Date.now() > deadline) {
      throw new Error(
        `still not so after ${timeoutMs} ms: ${JSON.stringify(answer, (_, value) => (typeof value === 'bigint' ? `${value}` : value))}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** What a call may cost at most, as the gateway says when nobody pays for it. */
export async function ceilingOf(agent: RawAgent, prompt: string, more: object = {}): Promise<bigint> {
  const response = await agent.chat(prompt, { more });
  expect(response.status).toBe(402);
  const { accepts } = (await response.json()) as { accepts: [{ extra: { ceiling: string } }] };
  return BigInt(accepts[0].extra.ceiling);
}
