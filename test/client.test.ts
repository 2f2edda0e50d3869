// The agent's side against gateways that lie, each in one way.
import fc from 'fast-check';
import OpenAI from 'openai';
import type { Address } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { describe, expect, it } from 'vitest';
import { type AgentFetch, type AgentFetchOptions, createAgentFetch } from '../client/agent-fetch.ts';
import type { ReceiptProblem } from '../client/receipt-desk.ts';
import { agent, amountPerCall, type FakeGateway, fakeGateway, type Lies, origin } from './fake-gateway.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);
const wallet = privateKeyToAccount(`0x${'21'.repeat(32)}`);
const spender = wallet.address.toLowerCase() as Address;

type Setup = { gateway: FakeGateway; agentFetch: AgentFetch; client: OpenAI; problems: ReceiptProblem[] };

function setup(lies: Lies = {}, options: Partial<AgentFetchOptions> = {}): Setup {
  const gateway = fakeGateway(spender, lies);
  const problems: ReceiptProblem[] = [];
  const agentFetch = createAgentFetch({
    wallet,
    agent,
    gateway: origin,
    fetch: gateway.fetch,
    limits: { perVoucher: 1_000n },
    onProblem: (problem) => problems.push(problem),
    ...options,
  });
  const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'unused', fetch: agentFetch, maxRetries: 0 });
  return { gateway, agentFetch, client, problems };
}

const messages = [{ role: 'user' as const, content: 'Grüße?' }];
const ask = (client: OpenAI) => client.chat.completions.create({ model: 'qwen-test', messages });
async function askStreaming(client: OpenAI): Promise<string> {
  const stream = await client.chat.completions.create({ model: 'qwen-test', messages, stream: true });
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
  return text;
}
const posts = (gateway: FakeGateway) => gateway.seen.filter(({ method }) => method === 'POST');

describe('a stock OpenAI client with this fetch', () => {
  it('gets its answer, and the receipt has been checked by then', async () => {
    const { client, agentFetch, problems, gateway } = setup();
    const answer = await ask(client);
    expect(answer.choices[0]?.message.content).toBe('Grüße, 你好');
    expect(problems).toEqual([]);
    expect(agentFetch.lastReceipt?.signed.receipt.amount).toBe(amountPerCall);
    expect(agentFetch.lastReceipt?.responseChecked).toBe(true);
    expect(posts(gateway)).toHaveLength(1);
  });

  it('streams, and the receipt has been checked when the last event is read', async () => {
    const { client, agentFetch, problems } = setup();
    expect(await askStreaming(client)).toBe('Grüße, 你好');
    expect(problems).toEqual([]);
    expect(agentFetch.lastReceipt?.responseChecked).toBe(true);
  });
});

void fc;
void runs;
