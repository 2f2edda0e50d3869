/**
 * What the stand-in says. It is no language model: a few rules that read the prompt, so that an answer is English, belongs to
 * the question, and is the same every time.
 */

export type ChatMessage = {
  readonly role: string;
  readonly content?: unknown;
  readonly tool_calls?: unknown;
};

export type ToolDefinition = {
  readonly function: {
    readonly name: string;
    readonly description?: string;
    readonly parameters?: unknown;
  };
};

export type Question = {
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly ToolDefinition[];
  readonly toolChoice: unknown;
  readonly responseFormat: unknown;
  /** 0 for the first of n samples. */
  readonly sample: number;
};

export type ToolCall = { readonly name: string; readonly arguments: string };
export type Reply = { readonly thinking: string; readonly text: string; readonly calls: readonly ToolCall[] };

type Members = { readonly [key: string]: unknown };
export const members = (value: unknown): Members | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : undefined;

/** The text of a message: a string, or its text parts. */
export function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => String(members(part)?.['text'] ?? '')).join('');
}

/** `[[fault:429]]`, `[[slow:50]]`: instructions to the stand-in, which it does not see as part of the question. */
const directivePattern = /\[\[([a-z-]+)(?::([a-z0-9-]+))?\]\]/g;

export function directivesIn(text: string): { name: string; value: string }[] {
  return [...text.matchAll(directivePattern)].map((match) => ({
    name: match[1] ?? '',
    value: match[2] ?? '',
  }));
}

/** The last thing the user said, without directives. */
export function lastUserText(messages: readonly ChatMessage[]): string {
  const last = messages.findLast((message) => message.role === 'user');
  return textOf(last?.content).replace(directivePattern, '').trim();
}

export function reply(question: Question): Reply {
  const asked = lastUserText(question.messages);
  const last = question.messages.at(-1);
  const thinking = thoughts(asked);
  if (last?.role === 'tool')
    return { thinking, text: fromToolResult(asked, textOf(last.content)), calls: [] };
  const calls = callsFor(question, asked);
  if (calls.length > 0) return { thinking, text: '', calls };
  const schema = schemaOf(question.responseFormat);
  if (schema !== undefined)
    return { thinking, text: JSON.stringify(example(schema, asked, 'answer')), calls: [] };
  return { thinking, text: answer(asked, question.sample), calls: [] };
}

function thoughts(asked: string): string {
  const words = topics(asked);
  const about = words.length === 0 ? 'nothing in particular' : list(words);
  const first = words[0] ?? 'it';
  return (
    `The user wants to know about ${about}. ` +
    `Let me see what I have: ${words.length} word${words.length === 1 ? '' : 's'} that matter${words.length === 1 ? 's' : ''}. ` +
    `I should start with ${first}, stay short, and not claim more than the question holds. `
  );
}

function answer(asked: string, sample: number): string {
  const again = sample === 0 ? '' : ` (Put another way, number ${sample + 1}.)`;
  const rule = rules.map((read) => read(asked)).find((text) => text !== undefined);
  return `${rule ?? restate(asked)}${again}`;
}

/** Tried in order; the first that recognises the question answers it. */
const rules: readonly ((asked: string) => string | undefined)[] = [
  (asked) => (asked === '' ? 'You did not say anything. Ask me something.' : undefined),
  repeat,
  count,
  arithmetic,
  poem,
  (asked) =>
    /\b(who|what) are you\b/i.test(asked)
      ? 'I am the stand-in for Qwen on this machine: a few rules in English, with the interface of the real model.'
      : undefined,
  (asked) =>
    /^(hi|hello|hey|good (morning|evening))\b/i.test(asked)
      ? 'Hello! What would you like to know? I am good at small sums, short poems and lists.'
      : undefined,
  summary,
];

function repeat(asked: string): string | undefined {
  return /^(?:please )?(?:say|repeat|echo)(?: after me)?:?\s+["“]?(.+?)["”]?$/is.exec(asked)?.[1];
}

function count(asked: string): string | undefined {
  const to = /\bcount (?:up )?(?:from 1 )?to (\d{1,4})\b/i.exec(asked)?.[1];
  if (to === undefined) return undefined;
  return `${Array.from({ length: Number(to) }, (_, index) => index + 1).join(', ')}.`;
}

function arithmetic(asked: string): string | undefined {
  const match = /(-?\d+(?:\.\d+)?)\s*([-+*/x×÷−])\s*(-?\d+(?:\.\d+)?)/.exec(asked);
  if (!match) return undefined;
  const [, left = '', sign = '', right = ''] = match;
  const value = compute(Number(left), sign, Number(right));
  return value === undefined
    ? `${left} ${sign} ${right} has no answer: nothing can be divided by zero.`
    : `${left} ${sign} ${right} = ${Number(value.toFixed(10))}.`;
}

function compute(left: number, sign: string, right: number): number | undefined {
  switch (sign) {
    case '+':
      return left + right;
    case '-':
    case '−':
      return left - right;
    case '/':
    case '÷':
      return right === 0 ? undefined : left / right;
    default:
      return left * right;
  }
}

function poem(asked: string): string | undefined {
  const about = /\b(?:poem|verse|haiku|song)\b(?:.*?\babout\s+(.+?))?[.?!]*$/is.exec(asked);
  if (!about) return undefined;
  const topic = (about[1] ?? 'a quiet day').replace(/\s+/g, ' ').slice(0, 80);
  return [
    `I thought of ${topic} when the light was low,`,
    'and wrote it on a stick that two could share.',
    'We split it down the grain: now both can show',
    `what ${topic} was worth, and both can care.`,
  ].join('\n');
}

function summary(asked: string): string | undefined {
  const text = /^(?:please )?summari[sz]e(?: this| the following)?:?\s+(.+)$/is.exec(asked)?.[1];
  if (text === undefined) return undefined;
  const first = /^.*?[.!?](?=\s|$)/s.exec(text)?.[0] ?? text;
  return `In short: ${first.trim()}`;
}

const smallWords = new Set(
  (
    'a about all also an and any are as at be been but by can could did do does for from had has have how i if in into is it its ' +
    'just know like me more most my no not of on one or our please should so some tell than that the their them then there they ' +
    'this to us was we were what when where which who why will with would you your give make write want explain describe'
  ).split(' '),
);

/** Up to five different words of a prompt that carry its meaning, in order. */
function topics(asked: string): string[] {
  const words = asked.match(/[\p{L}\p{N}][\p{L}\p{N}'-]*/gu) ?? [];
  const chosen: string[] = [];
  for (const word of words) {
    if (
      smallWords.has(word.toLowerCase()) ||
      chosen.some((known) => known.toLowerCase() === word.toLowerCase())
    )
      continue;
    chosen.push(word.slice(0, 40));
    if (chosen.length === 5) break;
  }
  return chosen;
}

const list = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;

function restate(asked: string): string {
  const words = topics(asked);
  const [first, second] = words;
  if (first === undefined) return 'I would need a little more to go on. What is it about?';
  const opening = asked.includes('?')
    ? `You ask about ${list(words)}.`
    : `That is about ${list(words)}, if I read it well.`;
  const middle =
    second === undefined
      ? `The short answer is that ${first} is best understood by trying it.`
      : `The short answer is that ${first} comes first, and ${second} follows from it.`;
  const size = `Your message has ${asked.split(/\s+/).length} words`;
  return `${opening} ${middle} ${size}, and I have used the ones that matter; ask again with more of them and I will say more.`;
}

function fromToolResult(asked: string, result: string): string {
  const shown = result.trim().slice(0, 400);
  const words = topics(asked);
  const about = words.length === 0 ? '' : ` For ${list(words)}, that is the answer.`;
  return `The tool says: ${shown}.${about}`;
}

function callsFor(question: Question, asked: string): ToolCall[] {
  if (question.tools.length === 0 || question.toolChoice === 'none') return [];
  const forced = members(members(question.toolChoice)?.['function'])?.['name'];
  const chosen =
    typeof forced === 'string'
      ? question.tools.filter((tool) => tool.function.name === forced)
      : question.tools.filter((tool) => wants(asked, tool));
  const used =
    chosen.length === 0 && question.toolChoice === 'required' ? question.tools.slice(0, 1) : chosen;
  return used.map((tool) => ({
    name: tool.function.name,
    arguments: JSON.stringify(example(tool.function.parameters ?? {}, asked, tool.function.name)),
  }));
}

/** A prompt asks for a tool by its name, or by a longer word of it or of its description. */
function wants(asked: string, tool: ToolDefinition): boolean {
  const prompt = asked.toLowerCase();
  if (prompt.includes(tool.function.name.toLowerCase())) return true;
  const named = tool.function.name.toLowerCase().split(/[^a-z0-9]+/);
  const described = (tool.function.description ?? '').toLowerCase().match(/[a-z]{5,}/g) ?? [];
  const known = new Set(prompt.match(/[a-z0-9]+/g) ?? []);
  return [...named, ...described].some((word) => word.length > 3 && !smallWords.has(word) && known.has(word));
}

function schemaOf(format: unknown): unknown {
  const wanted = members(format);
  if (wanted?.['type'] === 'json_schema') return members(wanted['json_schema'])?.['schema'] ?? {};
  if (wanted?.['type'] === 'json_object')
    return { type: 'object', properties: { answer: { type: 'string' } } };
  return undefined;
}

/** A value that fits a JSON schema, filled with what the prompt offers. */
function example(schema: unknown, asked: string, name: string): unknown {
  const wanted = members(schema) ?? {};
  const options = wanted['enum'];
  if (Array.isArray(options))
    return options.find((option) => asked.toLowerCase().includes(String(option).toLowerCase())) ?? options[0];
  const declared = wanted['type'];
  switch (Array.isArray(declared) ? declared[0] : declared) {
    case 'string':
      return name === 'answer' ? answer(asked, 0) : mentioned(asked);
    case 'integer':
      return Math.trunc(firstNumber(asked));
    case 'number':
      return firstNumber(asked);
    case 'boolean':
      return true;
    case 'null':
      return null;
    case 'array':
      return [example(wanted['items'] ?? { type: 'string' }, asked, name)];
    default:
      return Object.fromEntries(
        Object.entries(members(wanted['properties']) ?? {}).map(([key, member]) => [
          key,
          example(member, asked, key),
        ]),
      );
  }
}

/** What is quoted, else the last capitalised word after the first, else the last word that means something. */
function mentioned(asked: string): string {
  const quoted = /["“'](.+?)["”']/.exec(asked)?.[1];
  if (quoted !== undefined) return quoted;
  const capitalised = asked.match(/(?<=\s)\p{Lu}[\p{L}-]+/gu)?.at(-1);
  return capitalised ?? topics(asked).at(-1) ?? '';
}

const firstNumber = (asked: string): number => Number(/-?\d+(?:\.\d+)?/.exec(asked)?.[0] ?? 0);
