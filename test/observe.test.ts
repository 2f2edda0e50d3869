// What an operator sees: metrics that say what happened, alerts that can fire, and a log without anybody's words or keys.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseEther } from 'viem';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Stack } from '../dev/stack.ts';
import { accountOf, ceilingOf, until } from './money.ts';
import { type RawAgent, rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

const root = path.resolve(import.meta.dirname, '..');
const alerts = readFileSync(path.join(root, 'ops/alerts.yml'), 'utf8');

let stack: Stack;
let agent: RawAgent;
let log = '';
beforeAll(async () => {
  stack = await startTestStack({
    agents: 1,
    log: (text) => {
      log += text;
    },
    upstream: { costs: { 'qwen-plus': { input: '0.4', output: '1.2' } } },
  });
  const [first] = stack.agents;
  if (!first) throw new Error('no agent');
  agent = rawAgent(stack, first);
});
afterAll(() => stack?.close());

const ask = (token?: string): Promise<Response> =>
  fetch(`${stack.gatewayUrl}/metrics`, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });

const failedAttempts = 'tallystick_upstream_attempts_total{upstream="qwen-stand-in",outcome="failed"}';

type Samples = ReadonlyMap<string, number>;

async function samples(): Promise<Samples> {
  const response = await ask(stack.operatorToken);
  expect(response.status).toBe(200);
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const [, series = '', value] = /^(\w+(?:\{.*\})?) (-?[\d.e+-]+)$/.exec(line) ?? [];
      expect(series, line).not.toBe('');
      return [series, Number(value)];
    }),
  );
}

test('metrics are the operator’s alone', async () => {
  expect((await ask()).status).toBe(401);
  expect((await ask(`${stack.operatorToken}0`)).status).toBe(401);
  expect((await ask(stack.operatorToken)).headers.get('content-type')).toMatch(
    /^text\/plain; version=0\.0\.4/,
  );
});

test('calls, tokens, revenue, cost, refusals, upstream, log and chain are all there, and right', {
  timeout: 60_000,
}, async () => {
  const canary = 'heliotrope-canary';
  await ceilingOf(agent, canary); // one refusal: 402, no voucher
  const headers = await agent.payment(parseEther('5'));
  let outputs = 0;
  for (const stream of [false, true, false]) {
    const response = await agent.chat(`Say something about ${canary}`, { headers, more: { stream } });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    await response.text();
    outputs += 1;
  }
  const { captured } = await until(
    () => accountOf(agent),
    ({ held, sequence }) => held === 0n && sequence === BigInt(outputs),
  );
  stack.qwen?.faults.next('500', 9);
  expect((await agent.chat(canary, { headers })).status).toBe(502);
  stack.qwen?.faults.clear();
  // A key that upstream does not take is a failure as well: it is the operator's to mend, and the alert has to see it.
  const failedBefore = (await samples()).get(failedAttempts) ?? 0;
  stack.qwen?.faults.next('401', 1);
  expect((await agent.chat(canary, { headers })).status).toBe(503);
  stack.qwen?.faults.clear();
  expect((await samples()).get(failedAttempts)).toBe(failedBefore + 1);

  const seen = await until(
    samples,
    (now) => (now.get('tallystick_log_entries{state="anchored"}') ?? 0) === outputs,
  );
  const of = (series: string) => seen.get(series);
  const chain = `chain="${stack.chainId}"`;
  expect(of('tallystick_captures_total{model="qwen-plus",upstream="qwen-stand-in",estimated="false"}')).toBe(
    3,
  );
  expect(of('tallystick_refusals_total{reason="voucher_missing"}')).toBe(1);
  expect(of('tallystick_refusals_total{reason="upstream_failed"}')).toBe(1);
  expect(of('tallystick_requests_total{route="/v1/chat/completions",status="200"}')).toBe(3);
  expect(of('tallystick_tokens_total{model="qwen-plus",kind="output"}')).toBeGreaterThan(0);
  expect(of(`tallystick_revenue_base_units_total{${chain},model="qwen-plus"}`)).toBe(Number(captured));
  const [revenue, cost] = [
    of('tallystick_revenue_usd_total{model="qwen-plus"}') ?? Number.NaN,
    of('tallystick_upstream_cost_usd_total{model="qwen-plus",upstream="qwen-stand-in"}') ?? Number.NaN,
  ];
  expect(revenue).toBeCloseTo((Number(captured) / 1e18) * 0.625, 9);
  expect(cost).toBeGreaterThan(0);
  expect(of('tallystick_margin_usd{model="qwen-plus"}')).toBeCloseTo(revenue - cost, 9);
  expect(of('tallystick_upstream_attempts_total{upstream="qwen-stand-in",outcome="answered"}')).toBe(3);
  expect(of(failedAttempts)).toBeGreaterThan(0);
  expect(of('tallystick_seal_to_anchor_seconds')).toBeGreaterThan(0);
  expect(of('tallystick_log_merge_overdue_seconds')).toBe(0);
  expect(of('tallystick_outbox_seconds')).toBeLessThan(60);
  expect(of(`tallystick_watched_accounts{${chain}}`)).toBe(1);
  const node = new URL(stack.rpcUrl).host;
  expect(of(`tallystick_operator_balance_base_units{${chain},node="${node}"}`)).toBeGreaterThan(1e18);
  expect(of(`tallystick_rpc_head_age_seconds{${chain},node="${node}"}`)).toBeLessThan(30);
  for (const part of ['log', 'publisher', 'counters', `chain ${stack.chainId}`, `rpc ${node}`])
    expect(of(`tallystick_up{part="${part}"}`), part).toBe(1);
  // What is due falls to nothing when it is claimed.
  await until(samples, (now) => now.get(`tallystick_exposure_base_units{${chain}}`) === 0);

  // The log: lines of JSON with an event, each capture with its request's id; nobody's words, no key, no signature.
  const lines = log.split('\n').filter((line) => line.trim() !== '');
  const events = lines.map((line) => JSON.parse(line) as { event: string; requestId?: string });
  expect(events.filter(({ event }) => event === 'captured')).toHaveLength(3);
  expect(events.some(({ event }) => event === 'anchored')).toBe(true);
  for (const { event, requestId } of events) {
    expect(event).toMatch(/^[a-z_]+$/);
    if (['captured', 'refused', 'upstream_refused'].includes(event))
      expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
  }
  for (const secret of [
    canary,
    'local-qwen-key',
    stack.operatorToken,
    stack.agents[0]?.privateKey ?? '-',
    'signature',
  ])
    expect(log).not.toContain(secret);
});

test('a restart loses nothing of the gauges, and of the counters nothing that was shown', async () => {
  // Younger than what the object writes down by itself.
  expect((await fetch(`${stack.gatewayUrl}/nowhere`)).status).toBe(404);
  const before = await samples();
  const counters = [...before].filter(([series]) => /^\w+_total\b/.test(series));
  expect(before.get('tallystick_requests_total{route="other",status="404"}')).toBe(1);
  await stack.restartGateway();
  const after = await samples();
  for (const [series, value] of counters) expect(after.get(series), series).toBeGreaterThanOrEqual(value);
  expect(after.get('tallystick_seal_to_anchor_seconds')).toBe(
    before.get('tallystick_seal_to_anchor_seconds'),
  );
  for (const state of ['appended', 'sealed', 'anchored'])
    expect(after.get(`tallystick_log_entries{state="${state}"}`)).toBe(
      before.get(`tallystick_log_entries{state="${state}"}`),
    );
});

test('a publisher that fails is seen failing after a restart: its tries are further apart than it stays in memory', {
  timeout: 60_000,
}, async () => {
  const down = { ZERO_G_STORAGE_URL: 'http://127.0.0.1:9' };
  const failures = async () => (await samples()).get('tallystick_publisher_failures') ?? 0;
  await stack.restartGateway(down);
  const headers = await agent.payment(parseEther('5'));
  expect((await agent.chat('not published', { headers })).status).toBe(200);
  const before = await until(failures, (rounds) => rounds >= 2);
  await stack.restartGateway(down);
  expect(await failures()).toBeGreaterThanOrEqual(before);
  await stack.restartGateway();
  await until(failures, (rounds) => rounds === 0);
});

/** Of the platform's world, whose types Node's do not go with. */
const measured = '../worker/measured.ts';

test('a charged call is one point for Analytics Engine, in the layout the page’s query reads', async () => {
  const { noteCapture } = (await import(measured)) as { noteCapture: (...args: unknown[]) => void };
  const points: unknown[] = [];
  const upstream = {
    name: 'up',
    dialect: 'vllm',
    baseUrl: 'https://up.example',
    costs: { 'qwen-plus': { input: '1', cachedInput: '0.5', output: '4' } },
  };
  const call = {
    id: 'request 1',
    url: new URL('https://gateway.example/v1/chat/completions'),
    env: {
      UPSTREAMS: JSON.stringify([upstream]),
      ANALYTICS: { writeDataPoint: (point: unknown) => points.push(point) },
      COUNTERS: { getByName: () => ({ add: async () => undefined }) },
    },
    waitUntil: () => undefined,
  };
  const quiet = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  const usage = {
    input: 1000n,
    cachedInput: 200n,
    cacheCreation: 0n,
    output: 500n,
    thinking: 100n,
    estimated: false,
  };
  noteCapture(
    call,
    { chainId: 1, asset: { symbol: 'ETH', decimals: 18 }, usdPerAsset: '3000' },
    { model: 'qwen-plus', amount: 10n ** 13n, upstreamId: 'u' },
    { usage, upstream: 'up' },
    10n ** 13n,
  );
  quiet.mockRestore();
  expect(points).toEqual([
    {
      indexes: ['qwen-plus'],
      blobs: ['/v1/chat/completions', 'captured', '', 'qwen-plus', 'up', '1', 'request 1'],
      // 10^-5 ETH are 3 cents; 800 at 1, 200 at 0.5 and 500 at 4 USD a million.
      doubles: [1, 1000, 200, 500, 100, 0.03, 0.0029],
    },
  ]);
});

test('every alert is about metrics that are served, and has its page', async () => {
  const text = await (await ask(stack.operatorToken)).text();
  const served = new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name));
  const runbook = readFileSync(path.join(root, 'docs/runbook.md'), 'utf8');
  const sections = [...runbook.matchAll(/^## (\w+)$/gm)].map(([, name]) => name);
  const rules = alerts.split(/^ {6}- alert: /m).slice(1);
  expect(rules.length).toBeGreaterThan(10);
  for (const rule of rules) {
    const name = rule.split('\n')[0] ?? '';
    const expression = /^ {8}expr: ['"](.*)['"]$/m.exec(rule)?.[1] ?? '';
    const named = [...expression.matchAll(/tallystick_\w+/g)].map(([metric]) => metric);
    for (const metric of named) expect(served, `${name}: ${metric}`).toContain(metric);
    if (named.length === 0) expect(expression).toContain('up{job="tallystick"}');
    expect(rule).toMatch(new RegExp(`runbook: .docs/runbook.md#${name.toLowerCase()}.$`, 'm'));
  }
  expect(sections).toEqual(rules.map((rule) => rule.split('\n')[0]));
});
