import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { prices } from '../protocol/prices.ts';
import { ceilingCost, cost, type Usage } from '../protocol/pricing.ts';
import { chatEvents } from '../worker/chat-events.ts';
import { createMeter, type Seen } from '../worker/meter.ts';
import { estimateUsage, nothingObserved, readUsage } from '../worker/usage.ts';
import { readAnswer } from '../worker/whole-answer.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);
const utf8 = (text: string) => new TextEncoder().encode(text);
const sha256 = (bytes: Uint8Array) => `0x${createHash('sha256').update(bytes).digest('hex')}`;
const join = (chunks: readonly Uint8Array[]) => Uint8Array.from(chunks.flatMap((chunk) => [...chunk]));
const text = (chunks: readonly Uint8Array[]) => new TextDecoder().decode(join(chunks));

const usage = (input: number, output: number) => ({
  prompt_tokens: input,
  completion_tokens: output,
  total_tokens: input + output,
});
const chunk = (delta: object | undefined, rest: object = {}) =>
  `data: ${JSON.stringify({
    choices: delta ? [{ delta, index: 0, finish_reason: null }] : [],
    object: 'chat.completion.chunk',
    usage: null,
    id: 'chatcmpl-1',
    ...rest,
  })}`;

const first = chunk({ role: 'assistant', content: '' });
const words = chunk({ content: 'Grüße, 世界 😀' });
const counted = chunk(undefined, { usage: usage(22, 17) });
const done = 'data: [DONE]';
const stream = (...events: string[]) => events.map((event) => `${event}\n\n`).join('');

/** Everything a meter makes of a stream that arrives in these pieces. */
function metered(pieces: readonly Uint8Array[], includeUsage = false, maxFrameBytes?: number) {
  const meter = createMeter({
    readEvent: chatEvents({ includeUsage }),
    ...(maxFrameBytes === undefined ? {} : { maxFrameBytes }),
  });
  const passed = pieces.flatMap((piece) => [...meter.push(piece)]);
  passed.push(...meter.end());
  return { passed: text(passed), seen: { ...meter.seen } as Seen, hashes: meter.hashes(), meter };
}
const whole = (source: string, includeUsage = false) => metered([utf8(source)], includeUsage);

function cut(bytes: Uint8Array, positions: readonly number[]): Uint8Array[] {
  const places = [
    0,
    ...positions.map((position) => position % (bytes.length + 1)).toSorted((a, b) => a - b),
    bytes.length,
  ];
  return places.slice(1).map((place, index) => bytes.slice(places[index], place));
}

describe('the stream', () => {
  test('passes content as it is, takes the usage chunk out, holds [DONE] back', () => {
    const { passed, seen } = whole(stream(first, words, counted, done));
    expect(passed).toBe(stream(first, words));
    expect(seen).toMatchObject({
      usage: { input: 22n, output: 17n, estimated: false },
      upstreamId: 'chatcmpl-1',
      error: undefined,
      fault: undefined,
    });
    expect(text([seen.done ?? new Uint8Array()])).toBe(stream(done));
  });

  test('leaves the usage chunk where the client asked for it', () => {
    expect(whole(stream(first, counted, done), true).passed).toBe(stream(first, counted));
  });

  test('passes a chunk that has usage and content, and empty choices without usage', () => {
    const both = chunk({ content: 'x' }, { usage: usage(1, 1) });
    const neither = chunk(undefined);
    expect(whole(stream(both, neither)).passed).toBe(stream(both, neither));
  });

  test('hashes what came and what the client reads, [DONE] included', () => {
    const source = stream(first, words, counted, done);
    expect(whole(source).hashes).toEqual({
      upstream: sha256(utf8(source)),
      response: sha256(utf8(stream(first, words, done))),
    });
    const { meter } = whole(stream(first));
    const frame = utf8(stream('data: {"error":{"message":"cut"}}'));
    expect(meter.send(frame)).toBe(frame);
    expect(meter.hashes().response).toBe(sha256(join([utf8(stream(first)), frame])));
    // Reading a hash does not end it.
    expect(meter.hashes()).toEqual(meter.hashes());
  });

  const events = fc.array(
    fc.oneof(
      fc.constantFrom(
        first,
        words,
        counted,
        done,
        ': keep-alive',
        'event: ping\ndata: {}',
        'retry: 10',
        'data',
        '',
      ),
      fc.constantFrom(
        'data: {"choices":[],\ndata: "usage":{"prompt_tokens":1,"completion_tokens":2}}',
        'data:{"error":{"message":"no"}}',
        'data: {"cho',
      ),
      fc
        .string({ unit: 'binary', maxLength: 8 })
        .filter((content) => content.isWellFormed())
        .map((content) => chunk({ content })),
    ),
    { maxLength: 8 },
  );
  const lineEnd = fc.constantFrom('\n', '\r\n', '\r');

  test('is metered the same however its bytes are cut, with every line end', () => {
    fc.assert(
      fc.property(
        events,
        fc.array(lineEnd, { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        fc.boolean(),
        fc.boolean(),
        fc.boolean(),
        (list, ends, positions, includeUsage, closed, marked) => {
          let line = 0;
          const end = () => ends[line++ % ends.length] ?? '\n';
          const lines = list.flatMap((event) => [...event.split('\n').map((part) => part + end()), end()]);
          const source = (marked ? '\ufeff' : '') + lines.join('').slice(0, closed ? undefined : -3);
          const bytes = utf8(source);
          const once = metered([bytes], includeUsage);
          for (const pieces of [cut(bytes, positions), [...bytes].map((byte) => Uint8Array.of(byte))]) {
            const again = metered(pieces, includeUsage);
            expect(again.passed).toBe(once.passed);
            expect(again.seen).toEqual(once.seen);
            expect(again.hashes).toEqual(once.hashes);
          }
        },
      ),
      { numRuns: runs(300), seed: 11 },
    );
  });

  test('reads the same from every line end and split as from plain line feeds', () => {
    const events = [
      first,
      ': comment',
      words,
      'data: {"choices":[],\ndata: "usage":{"prompt_tokens":5,"completion_tokens":6}}',
      done,
    ];
    for (const end of ['\n', '\r\n', '\r']) {
      const source = stream(...events).replaceAll('\n', end);
      const bytes = utf8(source);
      for (let at = 0; at <= bytes.length; at += 1) {
        const { passed, seen } = metered([bytes.slice(0, at), bytes.slice(at)]);
        expect(passed).toBe(stream(first, ': comment', words).replaceAll('\n', end));
        expect(seen.usage).toMatchObject({ input: 5n, output: 6n });
        expect(text([seen.done ?? new Uint8Array()])).toBe(stream(done).replaceAll('\n', end));
      }
    }
  });

  test('gives an event away as soon as it is complete, and not before', () => {
    const meter = createMeter({ readEvent: chatEvents({ includeUsage: false }) });
    expect(text(meter.push(utf8(`${first}\n`)))).toBe('');
    expect(text(meter.push(utf8('\n')))).toBe(`${first}\n\n`);
    // A CR may be half a line end; the event does not wait for the other half.
    expect(text(meter.push(utf8(`${words}\r\n\r`)))).toBe(`${words}\r\n\r`);
    expect(text(meter.push(utf8('\n')))).toBe('\n');
  });

  test('passes neighbouring events of one chunk as one piece', () => {
    const meter = createMeter({ readEvent: chatEvents({ includeUsage: false }) });
    expect(meter.push(utf8(stream(first, words, words)))).toHaveLength(1);
  });

  test('takes a byte order mark at the beginning only, as the format says', () => {
    expect(whole(`\ufeff${stream(counted)}`).seen.usage).toMatchObject({ input: 22n });
    expect(whole(stream(first, `\ufeff${counted}`)).seen.usage).toBe(undefined);
  });

  test('passes nothing after [DONE]', () => {
    expect(whole(stream(first, done, words, counted)).passed).toBe(stream(first));
  });

  test('refuses an event without an end', () => {
    const meter = createMeter({ readEvent: chatEvents({ includeUsage: false }), maxFrameBytes: 1_000 });
    expect(text(meter.push(utf8(stream(first))))).toBe(stream(first));
    for (let sent = 0; sent < 12; sent += 1) expect(meter.push(utf8('x'.repeat(100)))).toEqual([]);
    expect(meter.seen.fault).toBe('frame_too_large');
    expect(meter.push(utf8(stream(words)))).toEqual([]);
    expect(meter.end()).toEqual([]);
    expect(metered([utf8(`data: ${'x'.repeat(1_000)}\n\n`)], false, 1_000).seen.fault).toBe(
      'frame_too_large',
    );
  });
});

describe('the end', () => {
  test('closes an event that lacks only its blank line', () => {
    for (const missing of ['', '\n']) {
      const { passed, seen } = whole(stream(first) + counted + missing);
      expect(passed).toBe(stream(first));
      expect(seen.usage).toMatchObject({ input: 22n });
      const finished = whole(stream(first) + done + missing);
      expect(finished.passed).toBe(stream(first));
      expect(text([finished.seen.done ?? new Uint8Array()])).toBe(stream(done));
      expect(whole(first + missing).passed).toBe(stream(first));
    }
  });

  test('drops half an event, and counts it as seen', () => {
    const { passed, seen } = whole(stream(first) + words.slice(0, -4));
    expect(passed).toBe(stream(first));
    expect(seen.usage).toBe(undefined);
    expect(seen.observed.since.answerBytes).toBeGreaterThan(0);
  });

  test('may come twice', () => {
    const { meter } = whole(first);
    expect(meter.end()).toEqual([]);
  });
});

describe('what the meter saw', () => {
  test('counts text of every kind, thinking apart', () => {
    const { seen } = whole(
      stream(
        chunk({ reasoning_content: '思考' }),
        chunk({ reasoning: 'abc' }),
        chunk({ content: 'é' }),
        chunk({ tool_calls: [{ index: 0, id: 'x', function: { name: 'f', arguments: '{"a":' } }] }),
        chunk({ tool_calls: [{ index: 0, id: '', function: { name: null, arguments: '1}' } }] }),
      ),
    );
    expect(seen.observed.since).toEqual({ thinkingBytes: 9, answerBytes: 2 + 6 + 2, frames: 5 });
    expect(seen.usage).toBe(undefined);
  });

  test('takes the last usage, and only where it covers everything', () => {
    const counting = (n: number) => chunk({ content: 'ab' }, { usage: usage(9, n) });
    expect(whole(stream(counting(1), counting(2), counting(3))).seen.usage).toMatchObject({ output: 3n });
    const { seen } = whole(stream(counting(1), chunk({ content: 'abcdef' })));
    expect(seen.usage).toBe(undefined);
    const estimate = estimateUsage(seen.observed, { inputBound: 100n, outputBound: 100n, promptBytes: 90n });
    expect(estimate).toMatchObject({ input: 9n, output: 3n, estimated: true });
  });

  test('knows an explicit zero from a missing count', () => {
    const { seen } = whole(stream(chunk(undefined, { usage: usage(0, 0) }), done));
    expect(seen.usage).toMatchObject({ input: 0n, output: 0n, estimated: false });
    expect(whole(stream(first, done)).seen.usage).toBe(undefined);
  });

  test.each<[string, string | undefined, string]>([
    ['{"error":{"message":"Too much","type":"t","code":"limit_requests"}}', 'limit_requests', 'Too much'],
    ['{"error":{"message":"Too much","type":"t","code":null}}', 't', 'Too much'],
    ['{"error":"plain"}', undefined, 'plain'],
    ['{"object":"error","message":"sglang","type":"BadRequest","code":400}', '400', 'sglang'],
    ['{"code":"InternalError","message":"native","request_id":"r"}', 'InternalError', 'native'],
  ])('recognises the error %s', (frame, code, message) => {
    const { passed, seen } = whole(stream(first, `data: ${frame}`));
    expect(seen.error).toEqual({ code, message });
    // The gateway words it itself, after the receipt.
    expect(passed).toBe(stream(first));
  });

  test('does not take content for an error, or "error": null', () => {
    expect(whole(stream(chunk({ content: '{"error":{}}' }, { error: null }))).seen.error).toBe(undefined);
  });

  test('passes what is not JSON, and counts it', () => {
    const { passed, seen } = whole(stream(first, 'data: {"choices":[{"del', done));
    expect(passed).toBe(stream(first, 'data: {"choices":[{"del'));
    expect(seen.garbled).toBe(1);
    expect(seen.observed.since.answerBytes).toBe(17);
  });

  test('knows that an answer was finished', () => {
    const last = `data: ${JSON.stringify({ choices: [{ delta: {}, finish_reason: 'stop' }] })}`;
    expect(whole(stream(first, last)).seen.finished).toBe(true);
    expect(whole(stream(first)).seen.finished).toBe(false);
  });
});

describe('usage', () => {
  test.each<[string, object, Partial<Usage>]>([
    [
      'Model Studio',
      {
        ...usage(3_019, 104),
        prompt_tokens_details: {
          cached_tokens: 2_048,
          text_tokens: 3_019,
          cache_creation_input_tokens: 100,
          cache_type: 'ephemeral',
        },
        completion_tokens_details: { reasoning_tokens: 80, text_tokens: 24 },
      },
      { input: 3_019n, cachedInput: 2_048n, cacheCreation: 100n, output: 104n, thinking: 80n },
    ],
    ['vLLM', { ...usage(7, 5), prompt_tokens_details: null }, { input: 7n, output: 5n, cachedInput: 0n }],
    ['SGLang', { ...usage(7, 5), reasoning_tokens: 3 }, { thinking: 3n }],
    ['Ollama', usage(26, 298), { input: 26n, output: 298n, thinking: 0n }],
    ['an embedding', { prompt_tokens: 12, total_tokens: 12 }, { input: 12n, output: 0n }],
    [
      'a detail larger than its whole',
      { ...usage(5, 5), prompt_tokens_details: { cached_tokens: 9, cache_creation_input_tokens: 9 } },
      { input: 5n, cachedInput: 5n, cacheCreation: 0n },
    ],
    [
      'null details',
      {
        ...usage(5, 5),
        prompt_tokens_details: { cached_tokens: null },
        completion_tokens_details: { reasoning_tokens: null },
      },
      { cachedInput: 0n, thinking: 0n },
    ],
  ])('of %s', (_, reported, expected) => {
    const read = readUsage(reported);
    expect(read).toMatchObject({ ok: true, value: { ...expected, estimated: false } });
  });

  test.each<[unknown, string]>([
    [undefined, 'usage_missing'],
    [null, 'usage_missing'],
    [[], 'usage_missing'],
    [{}, 'usage_missing'],
    [{ prompt_tokens: 5 }, 'usage_missing'],
    [{ completion_tokens: 5 }, 'usage_missing'],
    [{ prompt_tokens: null, completion_tokens: 5 }, 'usage_missing'],
    [usage(-1, 5), 'usage_invalid'],
    [usage(5, -1), 'usage_invalid'],
    [usage(1.5, 1), 'usage_invalid'],
    [usage(1e300, 1), 'usage_invalid'],
    [{ prompt_tokens: '5', completion_tokens: 5 }, 'usage_invalid'],
    [{ ...usage(5, 5), prompt_tokens_details: { cached_tokens: -1 } }, 'usage_invalid'],
  ])('refuses %o', (reported, code) => {
    expect(readUsage(reported)).toMatchObject({ ok: false, error: { code } });
  });

  test('of a whole answer', () => {
    const body = {
      id: 'chatcmpl-9',
      choices: [{ message: { content: 'é', reasoning_content: 'abc' } }],
      usage: usage(3, 4),
    };
    expect(readAnswer(utf8(JSON.stringify(body)))).toMatchObject({
      ok: true,
      value: { upstreamId: 'chatcmpl-9', usage: { input: 3n, output: 4n }, error: undefined },
    });
    const silent = readAnswer(utf8(JSON.stringify({ ...body, usage: null })));
    expect(silent).toMatchObject({
      ok: true,
      value: { usage: undefined, observed: { since: { thinkingBytes: 3, answerBytes: 2 } } },
    });
    expect(readAnswer(utf8('{"error":{"message":"no"}}'))).toMatchObject({
      ok: true,
      value: { error: { message: 'no' } },
    });
    expect(readAnswer(utf8('<html>'))).toEqual({ ok: false, error: 'not_json' });
  });
});

describe('an estimate', () => {
  const count = fc.bigInt({ min: 0n, max: 100_000n });
  const size = fc.nat({ max: 100_000 });

  test('is never free, never above the hold, and never more than was seen', () => {
    fc.assert(
      fc.property(
        fc.record({
          input: count,
          cachedInput: count,
          cacheCreation: count,
          output: count,
          thinking: count,
          estimated: fc.constant(false),
        }),
        fc.boolean(),
        fc.record({ thinkingBytes: size, answerBytes: size, frames: size }),
        fc.record({
          inputBound: fc.bigInt({ min: 1n, max: 100_000n }),
          outputBound: fc.bigInt({ min: 17n, max: 100_000n }),
          promptBytes: count,
        }),
        fc.constantFrom(...Object.values(prices.models)),
        (report, wasReported, since, basis, price) => {
          const estimate = estimateUsage({ reported: wasReported ? report : undefined, since }, basis);
          expect(estimate.estimated).toBe(true);
          expect(estimate.input).toBeLessThanOrEqual(basis.inputBound);
          expect(estimate.output).toBeLessThanOrEqual(basis.outputBound);
          expect(estimate.thinking).toBeLessThanOrEqual(estimate.output);
          expect(estimate.cachedInput + estimate.cacheCreation).toBeLessThanOrEqual(estimate.input);
          const spent = cost(price, estimate);
          expect(spent).toBeLessThanOrEqual(ceilingCost(price, { ...basis, thinkingPossible: true }));
          if (wasReported) return;
          expect(spent).toBeGreaterThan(0n);
          expect(estimate.output).toBeLessThanOrEqual(BigInt(since.thinkingBytes + since.answerBytes));
        },
      ),
      { numRuns: runs(500), seed: 12 },
    );
  });

  test('is not free where nothing was written and nothing was asked', () => {
    const basis = { inputBound: 640n, outputBound: 17n, promptBytes: 0n };
    expect(estimateUsage(nothingObserved, basis)).toMatchObject({ input: 1n, output: 0n, estimated: true });
  });

  test('goes by the text, not by the bound', () => {
    const observed = { reported: undefined, since: { thinkingBytes: 30, answerBytes: 60, frames: 9 } };
    expect(estimateUsage(observed, { inputBound: 5_000n, outputBound: 8_208n, promptBytes: 300n })).toEqual({
      input: 100n,
      cachedInput: 0n,
      cacheCreation: 0n,
      output: 30n,
      thinking: 10n,
      estimated: true,
    });
  });
});
