// The gateway in front of real inference: llama.cpp runs a model of Qwen3's architecture, and what receipts say is compared with
// what the engine itself counted. Its vocabulary is bytes and seven merges, the least favourable there is for a ceiling by bytes.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { priceOf } from '../../protocol/price-table.ts';
import { prices } from '../../protocol/prices.ts';
import { cost } from '../../protocol/pricing.ts';
import { type ReceiptJson, receiptOf } from '../proxy-receipt.ts';
import { type ProxyStack, readStream, settled, startProxyStack } from '../proxy-stack.ts';
import { writeModel } from './write-model.ts';

const model = 'qwen3.6-flash';
const folder = mkdtempSync(path.join(tmpdir(), 'tallystick-engine-'));
let engine: ChildProcess | undefined;
let engineUrl: string;
let proxy: ProxyStack;

beforeAll(async () => {
  const file = path.join(folder, 'noise.gguf');
  writeModel(file);
  const started = spawn(process.execPath, [path.join(import.meta.dirname, 'server.ts'), file], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  engine = started;
  const died = once(started, 'exit').then(() => {
    throw new Error('the engine did not start');
  });
  const [url] = (await Promise.race([once(createInterface(started.stdout), 'line'), died])) as [string];
  died.catch(() => undefined);
  engineUrl = url;
  proxy = await startProxyStack({
    standIns: [],
    upstreams: () => [
      { name: 'engine', dialect: 'llama-cpp', baseUrl: `${url}/v1`, models: { [model]: 'noise' } },
    ],
  });
});
afterAll(async () => {
  await proxy?.close();
  engine?.kill();
  rmSync(folder, { recursive: true, force: true });
});

type Count = { readonly prompt: number; readonly output: number };

const counts = async (): Promise<readonly Count[]> =>
  (await (await fetch(`${engineUrl}/counts`)).json()) as Count[];

const question = (prompt: string, over: object = {}) => ({
  model,
  max_completion_tokens: 48,
  messages: [{ role: 'user', content: prompt }],
  ...over,
});

/**
 * What a receipt has to say of these counts. The engine's meter books the step that reads the prompt's last token as the one
 * that writes the first of the answer.
 */
function expectBilled(receipt: ReceiptJson | undefined, counted: Count | undefined): void {
  const usage = { input: BigInt((counted?.prompt ?? -2) + 1), output: BigInt(counted?.output ?? -1) };
  const rest = { cachedInput: 0n, cacheCreation: 0n, thinking: 0n, estimated: false };
  const price = priceOf(prices, model);
  if (!price) throw new Error(`${model} has a price`);
  expect(receipt).toMatchObject({
    upstream: 'engine',
    model,
    amount: `${cost(price, { ...usage, ...rest })}`,
    usage: { input: `${usage.input}`, output: `${usage.output}`, thinking: '0', estimated: false },
  });
}

/** More UTF-8 bytes than characters, more characters than letters: each byte is a token here. */
const hostile = 'Grüße 世界 😀 \u0958 zalgo: Z\u0351\u036b\u0343 <|im_end|> "\\u0000" the and the';

test.each([
  ['short', 'Hello'],
  ['long', 'the an in and '.repeat(60)],
  ['hostile', hostile],
])('a whole answer to a %s prompt', async (_, prompt) => {
  for (const enable_thinking of [true, false]) {
    const response = await proxy.post(
      '/v1/chat/completions',
      question(prompt, { enable_thinking, seed: prompt.length }),
    );
    if (response.status !== 200) throw new Error(await response.text());
    const { usage } = (await response.json()) as {
      usage: { prompt_tokens: number; completion_tokens: number };
    };
    const counted = (await counts()).at(-1);
    expectBilled(receiptOf(response.headers), counted);
    expect(usage).toMatchObject({
      prompt_tokens: (counted?.prompt ?? -2) + 1,
      completion_tokens: counted?.output,
    });
    expect(usage.completion_tokens).toBeGreaterThan(0);
    expect(usage.completion_tokens).toBeLessThanOrEqual(48);
  }
});

test.each([[true], [false]])('a stream, usage asked for: %s', async (include_usage) => {
  const body = question(hostile, { stream: true, stream_options: { include_usage } });
  const text = await (await proxy.post('/v1/chat/completions', body)).text();
  const { done, receipt, error } = readStream(text);
  expect({ done, error }).toEqual({ done: true, error: undefined });
  const counted = (await counts()).at(-1);
  expectBilled(receipt, counted);
  expect(text.includes('"prompt_tokens"')).toBe(include_usage);
});

test('what a quote promised is not exceeded, though each byte is a token', async () => {
  const body = question(hostile.repeat(8));
  const quoted = (await (await proxy.post('/v1/quote', body)).json()) as { quote: { ceiling: string } };
  const receipt = receiptOf((await proxy.post('/v1/chat/completions', body)).headers);
  expectBilled(receipt, (await counts()).at(-1));
  expect(Number(receipt?.usage.input)).toBeGreaterThan(new TextEncoder().encode(hostile).length * 4);
  expect(BigInt(receipt?.amount ?? '')).toBeLessThanOrEqual(BigInt(quoted.quote.ceiling));
});

test('eight at once are billed as the engine counted them', async () => {
  const before = (await counts()).length;
  const texts = await Promise.all(
    Array.from({ length: 8 }, async (_, at) => {
      const body = question(`${'word '.repeat(at)}?`, { stream: true, seed: at });
      return (await proxy.post('/v1/chat/completions', body)).text();
    }),
  );
  const billed = texts.map((text) => {
    const usage = readStream(text).receipt?.usage;
    return `${usage?.input} ${usage?.output} ${usage?.estimated}`;
  });
  const counted = (await counts()).slice(before).map(({ prompt, output }) => `${prompt + 1} ${output} false`);
  expect(billed.toSorted()).toEqual(counted.toSorted());
});

test('a client that leaves pays what the engine counted', async () => {
  const before = await proxy.standing();
  const leaving = new AbortController();
  const body = question('Go on', { stream: true, max_completion_tokens: 1_000 });
  const response = await proxy.post('/v1/chat/completions', body, { signal: leaving.signal });
  await response.body?.getReader().read();
  leaving.abort();
  const after = await settled(proxy);
  expect(after.sequence).toBe(before.sequence + 1n);
  expectBilled(await proxy.receipt(after.sequence), (await counts()).at(-1));
});
