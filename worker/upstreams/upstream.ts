import type { Address } from 'viem';
import { parseAddress } from '../../protocol/hex.ts';
import { dashscope } from '../dialects/dashscope.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { llamaCpp } from '../dialects/llama-cpp.ts';
import { ollama } from '../dialects/ollama.ts';
import { sglang } from '../dialects/sglang.ts';
import { vllm } from '../dialects/vllm.ts';
import { zeroGRouter } from '../dialects/zero-g-router.ts';
import { members } from '../usage.ts';
import { parseUsd, type UpstreamCost } from './upstream-cost.ts';

/** How long each stage of a call may take, in milliseconds. Every one of them ends before the hold does. */
export type Timeouts = {
  /** To connect and to answer with headers. A Worker's `fetch` does not say when the connection stands, so this is both. */
  readonly headersMs: number;
  /** From the headers to the first event of a stream. */
  readonly firstByteMs: number;
  /** Between two chunks. */
  readonly idleMs: number;
  /** One attempt as a whole. What remains of the hold, less a margin, is the limit where that is shorter. */
  readonly totalMs: number;
  /** After the client has left. The platform ends our work 30 s later; this has to end before. */
  readonly drainMs: number;
};

/** How an upstream proves what it answered: which protocol, where the signatures are, and whose they must be. */
export type EvidenceSource = {
  readonly kind: '0g' | 'signature-endpoint';
  /** The response's key, percent-encoded, and `?model=` are appended. */
  readonly url: string;
  readonly signer: Address;
  readonly timeoutMs: number;
};

export type Upstream = {
  /** As receipts name it. */
  readonly name: string;
  readonly dialect: Dialect;
  /** Without a slash at the end; `/chat/completions` is appended. */
  readonly baseUrl: string;
  /** The secret that holds its key; none where it wants none. */
  readonly secret: string | undefined;
  /** The priced models it answers, and what it calls them; all of them, by their own names, where undefined. */
  readonly models: ReadonlyMap<string, string> | undefined;
  readonly timeouts: Timeouts;
  /** Repetitions here of what upstream said it did not take. */
  readonly retries: number;
  readonly breaker: Breaker;
  readonly evidence: EvidenceSource | undefined;
  /** What it charges the operator, by model as priced here; for the margin in /metrics. */
  readonly costs: ReadonlyMap<string, UpstreamCost> | undefined;
};

/** After so many failures in a row an isolate leaves an upstream alone for a while. 0 failures: never. */
export type Breaker = { readonly failures: number; readonly openMs: number };

const dialects: ReadonlyMap<string, Dialect> = new Map(
  [dashscope, vllm, sglang, llamaCpp, ollama, zeroGRouter].map((dialect) => [dialect.name, dialect]),
);

export const dialectNames: readonly string[] = [...dialects.keys()];

export const defaultTimeouts: Timeouts = {
  headersMs: 60_000,
  firstByteMs: 60_000,
  idleMs: 60_000,
  totalMs: 570_000,
  drainMs: 25_000,
};
const defaultBreaker: Breaker = { failures: 5, openMs: 10_000 };
const defaultRetries = 2;
const defaultEvidenceMs = 3_000;

/** `waitUntil` ends 30 s after the client has left. */
const longestDrainMs = 29_000;

/**
 * Reads the UPSTREAMS variable: a JSON list, in the order in which they are tried. Throws, naming the member: a gateway
 * that is half configured must not start. The shape is in docs/upstreams.md.
 */
export function readUpstreams(json: unknown): readonly Upstream[] {
  let list: unknown;
  try {
    list = JSON.parse(String(json ?? ''));
  } catch {
    throw bad('UPSTREAMS', 'a JSON list');
  }
  if (!Array.isArray(list) || list.length === 0) throw bad('UPSTREAMS', 'a list of at least one upstream');
  const upstreams = list.map((entry, index) => readUpstream(entry, `UPSTREAMS[${index}]`));
  if (new Set(upstreams.map(({ name }) => name)).size !== upstreams.length)
    throw bad('UPSTREAMS', 'a list of different names');
  return upstreams;
}

/** The members an entry may have. */
export const upstreamMembers: readonly string[] = [
  'name',
  'dialect',
  'baseUrl',
  'secret',
  'models',
  'timeouts',
  'retries',
  'breaker',
  'evidence',
  'costs',
];

function readUpstream(value: unknown, path: string): Upstream {
  const entry = strict(value, path, upstreamMembers);
  const name = entry['name'];
  if (typeof name !== 'string' || !/^[a-z0-9][a-z0-9.-]{0,63}$/.test(name))
    throw bad(`${path}.name`, 'a short name of a-z, 0-9, dots and dashes');
  const dialect = dialects.get(String(entry['dialect']));
  if (!dialect) throw bad(`${path}.dialect`, `one of ${dialectNames.join(', ')}`);
  const secret = entry['secret'] ?? undefined;
  // No other kind of secret can be sent to somebody by a slip of the pen.
  if (secret !== undefined && (typeof secret !== 'string' || !/^[A-Z][A-Z0-9_]*_API_KEY$/.test(secret)))
    throw bad(`${path}.secret`, 'the name of a secret that ends in _API_KEY');
  const breaker = strict(entry['breaker'] ?? {}, `${path}.breaker`, ['failures', 'openMs']);
  return {
    name,
    dialect,
    baseUrl: readUrl(entry['baseUrl'], `${path}.baseUrl`),
    secret,
    models: readModels(entry['models'], `${path}.models`),
    timeouts: readTimeouts(entry['timeouts'], `${path}.timeouts`),
    retries: count(entry['retries'] ?? defaultRetries, `${path}.retries`, 0, 5),
    breaker: {
      failures: count(breaker['failures'] ?? defaultBreaker.failures, `${path}.breaker.failures`, 0, 1_000),
      openMs: count(breaker['openMs'] ?? defaultBreaker.openMs, `${path}.breaker.openMs`, 1, 600_000),
    },
    evidence: readEvidence(entry['evidence'], `${path}.evidence`),
    costs: readCosts(entry['costs'], `${path}.costs`),
  };
}

/** A list of names, or an object from our names to the upstream's. */
function readModels(value: unknown, path: string): ReadonlyMap<string, string> | undefined {
  if (value === undefined || value === null) return undefined;
  const named: [string, unknown][] = Array.isArray(value)
    ? value.map((name) => [String(name), name])
    : Object.entries(members(value) ?? {});
  if (named.length === 0) throw bad(path, 'a list of models, or an object from ours to theirs');
  return new Map(
    named.map(([ours, theirs]) => {
      if (typeof theirs !== 'string' || theirs === '') throw bad(`${path}.${ours}`, 'a name');
      return [ours, theirs];
    }),
  );
}

function readTimeouts(value: unknown, path: string): Timeouts {
  const said = strict(value ?? {}, path, Object.keys(defaultTimeouts));
  const read = (name: keyof Timeouts, most: number) =>
    count(said[name] ?? defaultTimeouts[name], `${path}.${name}`, 1, most);
  return {
    headersMs: read('headersMs', 570_000),
    firstByteMs: read('firstByteMs', 570_000),
    idleMs: read('idleMs', 570_000),
    totalMs: read('totalMs', 570_000),
    drainMs: read('drainMs', longestDrainMs),
  };
}

function readEvidence(value: unknown, path: string): EvidenceSource | undefined {
  if (value === undefined || value === null) return undefined;
  const said = strict(value, path, ['kind', 'url', 'signer', 'timeoutMs']);
  const kind = said['kind'];
  if (kind !== '0g' && kind !== 'signature-endpoint')
    throw bad(`${path}.kind`, '"0g" or "signature-endpoint"');
  const signer = parseAddress(String(said['signer']).toLowerCase());
  if (!signer) throw bad(`${path}.signer`, "the address of the TEE's key");
  return {
    kind,
    url: readUrl(said['url'], `${path}.url`),
    signer,
    timeoutMs: count(said['timeoutMs'] ?? defaultEvidenceMs, `${path}.timeoutMs`, 1, 20_000),
  };
}

/** Per million tokens, in USD: `{"qwen-plus":{"input":"0.4","cachedInput":"0.08","output":"1.2"}}`; cached input is input where absent. */
function readCosts(value: unknown, path: string): ReadonlyMap<string, UpstreamCost> | undefined {
  if (value === undefined || value === null) return undefined;
  return new Map(
    Object.entries(members(value) ?? {}).map(([model, rates]) => {
      const said = strict(rates, `${path}.${model}`, ['input', 'cachedInput', 'output']);
      const rate = (name: string, otherwise?: unknown): bigint => {
        const usd = parseUsd(said[name] ?? otherwise);
        if (usd === undefined)
          throw bad(`${path}.${model}.${name}`, 'USD per million tokens, as a decimal string');
        return usd;
      };
      const cachedInput = rate('cachedInput', said['input']);
      return [model, { input: rate('input'), cachedInput, output: rate('output') }];
    }),
  );
}

function readUrl(value: unknown, path: string): string {
  const url = typeof value === 'string' ? URL.parse(value) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '')
    throw bad(path, 'an absolute URL without credentials or a query');
  return url.href.replace(/\/$/, '');
}

function count(value: unknown, path: string, least: number, most: number): number {
  if (!Number.isInteger(value) || Number(value) < least || Number(value) > most)
    throw bad(path, `a whole number from ${least} to ${most}`);
  return Number(value);
}

function strict(value: unknown, path: string, names: readonly string[]): { readonly [key: string]: unknown } {
  const object = members(value);
  if (!object) throw bad(path, 'an object');
  for (const name of Object.keys(object))
    if (!names.includes(name)) throw bad(`${path}.${name}`, `one of ${names.join(', ')}`);
  return object;
}

const bad = (path: string, expected: string): Error =>
  new Error(`configuration: ${path} must be ${expected}`);
