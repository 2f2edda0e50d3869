// Stock clients against the running gateway, with nothing changed but the base URL and the fetch: what each of them does works,
// and each paid call has its receipt.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { HumanMessage } from '@langchain/core/messages';
import { tool as langchainTool } from '@langchain/core/tools';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { embedMany, generateText, jsonSchema, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { parseEther } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AgentFetch, createAgentFetch } from '../client/agent-fetch.ts';
import { sha256Hex } from './proxy-hash.ts';
import { receiptOf } from './proxy-receipt.ts';
import { type ProxyStack, settled, startProxyStack } from './proxy-stack.ts';

let proxy: ProxyStack;
let agentFetch: AgentFetch;
let baseURL: string;

beforeAll(async () => {
  proxy = await startProxyStack({ standIns: [{ chunkDelayMs: 3 }] });
  const { stack } = proxy;
  const [agent] = stack.agents;
  if (!agent) throw new Error('the stack has an agent');
  baseURL = `${stack.gatewayUrl}/v1`;
  agentFetch = createAgentFetch({
    wallet: privateKeyToAccount(agent.privateKey),
    agent: `eip155:${stack.chainId}:${stack.identityRegistry}:${agent.agentId}`,
    gateway: stack.gatewayUrl,
    rpcUrl: stack.rpcUrl,
    limits: { perVoucher: parseEther('100') },
    // Every receipt is checked against the bytes this client sent and read.
    strict: true,
  });
});
afterAll(() => proxy?.close());

/** Runs what a client does, and expects exactly this many new receipts, each checked and measured. */
async function receipted<T>(paidCalls: number, work: () => Promise<T>): Promise<T> {
  const before = await settled(proxy);
  const known = agentFetch.receipts.length;
  const made = await work();
  await agentFetch.settled();
  const after = await settled(proxy);
  expect(after.sequence - before.sequence).toBe(BigInt(paidCalls));
  const fresh = agentFetch.receipts.slice(known);
  expect(fresh).toHaveLength(paidCalls);
  for (const { responseChecked, signed } of fresh) {
    expect(responseChecked).toBe(true);
    expect(signed.receipt.usage.estimated).toBe(false);
    expect(signed.receipt.amount).toBeGreaterThan(0n);
  }
  return made;
}

const weather = {
  name: 'weather',
  description: 'The weather of a city',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
} as const;
const schema = {
  type: 'object',
  properties: { city: { type: 'string' }, number: { type: 'integer' } },
  required: ['city', 'number'],
  additionalProperties: false,
} as const;
const model = 'qwen-plus';

describe('openai', () => {
  let openai: OpenAI;
  beforeAll(() => {
    openai = new OpenAI({ baseURL, apiKey: 'unused', fetch: agentFetch, maxRetries: 0 });
  });

  test('chat', async () => {
    const completion = await receipted(1, () =>
      openai.chat.completions.create({ model, messages: [{ role: 'user', content: 'What is 12*7?' }] }),
    );
    expect(completion.choices[0]?.message.content).toContain('84');
    expect(completion.usage?.prompt_tokens).toBeGreaterThan(0);
  });

  test('n, logprobs, seed, stop', async () => {
    const completion = await receipted(1, () =>
      openai.chat.completions.create({
        model,
        n: 2,
        seed: 7,
        logprobs: true,
        top_logprobs: 2,
        max_tokens: 50,
        stop: ['5'],
        messages: [{ role: 'user', content: 'count to 9' }],
      }),
    );
    expect(completion.choices).toHaveLength(2);
    expect(completion.choices[0]?.message.content).toBe('1, 2, 3, 4, ');
    expect(completion.choices[0]?.logprobs?.content?.[0]?.top_logprobs).toHaveLength(2);
  });

  test.each([true, false])('stream (usage asked for: %s)', async (include_usage) => {
    await receipted(1, async () => {
      const stream = await openai.chat.completions.create({
        model,
        stream: true,
        ...(include_usage ? { stream_options: { include_usage } } : {}),
        messages: [{ role: 'user', content: 'count to 9' }],
      });
      let text = '';
      let counted = 0;
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? '';
        if (chunk.choices.length === 0) counted += 1;
      }
      expect(text).toBe('1, 2, 3, 4, 5, 6, 7, 8, 9.');
      expect(counted).toBe(include_usage ? 1 : 0);
    });
  });

  test('thinking', async () => {
    const body = {
      model,
      enable_thinking: true,
      thinking_budget: 50,
      messages: [{ role: 'user', content: 'hello' }],
    };
    const completion = await receipted(1, () =>
      openai.chat.completions.create(body as OpenAI.ChatCompletionCreateParamsNonStreaming),
    );
    expect(completion.usage?.completion_tokens_details?.reasoning_tokens).toBeGreaterThan(0);
    expect(agentFetch.lastReceipt?.signed.receipt.usage.thinking).toBe(
      BigInt(completion.usage?.completion_tokens_details?.reasoning_tokens ?? 0),
    );
  });

  test('tools, called in parallel, and their results', async () => {
    const tools: OpenAI.ChatCompletionFunctionTool[] = [
      { type: 'function', function: weather },
      { type: 'function', function: { ...weather, name: 'population', description: 'People in a city' } },
    ];
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: 'user', content: 'Call weather and population for Oslo' },
    ];
    const asked = await receipted(1, () =>
      openai.chat.completions.create({ model, tools, parallel_tool_calls: true, messages }),
    );
    const calls = asked.choices[0]?.message.tool_calls ?? [];
    expect(calls).toHaveLength(2);
    const results = calls.map(({ id }) => ({ role: 'tool' as const, tool_call_id: id, content: 'rain' }));
    const [message] = asked.choices.map((choice) => choice.message);
    if (!message) throw new Error('no message');
    const answer = await receipted(1, () =>
      openai.chat.completions.create({ model, tools, messages: [...messages, message, ...results] }),
    );
    expect(answer.choices[0]?.message.content).toContain('rain');
  });

  test('tools in a stream', async () => {
    await receipted(1, async () => {
      const runner = openai.chat.completions.stream({
        model,
        tools: [{ type: 'function', function: weather }],
        messages: [{ role: 'user', content: 'Call weather for Oslo' }],
      });
      const completion = await runner.finalChatCompletion();
      const [call] = completion.choices[0]?.message.tool_calls ?? [];
      expect(call?.type === 'function' && JSON.parse(call.function.arguments)).toEqual({ city: 'Oslo' });
    });
  });

  test('structured output', async () => {
    const completion = await receipted(1, () =>
      openai.chat.completions.create({
        model,
        response_format: { type: 'json_schema', json_schema: { name: 'place', schema, strict: true } },
        messages: [{ role: 'user', content: 'Where is number 7? In “Oslo”' }],
      }),
    );
    expect(JSON.parse(completion.choices[0]?.message.content ?? '')).toEqual({ city: 'Oslo', number: 7 });
  });

  test('images', async () => {
    const completion = await receipted(1, () =>
      openai.chat.completions.create({
        model: 'qwen3-vl-plus',
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'What is this?' },
              { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(64)}` } },
            ],
          },
        ],
      }),
    );
    expect(completion.model).toBe('qwen3-vl-plus');
  });

  test('explicit cache control', async () => {
    const text = 'A long story about the sea. '.repeat(400);
    const body = {
      model,
      max_tokens: 20,
      messages: [
        { role: 'system', content: [{ type: 'text', text, cache_control: { type: 'ephemeral' } }] },
        { role: 'user', content: 'hello' },
      ],
    } as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming;
    await receipted(1, () => openai.chat.completions.create(body));
    const first = agentFetch.lastReceipt?.signed.receipt.usage;
    expect(first?.cacheCreation).toBeGreaterThan(1_000n);
    await receipted(1, () => openai.chat.completions.create(body));
    const second = agentFetch.lastReceipt?.signed.receipt.usage;
    expect(second?.cachedInput).toBe(first?.cacheCreation);
  });

  test('embeddings', async () => {
    const made = await receipted(1, () =>
      openai.embeddings.create({ model: 'text-embedding-v4', input: ['one', 'two'], dimensions: 64 }),
    );
    expect(made.data).toHaveLength(2);
    expect(made.data[0]?.embedding).toHaveLength(64);
    expect(agentFetch.lastReceipt?.signed.receipt.usage).toMatchObject({
      input: BigInt(made.usage.prompt_tokens),
      output: 0n,
    });
  });

  test('responses', async () => {
    const response = await receipted(1, () =>
      openai.responses.create({ model, instructions: 'Be short.', input: 'What is 12*7?' }),
    );
    expect(response.output_text).toContain('84');
    expect(agentFetch.lastReceipt?.signed.receipt.usage.output).toBe(
      BigInt(response.usage?.output_tokens ?? 0),
    );
  });

  test('responses, streamed, with a tool', async () => {
    await receipted(1, async () => {
      const stream = await openai.responses.create({ model, stream: true, input: 'count to 9' });
      let text = '';
      let last = '';
      for await (const event of stream) {
        if (event.type === 'response.output_text.delta') text += event.delta;
        last = event.type;
      }
      expect(text).toBe('1, 2, 3, 4, 5, 6, 7, 8, 9.');
      expect(last).toBe('response.completed');
    });
    const called = await receipted(1, () =>
      openai.responses.create({
        model,
        input: 'Call weather for Oslo',
        tools: [{ type: 'function', ...weather, strict: true }],
      }),
    );
    expect(called.output[0]).toMatchObject({ type: 'function_call', arguments: '{"city":"Oslo"}' });
  });

  test('responses, structured', async () => {
    const response = await receipted(1, () =>
      openai.responses.create({
        model,
        input: 'Where is number 7? In “Oslo”',
        text: { format: { type: 'json_schema', name: 'place', schema, strict: true } },
      }),
    );
    expect(JSON.parse(response.output_text)).toEqual({ city: 'Oslo', number: 7 });
  });

  test('models', async () => {
    const models = await openai.models.list();
    expect(models.data.map(({ id }) => id)).toContain('text-embedding-v4');
  });

  test('abort: it is charged what upstream counted all the same, and the receipt is there to be asked for', async () => {
    const before = await settled(proxy);
    const stream = await openai.chat.completions.create({
      model,
      stream: true,
      messages: [{ role: 'user', content: 'count to 60' }],
    });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
    stream.controller.abort();
    const after = await settled(proxy);
    expect(after.sequence).toBe(before.sequence + 1n);
    const receipt = await proxy.receipt(after.sequence);
    expect(receipt.usage.estimated).toBe(false);
    expect(Number(receipt.usage.output)).toBe(proxy.standIns[0]?.requests.at(-1)?.generatedTokens);
    await agentFetch.settled();
    await agentFetch.reconcile();
  });

  test('errors are the package’s own', async () => {
    const refused = openai.chat.completions.create({
      model: 'gpt-4o',
      messages: [{ role: 'user', content: 'x' }],
    });
    await expect(refused).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    proxy.standIns[0]?.faults.next('error-frame');
    const broken = (async () => {
      const stream = await openai.chat.completions.create({
        model,
        stream: true,
        messages: [{ role: 'user', content: 'count to 9' }],
      });
      for await (const _ of stream);
    })();
    await expect(broken).rejects.toThrow(/The model failed/);
    await agentFetch.settled();
  });
});

describe('@ai-sdk/openai-compatible', () => {
  const provider = () =>
    createOpenAICompatible({ name: 'tallystick', baseURL, fetch: agentFetch, includeUsage: true });

  test('text, streamed text, tools, embeddings', async () => {
    const whole = await receipted(1, () =>
      generateText({ model: provider().chatModel(model), prompt: 'What is 12*7?', maxRetries: 0 }),
    );
    expect(whole.text).toContain('84');
    const text = await receipted(1, async () => {
      const result = streamText({ model: provider().chatModel(model), prompt: 'count to 9', maxRetries: 0 });
      let read = '';
      for await (const part of result.textStream) read += part;
      expect((await result.usage).outputTokens).toBeGreaterThan(0);
      return read;
    });
    expect(text).toBe('1, 2, 3, 4, 5, 6, 7, 8, 9.');
    const called = await receipted(1, () =>
      generateText({
        model: provider().chatModel(model),
        prompt: 'Call weather for Oslo',
        maxRetries: 0,
        tools: {
          weather: tool({ description: weather.description, inputSchema: jsonSchema(weather.parameters) }),
        },
      }),
    );
    expect(called.toolCalls[0]).toMatchObject({ toolName: 'weather', input: { city: 'Oslo' } });
    const embedded = await receipted(1, () =>
      embedMany({
        model: provider().embeddingModel('text-embedding-v4'),
        values: ['one', 'two'],
        maxRetries: 0,
      }),
    );
    expect(embedded.embeddings).toHaveLength(2);
  });
});

describe('@langchain/openai', () => {
  const configuration = () => ({ baseURL, fetch: agentFetch });
  const chat = () =>
    new ChatOpenAI({
      model,
      apiKey: 'unused',
      maxRetries: 0,
      streamUsage: true,
      configuration: configuration(),
    });

  test('messages, streamed messages, tools, structured output, embeddings', async () => {
    const answer = await receipted(1, () => chat().invoke([new HumanMessage('What is 12*7?')]));
    expect(answer.text).toContain('84');
    const streamed = await receipted(1, async () => {
      let read = '';
      for await (const part of await chat().stream('count to 9')) read += part.text;
      return read;
    });
    expect(streamed).toBe('1, 2, 3, 4, 5, 6, 7, 8, 9.');
    const lookUp = langchainTool(() => 'rain', {
      name: 'weather',
      description: weather.description,
      schema: weather.parameters,
    });
    const called = await receipted(1, () => chat().bindTools([lookUp]).invoke('Call weather for Oslo'));
    expect(called.tool_calls?.[0]).toMatchObject({ name: 'weather', args: { city: 'Oslo' } });
    const place = await receipted(1, () =>
      chat()
        .withStructuredOutput(schema, { name: 'place', method: 'jsonSchema' })
        .invoke('Where is number 7? In “Oslo”'),
    );
    expect(place).toEqual({ city: 'Oslo', number: 7 });
    const vectors = await receipted(1, () =>
      new OpenAIEmbeddings({
        model: 'text-embedding-v4',
        apiKey: 'unused',
        maxRetries: 0,
        configuration: configuration(),
      }).embedDocuments(['one', 'two']),
    );
    expect(vectors).toHaveLength(2);
  });
});

describe("the MCP SDK's client", () => {
  let client: Client;
  const answers: { body: string; receipt: ReturnType<typeof receiptOf>; sent: string }[] = [];

  beforeAll(async () => {
    const paid = await proxy.agent.payment(parseEther('1000'));
    client = new Client({ name: 'test', version: '1' });
    const transport = new StreamableHTTPClientTransport(new URL(`${proxy.stack.gatewayUrl}/mcp`), {
      fetch: async (input, init) => {
        const sent = typeof init?.body === 'string' ? init.body : '';
        const headers = Object.fromEntries(new Headers(init?.headers));
        const signed =
          init?.method === 'POST'
            ? await proxy.agent.sign('POST', '/mcp', { body: sent, headers: { ...headers, ...paid } })
            : headers;
        const response = await fetch(input, { ...init, headers: signed });
        const body = await response.clone().text();
        answers.push({ body, receipt: receiptOf(response.headers), sent });
        return response;
      },
    });
    await client.connect(transport as Parameters<Client['connect']>[0]);
  });
  afterAll(() => client?.close());

  /** The call's own receipt: of exactly the bytes that went and came. */
  async function paidTool(name: string, given: Record<string, unknown>) {
    const before = await settled(proxy);
    const result = await client.callTool({ name, arguments: given });
    const after = await settled(proxy);
    expect(after.sequence).toBe(before.sequence + 1n);
    const last = answers.at(-1);
    expect(last?.receipt).toMatchObject({
      sequence: `${after.sequence}`,
      requestHash: sha256Hex(last?.sent ?? ''),
      responseHash: sha256Hex(last?.body ?? ''),
    });
    return result;
  }

  test('lists its tools', async () => {
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(['chat', 'embeddings', 'prices', 'balance']);
  });

  test('chat', async () => {
    const result = await paidTool('chat', { model, messages: [{ role: 'user', content: 'What is 12*7?' }] });
    expect(result.content).toEqual([{ type: 'text', text: '12 * 7 = 84.' }]);
    expect(result.structuredContent).toMatchObject({ object: 'chat.completion' });
  });

  test('embeddings', async () => {
    const result = await paidTool('embeddings', { model: 'text-embedding-v4', input: 'one', dimensions: 64 });
    expect(result.structuredContent).toMatchObject({ object: 'list' });
  });

  test('prices and balance cost nothing', async () => {
    const before = await settled(proxy);
    const prices = await client.callTool({ name: 'prices', arguments: { model } });
    expect(prices.structuredContent).toMatchObject({ asset: '0G', models: { [model]: {} } });
    const balance = await client.callTool({ name: 'balance', arguments: {} });
    expect(balance.structuredContent).toMatchObject({ captured: `${before.captured}`, held: '0' });
    expect(await settled(proxy)).toEqual(before);
  });

  test('what is wrong with a call is a tool error and costs nothing', async () => {
    const before = await settled(proxy);
    for (const [name, given] of [
      ['chat', { model: 'gpt-4o', messages: [{ role: 'user', content: 'x' }] }],
      ['chat', { model, messages: [] }],
      ['chat', { model, stream: true, messages: [{ role: 'user', content: 'x' }] }],
      ['chat', { model, enable_search: true, messages: [{ role: 'user', content: 'x' }] }],
      ['nothing', {}],
    ] as const)
      expect(await client.callTool({ name, arguments: given })).toMatchObject({ isError: true });
    proxy.standIns[0]?.faults.next('500');
    const failed = await client.callTool({
      name: 'chat',
      arguments: { model, messages: [{ role: 'user', content: 'x' }] },
    });
    expect(failed).toMatchObject({ isError: true });
    expect(await settled(proxy)).toEqual(before);
  });

  test('without a signature, with a batch, with one name twice: refused in HTTP', async () => {
    const post = (body: string) =>
      fetch(`${proxy.stack.gatewayUrl}/mcp`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      });
    const call = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'chat', arguments: { model, messages: [{ role: 'user', content: 'x' }] } },
    });
    expect((await post(call)).status).toBe(401);
    expect((await post(`[${call}]`)).status).toBe(400);
    expect((await post(call.replace('"id":1', '"id":1,"id":2'))).status).toBe(400);
    expect((await fetch(`${proxy.stack.gatewayUrl}/mcp`)).status).toBe(405);
  });
});
