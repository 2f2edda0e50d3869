import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { prices } from '../protocol/prices.ts';
import { ceilingCost } from '../protocol/pricing.ts';
import { allowedParameters } from '../worker/chat-parameters.ts';
import { readChatRequest } from '../worker/chat-request.ts';
import { type JsonValue, parseJson, serializeJson } from '../worker/json.ts';
import type { PricedRequest } from '../worker/priced-request.ts';
import { defaultRequestLimits } from '../worker/request-limits.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);
const utf8 = (text: string) => new TextEncoder().encode(text);

const hello = [{ role: 'user', content: 'hello' }];
const read = (body: object) =>
  readChatRequest(utf8(JSON.stringify({ model: 'qwen-flash', messages: hello, ...body })), prices);

function accepted(body: object): PricedRequest {
  const request = read(body);
  if (!request.ok) throw new Error(JSON.stringify(request.error));
  return request.value;
}
const forwarded = (body: object): { [key: string]: unknown } =>
  JSON.parse(serializeJson(accepted(body).body));
const refusal = (body: object) => {
  const request = read(body);
  if (request.ok) throw new Error('was accepted');
  return request.error;
};

describe('JSON', () => {
  const parse = (source: string) => parseJson(utf8(source));

  test('reads what JSON.parse reads, and writes the same value again', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (source) => {
        const value = parse(source);
        // fc.json may produce "__proto__", which is refused by design.
        fc.pre(!source.includes('__proto__'));
        expect(value.ok).toBe(true);
        if (value.ok) expect(JSON.parse(serializeJson(value.value))).toEqual(JSON.parse(source));
      }),
      { numRuns: runs(500), seed: 1 },
    );
  });

  test('takes nothing that JSON.parse does not take', () => {
    const alphabet = fc.constantFrom(...'{}[]",:\\u0123aefnrtl.+-E \n\t\u0001é😀');
    fc.assert(
      fc.property(fc.array(alphabet, { maxLength: 12 }), (letters) => {
        const source = letters.join('');
        if (parse(source).ok) expect(() => JSON.parse(source)).not.toThrow();
      }),
      { numRuns: runs(3_000), seed: 2 },
    );
  });

  test.each(['0', '-0', '1.0', '1e5', '0.10', '12345678901234567890', '1E400', '-1.5e-7', '1e999'])(
    'keeps the number %s as it was written',
    (number) => {
      const value = parse(`[${number}]`);
      expect(value.ok && serializeJson(value.value)).toBe(`[${number}]`);
    },
  );

  test('keeps the order of names', () => {
    const value = parse('{"b":1,"2":2,"a":3,"1":4}');
    expect(value.ok && serializeJson(value.value)).toBe('{"b":1,"2":2,"a":3,"1":4}');
  });

  test.each<[string, string, number]>([
    ['duplicate_key', '{"a":1,"a":2}', 7],
    ['duplicate_key', '{"é":{"b":1,"\\u0062":2}}', 13],
    ['forbidden_key', '{"x":[{"__proto__":1}]}', 7],
    ['forbidden_key', '{"__pro\\u0074o__":1}', 1],
    ['lone_surrogate', '["\\ud800"]', 1],
    ['lone_surrogate', '["\\udc00\\ud800"]', 1],
    ['byte_order_mark', '\ufeff{}', 0],
    ['too_deep', '['.repeat(65) + ']'.repeat(65), 64],
    ['too_deep', '{"a":'.repeat(100_000), 320],
    ['syntax', '', 0],
    ['syntax', '{} {}', 3],
    ['syntax', '{"a":1,}', 7],
    ['syntax', '[1,]', 3],
    ['syntax', '01', 1],
    ['syntax', '"a\nb"', 2],
    ['syntax', '"abc', 4],
    ['syntax', "{'a':1}", 1],
    ['syntax', 'NaN', 0],
  ])('refuses %s: %s', (reason, source, at) => {
    expect(parse(source)).toMatchObject({ ok: false, error: { reason, at } });
  });

  test('refuses what is not UTF-8, and says where', () => {
    const overlong = Uint8Array.of(0x22, 0xc3, 0xa9, 0xc0, 0xaf, 0x22);
    expect(parseJson(overlong)).toEqual({ ok: false, error: { reason: 'invalid_utf8', at: 3 } });
    expect(parseJson(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)).ok).toBe(false);
    expect(parseJson(utf8('"\ufffd"')).ok).toBe(true);
  });

  test('joins an escaped pair, and takes 64 levels', () => {
    expect(parse('"\\ud83d\\ude00"')).toEqual({ ok: true, value: '😀' });
    expect(parse('['.repeat(64) + ']'.repeat(64)).ok).toBe(true);
  });
});

describe('what goes upstream', () => {
  test('is what was priced: other spellings of the same body make the same forwarded body', () => {
    const spaced =
      ' { "model" : "qwen-flash" , "messages" : [ { "role" : "user" , "content" : "h\\u0065llo" } ] } ';
    const plain = read({});
    const other = readChatRequest(utf8(spaced), prices);
    expect(plain.ok && other.ok && serializeJson(other.value.body)).toBe(
      plain.ok && serializeJson(plain.value.body),
    );
  });

  test('keeps a 20-digit seed', () => {
    const body =
      '{"model":"qwen-flash","messages":[{"role":"user","content":"hi"}],"seed":12345678901234567890}';
    const request = readChatRequest(utf8(body), prices);
    expect(request.ok && serializeJson(request.value.body)).toContain('"seed":12345678901234567890');
  });

  test('always asks for usage on a stream, and remembers whether the client did', () => {
    expect(forwarded({ stream: true })['stream_options']).toEqual({ include_usage: true });
    expect(accepted({ stream: true }).includeUsage).toBe(false);
    expect(accepted({ stream: true, stream_options: { include_usage: false } }).includeUsage).toBe(false);
    expect(forwarded({ stream: true, stream_options: { include_usage: false } })['stream_options']).toEqual({
      include_usage: true,
    });
    expect(accepted({ stream: true, stream_options: { include_usage: true } }).includeUsage).toBe(true);
    expect(forwarded({})).not.toHaveProperty('stream_options');
    expect(refusal({ stream_options: { include_usage: true } }).param).toBe('stream_options');
  });

  test('drops a null: it says nothing', () => {
    expect(forwarded({ temperature: null, stop: null, enable_search: null })).toEqual(forwarded({}));
  });

  test('has every allowed parameter as the client sent it', () => {
    const sent = {
      temperature: 0.5,
      top_p: 0.9,
      top_k: 20,
      seed: 7,
      presence_penalty: -1,
      frequency_penalty: 1,
      repetition_penalty: 1.05,
      stop: ['\n\n', 'END'],
      logprobs: true,
      top_logprobs: 5,
      parallel_tool_calls: true,
      preserve_thinking: true,
      user: 'someone',
      n: 2,
      tool_choice: 'auto',
      response_format: { type: 'json_object' },
      tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } }],
    };
    expect(forwarded({ ...sent, max_tokens: 1_000 })).toMatchObject(sent);
    const replaced = ['model', 'messages', 'stream', 'stream_options', 'enable_thinking'];
    const limits = ['max_tokens', 'max_completion_tokens', 'thinking_budget', 'vl_high_resolution_images'];
    // Nothing on the allow-list goes untested.
    expect([...Object.keys(sent), ...replaced, ...limits].toSorted()).toEqual(
      [...allowedParameters.keys()].toSorted(),
    );
  });
});

describe('images', () => {
  const data = `data:image/png;base64,${'A'.repeat(40)}`;
  const look = (image: object, rest: object = {}) => [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'look' },
        { type: 'image_url', image_url: image, ...rest },
      ],
    },
  ];
  const model = 'qwen3-vl-plus';
  const tokens = prices.models[model]?.maxImageTokens ?? 0;

  test('cost at most what the model scales them to, however large the file is', () => {
    const one = accepted({ model, messages: look({ url: data }) });
    const text = accepted({ model, messages: [{ role: 'user', content: 'look' }] });
    expect(tokens).toBe(16_386);
    expect(Number(one.inputBound - text.inputBound)).toBeGreaterThanOrEqual(tokens);
    const huge = accepted({
      model,
      messages: look({ url: `data:image/png;base64,${'A'.repeat(2_000_000)}` }),
    });
    expect(huge.inputBound).toBe(one.inputBound);
    const two = accepted({ model, messages: [...look({ url: data }), ...look({ url: data })] });
    expect(Number(two.inputBound - one.inputBound)).toBeGreaterThanOrEqual(tokens);
    expect(forwarded({ model, messages: look({ url: data }) })['messages']).toEqual(look({ url: data }));
  });

  test.each<[string, object, object]>([
    ['of a model that takes none', { messages: look({ url: data }) }, { code: 'unsupported_content' }],
    ['at an address that is not https', { model, messages: look({ url: 'http://a.b/c.png' }) }, {}],
    ['that are no images', { model, messages: look({ url: 'data:text/html;base64,AAAA' }) }, {}],
    ['with a member nobody knows', { model, messages: look({ url: data, fps: 2 }) }, {}],
    [
      'larger than the model scales to',
      { model, messages: look({ url: data }, { max_pixels: 20_000_000 }) },
      {},
    ],
    [
      'of the assistant',
      { model, messages: [{ role: 'assistant', content: look({ url: data })[0]?.content }] },
      {},
    ],
  ])('%s are refused', (_, body, expected) => {
    expect(refusal(body)).toMatchObject({ status: 400, ...expected });
  });

  test('high resolution is a matter of models that see', () => {
    expect(refusal({ vl_high_resolution_images: true })).toMatchObject({
      param: 'vl_high_resolution_images',
    });
    expect(accepted({ model, vl_high_resolution_images: true }).inputBound).toBe(
      accepted({ model }).inputBound,
    );
  });
});

test('a whole answer with more log probabilities than can be held is refused before it is generated', () => {
  const many = { logprobs: true, top_logprobs: 20, max_tokens: 8_000 };
  expect(refusal(many)).toMatchObject({ param: 'top_logprobs' });
  expect(accepted({ ...many, stream: true }).stream).toBe(true);
  expect(accepted({ ...many, max_tokens: 1_000 }).stream).toBe(false);
});

describe('the output bound', () => {
  const limits = (body: object) => {
    const { max_tokens, max_completion_tokens, thinking_budget, enable_thinking } = forwarded(body);
    return { max_tokens, max_completion_tokens, thinking_budget, enable_thinking };
  };
  // A model where one parameter bounds all, thinking unless told not to; and one where two are needed, not thinking unless told to.
  const together = { model: 'qwen3.6-plus' };
  const apart = { model: 'qwen-plus' };
  const thinking = { enable_thinking: true };

  test.each<[string, object, object, number]>([
    ['nothing said', together, { max_completion_tokens: 16_384, enable_thinking: true }, 16_384],
    ['nothing said', apart, { max_tokens: 8_192, enable_thinking: false }, 8_192],
    ['nothing said', { model: 'qwen-2.5-7b-instruct' }, { max_tokens: 2_048 }, 2_048],
    [
      'a total',
      { ...together, max_completion_tokens: 100 },
      { max_completion_tokens: 100, enable_thinking: true },
      100,
    ],
    [
      'an answer',
      { ...together, max_tokens: 100 },
      { max_tokens: 100, thinking_budget: 8_192, enable_thinking: true },
      8_292,
    ],
    [
      'an answer and a budget',
      { ...together, max_tokens: 100, thinking_budget: 50 },
      { max_tokens: 100, thinking_budget: 50, enable_thinking: true },
      150,
    ],
    [
      'an answer, not thinking',
      { ...together, max_tokens: 100, enable_thinking: false },
      { max_completion_tokens: 100, enable_thinking: false },
      100,
    ],
    ['a total', { ...apart, max_completion_tokens: 100 }, { max_tokens: 100, enable_thinking: false }, 100],
    [
      'both',
      { ...apart, max_completion_tokens: 100, max_tokens: 70 },
      { max_tokens: 70, enable_thinking: false },
      70,
    ],
    [
      'a total, thinking',
      { ...apart, ...thinking, max_completion_tokens: 101 },
      { max_tokens: 51, thinking_budget: 50, enable_thinking: true },
      101,
    ],
    [
      'a total and a budget',
      { ...apart, ...thinking, max_completion_tokens: 100, thinking_budget: 90 },
      { max_tokens: 10, thinking_budget: 90, enable_thinking: true },
      100,
    ],
    [
      'an answer, thinking',
      { ...apart, ...thinking, max_tokens: 100 },
      { max_tokens: 100, thinking_budget: 8_192, enable_thinking: true },
      8_292,
    ],
  ])('%s: %o', (_, body, sent, limit) => {
    expect(JSON.parse(JSON.stringify(limits(body)))).toEqual(sent);
    const request = accepted(body);
    expect(request.outputLimit).toBe(limit);
    // Up to ten tokens over each limit that is in force upstream.
    const limitsInForce =
      limits(body).max_completion_tokens === undefined && limits(body).thinking_budget ? 2 : 1;
    expect(request.outputBound).toBe(BigInt(limit + 16 * limitsInForce));
  });

  test.each<[object, string]>([
    [{ ...together, max_tokens: 65_537 }, 'max_tokens'],
    [{ ...together, max_completion_tokens: 65_536 + 81_920 + 1 }, 'max_completion_tokens'],
    [{ ...together, enable_thinking: false, max_completion_tokens: 65_537 }, 'max_completion_tokens'],
    [{ ...together, thinking_budget: 81_921 }, 'thinking_budget'],
    [{ ...together, max_tokens: 0 }, 'max_tokens'],
    [{ ...together, max_tokens: 1.5 }, 'max_tokens'],
    [{ ...together, max_tokens: '10' }, 'max_tokens'],
    [{ ...together, max_tokens: -1 }, 'max_tokens'],
    [{ ...apart, ...thinking, max_completion_tokens: 100, thinking_budget: 100 }, 'max_completion_tokens'],
    [{ ...apart, ...thinking, max_completion_tokens: 1 }, 'max_completion_tokens'],
    [{ model: 'qwen3-coder-plus', enable_thinking: true }, 'enable_thinking'],
    [{ model: 'qwen3-coder-plus', thinking_budget: 10 }, 'thinking_budget'],
    [{ n: 5 }, 'n'],
    [{ n: 0 }, 'n'],
    [{ n: 1.5 }, 'n'],
  ])('refuses %o', (body, param) => {
    expect(refusal(body)).toMatchObject({ status: 400, code: 'invalid_value', param });
  });

  test('whatever limits are sent, what is forwarded generates no more than the bound', () => {
    const count = fc.option(fc.integer({ min: 1, max: 40_000 }), { nil: undefined });
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(prices.models)),
        fc.record({
          max_tokens: count,
          max_completion_tokens: count,
          thinking_budget: count,
          enable_thinking: fc.option(fc.boolean(), { nil: undefined }),
          n: fc.integer({ min: 1, max: 4 }),
        }),
        (model, body) => {
          const request = read({ model, ...body });
          if (!request.ok) return;
          const sent = JSON.parse(serializeJson(request.value.body));
          const thinks = sent.enable_thinking === true;
          // As Model Studio is documented: max_tokens leaves thinking alone, and older models know no other limit.
          const together = request.value.price.outputLimitParameter === 'max_completion_tokens';
          const apartBound =
            (sent.max_tokens ?? Infinity) + (thinks ? (sent.thinking_budget ?? Infinity) : 0);
          const most = Math.min(apartBound, together ? (sent.max_completion_tokens ?? Infinity) : Infinity);
          const overrun = sent.max_completion_tokens === undefined && thinks ? 20 : 10;
          // A server need not take both.
          expect(sent.max_tokens !== undefined && sent.max_completion_tokens !== undefined).toBe(false);
          expect(BigInt(most + overrun) * BigInt(body.n)).toBeLessThanOrEqual(request.value.outputBound);
          expect(request.value.thinkingPossible).toBe(thinks);
          // And never more than the client asked for.
          if (body.max_completion_tokens !== undefined)
            expect(most).toBeLessThanOrEqual(body.max_completion_tokens);
          if (body.max_tokens !== undefined && sent.max_tokens !== undefined)
            expect(sent.max_tokens).toBeLessThanOrEqual(body.max_tokens);
        },
      ),
      { numRuns: runs(500), seed: 3 },
    );
  });
});

describe('the input bound', () => {
  const bound = (body: object) => Number(accepted(body).inputBound);
  const nfc = (value: string) => utf8(value.normalize('NFC')).length;
  const anyText = fc.string({ unit: 'binary', maxLength: 60 }).filter((value) => value.isWellFormed());
  // What normalisation does worst: compositions excluded from it, marks that change places, Hangul, a leading solidus.
  const nasty = fc
    .array(
      fc.constantFrom(
        '\u0958',
        '\u{1d160}',
        '\ufb2c',
        'o',
        '\u0307',
        '\u0323',
        '\u1100\u1161',
        '\u0338',
        '<',
        '=',
        'ệ',
        '"',
        '\\',
      ),
      {
        maxLength: 40,
      },
    )
    .map((letters) => letters.join(''));
  const someText = fc.oneof(anyText, nasty);
  // Long enough that the constants cannot make up for a byte missing per letter.
  const longText = fc.tuple(someText, fc.constantFrom(1, 400)).map(([piece, times]) => piece.repeat(times));

  test('is at least the bytes of the rendered conversation, raw and normalised', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            role: fc.constantFrom('system', 'user', 'assistant'),
            parts: fc.array(longText, { minLength: 1, maxLength: 4 }),
          }),
          {
            minLength: 1,
            maxLength: 4,
          },
        ),
        (conversation) => {
          const messages = conversation.map(({ role, parts }) => ({
            role,
            content: parts.length === 1 ? parts[0] : parts.map((part) => ({ type: 'text', text: part })),
          }));
          const most = bound({ messages });
          for (const joint of ['', '\n']) {
            const rendered = conversation
              .map(({ role, parts }) => `<|im_start|>${role}\n${parts.join(joint)}<|im_end|>\n`)
              .join('');
            expect(most).toBeGreaterThanOrEqual(utf8(`${rendered}<|im_start|>assistant\n`).length);
            expect(most).toBeGreaterThanOrEqual(nfc(`${rendered}<|im_start|>assistant\n`));
          }
        },
      ),
      { numRuns: runs(400), seed: 4 },
    );
  });

  test('counts what only joined parts have, and what a line end between parts adds', () => {
    // Normalised apart: 2 + 2 bytes. Joined, the dot below comes first and composes, and the dot above is left: 3 + 2.
    const parts = Array.from({ length: 2_000 }, (_, index) => (index % 2 === 0 ? 'o\u0307' : '\u0323'));
    const content = parts.map((part) => ({ type: 'text', text: part }));
    const most = bound({ messages: [{ role: 'user', content }] });
    expect(nfc(parts.join(''))).toBe(5_000);
    expect(most).toBeGreaterThanOrEqual(5_000 + 2_000);
    const empty = Array.from({ length: 5_000 }, () => ({ type: 'text', text: '' }));
    expect(bound({ messages: [{ role: 'user', content: empty }] })).toBeGreaterThan(5_000);
  });

  test('one escape sequence a UTF-16 unit covers the normal form of every code point', () => {
    for (let point = 0x80; point <= 0x10ffff; point += 1) {
      if (point >= 0xd800 && point <= 0xdfff) continue;
      const letter = String.fromCodePoint(point);
      const normal = letter.normalize('NFC');
      if (normal !== letter && utf8(normal).length > 6 * letter.length)
        expect.unreachable(point.toString(16));
    }
  });

  /** Python's json.dumps, its ASCII spelling, Jinja's HTML-safe one, and one with indentation. */
  function spellings(value: unknown): string[] {
    const spaced = (inner: unknown): string => {
      if (Array.isArray(inner)) return `[${inner.map(spaced).join(', ')}]`;
      if (typeof inner === 'object' && inner !== null)
        return `{${Object.entries(inner)
          .map(([key, member]) => `${JSON.stringify(key)}: ${spaced(member)}`)
          .join(', ')}}`;
      return JSON.stringify(inner);
    };
    const escaped = (json: string, letters: RegExp) =>
      json.replace(letters, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
    const python = spaced(value);
    return [
      python,
      escaped(python, /[\u007f-\uffff]/g),
      escaped(python, /[\u007f-\uffff<>&']/g),
      JSON.stringify(value, null, 4),
      JSON.stringify(python),
    ];
  }
  /** Qwen3-Coder's rendering: tags, with names written twice. */
  const tagged = (value: unknown): string => {
    if (Array.isArray(value)) return value.map((member) => `${tagged(member)}, `).join('');
    if (typeof value === 'object' && value !== null)
      return Object.entries(value)
        .map(([key, member]) => `\n<parameter>\n<${key}>${tagged(member)}</${key}>\n</parameter>`)
        .join('');
    return String(value);
  };
  const longest = (value: unknown) =>
    Math.max(
      ...[...spellings(value), tagged(value)].flatMap((spelling) => [utf8(spelling).length, nfc(spelling)]),
    );
  const schema = fc.dictionary(
    someText.filter((key) => key !== '__proto__'),
    fc.oneof(
      { depthSize: 'small' },
      someText,
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
      fc.array(someText, { maxLength: 3 }),
      fc.dictionary(
        someText.filter((key) => key !== '__proto__'),
        fc.array(fc.integer(), { maxLength: 3 }),
        { maxKeys: 3 },
      ),
    ),
    { maxKeys: 4 },
  );

  test('is at least any spelling of tools, calls and schemas', () => {
    fc.assert(
      fc.property(schema, (parameters) => {
        const plain = JSON.parse(JSON.stringify(parameters));
        const base = bound({});
        const tool = {
          type: 'function',
          function: { name: 'look_up', description: 'é<', parameters: plain },
        };
        expect(bound({ tools: [tool] }) - base).toBeGreaterThanOrEqual(longest(tool) + 2_000);
        const format = { name: 'answer', schema: plain };
        expect(
          bound({ response_format: { type: 'json_schema', json_schema: format } }) - base,
        ).toBeGreaterThanOrEqual(longest(format) + 2_000);
        const call = {
          id: 'c',
          type: 'function',
          function: { name: 'look_up', arguments: JSON.stringify(plain) },
        };
        const called = [...hello, { role: 'assistant', content: null, tool_calls: [call] }];
        expect(bound({ messages: called }) - base).toBeGreaterThanOrEqual(longest(plain));
      }),
      { numRuns: runs(300), seed: 5 },
    );
  });

  test('counts a name twice where a template writes it twice', () => {
    const properties = { ['k'.repeat(10_000)]: { type: 'string' } };
    const tool = { type: 'function', function: { name: 'f', parameters: { type: 'object', properties } } };
    expect(bound({ tools: [tool] })).toBeGreaterThan(20_000);
  });

  test('counts arguments that other parsers take and ours refuses', () => {
    const loose = `{${Array.from({ length: 50 }, () => '"a":1e15').join(',')}}`;
    const call = { id: 'c', type: 'function', function: { name: 'f', arguments: loose } };
    const messages = [...hello, { role: 'assistant', content: '', tool_calls: [call] }];
    expect(bound({ messages }) - bound({})).toBeGreaterThan(50 * (48 + 2 * 3 + 18));
  });

  test('multiplies with samples, as the output bound does', () => {
    const one = accepted({ max_tokens: 10 });
    const four = accepted({ max_tokens: 10, n: 4 });
    expect(four.inputBound).toBe(4n * one.inputBound);
    expect(four.outputBound).toBe(4n * one.outputBound);
  });

  test('is not refused for being longer than the context: bytes are not tokens', () => {
    const request = accepted({
      model: 'qwen-2.5-7b-instruct',
      messages: [{ role: 'user', content: 'word '.repeat(10_000) }],
    });
    expect(request.inputBound).toBeGreaterThan(32_768n);
  });

  test('makes the ceiling', () => {
    const request = accepted({ model: 'qwen-plus', enable_thinking: true, n: 2 });
    expect(request.ceiling).toBe(ceilingCost(request.price, request));
    expect(accepted({ model: 'qwen-plus', enable_thinking: true }).ceiling).toBeGreaterThan(
      accepted({ model: 'qwen-plus' }).ceiling,
    );
  });

  test('knows the length of the prompt apart from the bound', () => {
    expect(accepted({}).promptBytes).toBe(5n);
  });
});

describe('what has no bound is refused', () => {
  test.each([
    'enable_search',
    'search_options',
    'previous_response_id',
    'audio',
    'modalities',
    'logit_bias',
    'functions',
    'chat_template_kwargs',
    'continuous_usage_stats',
    'toString',
    'constructor',
  ])('parameter %s', (name) => {
    const error = refusal({ [name]: true });
    expect(error).toMatchObject({ status: 400, code: 'unsupported_parameter', param: name });
    expect(error.message).toContain(name);
  });

  test.each([
    { type: 'image_url', image_url: { url: 'https://example.org/a.png' } },
    { type: 'input_audio', input_audio: {} },
    { type: 'video_url', video_url: {} },
    { type: 'file', file: {} },
    { type: 'unheard_of' },
    { text: 'no type' },
  ])('content part %o', (part) => {
    const content = [{ type: 'text', text: 'look' }, part];
    expect(refusal({ messages: [{ role: 'user', content }] })).toMatchObject({
      status: 400,
      code: 'unsupported_content',
      param: 'messages[0].content[1].type',
    });
  });

  test.each<[string, object]>([
    ['messages', { messages: [] }],
    ['messages', { messages: 'hello' }],
    ['messages[0]', { messages: ['hello'] }],
    ['messages[0].role', { messages: [{ role: 'developer', content: 'x' }] }],
    ['messages[0].role', { messages: [{ content: 'x' }] }],
    ['messages[0].content', { messages: [{ role: 'user' }] }],
    ['messages[0].content', { messages: [{ role: 'user', content: 5 }] }],
    ['messages[0].content', { messages: [{ role: 'user', content: [] }] }],
    ['messages[0].audio', { messages: [{ role: 'assistant', content: '', audio: { id: 'x' } }] }],
    ['messages[0].tool_calls', { messages: [{ role: 'user', content: '', tool_calls: [] }] }],
    [
      'messages[0].content[0].image',
      { messages: [{ role: 'user', content: [{ type: 'text', text: '', image: 'x' }] }] },
    ],
    [
      'messages[0].tool_calls[0].function.arguments',
      {
        messages: [
          {
            role: 'assistant',
            tool_calls: [{ id: '', type: 'function', function: { name: 'f', arguments: {} } }],
          },
        ],
      },
    ],
    ['tools[0]', { tools: [{ type: 'web_search' }] }],
    ['tools[0].function.name', { tools: [{ type: 'function', function: { name: '' } }] }],
    ['tools[0].function.extra', { tools: [{ type: 'function', function: { name: 'f', extra: 1 } }] }],
    ['tools', { tools: Array.from({ length: 129 }, () => ({ type: 'function', function: { name: 'f' } })) }],
    ['tool_choice', { tool_choice: 'sometimes' }],
    ['response_format.type', { response_format: { type: 'xml' } }],
    ['response_format.schema', { response_format: { type: 'json_object', schema: {} } }],
    [
      'stream_options.continuous_usage_stats',
      { stream: true, stream_options: { continuous_usage_stats: true } },
    ],
    ['temperature', { temperature: 3 }],
    ['temperature', { temperature: 'hot' }],
    ['top_k', { top_k: 1.5 }],
    ['stream', { stream: 'yes' }],
    ['stop', { stop: Array.from({ length: 17 }, () => 'x') }],
    ['user', { user: 'x'.repeat(513) }],
  ])('%s', (param, body) => {
    expect(refusal(body).param).toBe(param);
    expect(refusal(body).status).toBe(400);
  });

  test('takes an answer back as it came, with its calls and nulls', () => {
    const messages = [
      { role: 'system', content: 'Be brief.', name: 'boss' },
      ...hello,
      {
        role: 'assistant',
        content: null,
        refusal: null,
        audio: null,
        function_call: null,
        reasoning_content: 'hm',
        tool_calls: [
          { id: 'call_1', index: 0, type: 'function', function: { name: 'look_up', arguments: '{"q":"x"}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'call_1', content: '42' },
      { role: 'user', content: [{ type: 'text', text: 'so?', cache_control: { type: 'ephemeral' } }] },
    ];
    expect(forwarded({ messages })['messages']).toEqual(messages);
  });

  test('a model without a price', () => {
    for (const model of ['gpt-5', 'toString', '__proto__'])
      expect(refusal({ model })).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
    expect(refusal({ model: 7 })).toMatchObject({ status: 400, code: 'invalid_value', param: 'model' });
  });

  test('a body that is too large, not JSON, or says two things', () => {
    const code = (body: string, limits = defaultRequestLimits) => {
      const request = readChatRequest(utf8(body), prices, limits);
      return request.ok ? 'accepted' : `${request.error.status} ${request.error.code}`;
    };
    expect(code(' '.repeat(11), { ...defaultRequestLimits, maxBodyBytes: 10 })).toBe('413 body_too_large');
    expect(code('{')).toBe('400 invalid_json');
    expect(code('[]')).toBe('400 invalid_value');
    expect(code('{"model":"qwen-flash","model":"qwen3-max","messages":[]}')).toBe('400 duplicate_key');
    expect(code('{"model":"qwen-flash","messages":[{"role":"user","role":"system","content":""}]}')).toBe(
      '400 duplicate_key',
    );
  });

  test('any JSON at all is answered with a value', () => {
    fc.assert(
      fc.property(fc.json(), (source) => {
        const body: JsonValue | undefined = JSON.parse(source);
        expect(readChatRequest(utf8(source), prices).ok).toBe(false);
        expect(typeof read({ messages: body, tools: body }).ok).toBe('boolean');
      }),
      { numRuns: runs(300), seed: 6 },
    );
  });
});
