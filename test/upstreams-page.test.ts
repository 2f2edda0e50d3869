// docs/upstreams.md, where it says what the code decides: dialects, defaults, and what is tried again.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import {
  defaultTimeouts,
  dialectNames,
  readUpstreams,
  upstreamMembers,
} from '../worker/upstreams/upstream.ts';
import {
  failedInBand,
  timedOut,
  unreachable,
  unusable,
  type Verdict,
  verdictOf,
} from '../worker/upstreams/verdict.ts';

const page = readFileSync(path.resolve(import.meta.dirname, '../docs/upstreams.md'), 'utf8');
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .map((line) =>
    line
      .split('|')
      .map((cell) => cell.trim())
      .slice(1, -1),
  );
const row = (first: RegExp): string[] => rows.find(([cell]) => first.test(cell ?? '')) ?? [];

test.each(dialectNames)('the dialect %s', (name) => {
  const [upstream] = readUpstreams(
    JSON.stringify([{ name: 'x', dialect: name, baseUrl: 'https://x.example' }]),
  );
  if (!upstream) throw new Error('it reads');
  const [, endpoints, , , thinking] = row(new RegExp(`^\`${name}\``));
  const short = upstream.dialect.endpoints.map((endpoint) => endpoint.replace('chat/completions', 'chat'));
  expect(endpoints).toBe(short.join(', '));
  expect(thinking).toBe(`\`${upstream.dialect.thinkingField}\``);
});

test('every member of an entry', () => {
  for (const name of upstreamMembers) expect(row(new RegExp(`^\`${name}\``)), name).toHaveLength(3);
});

test('the defaults', () => {
  for (const [name, ms] of Object.entries(defaultTimeouts))
    expect(row(new RegExp(`^\`${name}\``))[2], name).toBe(ms.toLocaleString('en'));
  const [upstream] = readUpstreams(
    JSON.stringify([{ name: 'x', dialect: 'vllm', baseUrl: 'https://x.example' }]),
  );
  expect(row(/^`retries`/)[2]).toBe(`${upstream?.retries}`);
  expect(row(/^`breaker`/)[2]).toBe(
    `${upstream?.breaker.failures}, ${upstream?.breaker.openMs.toLocaleString('en')} ms`,
  );
});

const status = (code: number, error?: string): Verdict =>
  verdictOf(code, error === undefined ? undefined : { code: error, message: '' }, null);

const cases: [RegExp, Verdict[]][] = [
  [
    /^429 `limit_requests`/,
    ['limit_requests', 'Throttling.RateQuota', 'Throttling.BurstRate'].map((code) => status(429, code)),
  ],
  [
    /^429 `insufficient_quota`/,
    ['insufficient_quota', 'Throttling.AllocationQuota'].map((code) => status(429, code)),
  ],
  [
    /about billing/,
    [
      status(400, 'Arrearage'),
      status(403, 'AccessDenied.Unpurchased'),
      ...['PrepaidBillOverdue', 'PostpaidBillOverdue', 'CommodityNotPurchased'].map((code) =>
        status(429, code),
      ),
    ],
  ],
  [/about the request/, [400, 413, 415, 422].map((code) => status(code))],
  [/^401/, [401, 402, 403, 404, 405, 418].map((code) => status(code))],
  [/^408/, [status(408), status(504), timedOut]],
  [/^500/, [500, 503, 521, 523, 525, 526].map((code) => status(code))],
  [/^other 5xx/, [501, 502, 520, 599].map((code) => status(code))],
  [/^no connection/, [unreachable]],
  [/error in the place/, [failedInBand({ code: 'internal_error', message: '' })]],
  [/no answer$/, [unusable]],
];

test.each(cases)('what is tried again: %s', (first, verdicts) => {
  const [, here, elsewhere, health] = row(first);
  for (const { again, unhealthy } of verdicts)
    expect([again === 'here', again !== 'no', unhealthy].map((yes) => (yes ? 'yes' : 'no'))).toEqual([
      here,
      elsewhere,
      health,
    ]);
});
