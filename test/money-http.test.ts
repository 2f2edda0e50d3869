// Paying over HTTP: calls that are made at most once, and a stock x402 client that knows nothing of us but a scheme.
import { randomUUID } from 'node:crypto';
import { x402Client } from '@x402/core/client';
import { decodePaymentResponseHeader, wrapFetchWithPayment } from '@x402/fetch';
import { parseEther } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agentVaultScheme } from '../client/x402-scheme.ts';
import type { Stack } from '../dev/stack.ts';
import { receiptDigest } from '../protocol/receipt.ts';
import { accountOf, receiptIn, until } from './money.ts';
import { type RawAgent, rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

let stack: Stack;
let agent: RawAgent;
let paid: Record<string, string>;
beforeAll(async () => {
  stack = await startTestStack({ agents: 3 });
  const [first] = stack.agents;
  if (!first) throw new Error('the stack has agents');
  agent = rawAgent(stack, first);
  paid = await agent.payment(parseEther('9'));
});
afterAll(() => stack?.close());

describe('Idempotency-Key', () => {
  const ask = (key: string, prompt: string, more: object = {}) =>
    agent.chat(prompt, { headers: { ...paid, 'idempotency-key': key }, more });

  test('a small answer that was not streamed is given again, byte for byte, for nothing', async () => {
    const key = randomUUID();
    const first = await ask(key, 'Say hello.');
    const body = await first.text();
    const receipt = receiptIn(first, body);
    if (!receipt) throw new Error('no receipt');
    const asked = stack.qwen?.requests.length;
    const before = await accountOf(agent);

    const again = await ask(key, 'Say hello.');
    const repeated = await again.text();
    expect([again.status, repeated]).toEqual([200, body]);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    const same = receiptIn(again, repeated);
    expect(same && receiptDigest(same.receipt)).toBe(receiptDigest(receipt.receipt));
    // Also by a gateway that has just started.
    await stack.restartGateway();
    expect(await (await ask(key, 'Say hello.')).text()).toBe(body);
    expect(stack.qwen?.requests.length).toBe(asked);
    expect((await accountOf(agent)).captured).toBe(before.captured);
  });

  test('anything else is 409 with the receipt, never a second charge', async () => {
    const key = randomUUID();
    const first = await ask(key, 'Say hello.', { stream: true });
    const receipt = receiptIn(first, await first.text());
    const before = await accountOf(agent);
    const again = await ask(key, 'Say hello.', { stream: true });
    expect([again.status, again.headers.get('x-should-retry')]).toEqual([409, 'false']);
    expect(await again.json()).toMatchObject({
      reason: 'already_answered',
      receiptId: `${receipt?.receipt.sequence}`,
    });
    const other = await ask(key, 'Say something else.');
    expect([other.status, ((await other.json()) as { reason: string }).reason]).toEqual([
      409,
      'idempotency_key_reused',
    ]);
    expect(await accountOf(agent)).toEqual(before);
  });

  test('while the first is under way, the second does not start; of twenty at once one is charged', async () => {
    const key = randomUUID();
    const before = await accountOf(agent);
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(key, 'Say hello twice.')));
    const kinds = await Promise.all(
      answers.map(async (answer) => {
        const { reason = 'answered' } = (await answer.json()) as { reason?: string };
        return answer.headers.get('idempotency-replayed') ? 'replayed' : reason;
      }),
    );
    expect(kinds.filter((kind) => kind === 'answered')).toHaveLength(1);
    const allowed = ['answered', 'replayed', 'idempotency_in_progress'];
    expect(kinds.filter((kind) => !allowed.includes(kind))).toEqual([]);
    const after = await accountOf(agent);
    expect([after.sequence, after.held]).toEqual([before.sequence + 1n, 0n]);
  });

  test('a call that failed and cost nothing may be made again under its key', async () => {
    const key = randomUUID();
    stack.qwen?.faults.next('500', 10);
    expect((await ask(key, 'Say hello.')).status).toBe(502);
    stack.qwen?.faults.clear();
    expect((await ask(key, 'Say hello.')).status).toBe(200);
  });

  test('a key that is none', async () => {
    const refused = await agent.chat('Hi.', { headers: { ...paid, 'idempotency-key': 'two words' } });
    expect([refused.status, ((await refused.json()) as { reason: string }).reason]).toEqual([
      400,
      'idempotency_key_invalid',
    ]);
  });
});

describe('a stock x402 client with our scheme registered', () => {
  const payer = (number: number, total: bigint) => {
    const local = stack.agents[number];
    if (!local) throw new Error(`no agent ${number}`);
    const raw = rawAgent(stack, local);
    let asked = 0;
    // All it adds is the identity: each attempt is signed anew.
    const signing: typeof fetch = async (input, init) => {
      asked += 1;
      const request = new Request(input, init);
      const body = new Uint8Array(await request.arrayBuffer());
      const path = new URL(request.url).pathname;
      const signed = await raw.sign(request.method, path, {
        ...(body.length > 0 ? { body } : {}),
        headers: Object.fromEntries(request.headers),
      });
      return fetch(request.url, {
        method: request.method,
        headers: signed,
        ...(body.length > 0 ? { body } : {}),
      });
    };
    // The stock client pays in assets it was told of only; ours is the chain's native one.
    const asset = `0x${'00'.repeat(20)}`;
    const network = `eip155:${stack.chainId}` as const;
    const client = x402Client
      .fromConfig({
        schemes: [],
        spendControls: { allowedAssets: [{ network, asset }] },
      })
      .register(
        network,
        agentVaultScheme({
          account: {
            chainId: stack.chainId,
            vault: stack.vault,
            registry: stack.identityRegistry,
            agentId: BigInt(local.agentId),
          },
          signer: privateKeyToAccount(local.privateKey),
          total,
        }),
      );
    const chat = (more: object) =>
      wrapFetchWithPayment(signing, client)(`${stack.gatewayUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          model: 'qwen-plus',
          max_tokens: 50,
          messages: [{ role: 'user', content: 'Say hello.' }],
          ...more,
        }),
      });
    return { raw, chat, asked: () => asked };
  };

  test('pays, gets its answer, and is told what it cost', async () => {
    const { raw, chat, asked } = payer(1, parseEther('1'));
    const response = await chat({});
    expect(response.status).toBe(200);
    const { choices } = (await response.json()) as { choices: { message: { content: string } }[] };
    expect(choices[0]?.message.content).toMatch(/hello/i);
    expect(asked()).toBe(2);
    const settled = decodePaymentResponseHeader(response.headers.get('payment-response') ?? '');
    const { captured } = await accountOf(raw);
    expect(settled).toMatchObject({
      success: true,
      network: `eip155:${stack.chainId}`,
      amount: `${captured}`,
      payer: raw.address,
    });
  });

  test('a stream says that it was paid, and leaves the amount to the receipt', async () => {
    const { chat } = payer(1, parseEther('1'));
    const response = await chat({ stream: true });
    const settled = decodePaymentResponseHeader(response.headers.get('payment-response') ?? '');
    expect(settled.success).toBe(true);
    expect(settled.amount).toBeUndefined();
    const receipt = receiptIn(response, await response.text());
    expect(receipt?.receipt.amount).toBeGreaterThan(0n);
  });

  test('signs nothing above its own limit, whatever the gateway asks for', async () => {
    const { raw, chat } = payer(2, 10n);
    await expect(chat({})).rejects.toThrow(/at most 10 is signed/);
    await until(
      () => accountOf(raw),
      ({ captured, held }) => captured === 0n && held === 0n,
    );
  });
});
