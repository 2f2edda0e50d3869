// docs/parameters.md: the allow-lists as the code has them. Fails when the page says something else, or when the code does not do what
// the lists say: what is listed as allowed is taken, everything else is refused, the well-known with their reasons.
import { expect, test } from 'vitest';
import { prices } from '../protocol/prices.ts';
import type { Result } from '../protocol/result.ts';
import { roles } from '../worker/chat-messages.ts';
import {
  type AllowedParameter,
  allowedContentParts,
  allowedParameters,
  type ParameterRule,
  refusedContentParts,
  refusedParameters,
} from '../worker/chat-parameters.ts';
import { readChatRequest } from '../worker/chat-request.ts';
import { allowedInEmbeddings, refusedInEmbeddings } from '../worker/embeddings-parameters.ts';
import { readEmbeddingsRequest } from '../worker/embeddings-request.ts';
import type { PricedRequest } from '../worker/priced-request.ts';
import { defaultRequestLimits } from '../worker/request-limits.ts';
import type { RequestRefusal } from '../worker/request-refusal.ts';
import { allowedInResponses, refusedInResponses } from '../worker/responses-parameters.ts';
import { readResponsesRequest } from '../worker/responses-request.ts';

type Endpoint = {
  readonly path: string;
  readonly allowed: ReadonlyMap<string, AllowedParameter>;
  readonly refused: ReadonlyMap<string, string>;
  readonly read: (bytes: Uint8Array, table: typeof prices) => Result<PricedRequest, RequestRefusal>;
  /** A body that is taken. */
  readonly body: object;
  /** A value of each parameter whose rule is a shape of its own. */
  readonly structures: Readonly<Record<string, unknown>>;
};

const schema = { type: 'object', properties: { city: { type: 'string' } } };
const called = { name: 'weather', parameters: schema };
const messages = [{ role: 'user', content: 'Hello' }];

const endpoints: readonly Endpoint[] = [
  {
    path: '/v1/chat/completions',
    allowed: allowedParameters,
    refused: refusedParameters,
    read: readChatRequest,
    body: { model: 'qwen3.6-plus', messages },
    structures: {
      model: 'qwen-plus',
      messages,
      stream_options: { include_usage: true },
      max_tokens: 10,
      max_completion_tokens: 10,
      enable_thinking: true,
      thinking_budget: 10,
      n: 2,
      tools: [{ type: 'function', function: called }],
      tool_choice: 'auto',
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
    },
  },
  {
    path: '/v1/responses',
    allowed: allowedInResponses,
    refused: refusedInResponses,
    read: readResponsesRequest,
    body: { model: 'qwen3.6-plus', input: 'Hello' },
    structures: {
      model: 'qwen-plus',
      input: [{ role: 'user', content: 'Hello' }],
      instructions: 'Be short.',
      tools: [{ type: 'function', ...called }],
      tool_choice: 'auto',
      text: { format: { type: 'json_schema', name: 'a', schema } },
    },
  },
  {
    path: '/v1/embeddings',
    allowed: allowedInEmbeddings,
    refused: refusedInEmbeddings,
    read: readEmbeddingsRequest,
    body: { model: 'text-embedding-v4', input: 'Hello' },
    structures: { model: 'text-embedding-v4', input: ['a', 'b'], encoding_format: 'base64' },
  },
];

/** What some parameters need beside them. */
const beside: Readonly<Record<string, object>> = {
  top_logprobs: { logprobs: true },
  stream_options: { stream: true },
  vl_high_resolution_images: { model: 'qwen3-vl-plus' },
};

const read = ({ read: reader, body }: Endpoint, over: object) =>
  reader(new TextEncoder().encode(JSON.stringify({ ...body, ...over })), prices);

/** A value that a rule takes, and one that it does not. */
function valuesOf(rule: ParameterRule): { readonly good: unknown; readonly bad: unknown } | undefined {
  switch (rule.kind) {
    case 'boolean':
      return { good: true, bad: 'true' };
    case 'number':
      return { good: rule.max, bad: rule.max + 1 };
    case 'integer':
      return { good: Number.isFinite(rule.min) ? rule.min : 7, bad: 1.5 };
    case 'text':
      return { good: 'x'.repeat(rule.maxBytes), bad: 'x'.repeat(rule.maxBytes + 1) };
    case 'texts':
      return { good: Array(rule.maxCount).fill('x'), bad: Array(rule.maxCount + 1).fill('x') };
    case 'structure':
      return undefined;
  }
}

for (const endpoint of endpoints) {
  const { path, allowed, refused, structures } = endpoint;

  test.each([...allowed])(`${path} takes %s`, (name, { rule }) => {
    const values = valuesOf(rule);
    const more = beside[name] ?? {};
    if (!values) expect(structures, 'a value for the test').toHaveProperty(name);
    const taken = read(endpoint, { ...more, [name]: values ? values.good : structures[name] });
    expect(
      taken.ok,
      JSON.stringify(taken, (_, value) => (typeof value === 'bigint' ? `${value}` : value)),
    ).toBe(true);
    if (!values) return;
    expect(read(endpoint, { ...more, [name]: values.bad })).toMatchObject({
      ok: false,
      error: { param: name },
    });
  });

  test.each([...refused])(`${path} refuses %s, and says why`, (name, reason) => {
    const answer = read(endpoint, { [name]: 'anything' });
    expect(answer).toMatchObject({ ok: false, error: { status: 400, param: name } });
    expect(answer.ok ? '' : answer.error.message).toContain(reason);
  });

  test(`${path} refuses what nobody has heard of`, () => {
    expect(read(endpoint, { x_new_option: 1 })).toMatchObject({
      ok: false,
      error: { param: 'x_new_option' },
    });
    expect([...allowed.keys()].filter((name) => refused.has(name))).toEqual([]);
  });
}

const [chat] = endpoints;
const part = (content: object, over: object = {}) => {
  if (!chat) throw new Error('there is chat');
  return read(chat, { model: 'qwen3-vl-plus', messages: [{ role: 'user', content: [content] }], ...over });
};

test('content parts are taken and refused as listed', () => {
  const parts: Readonly<Record<string, object>> = {
    text: { text: 'Hello', cache_control: { type: 'ephemeral' } },
    image_url: { image_url: { url: 'https://example.com/a.png', detail: 'high' } },
  };
  for (const type of allowedContentParts.keys())
    expect(part({ type, ...parts[type] }), type).toMatchObject({ ok: true });
  for (const [type, reason] of refusedContentParts) {
    const answer = part({ type });
    expect(answer.ok ? '' : answer.error.message, type).toBe(reason);
  }
  // Not every model sees, and only users show.
  expect(part({ type: 'image_url', ...parts['image_url'] }, { model: 'qwen-plus' }).ok).toBe(false);
});

const cell = (text: string): string => text.replaceAll('|', '\\|');

function ruleInWords(rule: ParameterRule): string {
  const bounds = ({ min, max }: { min: number; max: number }) =>
    Number.isFinite(min) ? ` from ${min.toLocaleString('en')} to ${max.toLocaleString('en')}` : '';
  switch (rule.kind) {
    case 'boolean':
      return 'true or false';
    case 'number':
      return `a number${bounds(rule)}`;
    case 'integer':
      return `a whole number${bounds(rule)}`;
    case 'text':
      return `a text, at most ${rule.maxBytes} bytes`;
    case 'texts':
      return `a text or up to ${rule.maxCount}, each at most ${rule.maxBytes.toLocaleString('en')} bytes`;
    case 'structure':
      return 'as in the API';
  }
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n');

const named = (list: ReadonlyMap<string, string>): string[][] =>
  [...list].map(([name, text]) => [`\`${name}\``, text]);

const page = `# Parameters

What a request may contain. Written by \`test/parameters-page.test.ts\` from the lists that the Worker itself goes by, and compared with
what it does.

A call costs at most what is held for it before it starts, so whatever is in it needs a bound: on the tokens it can add to the input,
or to the output. What has a bound is on a list; everything else is refused with \`unsupported_parameter\` or \`unsupported_content\`,
however harmless it may be, before anything is held. \`null\` is the same as leaving a parameter out. A key that comes twice is refused.

A parameter is added by a line in \`worker/chat-parameters.ts\`, \`worker/responses-parameters.ts\` or \`worker/embeddings-parameters.ts\`
that says what it can add to the bill, and why no more.

At most ${(defaultRequestLimits.maxBodyBytes / 1_048_576).toLocaleString('en')} MiB of body, ${defaultRequestLimits.maxMessages.toLocaleString('en')} messages and ${defaultRequestLimits.maxTools} tools. How much a model writes at most, thinks at most, and sees in an image is in
\`GET /v1/models\`; a limit is always sent upstream, the model's default where the request has none.

${endpoints
  .map(
    ({ path, allowed, refused }) => `## ${path}

${table(
  ['parameter', 'value', 'what it can add to the bill'],
  [...allowed].map(([name, { rule, bound }]) => [`\`${name}\``, ruleInWords(rule), bound]),
)}

Refused:

${table(['parameter', 'why, and what to do'], named(refused))}`,
  )
  .join('\n\n')}

## Messages of /v1/chat/completions

${table(
  ['role', 'members'],
  [...roles].map(([role, members]) => [`\`${role}\``, members.map((name) => `\`${name}\``).join(', ')]),
)}

${table(['content part', 'what it can add to the bill'], named(allowedContentParts))}

Refused:

${table(['content part', 'why'], named(refusedContentParts))}

Tools are functions only: a tool that runs at the model provider adds tokens nobody can bound.
`;

test('docs/parameters.md says so', async () => {
  await expect(page).toMatchFileSnapshot('../docs/parameters.md');
});
