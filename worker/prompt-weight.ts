import {
  isJsonArray,
  isJsonObject,
  type JsonValue,
  numberText,
  parseJsonText,
  serializeJson,
} from './json.ts';

/**
 * How many tokens a prompt can be at most, without a tokeniser (design: never tokenise on the hot path).
 *
 * The proof rests on three facts about Qwen's tokenisers, which are byte-level BPE:
 *
 * 1. A token stands for at least one byte of the text it was cut from, and special tokens (`<|im_start|>`) for more. So
 *    a text has at most as many tokens as UTF-8 bytes.
 * 2. The text may be normalised to NFC first, which can make it longer (U+0958: 3 bytes become 6). So the larger of raw
 *    and normalised bytes counts. Normalising the rendered prompt is the same as normalising its pieces wherever a piece
 *    ends at ASCII: no composition crosses it but `<`, `=` or `>` with U+0338, which takes no more bytes than its two
 *    halves. Every template surrounds content with ASCII; content parts, which may be joined without any, are
 *    measured joined as well as apart.
 * 3. What the template adds around them is constant per message and per request, and what it re-serialises (tools, calls,
 *    schemas) is measured in the longest spelling known: see `json`. The constants below are above what Qwen 2.5, 3,
 *    3-Coder and 3.5 and Qwen-Agent's older prompt add.
 *
 * `bound` is that proof's number. `bytes` is what the client wrote, for a fair estimate where upstream never reports.
 */
export type PromptWeight = { bound: number; bytes: number };

/** Default system prompt, generation prompt, an empty chain of thought. */
const perRequest = 512;
/** `<|im_start|>tool\n<tool_response>\n` … `\n</tool_response><|im_end|>\n`, think tags, with room. */
const perMessage = 128;
/** The "# Tools" preamble with its calling instructions (Qwen3-Coder's is 900 bytes), or a schema's instructions. */
const perInstruction = 2_048;
/** Tags around one tool or one call. */
const perTool = 128;
/** Between two content parts. */
const perPart = 2;

const encoder = new TextEncoder();

export const utf8Length = (text: string): number => encoder.encode(text).length;

export const emptyPrompt = (): PromptWeight => ({ bound: perRequest, bytes: 0 });

function add(weight: PromptWeight, bound: number, bytes: number): void {
  weight.bound += bound;
  weight.bytes += bytes;
}

/** A message's own frame; its content and calls are added apart. */
export const addMessage = (weight: PromptWeight): void => add(weight, perMessage, 0);

/** The text parts of one content, in order. */
export function addText(weight: PromptWeight, parts: readonly string[]): void {
  const apart = parts.reduce((sum, part) => sum + normalisedLength(part), 0);
  const joined = parts.length === 1 ? apart : normalisedLength(parts.join(''));
  const bytes = parts.reduce((sum, part) => sum + utf8Length(part), 0);
  add(weight, Math.max(joined, apart) + perPart * parts.length, bytes);
}

/** Tags around an image, and the text some servers put in its place. */
const perImage = 64;

/** An image, at most `maxTokens` long. An estimate takes a usual picture (2,560 tokens of 32 x 32 pixels at three bytes each). */
export const addImage = (weight: PromptWeight, maxTokens: number): void =>
  add(weight, maxTokens + perImage, 3 * Math.min(maxTokens, 2_560));

/** A name some templates write more than once (the tag, the list of tools, the call). */
export const addName = (weight: PromptWeight, name: string): void =>
  add(weight, 3 * escapedLength(name), utf8Length(name));

/** Instructions that come with tools or with an answer's format. */
export const addInstruction = (weight: PromptWeight): void => add(weight, perInstruction, 0);

/** A tool, or a schema: JSON the template writes in a spelling of its own. */
export const addJson = (weight: PromptWeight, value: JsonValue): void =>
  add(weight, perTool + jsonBound(value, 1), utf8Length(serializeJson(value)));

/** The arguments of a call: a string that holds JSON, written out as it is, as a string, or parsed and written again. */
export function addArguments(weight: PromptWeight, text: string): void {
  const parsed = parseJsonText(text);
  const again = parsed.ok ? jsonBound(parsed.value, 1) : looseBound(text);
  add(weight, perTool + Math.max(escapedLength(text), normalisedLength(text), again), utf8Length(text));
}

/** ASCII is its own normal form, and by far the most common text. */
function normalisedLength(text: string): number {
  const length = utf8Length(text);
  return length === text.length ? length : Math.max(length, utf8Length(text.normalize('NFC')));
}

/** `\u0000`: what an ASCII-only serialiser spends on a UTF-16 unit. NFC of one unit never takes more bytes. */
const escapeSequence = 6;

/**
 * A string in the longest spelling a serialiser uses: quotes, everything outside ASCII as `\uXXXX` (Python's json.dumps),
 * and `<`, `>`, `&`, `'` too (Jinja's own tojson).
 */
function escapedLength(text: string): number {
  let length = 2;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x20 || unit > 0x7e || unit === 0x3c || unit === 0x3e || unit === 0x26 || unit === 0x27) {
      length += escapeSequence;
    } else {
      length += unit === 0x22 || unit === 0x5c ? 2 : 1;
    }
  }
  return length;
}

/** Qwen3-Coder writes a member as `\n<parameter>\n<name>key</name>` … `\n</parameter>`, and other keys twice: `<k>` … `</k>`. */
const perMember = 48;
/** `, ` and a line end. */
const perElement = 4;
/** Four spaces a level, for a template that indents. */
const perLevel = 4;
/** Python prints a float in at most 24 characters (`1e15` becomes `1000000000000000.0`), JavaScript in 24. */
const longestNumber = 24;
/** `False`. */
const longestWord = 5;

function jsonBound(value: JsonValue, depth: number): number {
  if (typeof value === 'string') return escapedLength(value);
  const number = numberText(value);
  if (number !== undefined) return Math.max(number.length, longestNumber);
  let bound = 2 + perLevel * depth;
  if (isJsonObject(value)) {
    for (const [key, member] of value)
      bound += perMember + perLevel * depth + 2 * escapedLength(key) + jsonBound(member, depth + 1);
    return bound;
  }
  if (isJsonArray(value)) {
    for (const element of value) bound += perElement + perLevel * depth + jsonBound(element, depth + 1);
    return bound;
  }
  return longestWord;
}

/**
 * For text our parser refuses and another may take (duplicate names, `NaN`): every member or element needs a `:`, `,`, `[` or `{`,
 * and gets a member's share at the deepest level for each, with all text counted twice.
 */
function looseBound(text: string): number {
  const marks = text.match(/[:,[{]/g)?.length ?? 0;
  return 2 * escapedLength(text) + marks * (perMember + perLevel * 64 + longestNumber);
}
