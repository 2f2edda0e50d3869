// Every dialect's streams, recorded and cut at every byte: the same bytes for the client, the same usage. And each dialect's own
// spelling, errors and counts, through the running gateway.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StandInDialect } from '../dev/qwen-dialects.ts';
import { startQwenStandIn } from '../dev/qwen-stand-in.ts';
import { prices } from '../protocol/prices.ts';
import { chatEvents } from '../worker/chat-events.ts';
import { readChatRequest } from '../worker/chat-request.ts';
import { serializeJson } from '../worker/json.ts';
import { createMeter, type ReadEvent } from '../worker/meter.ts';
import { responseEvents } from '../worker/response-events.ts';
import { readResponsesRequest } from '../worker/responses-request.ts';
import { dialectNames, readUpstreams } from '../worker/upstreams/upstream.ts';
import {
  type ProxyStack,
  readStream,
  settled,
  shortTimeouts,
  startProxyStack,
  upstream,
} from './proxy-stack.ts';

const dialects = dialectNames as readonly StandInDialect[];
const countsOnTheWay: readonly string[] = ['vllm', 'sglang'];
const utf8 = (text: string) => new TextEncoder().encode(text);

const question = (over: object = {}) => ({
  model: 'qwen3.6-plus',
  stream: true,
  max_completion_tokens: 36,
  messages: [{ role: 'user', content: 'Say “Grüße, 世界 😀, \u0958” and call weather for Zürich' }],
  tools: [
    {
      type: 'function',
      function: {
        name: 'weather',
        parameters: { type: 'object', properties: { city: { type: 'string' } } },
      },
    },
  ],
  ...over,
});

/** What this dialect sends for this body: recorded from its stand-in, as the gateway would have asked. */
async function record(dialect: StandInDialect, body: object): Promise<Uint8Array> {
  const standIn = await startQwenStandIn({ dialect, chunkDelayMs: 0, tokensPerChunk: 6 });
  const [configured] = readUpstreams(
    JSON.stringify([{ name: 'x', dialect, baseUrl: standIn.url, secret: 'X_API_KEY' }]),
  );
  const responses = !('messages' in body);
  const read = (responses ? readResponsesRequest : readChatRequest)(utf8(JSON.stringify(body)), prices);
  if (!read.ok || !configured) throw new Error(JSON.stringify(read));
  const response = await fetch(`${standIn.url}/${responses ? 'responses' : 'chat/completions'}`, {
    method: 'POST',
    body: serializeJson(configured.dialect.spell(read.value)),
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  await standIn.close();
  expect(response.status).toBe(200);
  return bytes;
}

/** Everything that comes of a stream in these pieces. */
function metered(readEvent: ReadEvent, pieces: readonly Uint8Array[]) {
  const meter = createMeter({ readEvent });
  const passed: Uint8Array[] = [];
  for (const piece of pieces) passed.push(...meter.push(piece));
  passed.push(...meter.end());
  const { done, usage, upstreamId, finished, error, fault, garbled } = meter.seen;
  return {
    passed: Buffer.concat(passed).toString('base64'),
    done: done && Buffer.from(done).toString('base64'),
    hashes: meter.hashes(),
    usage,
    upstreamId,
    finished,
    error,
    fault,
    garbled,
  };
}

describe('a recorded stream, cut at every byte', () => {
  const cases: [string, () => Promise<Uint8Array>, ReadEvent][] = [
    ...dialects.map((dialect): [string, () => Promise<Uint8Array>, ReadEvent] => [
      `of ${dialect}, thinking and calling a tool`,
      () => record(dialect, question()),
      chatEvents({ includeUsage: false }),
    ]),
    ...dialects.map((dialect): [string, () => Promise<Uint8Array>, ReadEvent] => [
      `of ${dialect}, in two samples, with the usage chunk`,
      () => record(dialect, question({ n: 2, tools: undefined, enable_thinking: false })),
      chatEvents({ includeUsage: true }),
    ]),
    [
      'of /v1/responses',
      () => record('dashscope', { model: 'qwen3.6-plus', stream: true, input: 'Say “Grüße, 世界 😀”' }),
      responseEvents,
    ],
  ];

  test.each(cases)('%s', async (_, recorded, readEvent) => {
    const bytes = await recorded();
    expect(bytes.length).toBeGreaterThan(1_000);
    const whole = metered(readEvent, [bytes]);
    expect(whole.usage?.estimated).toBe(false);
    expect(whole.usage?.output).toBeGreaterThan(0n);
    expect(whole).toMatchObject({ finished: true, error: undefined, fault: undefined, garbled: 0 });
    expect(whole.done).toBeDefined();
    for (let at = 1; at < bytes.length; at += 1) {
      const cut = metered(readEvent, [bytes.slice(0, at), bytes.slice(at)]);
      if (JSON.stringify(cut, bigints) !== JSON.stringify(whole, bigints)) expect(cut).toEqual(whole);
    }
    expect(
      metered(
        readEvent,
        Array.from(bytes, (byte) => Uint8Array.of(byte)),
      ),
    ).toEqual(whole);
  });
});

const bigints = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}` : value);

describe('through the gateway', () => {
  let proxy: ProxyStack;
  beforeAll(async () => {
    proxy = await startProxyStack({
      standIns: dialects.map((dialect) => ({ dialect })),
      upstreams: (standIns) =>
        // One model for each, so that a test can choose.
        standIns.map((standIn, at) =>
          upstream(dialects[at] ?? '', standIn, {
            dialect: dialects[at],
            models: { [models[at] ?? '']: 'qwen3.6-plus' },
            timeouts: { ...shortTimeouts, totalMs: 20_000 },
          }),
        ),
    });
  });
  afterAll(() => proxy?.close());

  const models = ['qwen3.6-plus', 'qwen3.6-flash', 'qwen3.5-plus', 'qwen-plus', 'qwen-flash', 'qwen3-max'];
  const ask = (at: number, stream: boolean, over: object = {}) =>
    proxy.post('/v1/chat/completions', {
      model: models[at],
      stream,
      enable_thinking: true,
      max_completion_tokens: 200,
      messages: [{ role: 'user', content: 'Say “Grüße, 世界 😀” slowly' }],
      ...over,
    });

  test.each(dialects.map((dialect, at) => [dialect, at] as const))(
    '%s: streamed in small pieces or not, whole or not, the bill is the same',
    async (dialect, at) => {
      const usages: unknown[] = [];
      for (const prompt of ['Say “Grüße, 世界 😀” slowly', 'Say “Grüße, 世界 😀” slowly [[split:9]]']) {
        const response = await ask(at, true, { messages: [{ role: 'user', content: prompt }] });
        const read = readStream(await response.text());
        expect(read).toMatchObject({ done: true, error: undefined });
        usages.push(read.receipt?.usage.output, read.receipt?.usage.thinking);
        expect(read.receipt?.upstream).toBe(dialect);
        expect(read.receipt?.usage.estimated).toBe(false);
      }
      expect(usages.slice(0, 2)).toEqual(usages.slice(2));
      const whole = await ask(at, false);
      expect(whole.status).toBe(200);
      const receipt = await proxy.receipt((await settled(proxy)).sequence);
      expect([receipt.usage.output, receipt.usage.thinking]).toEqual(usages.slice(0, 2));
      expect(Number(receipt.usage.output)).toBe(proxy.standIns[at]?.requests.at(-1)?.generatedTokens);
    },
  );

  test.each(dialects.map((dialect, at) => [dialect, at] as const))(
    '%s: what it generates at most is what was priced, thinking included',
    async (_, at) => {
      const response = await ask(at, true, { max_completion_tokens: 20, n: 2 });
      const { receipt } = readStream(await response.text());
      expect(Number(receipt?.usage.output)).toBeGreaterThan(20);
      expect(Number(receipt?.usage.output)).toBeLessThanOrEqual(2 * (20 + 32));
    },
  );

  test.each(dialects.map((dialect, at) => [dialect, at] as const))(
    '%s: its errors, before and in the middle, come in one spelling',
    async (_, at) => {
      proxy.standIns[at]?.faults.next('400');
      const refused = await ask(at, true);
      expect(refused.status).toBe(400);
      expect(((await refused.json()) as { detail: string }).detail).toContain('A parameter specified');
      proxy.standIns[at]?.faults.next('error-frame');
      const read = readStream(await (await ask(at, true)).text());
      expect(read.error).toMatchObject({ code: 'upstream_failed' });
      expect(read.error?.message).toContain('An internal error has occurred');
      // Exact where usage comes on the way.
      expect(read.receipt?.usage.estimated).toBe(!countsOnTheWay.includes(dialects[at] ?? ''));
    },
  );

  test.each(countsOnTheWay)(
    '%s: a stream that is cut is exact up to its last count, because usage comes on the way',
    async (dialect) => {
      const at = dialects.indexOf(dialect as StandInDialect);
      proxy.standIns[at]?.faults.next('cut');
      const { receipt } = readStream(await (await ask(at, true, { enable_thinking: false })).text());
      expect(Number(receipt?.usage.output)).toBe(proxy.standIns[at]?.requests.at(-1)?.generatedTokens);
    },
  );
});
