// The stock `openai` package, given only baseURL, any apiKey and our fetch, against the real Worker.
import OpenAI from 'openai';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AgentFetch, createAgentFetch } from '../client/agent-fetch.ts';
import type { Stack } from '../dev/stack.ts';
import { startTestStack } from './test-stack.ts';

let stack: Stack;
let agentFetch: AgentFetch;
let openai: OpenAI;

beforeAll(async () => {
  stack = await startTestStack();
  const [agent] = stack.agents;
  if (!agent) throw new Error('no agent');
  agentFetch = createAgentFetch({
    wallet: privateKeyToAccount(agent.privateKey),
    agent: `eip155:${stack.chainId}:${stack.identityRegistry}:${agent.agentId}`,
    gateway: stack.gatewayUrl,
    rpcUrl: stack.rpcUrl,
    strict: true,
  });
  openai = new OpenAI({
    baseURL: `${stack.gatewayUrl}/v1`,
    apiKey: 'unused',
    fetch: agentFetch,
    maxRetries: 0,
  });
});
afterAll(() => stack?.close());

test('completes, and the receipt is right', async () => {
  const completion = await openai.chat.completions.create({
    model: 'qwen-plus',
    messages: [{ role: 'user', content: 'What is 12*7?' }],
  });
  expect(completion.choices[0]?.message.content).toContain('84');
  await agentFetch.settled();
  const last = agentFetch.lastReceipt;
  expect(last?.responseChecked).toBe(true);
  expect(last?.signed.receipt.usage).toMatchObject({
    input: BigInt(completion.usage?.prompt_tokens ?? -1),
    output: BigInt(completion.usage?.completion_tokens ?? -1),
    estimated: false,
  });
  expect(last?.signed.receipt.upstreamId).toBe(completion.id);
});

test('streams, and the receipt of a streamed call arrives', async () => {
  const before = agentFetch.receipts.length;
  const stream = await openai.chat.completions.create({
    model: 'qwen-plus',
    stream: true,
    stream_options: { include_usage: true },
    messages: [{ role: 'user', content: 'Write a poem about the sea' }],
  });
  let text = '';
  let chunks = 0;
  let usage: OpenAI.CompletionUsage | null | undefined;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? '';
    usage = chunk.usage ?? usage;
    chunks += 1;
  }
  expect(text).toContain('sea');
  expect(chunks).toBeGreaterThan(5);
  await agentFetch.settled();
  expect(agentFetch.receipts).toHaveLength(before + 1);
  const last = agentFetch.lastReceipt;
  expect(last?.responseChecked).toBe(true);
  expect(last?.signed.receipt.usage.output).toBe(BigInt(usage?.completion_tokens ?? -1));
});

test('twenty calls at once share one deposit and one voucher', async () => {
  const before = agentFetch.receipts.length;
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      openai.chat.completions.create({
        model: 'qwen-flash',
        messages: [{ role: 'user', content: `What is ${i}*3?` }],
      }),
    ),
  );
  answers.forEach((answer, i) => {
    expect(answer.choices[0]?.message.content).toContain(`${i * 3}`);
  });
  await agentFetch.settled();
  expect(agentFetch.receipts).toHaveLength(before + 20);
});

test('an error is an OpenAI error, and says what to do', async () => {
  const error = await openai.chat.completions
    .create({ model: 'gpt-4o', messages: [{ role: 'user', content: 'hi' }] })
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(OpenAI.NotFoundError);
  expect((error as InstanceType<typeof OpenAI.NotFoundError>).code).toBe('model_not_found');
});

test('lists models', async () => {
  const ids = (await openai.models.list()).data.map((model) => model.id);
  expect(ids).toContain('qwen-plus');
});
