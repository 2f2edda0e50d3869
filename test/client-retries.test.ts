// A stock client repeats a call whose answer was lost on the way. Against the real gateway, over a connection that is really cut:
// whatever it does, the agent pays once.
import OpenAI from 'openai';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type AgentFetch, createAgentFetch } from '../client/agent-fetch.ts';
import type { ReceiptProblem } from '../client/receipt-desk.ts';
import { RetriedCalls } from '../client/retried-calls.ts';
import type { Stack } from '../dev/stack.ts';
import { type Cut, type CuttingProxy, startCuttingProxy } from './cutting-proxy.ts';
import { startTestStack } from './test-stack.ts';

let proxy: CuttingProxy;
let stack: Stack;
let agentFetch: AgentFetch;
let openai: OpenAI;
let problems: ReceiptProblem[];
const keys: (string | null)[] = [];

beforeAll(async () => {
  proxy = await startCuttingProxy();
  const origin = `http://127.0.0.1:${proxy.port}`;
  stack = await startTestStack({ agents: 1, vars: { PUBLIC_ORIGIN: origin } });
  proxy.target = Number(new URL(stack.gatewayUrl).port);
  const [agent] = stack.agents;
  if (!agent) throw new Error('no agent');
  problems = [];
  agentFetch = createAgentFetch({
    wallet: privateKeyToAccount(agent.privateKey),
    agent: `eip155:${stack.chainId}:${stack.identityRegistry}:${agent.agentId}`,
    gateway: origin,
    onProblem: (problem) => problems.push(problem),
    // A connection each, so that a cut meets the request it is for.
    fetch: (input, init) => {
      const headers = new Headers(init?.headers);
      if (init?.method === 'POST') keys.push(headers.get('idempotency-key'));
      headers.set('connection', 'close');
      return fetch(input, { ...init, headers });
    },
  });
  openai = new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'unused', fetch: agentFetch, maxRetries: 2 });
});
afterAll(async () => {
  await stack?.close();
  await proxy?.close();
});
beforeEach(() => {
  keys.length = 0;
  problems.length = 0;
});

/** A prompt of its own for each test: a body is what a retry is known by. */
const chat = (prompt: string) =>
  openai.chat.completions.create({ model: 'qwen-flash', messages: [{ role: 'user', content: prompt }] });

async function chatStreamed(prompt: string): Promise<string> {
  const stream = await openai.chat.completions.create({
    model: 'qwen-flash',
    stream: true,
    messages: [{ role: 'user', content: prompt }],
  });
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
  return text;
}

/** The account when nothing is held any more. */
async function settledAccount() {
  for (const end = Date.now() + 15_000; ; ) {
    const account = await agentFetch.account();
    if (account.held === 0n) return account;
    if (Date.now() > end) throw new Error('something is held for ever');
  }
}

/** Runs with these cuts; answers how many receipts and how much was charged. */
async function charged(cuts: readonly Cut[], work: () => Promise<unknown>) {
  const before = await settledAccount();
  const made = proxy.made;
  proxy.cuts.push(...cuts);
  await work();
  expect(proxy.made - made).toBe(cuts.length);
  const after = await settledAccount();
  return { calls: after.sequence - before.sequence, amount: after.captured - before.captured };
}

describe('a lost answer', () => {
  test('is given again to the stock client’s retry, for nothing', async () => {
    const sum = await charged(['answer'], async () => {
      const answer = await chat('What is 11*7?');
      expect(answer.choices[0]?.message.content).toContain('77');
    });
    expect(sum.calls).toBe(1n);
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
    // The receipt of the first try is the one that counts, checked against the bytes of the second.
    expect(problems).toEqual([]);
    expect(agentFetch.lastReceipt).toMatchObject({ responseChecked: true });
    expect(agentFetch.lastReceipt?.signed.receipt.amount).toBe(sum.amount);
    expect(await agentFetch.reconcile()).toBe(0);
  });

  test('twice over, and after its receipt was asked for', async () => {
    const spent = agentFetch.exposure.spent;
    const sum = await charged(['answer', 'answer'], async () => {
      await chat('What is 12*7?');
    });
    expect([sum.calls, keys.length, new Set(keys).size]).toEqual([1n, 3, 1]);
    const again = await charged(['answer'], async () => {
      const once = new OpenAI({
        ...openai,
        baseURL: openai.baseURL,
        apiKey: 'unused',
        fetch: agentFetch,
        maxRetries: 0,
      });
      const ask = () =>
        once.chat.completions.create({
          model: 'qwen-flash',
          messages: [{ role: 'user', content: 'What is 13*7?' }],
        });
      await expect(ask()).rejects.toThrow(OpenAI.APIConnectionError);
      await settledAccount();
      expect(await agentFetch.reconcile()).toBe(0);
      await ask();
    });
    expect(again.calls).toBe(1n);
    expect(problems).toEqual([]);
    // What this client knows to be spent is what was charged: no receipt counted twice.
    expect(agentFetch.exposure.spent - spent).toBe(sum.amount + again.amount);
  });

  test('whose body broke off is given again when the program asks again', async () => {
    const sum = await charged(['body'], async () => {
      await expect(chat('What is 14*7?')).rejects.toThrow();
      await settledAccount();
      expect((await chat('What is 14*7?')).choices[0]?.message.content).toContain('98');
    });
    expect(sum.calls).toBe(1n);
    expect(new Set(keys).size).toBe(1);
    expect(problems).toEqual([]);
  });

  test('of a stream is charged once, and the retry is told so', async () => {
    const sum = await charged(['answer'], async () => {
      const error: unknown = await chatStreamed('Write a poem about rain').catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(OpenAI.ConflictError);
      expect(['already_answered', 'idempotency_in_progress']).toContain((error as { code?: unknown }).code);
    });
    expect(sum.calls).toBe(1n);
    expect([keys.length, new Set(keys).size]).toEqual([2, 1]);
    expect(await agentFetch.reconcile()).toBe(0);
    expect(problems).toEqual([]);
  });

  test('when the gateway hears of it, too: still at most once', async () => {
    const sum = await charged(['both'], async () => {
      await chat('Write a poem about snow').catch((error: unknown) => {
        expect(error).toBeInstanceOf(OpenAI.ConflictError);
      });
    });
    expect(sum.calls).toBeLessThanOrEqual(1n);
    expect(new Set(keys).size).toBe(1);
    await agentFetch.reconcile();
    expect(problems).toEqual([]);
  });
});

test('the same question twice, both answered, is two calls', async () => {
  const sum = await charged([], async () => {
    await chat('What is 15*7?');
    await chat('What is 15*7?');
    await Promise.all([chat('What is 16*7?'), chat('What is 16*7?')]);
  });
  expect(sum.calls).toBe(4n);
  expect(new Set(keys).size).toBe(4);
});

describe('keys', () => {
  const body = `0x${'ab'.repeat(32)}` as const;
  let now = 0;
  const calls = () => new RetriedCalls(() => now);
  const retryOf = (ending: 'answered' | 'lost' | 'spent', isFirstTry: boolean, afterMs: number) => {
    const book = calls();
    const first = book.begin(body, true);
    book.end(first, ending);
    now += afterMs;
    return book.begin(body, isFirstTry).key === first.key;
  };

  test('are kept while the gateway remembers them', () => {
    expect(retryOf('lost', true, 54 * 60_000)).toBe(true);
    expect(retryOf('lost', false, 56 * 60_000)).toBe(false);
  });

  test('of a call whose answer is gone are kept for the library’s retries only', () => {
    expect(retryOf('spent', false, 30_000)).toBe(true);
    expect(retryOf('spent', false, 61_000)).toBe(false);
    expect(retryOf('spent', true, 0)).toBe(false);
  });

  test('are used by one call at a time', () => {
    const book = calls();
    const lost = book.begin(body, true);
    book.end(lost, 'lost');
    expect(book.begin(body, true).key).toBe(lost.key);
    expect(book.begin(body, true).key).not.toBe(lost.key);
    expect(retryOf('answered', true, 0)).toBe(false);
  });
});
