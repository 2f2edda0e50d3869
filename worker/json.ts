import { ok, type Result, refuse } from '../protocol/result.ts';

/**
 * The one JSON parse of a request. What is priced is what is sent: the body is parsed here, once, and what goes upstream
 * is our own serialisation of the result, so no second parser can read a different request out of the same bytes.
 * Where parsers are known to disagree (RFC 8259 section 4 and 8.2, RFC 7493), this one refuses: duplicate names, lone
 * surrogates, invalid UTF-8, a byte order mark.
 */
export type JsonValue = null | boolean | number | string | JsonNumber | readonly JsonValue[] | JsonObject;

/** A Map keeps the order of all names, also of those that look like array indexes, and has no prototype to pollute. */
export type JsonObject = ReadonlyMap<string, JsonValue>;

/** A number whose text is not what JavaScript would print for it (`1.0`, a 20-digit seed). It is sent as it came. */
export type JsonNumber = { readonly raw: string };

export type JsonFault = {
  readonly reason:
    | 'invalid_utf8'
    | 'byte_order_mark'
    | 'syntax'
    | 'duplicate_key'
    | 'forbidden_key'
    | 'lone_surrogate'
    | 'too_deep';
  /** Byte offset of the fault. */
  readonly at: number;
  /** The name, for `duplicate_key` and `forbidden_key`. */
  readonly key?: string;
};

export const maxDepth = 64;

const encoder = new TextEncoder();
// `ignoreBOM: true` means: do not swallow it.
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lenientDecoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

// Everything from the space up, but for the quote and the backslash.
const plainRun = /[ !#-[\]-\uffff]*/y;
const whitespace = /[ \t\n\r]*/y;
const numberToken = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const hexQuad = /[0-9a-fA-F]{4}/y;

const escapes: { readonly [letter: string]: string } = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/** Leaves the descent at the first fault; it never gets out of `parseJson`. */
class Fault {
  readonly reason: JsonFault['reason'];
  readonly index: number;
  readonly key: string | undefined;
  constructor(reason: JsonFault['reason'], index: number, key?: string) {
    this.reason = reason;
    this.index = index;
    this.key = key;
  }
}

/** Parses exactly one JSON value. Needs no `eval`, and at most `maxDepth` nested calls. */
export function parseJson(bytes: Uint8Array): Result<JsonValue, JsonFault> {
  let text: string;
  try {
    text = strictDecoder.decode(bytes);
  } catch {
    return refuse({ reason: 'invalid_utf8', at: firstInvalidByte(bytes) });
  }
  if (text.startsWith('\ufeff')) return refuse({ reason: 'byte_order_mark', at: 0 });
  return parseJsonText(text);
}

/** The same for text that is already decoded, such as JSON inside a JSON string. */
export function parseJsonText(text: string): Result<JsonValue, JsonFault> {
  try {
    return ok(new Parser(text).document());
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    const at = encoder.encode(text.slice(0, fault.index)).length;
    return refuse({ reason: fault.reason, at, ...(fault.key === undefined ? {} : { key: fault.key }) });
  }
}

class Parser {
  readonly text: string;
  index = 0;
  depth = 0;

  constructor(text: string) {
    this.text = text;
  }

  document(): JsonValue {
    this.#skip();
    const value = this.#value();
    this.#skip();
    if (this.index !== this.text.length) throw new Fault('syntax', this.index);
    return value;
  }

  #value(): JsonValue {
    switch (this.text[this.index]) {
      case '{':
        return this.#object();
      case '[':
        return this.#array();
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #object(): JsonObject {
    const members = new Map<string, JsonValue>();
    this.#open();
    if (this.#taken('}')) return this.#closed(members);
    do {
      this.#skip();
      const at = this.index;
      if (this.text[at] !== '"') throw new Fault('syntax', at);
      const key = this.#string();
      if (members.has(key)) throw new Fault('duplicate_key', at, key);
      // Harmless in a Map; the next program to parse this may not use one.
      if (key === '__proto__') throw new Fault('forbidden_key', at, key);
      if (!this.#taken(':')) throw new Fault('syntax', this.index);
      this.#skip();
      members.set(key, this.#value());
    } while (this.#taken(','));
    if (!this.#taken('}')) throw new Fault('syntax', this.index);
    return this.#closed(members);
  }

  #array(): readonly JsonValue[] {
    const elements: JsonValue[] = [];
    this.#open();
    if (this.#taken(']')) return this.#closed(elements);
    do {
      this.#skip();
      elements.push(this.#value());
    } while (this.#taken(','));
    if (!this.#taken(']')) throw new Fault('syntax', this.index);
    return this.#closed(elements);
  }

  #open(): void {
    this.depth += 1;
    if (this.depth > maxDepth) throw new Fault('too_deep', this.index);
    this.index += 1;
  }

  #closed<T>(value: T): T {
    this.depth -= 1;
    return value;
  }

  #string(): string {
    const start = this.index;
    this.index += 1;
    let value = '';
    let escapedUnits = false;
    for (;;) {
      value += this.#match(plainRun);
      const letter = this.text[this.index];
      if (letter === '"') break;
      if (letter !== '\\') throw new Fault('syntax', this.index);
      const kind = this.text[this.index + 1] ?? '';
      this.index += 2;
      if (kind === 'u') {
        const quad = this.#match(hexQuad);
        if (quad === '') throw new Fault('syntax', this.index);
        value += String.fromCharCode(Number.parseInt(quad, 16));
        escapedUnits = true;
      } else {
        const plain = escapes[kind];
        if (plain === undefined) throw new Fault('syntax', this.index - 2);
        value += plain;
      }
    }
    this.index += 1;
    // Strict UTF-8 holds no surrogates, so a lone one can only have been written as an escape.
    if (escapedUnits && !value.isWellFormed()) throw new Fault('lone_surrogate', start);
    return value;
  }

  #number(): number | JsonNumber {
    const raw = this.#match(numberToken);
    if (raw === '') throw new Fault('syntax', this.index);
    const value = Number(raw);
    return String(value) === raw ? value : { raw };
  }

  #word<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.index)) throw new Fault('syntax', this.index);
    this.index += word.length;
    return value;
  }

  /** Whether the next sign is `sign`; if so it is consumed. */
  #taken(sign: string): boolean {
    this.#skip();
    if (this.text[this.index] !== sign) return false;
    this.index += 1;
    return true;
  }

  #skip(): void {
    this.#match(whitespace);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.index;
    const found = pattern.exec(this.text)?.[0] ?? '';
    this.index += found.length;
    return found;
  }
}

/** The bytes of a value without insignificant space; numbers as they came. Parsing them gives the value back. */
export function serializeJson(value: JsonValue): string {
  if (isJsonObject(value)) {
    const members: string[] = [];
    for (const [key, member] of value) members.push(`${JSON.stringify(key)}:${serializeJson(member)}`);
    return `{${members.join(',')}}`;
  }
  if (isJsonArray(value)) return `[${value.map(serializeJson).join(',')}]`;
  if (isRawNumber(value)) return value.raw;
  return JSON.stringify(value);
}

export const isJsonObject = (value: JsonValue | undefined): value is JsonObject => value instanceof Map;

export const isJsonArray = (value: JsonValue | undefined): value is readonly JsonValue[] =>
  Array.isArray(value);

const isRawNumber = (value: JsonValue | undefined): value is JsonNumber =>
  typeof value === 'object' && value !== null && 'raw' in value;

/** The text of a number, exactly as it was written; `undefined` where the value is not a number. */
export function numberText(value: JsonValue | undefined): string | undefined {
  if (typeof value === 'number') return String(value);
  return isRawNumber(value) ? value.raw : undefined;
}

/** The nearest double of a number; `undefined` where the value is not a number or is out of a double's range. */
export function numberOf(value: JsonValue | undefined): number | undefined {
  const text = numberText(value);
  const number = text === undefined ? Number.NaN : Number(text);
  return Number.isFinite(number) ? number : undefined;
}

/** Lenient decoding changes the text exactly where the bytes were wrong. */
function firstInvalidByte(bytes: Uint8Array): number {
  const repaired = encoder.encode(lenientDecoder.decode(bytes));
  let at = 0;
  while (at < bytes.length && bytes[at] === repaired[at]) at += 1;
  return at;
}
