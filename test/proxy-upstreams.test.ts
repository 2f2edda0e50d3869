// Upstreams in order: what is repeated, what falls back, what is left alone, and what never crosses from one side to the other.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Fault } from '../dev/qwen-stand-in.ts';
import { readUpstreams } from '../worker/upstreams/upstream.ts';
import { receiptOf } from './proxy-receipt.ts';
import {
  type ProxyStack,
  readStream,
  settled,
  shortTimeouts,
  startProxyStack,
  upstream,
  upstreamKey,
} from './proxy-stack.ts';

let proxy: ProxyStack;

beforeAll(async () => {
  proxy = await startProxyStack({
    standIns: [{}, { dialect: 'vllm' }, {}],
    upstreams: ([first, second, third]) => [
      // Two upstreams in order, the second under another name for the model.
      upstream('first', first, { models: ['qwen-plus', 'qwen-flash'], retries: 2 }),
      upstream('second', second, { dialect: 'vllm', models: { 'qwen-plus': 'qwen3-coder-plus' } }),
      // One alone, with a breaker.
      upstream('fragile', third, { models: ['qwen3-max'], breaker: { failures: 3, openMs: 900 } }),
    ],
  });
});
afterAll(() => proxy?.close());
beforeEach(() => {
  for (const standIn of proxy.standIns) standIn.faults.clear();
});

const ask = (model: string, stream = false, prompt = 'count to 12') =>
  proxy.post('/v1/chat/completions', {
    model,
    stream,
    max_tokens: 100,
    messages: [{ role: 'user', content: prompt }],
  });

/** How often each upstream was asked meanwhile. */
async function asked(work: () => Promise<Response>): Promise<{ response: Response; counts: number[] }> {
  const before = proxy.standIns.map(({ requests }) => requests.length);
  const response = await work();
  return { response, counts: proxy.standIns.map(({ requests }, at) => requests.length - (before[at] ?? 0)) };
}

describe.each([
  ['streamed', true],
  ['whole', false],
])('%s', (_, stream) => {
  const served = async (response: Response) => {
    expect(response.status).toBe(200);
    if (!stream) return receiptOf(response.headers)?.upstream;
    const read = readStream(await response.text());
    expect(read.done).toBe(true);
    return read.receipt?.upstream;
  };

  test.each<Fault>(['429', 'burst', '500', '503'])('%s is asked again, and then answers', async (fault) => {
    proxy.standIns[0]?.faults.next(fault, 2);
    const { response, counts } = await asked(() => ask('qwen-plus', stream));
    expect(await served(response)).toBe('first');
    expect(counts).toEqual([3, 0, 0]);
  });

  test('what stays busy falls back after its retries', async () => {
    proxy.standIns[0]?.faults.next('429', 3);
    const { response, counts } = await asked(() => ask('qwen-plus', stream));
    expect(await served(response)).toBe('second');
    expect(counts).toEqual([3, 1, 0]);
    // The other one's own spelling, and its own name for the model.
    const body = JSON.parse(new TextDecoder().decode(proxy.standIns[1]?.requests.at(-1)?.body));
    expect(body).toMatchObject({
      model: 'qwen3-coder-plus',
      max_tokens: 100,
      chat_template_kwargs: { enable_thinking: false },
    });
    expect(body).not.toHaveProperty('enable_thinking');
  });

  test.each<Fault>(['overdue', 'postpaid', 'unbought', 'arrears', 'allocation', '401', '403', '404'])(
    '%s is never asked again here, but elsewhere',
    async (fault) => {
      proxy.standIns[0]?.faults.next(fault);
      const { response, counts } = await asked(() => ask('qwen-plus', stream));
      expect(await served(response)).toBe('second');
      expect(counts).toEqual([1, 1, 0]);
    },
  );

  test.each<Fault>(['reset', 'error-200'])(
    '%s: nothing proves it was not taken; elsewhere',
    async (fault) => {
      proxy.standIns[0]?.faults.next(fault);
      const { response, counts } = await asked(() => ask('qwen-plus', stream));
      expect(await served(response)).toBe('second');
      expect(counts).toEqual([1, 1, 0]);
    },
  );

  test('400 is about the request: nobody else is asked', async () => {
    proxy.standIns[0]?.faults.next('400');
    const { response, counts } = await asked(() => ask('qwen-plus', stream));
    expect(response.status).toBe(400);
    expect(counts).toEqual([1, 0, 0]);
  });

  test('what has begun is neither repeated nor spliced', async () => {
    proxy.standIns[0]?.faults.next('cut');
    const { response, counts } = await asked(() => ask('qwen-plus', stream));
    if (stream) expect(readStream(await response.text()).error?.code).toBe('upstream_interrupted');
    else expect(response.status).toBe(502);
    expect(counts).toEqual([1, 0, 0]);
  });

  test('where nobody is left, the last word counts and nothing is held', async () => {
    const before = await settled(proxy);
    proxy.standIns[0]?.faults.next('429', 3);
    const { response, counts } = await asked(() => ask('qwen-flash', stream));
    expect(response.status).toBe(429);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(counts).toEqual([3, 0, 0]);
    expect(await settled(proxy)).toEqual(before);
  });
});

test('a stream falls back from an upstream that is silent, but not a moment after its first event', async () => {
  for (const fault of ['silence', 'slow-first-byte'] as const) {
    proxy.standIns[0]?.faults.next(fault);
    const { response } = await asked(() => ask('qwen-plus', true));
    expect(readStream(await response.text()).receipt?.upstream).toBe('second');
  }
});

test('an upstream that fails several times in a row is left alone, then tried again', async () => {
  const fragile = proxy.standIns[2];
  fragile?.faults.next('reset', 3);
  for (let tries = 0; tries < 3; tries += 1) expect((await ask('qwen3-max')).status).toBe(502);
  const { response, counts } = await asked(() => ask('qwen3-max'));
  expect(response.status).toBe(503);
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(((await response.json()) as { reason: string }).reason).toBe('upstream_unavailable');
  expect(counts).toEqual([0, 0, 0]);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect((await ask('qwen3-max')).status).toBe(200);
  expect((await settled(proxy)).held).toBe(0n);
});

describe('what crosses', () => {
  test('upward: only headers the gateway makes', async () => {
    await proxy.post(
      '/v1/chat/completions',
      { model: 'qwen-plus', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] },
      { headers: { cookie: 'a=b', 'x-stainless-lang': 'js', 'x-forwarded-for': '1.2.3.4' } },
    );
    const sent = proxy.standIns[0]?.requests.at(-1)?.headers ?? {};
    expect(Object.keys(sent).toSorted()).toEqual(
      [
        'accept',
        'accept-encoding',
        'authorization',
        // The platform's own.
        'cf-worker',
        'content-length',
        'content-type',
        'host',
        'x-request-id',
      ].filter((name) => name in sent),
    );
    expect(sent['authorization']).toBe(`Bearer ${upstreamKey}`);
  });

  test.each([true, false])(
    'downward: only headers the gateway makes, and one request id (stream: %s)',
    async (stream) => {
      const response = await ask('qwen-plus', stream);
      await response.text();
      const allowed = [
        'cache-control',
        'connection',
        'content-encoding',
        'content-length',
        'content-type',
        'date',
        'keep-alive',
        'payment-response',
        'tallystick-receipt',
        'transfer-encoding',
        'vary',
        'x-accel-buffering',
        'x-request-id',
      ];
      const strangers = [...response.headers.keys()].filter(
        (name) => !allowed.includes(name) && !name.startsWith('x-ratelimit-'),
      );
      expect(strangers).toEqual([]);
      // The same id upstream, and upstream's own id in the receipt.
      expect(proxy.standIns[0]?.requests.at(-1)?.headers['x-request-id']).toBe(
        response.headers.get('x-request-id'),
      );
      const { sequence } = await settled(proxy);
      expect((await proxy.receipt(sequence)).upstreamId).toMatch(/^chatcmpl-/);
    },
  );

  test.each([true, false])(
    "never the upstream's key, even where it repeats it (stream: %s)",
    async (stream) => {
      for (const fault of ['echo-key', '401'] as const) {
        proxy.standIns[0]?.faults.next(fault);
        proxy.standIns[1]?.faults.next('401');
        const response = await ask('qwen-plus', stream);
        const everything = JSON.stringify([...response.headers]) + (await response.text());
        expect(response.status).toBeGreaterThanOrEqual(400);
        expect(everything).not.toContain(upstreamKey);
        if (fault === 'echo-key') expect(everything).toContain('[removed]');
      }
    },
  );
});

describe('the configuration', () => {
  const good = { name: 'a', dialect: 'dashscope', baseUrl: 'https://example.org/v1', secret: 'QWEN_API_KEY' };
  const read = (...entries: object[]) => readUpstreams(JSON.stringify(entries));

  test('takes a list in order, with defaults', () => {
    const [first, second] = read(good, {
      ...good,
      name: 'b',
      baseUrl: 'http://10.0.0.1:8000/v1/',
      timeouts: shortTimeouts,
    });
    expect(first).toMatchObject({ name: 'a', retries: 2, models: undefined, timeouts: { totalMs: 570_000 } });
    expect(second).toMatchObject({ baseUrl: 'http://10.0.0.1:8000/v1', timeouts: shortTimeouts });
  });

  test.each<[string, object[], string]>([
    ['no upstream', [], 'UPSTREAMS'],
    ['a dialect nobody speaks', [{ ...good, dialect: 'x' }], 'UPSTREAMS[0].dialect'],
    ['one name twice', [good, good], 'UPSTREAMS'],
    ['a key of another kind', [{ ...good, secret: 'OPERATOR_KEY' }], 'UPSTREAMS[0].secret'],
    ['credentials in the address', [{ ...good, baseUrl: 'https://a:b@example.org' }], 'UPSTREAMS[0].baseUrl'],
    ['a member nobody knows', [{ ...good, timeout: 5 }], 'UPSTREAMS[0].timeout'],
    ['a drain longer than the platform lets us', [{ ...good, timeouts: { drainMs: 30_000 } }], 'drainMs'],
    ['a total longer than a hold', [{ ...good, timeouts: { totalMs: 600_000 } }], 'totalMs'],
    ['no models', [{ ...good, models: [] }], 'models'],
    ['evidence of nobody', [{ ...good, evidence: { kind: '0g', url: 'https://a.b' } }], 'signer'],
  ])('refuses %s, and says where', (_, entries, where) => {
    expect(() => read(...entries)).toThrow(where);
  });
});
