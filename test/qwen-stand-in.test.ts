import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type QwenStandIn, startQwenStandIn } from '../dev/qwen-stand-in.ts';
import { countTokens, tokenise } from '../dev/qwen-tokens.ts';
import { prices } from '../protocol/prices.ts';
import { chatEvents } from '../worker/chat-events.ts';
import { readChatRequest } from '../worker/chat-request.ts';
import { serializeJson } from '../worker/json.ts';
import { createMeter } from '../worker/meter.ts';

const apiKey = 'sk-stand-in';
let standIn: QwenStandIn;
let openai: OpenAI;

beforeAll(async () => {
  standIn = await startQwenStandIn({ apiKey, chunkDelayMs: 0 });
  openai = new OpenAI({ baseURL: standIn.url, apiKey, maxRetries: 0 });
});
afterAll(() => standIn.close());

const ask = (content: string) => [{ role: 'user' as const, content }];
const model = 'qwen-flash';

const post = (body: object, signal?: AbortSignal) =>
  fetch(`${standIn.url}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, ...body }),
    ...(signal ? { signal } : {}),
  });

async function answer(content: string, more: object = {}) {
  const made = await openai.chat.completions.create({ model, messages: ask(content), ...more });
  if (!('choices' in made)) throw new Error('a stream');
  return made;
}
const said = async (content: string, more: object = {}) =>
  (await answer(content, more)).choices[0]?.message.content;

describe('answers', () => {
  test('belong to the question', async () => {
    expect(await said('What is 12*7?')).toBe('12 * 7 = 84.');
    expect(await said('How much is 1 / 0?')).toContain('nothing');
    expect(await said('Write a short poem about tally sticks.')).toContain('tally sticks');
    expect(await said('Say: tally ho')).toBe('tally ho');
    expect(await said('count to 5')).toBe('1, 2, 3, 4, 5.');
    const restated = await said('How do payment channels settle on chain?');
    for (const word of ['payment', 'channels', 'settle']) expect(restated).toContain(word);
    expect(await said('How do payment channels settle on chain?')).toBe(restated);
  });

  test('have an id, a request id, and a bill', async () => {
    const response = await post({ messages: ask('hello') });
    const body = await response.json();
    expect(body).toMatchObject({ object: 'chat.completion', system_fingerprint: null, model });
    expect(body).toHaveProperty('id', `chatcmpl-${response.headers.get('x-request-id')}`);
  });

  test('are cut at max_tokens and at stop, and billed as cut', async () => {
    const cut = await answer('count to 100', { max_tokens: 10 });
    expect(cut.choices[0]).toMatchObject({ finish_reason: 'length', message: { content: '1, 2, 3, 4' } });
    expect(cut.usage?.completion_tokens).toBe(10);
    const stopped = await answer('count to 100', { stop: [', 3'] });
    expect(stopped.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: '1, 2' } });
    expect(stopped.usage?.completion_tokens).toBe(countTokens('1, 2'));
  });

  test('come n times', async () => {
    const four = await answer('hello', { n: 4 });
    expect(new Set(four.choices.map((choice) => choice.message.content)).size).toBe(4);
    await expect(answer('hello', { n: 5 })).rejects.toMatchObject({ status: 400 });
  });

  test('think when asked to, within the budget; max_tokens does not bound it, max_completion_tokens does', async () => {
    const thinking = { enable_thinking: true };
    const some = await answer('What is 12*7?', { ...thinking, thinking_budget: 6, max_tokens: 2 });
    expect(some.choices[0]?.message).toHaveProperty('reasoning_content');
    expect(some.usage).toMatchObject({
      completion_tokens: 8,
      completion_tokens_details: { reasoning_tokens: 6 },
    });
    const all = await answer('What is 12*7?', { ...thinking, max_completion_tokens: 9 });
    expect(all.usage?.completion_tokens).toBe(9);
    expect((await answer('hi')).choices[0]?.message).not.toHaveProperty('reasoning_content');
    expect((await answer('hi', { model: 'qwen3.6-plus' })).choices[0]?.message).toHaveProperty(
      'reasoning_content',
    );
    expect(
      (await answer('hi', { model: 'qwen3-coder-plus', ...thinking })).choices[0]?.message,
    ).not.toHaveProperty('reasoning_content');
  });

  const weather = {
    type: 'function' as const,
    function: {
      name: 'get_weather',
      description: 'The weather of a city',
      parameters: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } } },
    },
  };

  test('call a tool the prompt asks for, and read its result', async () => {
    const called = await answer('What is the weather in Lisbon for 3 days?', { tools: [weather] });
    const [call] = called.choices[0]?.message.tool_calls ?? [];
    expect(called.choices[0]?.finish_reason).toBe('tool_calls');
    expect(call).toMatchObject({ type: 'function', function: { name: 'get_weather' } });
    if (call?.type !== 'function') throw new Error('no call');
    expect(JSON.parse(call.function.arguments)).toEqual({ city: 'Lisbon', days: 3 });
    expect((await answer('What is 2+2?', { tools: [weather] })).choices[0]?.finish_reason).toBe('stop');
    const after = await openai.chat.completions.create({
      model,
      tools: [weather],
      messages: [
        ...ask('What is the weather in Lisbon?'),
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: call.id, content: 'sunny, 24 degrees' },
      ],
    });
    expect(after.choices[0]?.message.content).toContain('sunny, 24 degrees');
  });

  test('stream a tool call as deltas the openai package can join', async () => {
    const stream = openai.chat.completions.stream({
      model,
      tools: [weather],
      messages: ask('What is the weather in Lisbon?'),
    });
    const final = await stream.finalChatCompletion();
    const [call] = final.choices[0]?.message.tool_calls ?? [];
    if (call?.type !== 'function') throw new Error('no call');
    expect(call.function.name).toBe('get_weather');
    expect(JSON.parse(call.function.arguments)).toMatchObject({ city: 'Lisbon' });
  });

  test('fit a schema', async () => {
    const schema = { type: 'object', properties: { answer: { type: 'string' }, sure: { type: 'boolean' } } };
    const json = await said('What is 3*3?', {
      response_format: { type: 'json_schema', json_schema: { name: 'sum', schema } },
    });
    expect(JSON.parse(json ?? '')).toEqual({ answer: '3 * 3 = 9.', sure: true });
  });
});

describe('streams', () => {
  test('say the same as the whole answer, several tokens a chunk, usage only when asked', async () => {
    const text = 'Write a poem about rain.';
    const whole = await answer(text);
    for (const wanted of [true, false]) {
      const stream = await openai.chat.completions.create({
        model,
        messages: ask(text),
        stream: true,
        ...(wanted ? { stream_options: { include_usage: true } } : {}),
      });
      const chunks: OpenAI.Chat.ChatCompletionChunk[] = [];
      for await (const chunk of stream) chunks.push(chunk);
      expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(
        whole.choices[0]?.message.content,
      );
      const last = chunks.at(-1);
      expect(last?.choices.length === 0).toBe(wanted);
      expect(last?.usage?.completion_tokens).toBe(wanted ? whole.usage?.completion_tokens : undefined);
      expect(chunks.length).toBeLessThan(whole.usage?.completion_tokens ?? 0);
    }
  });

  test('go on in samples, thinking first', async () => {
    const response = await post({
      model: 'qwen3.6-plus',
      messages: ask('hello'),
      stream: true,
      n: 2,
      stream_options: { include_usage: true },
    });
    const meter = createMeter({ readEvent: chatEvents({ includeUsage: false }) });
    meter.push(new Uint8Array(await response.arrayBuffer()));
    expect(meter.seen.observed.since).toEqual({ thinkingBytes: 0, answerBytes: 0, frames: 0 });
    expect(meter.seen.usage?.thinking).toBeGreaterThan(0n);
    expect(meter.seen.finished && meter.seen.done !== undefined).toBe(true);
  });

  test('arrive in single bytes when asked to', async () => {
    const response = await post({ messages: ask('Say: é [[split:1]]'), stream: true });
    let pieces = 0;
    const all: number[] = [];
    for await (const piece of response.body ?? []) {
      pieces += 1;
      all.push(...piece);
    }
    expect(pieces).toBeGreaterThan(50);
    expect(new TextDecoder().decode(Uint8Array.from(all))).toContain('"content":"é"');
  });

  test('know when the client has gone, and what it would be billed', async () => {
    const abort = new AbortController();
    const response = await post({ messages: ask('count to 500 [[slow:5]]'), stream: true }, abort.signal);
    await response.body?.getReader().read();
    abort.abort();
    const record = standIn.requests.at(-1);
    await expect.poll(() => record?.outcome).toBe('client-gone');
    expect(record?.generatedTokens).toBeLessThan(500);
  });
});

describe('faults', () => {
  test.each([
    ['400', 400, 'invalid_parameter_error'],
    ['403', 403, 'AccessDenied.Unpurchased'],
    ['429', 429, 'limit_requests'],
    ['overdue', 429, 'PrepaidBillOverdue'],
    ['500', 500, 'internal_error'],
    ['503', 503, 'ModelUnavailable'],
  ])('%s', async (fault, status, code) => {
    await expect(said(`hello [[fault:${fault}]]`)).rejects.toMatchObject({ status, code });
    await expect(said('hello', { model: `fault-${fault}` })).rejects.toMatchObject({ status, code });
  });

  test('a wrong key, an unknown model, an unknown path', async () => {
    const stranger = new OpenAI({ baseURL: standIn.url, apiKey: 'sk-other', maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' });
    await expect(said('hello', { model: 'gpt-5' })).rejects.toMatchObject({
      status: 404,
      code: 'model_not_found',
    });
    const lost = await fetch(`${standIn.url}/nothing`, { headers: { authorization: `Bearer ${apiKey}` } });
    expect(lost.status).toBe(404);
  });

  test('queued, as often as said', async () => {
    standIn.faults.next('500', 2);
    await expect(said('hello')).rejects.toMatchObject({ status: 500 });
    await expect(said('hello')).rejects.toMatchObject({ status: 500 });
    expect(await said('Say: fine')).toBe('fine');
    standIn.faults.next('500');
    standIn.faults.clear();
    expect(await said('Say: fine')).toBe('fine');
  });

  /** What the meter makes of a stream that goes wrong. */
  async function broken(fault: string) {
    const response = await post({
      messages: ask(`count to 30 [[fault:${fault}]]`),
      stream: true,
      stream_options: { include_usage: true },
    });
    const meter = createMeter({ readEvent: chatEvents({ includeUsage: false }) });
    let cut = false;
    try {
      for await (const chunk of response.body ?? []) meter.push(chunk);
    } catch {
      cut = true;
    }
    meter.end();
    const { usage, done, error, garbled, observed } = meter.seen;
    return {
      cut,
      usage: usage !== undefined,
      done: done !== undefined,
      error: error?.code,
      garbled,
      seen: observed.since.answerBytes > 0,
    };
  }
  const fine = { cut: false, usage: true, done: true, error: undefined, garbled: 0, seen: false };

  test.each([
    ['none', fine],
    ['cut', { ...fine, cut: true, usage: false, done: false, seen: true }],
    ['eof', { ...fine, usage: false, done: false, seen: true }],
    ['garbage', { ...fine, garbled: 1 }],
    ['error-frame', { ...fine, usage: false, done: false, error: 'internal_error', seen: true }],
    ['no-usage', { ...fine, usage: false, seen: true }],
    ['no-done', { ...fine, done: false }],
  ])('a stream with %s', async (fault, expected) => {
    expect(await broken(fault)).toEqual(expected);
  });

  test.each(['stall', 'silence'])('%s: nothing more comes, until the client gives up', async (fault) => {
    const body = { messages: ask(`count to 30 [[fault:${fault}]]`), stream: true };
    const waited = post(body, AbortSignal.timeout(300)).then((response) => response.arrayBuffer());
    await expect(waited).rejects.toThrow();
    await expect.poll(() => standIn.requests.at(-1)?.outcome).toBe('client-gone');
  });

  test('an overrun of ten tokens', async () => {
    const over = await answer('count to 100 [[fault:overrun]]', { max_tokens: 10 });
    expect(over.usage?.completion_tokens).toBe(20);
  });
});

describe('accounting', () => {
  test('a token is at least a byte, and tokens are the text', () => {
    for (const text of ['Hello, wörld! 12 tokens\n\n', '世界😀', 'internationalisation', '\u0958', '']) {
      const normal = text.normalize('NFC');
      expect(tokenise(text).join('')).toBe(normal);
      expect(countTokens(text)).toBeLessThanOrEqual(new TextEncoder().encode(normal).length);
    }
  });

  test('a prompt seen before is read from the cache, from 256 tokens on', async () => {
    const messages = [
      { role: 'system' as const, content: 'Some rule of the house. '.repeat(80) },
      ...ask('hello'),
    ];
    const first = await openai.chat.completions.create({ model: 'qwen-plus', messages });
    const second = await openai.chat.completions.create({ model: 'qwen-plus', messages });
    expect(first.usage?.prompt_tokens_details?.cached_tokens).toBe(0);
    expect(second.usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThanOrEqual(256);
    const marked = {
      role: 'system',
      content: [
        { type: 'text', text: 'Another rule altogether. '.repeat(300), cache_control: { type: 'ephemeral' } },
      ],
    };
    const details = async () => {
      const body = await (await post({ messages: [marked, ...ask('hello')] })).json();
      return (body as { usage: { prompt_tokens_details: object } }).usage.prompt_tokens_details;
    };
    expect(await details()).toMatchObject({
      cached_tokens: 0,
      cache_creation_input_tokens: expect.any(Number),
      cache_type: 'ephemeral',
    });
    expect(await details()).toMatchObject({ cache_creation_input_tokens: 0 });
  });

  test('stays within the bounds a gateway would have set', async () => {
    const tools = [
      {
        type: 'function',
        function: { name: 'f', parameters: { type: 'object', properties: { ü: { type: 'string' } } } },
      },
    ];
    const bodies = [
      { messages: ask('') },
      { messages: ask('ü\u0958\u{1d160}'.repeat(50)), n: 3 },
      { messages: ask('call f'), tools },
      { messages: ask('count to 500'), max_tokens: 30, model: 'qwen3.6-plus' },
      { messages: ask('count to 500 [[fault:overrun]]'), max_completion_tokens: 30, enable_thinking: true },
    ];
    for (const body of bodies) {
      const request = readChatRequest(new TextEncoder().encode(JSON.stringify({ model, ...body })), prices);
      if (!request.ok) throw new Error(request.error.message);
      const response = await fetch(`${standIn.url}/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${apiKey}` },
        body: serializeJson(request.value.body),
      });
      const { usage } = (await response.json()) as {
        usage: { prompt_tokens: number; completion_tokens: number };
      };
      expect(BigInt(usage.prompt_tokens)).toBeLessThanOrEqual(request.value.inputBound);
      expect(BigInt(usage.completion_tokens)).toBeLessThanOrEqual(request.value.outputBound);
    }
  });

  test('embeddings are unit vectors of the text', async () => {
    const made = await openai.embeddings.create({
      model: 'text-embedding-v4',
      input: ['rain', 'rain', 'sun'],
      dimensions: 64,
      encoding_format: 'float',
    });
    const [a, b, c] = made.data.map((item) => item.embedding);
    expect(a).toEqual(b);
    expect(a).not.toEqual(c);
    expect(Math.hypot(...(a ?? []))).toBeCloseTo(1);
    expect(made.usage).toEqual({ prompt_tokens: 3, total_tokens: 3 });
  });

  test('lists the models that have a price', async () => {
    const ids = (await openai.models.list()).data.map((listed) => listed.id);
    expect(ids).toEqual(expect.arrayContaining(Object.keys(prices.models)));
  });
});
