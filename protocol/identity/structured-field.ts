import { ok, type Result, refuse } from '../result.ts';

/*
 * Structured Field Values, RFC 9651: Dictionaries in, canonical text out.
 *
 * Why not the `structured-headers` package: it has one `number` for Integer and Decimal, so that
 * `created=1700000000.0` passes for an Integer and is written back as one, and it refuses a whole field that holds
 * a Date followed by a parameter. Signature verification must see the type that was sent and re-serialise it exactly.
 */

/** RFC 9651 section 3.3. */
export type BareItem =
  | { readonly type: 'integer' | 'decimal' | 'date'; readonly value: number }
  | { readonly type: 'string' | 'token' | 'display'; readonly value: string }
  | { readonly type: 'bytes'; readonly value: Uint8Array }
  | { readonly type: 'boolean'; readonly value: boolean };

/** Ordered as received; of a repeated key the last value counts, at the first one's place (section 4.2.3.2). */
export type Parameters = ReadonlyMap<string, BareItem>;
export type Item = { readonly kind: 'item'; readonly value: BareItem; readonly parameters: Parameters };
export type InnerList = {
  readonly kind: 'inner-list';
  readonly items: readonly Item[];
  readonly parameters: Parameters;
};
/** Ordered as received; repeated keys as in {@link Parameters}. */
export type Dictionary = ReadonlyMap<string, Item | InnerList>;

// Sticky, and each without ambiguity between its alternatives, so that matching is linear in the input.
const KEY = /[a-z*][a-z0-9_.*-]*/y;
const NUMBER = /-?([0-9]+)(?:\.([0-9]*))?/y;
const STRING = /"([ !#-[\]-~]*(?:\\["\\][ !#-[\]-~]*)*)"/y;
const TOKEN = /[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*/y;
const BYTES = /:([A-Za-z0-9+/=]*):/y;
const BOOLEAN = /\?([01])/y;
const DISPLAY = /%"([ !#$&-~]*(?:%[0-9a-f]{2}[ !#$&-~]*)*)"/y;

const TRUE: BareItem = { type: 'boolean', value: true };

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const SEXTETS = new Int8Array(128).fill(-1);
for (let i = 0; i < BASE64.length; i++) SEXTETS[BASE64.charCodeAt(i)] = i;

/**
 * Section 4.2.7: padding may be left out, bits to spare are ignored. The text is of the alphabet and `=` alone. By hand
 * because `atob` makes a string of the bytes first, which is half of what a whole verification spends on parsing.
 */
const bytesOfBase64 = (text: string): Uint8Array | undefined => {
  let length = text.length;
  if (length % 4 === 0 && text.endsWith('=')) length -= text.endsWith('==') ? 2 : 1;
  if (length % 4 === 1) return undefined;
  const bytes = new Uint8Array(Math.floor((length * 3) / 4));
  let at = 0;
  for (let i = 0; i < length; i += 4) {
    let bits = 0;
    for (let j = i; j < i + 4; j++) {
      const sextet = j < length ? (SEXTETS[text.charCodeAt(j)] ?? -1) : 0;
      if (sextet < 0) return undefined;
      bits = (bits << 6) | sextet;
    }
    // Stores beyond the end do nothing.
    bytes[at++] = bits >> 16;
    bytes[at++] = bits >> 8;
    bytes[at++] = bits;
  }
  return bytes;
};

const base64OfBytes = (bytes: Uint8Array): string => {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
};

const textOfPercentEncoded = (encoded: string): string | undefined => {
  const bytes: number[] = [];
  for (let i = 0; i < encoded.length; i++) {
    const escaped = encoded[i] === '%';
    bytes.push(escaped ? Number.parseInt(encoded.slice(i + 1, i + 3), 16) : encoded.charCodeAt(i));
    if (escaped) i += 2;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    return undefined;
  }
};

/** One pass over one field value. Every method answers `undefined` where the RFC says "fail parsing". */
class Reader {
  readonly input: string;
  at = 0;

  constructor(input: string) {
    this.input = input;
  }

  private match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.input) ?? undefined;
    if (found !== undefined) this.at = pattern.lastIndex;
    return found;
  }

  private skip(characters: string): void {
    while (this.at < this.input.length && characters.includes(this.input.charAt(this.at))) this.at++;
  }

  private take(character: string): boolean {
    if (this.input[this.at] !== character) return false;
    this.at++;
    return true;
  }

  /** Section 4.2.2. */
  dictionary(): Dictionary | undefined {
    const members = new Map<string, Item | InnerList>();
    this.skip(' ');
    while (this.at < this.input.length) {
      const key = this.match(KEY)?.[0];
      if (key === undefined) return undefined;
      const member = this.take('=') ? this.member() : this.bareTrue();
      if (member === undefined) return undefined;
      members.set(key, member);
      this.skip(' \t');
      if (this.at === this.input.length) return members;
      if (!this.take(',')) return undefined;
      this.skip(' \t');
      if (this.at === this.input.length) return undefined;
    }
    return members;
  }

  private bareTrue(): Item | undefined {
    const parameters = this.parameters();
    return parameters && { kind: 'item', value: TRUE, parameters };
  }

  private member(): Item | InnerList | undefined {
    return this.take('(') ? this.innerList() : this.item();
  }

  /** Section 4.2.1.2, after the opening parenthesis. */
  private innerList(): InnerList | undefined {
    const items: Item[] = [];
    while (this.at < this.input.length) {
      this.skip(' ');
      if (this.take(')')) {
        const parameters = this.parameters();
        return parameters && { kind: 'inner-list', items, parameters };
      }
      const item = this.item();
      if (item === undefined) return undefined;
      items.push(item);
      const next = this.input[this.at];
      if (next !== ' ' && next !== ')') return undefined;
    }
    return undefined;
  }

  private item(): Item | undefined {
    const value = this.bareItem();
    if (value === undefined) return undefined;
    const parameters = this.parameters();
    return parameters && { kind: 'item', value, parameters };
  }

  private parameters(): Parameters | undefined {
    const parameters = new Map<string, BareItem>();
    while (this.take(';')) {
      this.skip(' ');
      const key = this.match(KEY)?.[0];
      if (key === undefined) return undefined;
      const value = this.take('=') ? this.bareItem() : TRUE;
      if (value === undefined) return undefined;
      parameters.set(key, value);
    }
    return parameters;
  }

  /** Section 4.2.3.1. */
  private bareItem(): BareItem | undefined {
    const first = this.input.charAt(this.at);
    if (first === '-' || (first >= '0' && first <= '9')) return this.number();
    switch (first) {
      case '"': {
        const text = this.match(STRING)?.[1];
        if (text === undefined) return undefined;
        return { type: 'string', value: text.includes('\\') ? text.replace(/\\(.)/g, '$1') : text };
      }
      case ':': {
        const encoded = this.match(BYTES)?.[1];
        const value = encoded === undefined ? undefined : bytesOfBase64(encoded);
        return value && { type: 'bytes', value };
      }
      case '?': {
        const bit = this.match(BOOLEAN)?.[1];
        return bit === undefined ? undefined : { type: 'boolean', value: bit === '1' };
      }
      case '@': {
        this.at++;
        const seconds = this.number();
        return seconds?.type === 'integer' ? { type: 'date', value: seconds.value } : undefined;
      }
      case '%': {
        const encoded = this.match(DISPLAY)?.[1];
        const value = encoded === undefined ? undefined : textOfPercentEncoded(encoded);
        return value === undefined ? undefined : { type: 'display', value };
      }
      default: {
        const token = this.match(TOKEN)?.[0];
        return token === undefined ? undefined : { type: 'token', value: token };
      }
    }
  }

  /** Section 4.2.4: at most 15 digits; a Decimal at most 12 before the point and 1 to 3 after it. */
  private number(): { readonly type: 'integer' | 'decimal'; readonly value: number } | undefined {
    const found = this.match(NUMBER);
    const [text, whole, fraction] = found ?? [];
    if (text === undefined || whole === undefined) return undefined;
    if (fraction === undefined) {
      return whole.length > 15 ? undefined : { type: 'integer', value: Number(text) };
    }
    if (whole.length > 12 || fraction.length < 1 || fraction.length > 3) return undefined;
    return { type: 'decimal', value: Number(text) };
  }
}

/**
 * Parses a combined field value as a Dictionary (RFC 9651 section 4.2). The empty value is the empty Dictionary.
 * The refusal says where parsing stopped.
 */
export const parseDictionary = (fieldValue: string): Result<Dictionary, string> => {
  const reader = new Reader(fieldValue);
  const dictionary = reader.dictionary();
  return dictionary === undefined
    ? refuse(`not an RFC 9651 Dictionary: stopped at character ${reader.at}`)
    : ok(dictionary);
};

const serializeString = (text: string): string =>
  text.includes('"') || text.includes('\\') ? `"${text.replace(/["\\]/g, '\\$&')}"` : `"${text}"`;

const serializeDisplay = (text: string): string => {
  let out = '%"';
  for (const byte of new TextEncoder().encode(text)) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x22 && byte !== 0x25;
    out += plain ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, '0')}`;
  }
  return `${out}"`;
};

/** Section 4.1.3.1. */
export const serializeBareItem = (item: BareItem): string => {
  switch (item.type) {
    case 'integer':
      return String(item.value);
    case 'decimal':
      return Number.isInteger(item.value) ? `${item.value}.0` : String(item.value);
    case 'date':
      return `@${item.value}`;
    case 'string':
      return serializeString(item.value);
    case 'token':
      return item.value;
    case 'display':
      return serializeDisplay(item.value);
    case 'bytes':
      return `:${base64OfBytes(item.value)}:`;
    case 'boolean':
      return item.value ? '?1' : '?0';
  }
};

const serializeParameters = (parameters: Parameters): string => {
  let out = '';
  for (const [key, value] of parameters) {
    out += value.type === 'boolean' && value.value ? `;${key}` : `;${key}=${serializeBareItem(value)}`;
  }
  return out;
};

/** Section 4.1.3. */
export const serializeItem = (item: Item): string =>
  serializeBareItem(item.value) + serializeParameters(item.parameters);

/** Section 4.1.1.1. */
export const serializeInnerList = (list: InnerList): string =>
  `(${list.items.map(serializeItem).join(' ')})${serializeParameters(list.parameters)}`;

/** Section 4.1.2. */
export const serializeDictionary = (dictionary: Dictionary): string => {
  const members: string[] = [];
  for (const [key, member] of dictionary) {
    if (member.kind === 'inner-list') members.push(`${key}=${serializeInnerList(member)}`);
    else if (member.value.type === 'boolean' && member.value.value) {
      members.push(key + serializeParameters(member.parameters));
    } else members.push(`${key}=${serializeItem(member)}`);
  }
  return members.join(', ');
};

/** Whether the text can be a Dictionary or parameter key. */
export const isKey = (text: string): boolean => /^[a-z*][a-z0-9_.*-]*$/.test(text);
