// How fast and how far: rate limits an OpenAI client understands, caps on what the operator risks, floods, and that none of
// what is refused writes a row.

import { existsSync, globSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import OpenAI from 'openai';
import { parseEther } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { walletOf } from '../dev/clients.ts';
import { fund, fundAgent } from '../dev/contracts.ts';
import type { Stack } from '../dev/stack.ts';
import { RateMeter, type RegistrationTerms, tierOf } from '../durable-objects/account/rates.ts';
import { accountOf, ceilingOf, until } from './money.ts';
import { type RawAgent, rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

let stack: Stack;
let agent: RawAgent;
let paid: Record<string, string>;
beforeAll(async () => {
  stack = await startTestStack({
    agents: 3,
    chain: {
      tiers: [
        { name: 'small', requestsPerMinute: 30, tokensPerMinute: 100_000, concurrent: 4 },
        {
          name: 'large',
          requestsPerMinute: 1_000,
          tokensPerMinute: 1_000_000,
          concurrent: 64,
          minDeposited: `${parseEther('15')}`,
        },
      ],
    },
  });
  const [first] = stack.agents;
  if (!first) throw new Error('the stack has agents');
  agent = rawAgent(stack, first);
  paid = await agent.payment(parseEther('9'));
});
afterAll(() => stack?.close());

const other = (number: number): RawAgent => {
  const local = stack.agents[number];
  if (!local) throw new Error(`no agent ${number}`);
  return rawAgent(stack, local);
};

describe('rates', () => {
  test('allowances fill evenly, and go into debt when a call used more than was thought', () => {
    const limits = { name: 'x', requestsPerMinute: 60, tokensPerMinute: 600, concurrent: 1 };
    const meter = new RateMeter();
    const first = meter.take('a', 500, limits, 1_000_000);
    expect(first).toMatchObject({ ok: true, value: { tokens: { remaining: 100, resetMs: 50_000 } } });
    expect(meter.take('b', 200, limits, 1_000_000)).toMatchObject({
      ok: false,
      error: { what: 'tokens', retryMs: 10_000 },
    });
    meter.settle('a', 700);
    expect(meter.take('b', 200, limits, 1_000_000)).toMatchObject({ ok: false, error: { retryMs: 30_000 } });
    expect(meter.take('b', 200, limits, 1_030_000).ok).toBe(true);
    // Larger than a whole minute: let through when the minute is whole.
    meter.settle('b', 0);
    expect(meter.take('c', 6_000, limits, 1_500_000).ok).toBe(true);
    expect(meter.take('d', 1, limits, 1_500_000).ok).toBe(false);
  });

  test('the tier is chosen by what is known of the agent, the last that fits', () => {
    const limits = { requestsPerMinute: 1, tokensPerMinute: 1, concurrent: 1 };
    const tiers = [
      { ...limits, name: 'a' },
      { ...limits, name: 'b', minDeposited: 10n },
      { ...limits, name: 'c', accounts: ['x'] },
    ];
    const facts = { account: 'y', deposited: 0n, claimed: 0n };
    expect(tierOf(tiers, facts).name).toBe('a');
    expect(tierOf(tiers, { ...facts, deposited: 10n }).name).toBe('b');
    expect(tierOf(tiers, { ...facts, account: 'x', deposited: 10n }).name).toBe('c');
    expect(tierOf([], facts).name).toBe('default');
  });

  test('a tier may ask what the agent’s registration file says', () => {
    const limits = { requestsPerMinute: 1, tokensPerMinute: 1, concurrent: 1 };
    const registration = {
      name: 'Ada',
      description: '',
      image: null,
      active: true,
      x402Support: false,
      services: [{ name: 'MCP', endpoint: 'https://ada.example', version: null }],
      supportedTrust: ['reputation'],
      namesThisAgent: true,
    };
    const facts = { account: 'y', deposited: 0n, claimed: 0n, registration };
    const fits = (terms: RegistrationTerms, of: Parameters<typeof tierOf>[1] = facts) =>
      tierOf([{ ...limits, name: 'asked', registration: terms }], of).name === 'asked';
    const all = {
      active: true,
      namesThisAgent: true,
      trust: ['tee', 'reputation'],
      services: ['A2A', 'MCP'],
    };
    expect(fits(all)).toBe(true);
    expect(fits({ ...all, active: false })).toBe(false);
    expect(fits({ ...all, namesThisAgent: false })).toBe(false);
    expect(fits({ ...all, trust: ['tee'] })).toBe(false);
    expect(fits({ ...all, services: ['A2A'] })).toBe(false);
    expect(fits({ active: false }, { ...facts, registration: { ...registration, active: false } })).toBe(
      true,
    );
    // Nothing is known of an agent whose file does not read, so nothing of it holds.
    expect(fits({}, { ...facts, registration: undefined })).toBe(false);
    expect(fits({ active: false }, { ...facts, registration: undefined })).toBe(false);
  });

  test('an OpenAI client reads what is left, and 429 when nothing is', async () => {
    const before = await agent.chat('Hello.', { headers: paid });
    expect(before.status).toBe(200);
    expect(before.headers.get('x-ratelimit-limit-requests')).toBe('30');
    expect(Number(before.headers.get('x-ratelimit-remaining-requests'))).toBeLessThan(30);
    expect(before.headers.get('x-ratelimit-reset-tokens')).toMatch(/^(\d+ms|[\d.]+s|\d+m\d+s)$/);
    await until(
      () => agent.chat('Hello.').then((answer) => answer.text().then(() => answer.status)),
      (status) => status === 429,
    );
    const client = new OpenAI({
      apiKey: 'unused',
      baseURL: `${stack.gatewayUrl}/v1`,
      maxRetries: 0,
      fetch: (_url, init) => agent.call('POST', '/v1/chat/completions', { body: String(init?.body) }),
    });
    const refused = await client.chat.completions
      .create({ model: 'qwen-plus', max_tokens: 10, messages: [{ role: 'user', content: 'Hello.' }] })
      .then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(refused).toBeInstanceOf(OpenAI.RateLimitError);
    const { headers, code } = refused as InstanceType<typeof OpenAI.RateLimitError>;
    expect(code).toBe('rate_limit_exceeded');
    expect(Number(headers?.get('retry-after'))).toBeGreaterThan(0);
    expect(headers?.get('x-ratelimit-remaining-requests')).toBe('0');
  });

  test('calls in flight are counted', async () => {
    const many = other(1);
    const headers = await many.payment(parseEther('9'));
    stack.qwen?.gate.shut();
    const answers = Array.from({ length: 10 }, () => many.chat('Hello.', { headers }));
    await until(
      async () => stack.qwen?.gate.waiting,
      (waiting) => waiting === 4,
    );
    stack.qwen?.gate.open();
    const outcomes = await Promise.all(
      answers.map((answer) => answer.then(async (response) => [response.status, await response.json()])),
    );
    expect(outcomes.filter(([status]) => status === 200)).toHaveLength(4);
    const refused = outcomes.filter(([status]) => status === 429);
    expect(refused).toHaveLength(6);
    expect(refused[0]?.[1]).toMatchObject({ reason: 'too_many_requests_in_flight' });
  });
});

describe('what the operator risks', () => {
  test('captured and not yet claimed has a cap, with a code of its own, and settling lifts it', {
    timeout: 60_000,
  }, async () => {
    const spender = other(2);
    const headers = await spender.payment(parseEther('9'));
    const ceiling = await ceilingOf(spender, 'Hello.');
    const chains = stack.chains.map((chain) => ({ ...chain, unclaimedMax: `${2n * ceiling}`, tiers: [] }));
    await stack.restartGateway({ CHAINS: JSON.stringify(chains) });
    const codes: (string | undefined)[] = [];
    for (let call = 0; call < 30 && codes.at(-1) !== 'unclaimed_exposure'; call += 1) {
      const response = await spender.chat('Hello.', { headers });
      codes.push(((await response.json()) as { reason?: string }).reason);
    }
    expect(codes.at(-1)).toBe('unclaimed_exposure');
    await until(
      () => spender.chat('Hello.').then((answer) => answer.text().then(() => answer.status)),
      (status) => status === 200,
      30_000,
    );
    await stack.restartGateway();
  });

  test('of a deposit that is not final yet only so much is credited', async () => {
    const privateKey = `0x${'d3'.repeat(32)}` as const;
    const owner = walletOf(stack.rpcUrl, stack.chainId, privateKeyToAccount(privateKey));
    await fund(stack.reader, stack.deployer, owner.account.address, parseEther('20'));
    const chains = stack.chains.map((chain) => ({
      ...chain,
      tiers: [],
      depositDepth: 1_000,
      unfinalCreditMax: `${parseEther('0.5')}`,
    }));
    await stack.restartGateway({ CHAINS: JSON.stringify(chains) });
    const where = { registry: stack.identityRegistry, vault: stack.vault };
    const agentId = await fundAgent(stack.reader, owner, where, 'data:,', parseEther('4'));
    const fresh = rawAgent(stack, { agentId: `${agentId}`, privateKey });
    const answer = await fresh.chat('Hello.', { headers: await fresh.payment(parseEther('4')) });
    expect(answer.status).toBe(200);
    await answer.text();
    const { available, captured, deposited } = await accountOf(fresh);
    expect([deposited, available]).toEqual([0n, parseEther('0.5') - captured]);
    await stack.restartGateway();
  });
});

describe('floods', () => {
  test('an address whose requests keep being refused is not looked at any more; others are', async () => {
    const from = (address: string) =>
      fetch(`${stack.gatewayUrl}/v1/chat/completions`, {
        method: 'POST',
        body: '{}',
        headers: { 'cf-connecting-ip': address, 'content-type': 'application/json' },
      }).then((answer) => answer.text().then(() => answer.status));
    let last = 0;
    for (let call = 0; call < 600 && last !== 429; call += 1) last = await from('203.0.113.7');
    expect(last).toBe(429);
    expect(await from('203.0.113.8')).toBe(401);
  });

  test('what is refused writes no rows', async () => {
    const stranger = rawAgent(stack, { agentId: '424242', privateKey: `0x${'99'.repeat(32)}` });
    expect((await stranger.chat('Hello.')).status).toBe(403);
    expect(
      (await other(2).chat('Hello.', { headers: await other(2).payment(1n, { epoch: 9n }) })).status,
    ).toBe(402);
    const files = globSync(path.join(stack.stateDir, '**/*.sqlite'));
    expect(files.length).toBeGreaterThan(0);
    for (const file of files.filter((name) => existsSync(name))) {
      const db = new DatabaseSync(file, { readOnly: true });
      const names = db
        .prepare(`SELECT name FROM sqlite_master WHERE name GLOB 'requests_*'`)
        .all()
        .map(({ name }) => String(name));
      for (const name of names) {
        const strangers = db
          .prepare(`SELECT count(*) AS n FROM ${name} WHERE signer = ?`)
          .get(stranger.address);
        expect(strangers?.['n']).toBe(0);
        const epochs = db.prepare(`SELECT count(*) AS n FROM ${name} WHERE epoch = '9'`).get();
        expect(epochs?.['n']).toBe(0);
      }
      db.close();
    }
  });
});
