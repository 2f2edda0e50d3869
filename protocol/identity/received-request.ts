/** Where a request is addressed, as RFC 9421 section 2.2 derives it. */
export type RequestTarget = {
  /** `https` or `http`. */
  readonly scheme: string;
  /** Host in lower case, with the port unless it is the scheme's default. */
  readonly authority: string;
  /** Absolute path, percent-encoding as received; empty counts as `/`. */
  readonly path: string;
  /** Raw query with its leading `?`; empty when there is none. */
  readonly query: string;
};

/**
 * A request as the verifier received it: plain data, so that no platform decides what was signed.
 * Field lines are in the order received; names in any case; the body is the exact content bytes.
 */
export type ReceivedRequest = RequestTarget & {
  /** Case-sensitive, as received. */
  readonly method: string;
  readonly headers: Iterable<readonly [name: string, value: string]>;
  /** `null` and zero bytes are the same thing: empty content. */
  readonly body: Uint8Array | null;
};

/** A received request whose field lines have been gathered. */
export type ReadRequest = Omit<ReceivedRequest, 'headers'> & { readonly fields: FieldLines };

/** Reads the headers, once: they may be an iterator, and what is judged must be what was signed. */
export const readRequest = (request: ReceivedRequest | ReadRequest): ReadRequest => {
  if ('fields' in request) return request;
  const { headers, ...rest } = request;
  return { ...rest, fields: fieldLinesOf(headers) };
};

/**
 * The target of `url`, with scheme and authority replaced by `publicOrigin` where a proxy may have changed them.
 * The origin must come from the deployment's configuration, never from `X-Forwarded-Host` (ERC-8128 section 3.1.1).
 * Throws TypeError when either is not an absolute URL.
 */
export const targetOf = (url: string | URL, publicOrigin?: string | URL): RequestTarget => {
  const received = typeof url === 'string' ? new URL(url) : url;
  const origin = typeof publicOrigin === 'string' ? new URL(publicOrigin) : (publicOrigin ?? received);
  return {
    scheme: origin.protocol.slice(0, -1),
    authority: origin.host,
    path: received.pathname,
    query: received.search,
  };
};

/** Field lines by lower-case name, in order. */
export type FieldLines = {
  readonly has: (name: string) => boolean;
  readonly get: (name: string) => readonly string[] | undefined;
};

/**
 * The fields of a platform's `Headers`, asked for one by one: going through all of them costs more than a verification's
 * parsing. Their lines come joined by comma and space, as they would be here.
 */
export const fieldLinesOfHeaders = (headers: {
  readonly get: (name: string) => string | null;
}): FieldLines => {
  const asked = new Map<string, readonly string[] | undefined>();
  const get = (name: string): readonly string[] | undefined => {
    if (asked.has(name)) return asked.get(name);
    const value = headers.get(name);
    const lines = value === null ? undefined : [value];
    asked.set(name, lines);
    return lines;
  };
  return { get, has: (name) => get(name) !== undefined };
};

export const fieldLinesOf = (headers: Iterable<readonly [string, string]>): FieldLines => {
  const lines = new Map<string, string[]>();
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    const known = lines.get(key);
    if (known === undefined) lines.set(key, [value]);
    else known.push(value);
  }
  return lines;
};

const isBlank = (character: string): boolean => character === ' ' || character === '\t';

// A loop, not a regular expression: /[ \t]+$/ is quadratic in a long run of blanks.
const trimBlanks = (text: string): string => {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charAt(start))) start++;
  while (end > start && isBlank(text.charAt(end - 1))) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
};

// obs-fold = OWS CRLF RWS, read as one space. A line with any other CRLF stays as it is, for the caller to refuse.
const unfold = (line: string): string => {
  if (!line.includes('\r\n')) return line;
  const [first = '', ...folded] = line.split('\r\n');
  if (!folded.every((part) => isBlank(part.charAt(0)))) return line;
  return [first, ...folded].map(trimBlanks).join(' ');
};

/**
 * The combined value of a field (RFC 9421 section 2.1): each line trimmed and unfolded, joined by comma and space.
 * `undefined` when the field was not received; present and empty is the empty string.
 */
export const fieldValue = (fields: FieldLines, name: string): string | undefined => {
  const lines = fields.get(name);
  if (lines?.length === 1) return unfold(trimBlanks(lines[0] ?? ''));
  return lines?.map((line) => unfold(trimBlanks(line))).join(', ');
};
