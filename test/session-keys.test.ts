// Session keys: what they may do, what they cannot, and when they end. First over the running Worker, then over the account
// alone with a clock that can be moved.
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import OpenAI from 'openai';
import { type Address, type Hex, parseEther } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mined } from '../contracts/deploy-contract.ts';
import { identityRegistryAbi } from '../contracts-abi/generated/IdentityRegistry.ts';
import { walletOf } from '../dev/clients.ts';
import type { Stack } from '../dev/stack.ts';
import { AccountBook } from '../durable-objects/account/account-book.ts';
import type { Caller, Outcome, Terms } from '../durable-objects/account/ledger.ts';
import type { Observation } from '../durable-objects/chain/observation.ts';
import type { Account } from '../protocol/account-name.ts';
import { addressOfKey, signDigest } from '../protocol/ecdsa.ts';
import { zeroHash } from '../protocol/hex.ts';
import { formatSessionKey, parseSessionKey } from '../protocol/identity/session-key.ts';
import { voucherDigest } from '../protocol/money/voucher.ts';
import { receiptFromJson, receiptSigner } from '../protocol/receipt.ts';
import { type RawAgent, rawAgent } from './raw-agent.ts';
import { sqliteStorage } from './sqlite-storage.ts';
import { startTestStack } from './test-stack.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);

describe('over the running Worker', () => {
  let stack: Stack;
  let localDir: string;
  let agent: RawAgent;
  let other: RawAgent;

  beforeAll(async () => {
    const local = path.resolve(import.meta.dirname, '../.local');
    mkdirSync(local, { recursive: true });
    localDir = mkdtempSync(path.join(local, 'keys-'));
    stack = await startTestStack({ localDir });
    const [first, second] = stack.agents;
    if (!first || !second) throw new Error('the stack has three agents');
    agent = rawAgent(stack, first);
    other = rawAgent(stack, second);
    for (const each of [agent, other]) {
      const paid = await each.chat('a first call brings the voucher', {
        headers: await each.payment(parseEther('5')),
      });
      expect(paid.status, await paid.text()).toBe(200);
    }
  });
  afterAll(async () => {
    await stack?.close();
    rmSync(localDir, { recursive: true, force: true });
  });

  type Made = {
    readonly id: string;
    readonly key: string;
    readonly spendCap: string;
    readonly spent: string;
    readonly held: string;
  };

  const now = () => Math.floor(Date.now() / 1000);
  const make = (bounds: object = {}, by = agent): Promise<Response> =>
    by.call('POST', '/v1/keys', {
      body: JSON.stringify({ expiresAt: now() + 3600, spendCap: `${parseEther('1')}`, ...bounds }),
    });
  const made = async (bounds: object = {}, by = agent): Promise<Made> => {
    const response = await make(bounds, by);
    expect(response.status, await response.clone().text()).toBe(201);
    return (await response.json()) as Made;
  };
  const keysOf = async (by = agent): Promise<Made[]> => {
    const response = await by.call('GET', '/v1/keys');
    expect(response.status).toBe(200);
    return ((await response.json()) as { keys: Made[] }).keys;
  };
  const chatBody = (more: object = {}) =>
    JSON.stringify({
      model: 'qwen-plus',
      max_tokens: 50,
      messages: [{ role: 'user', content: 'hello' }],
      ...more,
    });
  const bearer = (
    key: string,
    method = 'POST',
    route = '/v1/chat/completions',
    body: string | undefined = method === 'POST' ? chatBody() : undefined,
    headers: Readonly<Record<string, string>> = {},
  ) =>
    fetch(stack.gatewayUrl + route, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    });
  const outcome = async (response: Response): Promise<string> => {
    const text = await response.text();
    return `${response.status} ${response.ok ? 'ok' : (JSON.parse(text) as { reason: string }).reason}`;
  };

  test('the stock openai client works with nothing but the key and the base URL', async () => {
    const { key, id } = await made({ label: 'a laptop' });
    const openai = new OpenAI({ apiKey: key, baseURL: `${stack.gatewayUrl}/v1`, maxRetries: 0 });
    const { data: completion, response } = await openai.chat.completions
      .create({ model: 'qwen-plus', messages: [{ role: 'user', content: 'What is 12*7?' }] })
      .withResponse();
    expect(completion.choices[0]?.message.content).toContain('84');
    const header = response.headers.get('tallystick-receipt') ?? '';
    const receipt = receiptFromJson(JSON.parse(Buffer.from(header, 'base64').toString()));
    if (!receipt.ok) throw new Error(receipt.error);
    expect(receiptSigner(receipt.value)).toBeDefined();
    expect(receipt.value.receipt.authorizationKind).toBe(2);
    expect(receipt.value.receipt.authorization).toBe(`0x${createHash('sha256').update(id).digest('hex')}`);
    let streamed = '';
    const stream = await openai.chat.completions.create({
      model: 'qwen-plus',
      stream: true,
      messages: [{ role: 'user', content: 'What is 12*7?' }],
    });
    for await (const chunk of stream) streamed += chunk.choices[0]?.delta.content ?? '';
    expect(streamed).toContain('84');
    const [listed] = (await keysOf()).filter((each) => each.id === id);
    expect(BigInt(listed?.spent ?? 0)).toBeGreaterThanOrEqual(2n * receipt.value.receipt.amount - 10n ** 12n);
    expect(listed?.held).toBe('0');
  });

  test('reads the account and its receipts', async () => {
    const { key } = await made();
    expect(await outcome(await bearer(key, 'GET', '/v1/account'))).toBe('200 ok');
    expect(await outcome(await bearer(key, 'GET', '/v1/receipts'))).toBe('200 ok');
    expect(await outcome(await bearer(key, 'GET', '/v1/receipts/1'))).toBe('200 ok');
  });

  test('is shown once and kept as a hash', async () => {
    const { key, id } = await made();
    expect(JSON.stringify(await keysOf())).not.toContain(key);
    const again = await keysOf();
    expect(again.some((each) => each.id === id && !('key' in each) && !('hash' in each))).toBe(true);
    const secret = key.slice(-64);
    const hash = createHash('sha256').update(key).digest('hex');
    // Closed once, so that everything is on disk.
    await stack.restartGateway();
    const files = filesBelow(localDir).map((file) => readFileSync(file, 'latin1'));
    expect(files.some((text) => text.includes(secret))).toBe(false);
    expect(files.some((text) => text.includes(hash))).toBe(true);
    expect(await outcome(await bearer(key))).toBe('200 ok');
  });

  test('cannot make, list or delete keys', async () => {
    const { key, id } = await made();
    const body = JSON.stringify({ expiresAt: now() + 60, spendCap: '1' });
    expect(await outcome(await bearer(key, 'POST', '/v1/keys', body))).toBe('403 session_key_not_allowed');
    expect(await outcome(await bearer(key, 'GET', '/v1/keys'))).toBe('403 session_key_not_allowed');
    expect(await outcome(await bearer(key, 'DELETE', `/v1/keys/${id}`))).toBe('403 session_key_not_allowed');
    expect((await keysOf()).some((each) => each.id === id)).toBe(true);
    const unsigned = await fetch(`${stack.gatewayUrl}/v1/keys`);
    expect(await outcome(unsigned)).toBe('401 signature_missing');
  });

  test('a signature that fails does not fall back to a key, and one that holds does not need it', async () => {
    const { key } = await made();
    const body = chatBody();
    const bad = await agent.sign('POST', '/v1/chat/completions', { body, signedPath: '/v1/models' });
    expect(await outcome(await bearer(key, 'POST', '/v1/chat/completions', body, bad))).toBe(
      '401 bad_signature',
    );
    for (const half of ['signature', 'signature-input']) {
      const good = await agent.sign('POST', '/v1/chat/completions', { body });
      const { [half]: _, ...rest } = good;
      expect(await outcome(await bearer(key, 'POST', '/v1/chat/completions', body, rest))).toBe(
        '401 signature_missing',
      );
    }
    const good = await agent.sign('POST', '/v1/chat/completions', { body });
    const answer = await bearer(`${key}0`, 'POST', '/v1/chat/completions', body, good);
    expect(answer.status).toBe(200);
    const header = answer.headers.get('tallystick-receipt') ?? '';
    const receipt = receiptFromJson(JSON.parse(Buffer.from(header, 'base64').toString()));
    expect(receipt.ok && receipt.value.receipt.authorizationKind).toBe(1);
  });

  test('what is no key of this agent is refused, and says so as RFC 6750 wants it', async () => {
    const { key } = await made();
    const changed = key.slice(0, -1) + (key.endsWith('0') ? '1' : '0');
    const refused = await bearer(changed);
    expect(refused.headers.get('www-authenticate')).toContain('Bearer error="invalid_token"');
    expect(await outcome(refused)).toBe('401 session_key_invalid');
    expect(await outcome(await bearer(key.slice(0, -1)))).toBe('401 session_key_invalid');
    // The same secret under another agent's name.
    const parts = key.split('_');
    const moved = [...parts.slice(0, 3), other.agentId.split(':').at(-1), parts[4]].join('_');
    expect(await outcome(await bearer(moved))).toBe('401 session_key_invalid');
    const foreign = [parts[0], parts[1], '12'.repeat(20), ...parts.slice(3)].join('_');
    expect(await outcome(await bearer(foreign))).toBe('403 registry_not_served');
    expect(await outcome(await bearer('sk-something-else'))).toBe('401 signature_missing');
  });

  test('revocation takes effect at once', async () => {
    const { key, id } = await made();
    expect(await outcome(await bearer(key))).toBe('200 ok');
    expect(await outcome(await other.call('DELETE', `/v1/keys/${id}`))).toBe('404 session_key_not_found');
    expect(await outcome(await bearer(key))).toBe('200 ok');
    expect(await outcome(await agent.call('DELETE', `/v1/keys/${id}`))).toBe('200 ok');
    expect(await outcome(await bearer(key))).toBe('401 session_key_invalid');
    expect(await outcome(await agent.call('DELETE', `/v1/keys/${id}`))).toBe('404 session_key_not_found');
    await stack.restartGateway();
    expect(await outcome(await bearer(key))).toBe('401 session_key_invalid');
  });

  test('ends when it expires', async () => {
    const { key } = await made({ expiresAt: now() + 2 });
    expect(await outcome(await bearer(key))).toBe('200 ok');
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(await outcome(await bearer(key))).toBe('401 session_key_expired');
    expect(await outcome(await bearer(key, 'GET', '/v1/account'))).toBe('401 session_key_expired');
  });

  test('is for its models only', async () => {
    const { key } = await made({ models: ['qwen-flash'] });
    expect(await outcome(await bearer(key))).toBe('403 session_key_model_not_allowed');
    const body = chatBody({ model: 'qwen-flash' });
    expect(await outcome(await bearer(key, 'POST', '/v1/chat/completions', body))).toBe('200 ok');
  });

  test('the cap holds under parallel use, and after it is reached', async () => {
    const ceiling = await ceilingOf(chatBody());
    // Room for three at their ceilings; what they really cost is less, so more than three get through in the end.
    const { key, id } = await made({ spendCap: `${3n * ceiling}` });
    const outcomes = await Promise.all(Array.from({ length: 30 }, async () => outcome(await bearer(key))));
    expect(new Set(outcomes)).toEqual(new Set(['200 ok', '403 session_key_cap_reached']));
    const [kept] = (await keysOf()).filter((each) => each.id === id);
    expect(BigInt(kept?.spent ?? -1)).toBeGreaterThan(0n);
    expect(BigInt(kept?.spent ?? -1)).toBeLessThanOrEqual(3n * ceiling);
    expect(kept?.held).toBe('0');
    const tight = await made({ spendCap: `${ceiling - 1n}` });
    const refused = await bearer(tight.key);
    expect(refused.headers.get('x-should-retry')).toBe('false');
    expect(await outcome(refused)).toBe('403 session_key_cap_reached');
    await stack.restartGateway();
    const [after] = (await keysOf()).filter((each) => each.id === id);
    expect(after?.spent).toBe(kept?.spent);
  });

  test.each([
    ['expiresAt', {}, { expiresAt: undefined }],
    ['expiresAt', {}, { expiresAt: 1 }],
    ['expiresAt', {}, { expiresAt: 1e12 }],
    ['expiresAt', {}, { expiresAt: '1800000000' }],
    ['spendCap', {}, { spendCap: undefined }],
    ['spendCap', {}, { spendCap: 5 }],
    ['spendCap', {}, { spendCap: '-1' }],
    ['spendCap', {}, { spendCap: '0' }],
    ['models', {}, { models: ['gpt-4o'] }],
    ['models', {}, { models: [] }],
    ['models', {}, { models: ['toString'] }],
    ['label', {}, { label: 'x'.repeat(65) }],
    ['label', {}, { label: 'a\nb' }],
    ['scope', {}, { scope: 'everything' }],
  ])('bad bounds are refused by name: %s', async (param, _, bounds) => {
    const response = await make(bounds);
    const problem = (await response.json()) as { reason: string; error: { param: string } };
    expect([response.status, problem.reason, problem.error.param]).toEqual([400, 'invalid_value', param]);
  });

  test('making a key is single use: the same signed request 20 times at once makes one', async () => {
    const before = (await keysOf()).length;
    const body = JSON.stringify({ expiresAt: now() + 60, spendCap: '1' });
    const headers = await agent.sign('POST', '/v1/keys', { body, nonce: randomUUID() });
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, async () =>
        outcome(await fetch(`${stack.gatewayUrl}/v1/keys`, { method: 'POST', headers, body })),
      ),
    );
    expect(outcomes.filter((each) => each === '201 ok')).toHaveLength(1);
    expect(outcomes.filter((each) => each === '401 nonce_reused')).toHaveLength(19);
    expect(await keysOf()).toHaveLength(before + 1);
  });

  test('ends with its maker: a transferred agent’s old wallet and its key are both shut out', async () => {
    const { key } = await made({}, other);
    expect(await outcome(await bearer(key))).toBe('200 ok');
    const heir = privateKeyToAccount(`0x${'99'.repeat(32)}`);
    const [, second] = stack.agents;
    if (!second) throw new Error('the stack has three agents');
    const owner = walletOf(stack.rpcUrl, stack.chainId, privateKeyToAccount(second.privateKey));
    const transfer = await owner.writeContract({
      address: stack.identityRegistry,
      abi: identityRegistryAbi,
      functionName: 'transferFrom',
      args: [owner.account.address, heir.address, BigInt(second.agentId)],
    });
    await mined(stack.reader, transfer);
    const transferredMs = Date.now();
    // What was read may be used for 60 s. In the long run those are waited for; else a new isolate has read nothing.
    if (process.env['LONG'] === undefined) await stack.restartGateway();
    while ((await outcome(await bearer(key, 'GET', '/v1/account'))) === '200 ok') {
      expect(Date.now() - transferredMs).toBeLessThan(60_000);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    expect(await outcome(await bearer(key, 'GET', '/v1/account'))).toBe('401 session_key_void');
    expect(await outcome(await bearer(key))).toBe('401 session_key_void');
    expect(await outcome(await other.call('GET', '/v1/account'))).toBe('403 signer_not_allowed');
    expect(await outcome(await other.call('GET', '/v1/keys'))).toBe('403 signer_not_allowed');
    const heirs = rawAgent(stack, { ...second, privateKey: `0x${'99'.repeat(32)}` });
    expect(await outcome(await heirs.call('GET', '/v1/account'))).toBe('200 ok');
  }, 90_000);

  async function ceilingOf(body: string): Promise<bigint> {
    // An agent without a voucher is told what its request may cost.
    const [, , third] = stack.agents;
    if (!third) throw new Error('the stack has three agents');
    const response = await rawAgent(stack, third).call('POST', '/v1/chat/completions', { body });
    const problem = (await response.json()) as { accepts: { extra: { ceiling: string } }[] };
    return BigInt(problem.accepts[0]?.extra.ceiling ?? 0);
  }
});

const filesBelow = (folder: string): string[] =>
  readdirSync(folder).flatMap((name) => {
    const file = path.join(folder, name);
    return statSync(file).isDirectory() ? filesBelow(file) : [file];
  });

describe('over the account alone, with a clock', () => {
  const owner: Address = `0x${'0a'.repeat(20)}`;
  const heir: Address = `0x${'0b'.repeat(20)}`;
  const spenderKey: Hex = `0x${'11'.repeat(32)}`;
  const account: Account = {
    chainId: 31337,
    vault: `0x${'aa'.repeat(20)}`,
    registry: `0x${'bb'.repeat(20)}`,
    agentId: 0n,
  };
  const terms: Terms = { unfinalCreditMax: 0n, settleMarginMs: 0 };
  const log = { logId: zeroHash, mergeDelay: 3600 };
  const start = 1_800_000_000_000;

  const observed = (nowMs: number, over: Partial<Observation> = {}): Observation => ({
    blockNumber: BigInt(nowMs),
    blockHash: zeroHash,
    blockTime: Math.floor(nowMs / 1000),
    readAtMs: nowMs,
    owner,
    wallet: owner,
    ownerHasCode: false,
    walletHasCode: false,
    spender: addressOfKey(spenderKey),
    epoch: 0n,
    deposited: 10n ** 18n,
    arriving: 0n,
    claimed: 0n,
    withdrawn: 0n,
    withdrawing: 0n,
    epochEndsAt: 0n,
    authorized: 0n,
    ...over,
  });
  const voucher = {
    registry: account.registry,
    agentId: account.agentId,
    epoch: 0n,
    cumulative: 10n ** 18n,
  };
  const signed = { voucher, signature: signDigest(voucherDigest(account, voucher), spenderKey) };
  const asOwner: Caller = { signer: owner, verifiedBy: 'ecdsa' };
  const name = parseSessionKey(formatSessionKey(account, new Uint8Array(32).fill(7)));
  if (name === undefined) throw new Error('a key just made does not read');
  const bearer = { keyHash: name.hash };

  const bookWithKey = (spendCap: bigint, expiresMs = start + 3_600_000) => {
    const storage = sqliteStorage();
    const book = new AccountBook(storage, account, terms, log, start);
    const put = book.putVoucher(asOwner, signed, observed(start), start);
    expect(put.ok).toBe(true);
    const key = { id: name.id, hash: name.hash, label: '', createdMs: start, expiresMs, spendCap };
    expect(book.addSessionKey(asOwner, key, undefined, start).ok).toBe(true);
    return { storage, book };
  };
  const ask = (requestId: string, ceiling: bigint, nowMs: number) => ({
    requestId,
    ceiling,
    deadlineMs: nowMs + 600_000,
    priceTable: zeroHash,
    model: 'qwen-plus',
  });
  const outcome = (requestId: string, cost: bigint): Outcome => ({
    requestId,
    cost,
    usage: { input: 1n, cachedInput: 0n, cacheCreation: 0n, output: 1n, thinking: 0n, estimated: false },
    authorizationKind: 2,
    authorization: zeroHash,
    requestHash: zeroHash,
    forwardedHash: zeroHash,
    responseHash: zeroHash,
    upstreamResponseHash: zeroHash,
    upstream: 'test',
    model: 'qwen-plus',
    upstreamId: requestId,
    assurance: 0,
    evidence: zeroHash,
  });
  const reason = (result: { ok: true } | { ok: false; error: { reason: string } }): string =>
    result.ok ? 'ok' : result.error.reason;

  describe('a transferred agent’s old wallet, and a session key it made, stop working within 60 s of the block', () => {
    const nobody: Address = `0x${'00'.repeat(20)}`;

    /**
     * Calls every half second, by the old owner and by its key, until long after the agent is transferred. The account is
     * handled as the Worker handles it: asked, and asked again with a reading when it wants one. (The heir does not call
     * until the end: its first call would bring a new reading, and make an end at once.)
     * @param lagMs how far behind the node is that is read from
     * @param blocks how many blocks after the first call the agent is transferred
     * @returns when each was last let in, in milliseconds after the block with the transfer
     */
    const transferred = (blockEveryMs: number, lagMs: number, blocks: number) => {
      const { book, storage } = bookWithKey(10n ** 18n);
      const transferMs = start + blockEveryMs * blocks;
      const asHeir: Caller = { signer: heir, verifiedBy: 'ecdsa' };
      const read = (nowMs: number): Observation | undefined => {
        const blockMs = transferMs + blockEveryMs * Math.floor((nowMs - lagMs - transferMs) / blockEveryMs);
        // A head so old is refused before the account sees it.
        if (nowMs - blockMs > 60_000) return undefined;
        const blockTime = Math.floor(blockMs / 1000);
        const whose = blockMs < transferMs ? {} : { owner: heir, wallet: nobody };
        return observed(nowMs, { blockNumber: BigInt(blockMs), blockTime, ...whose });
      };
      const call = (who: Caller | typeof bearer, nowMs: number): string => {
        const answer = reason(book.admit(who, undefined, nowMs));
        if (answer !== 'observation_needed') return answer;
        return reason(book.admit(who, read(nowMs), nowMs));
      };
      const lastOk = { owner: 0, key: 0 };
      let keyRefused = '';
      for (let nowMs = start; nowMs <= transferMs + 130_000; nowMs += 500) {
        if (call(asOwner, nowMs) === 'ok') lastOk.owner = nowMs - transferMs;
        const byKey = call(bearer, nowMs);
        if (byKey === 'ok') lastOk.key = nowMs - transferMs;
        else keyRefused = byKey;
        // The account's word is the same for a call that costs.
        if (byKey === 'signer_not_allowed') {
          const late = book.reserve(bearer, ask(`late ${nowMs}`, 1n, nowMs), undefined, nowMs);
          expect(reason(late)).toBe('signer_not_allowed');
        }
      }
      // Unless the node is too far behind to be asked at all.
      const heirs = call(asHeir, transferMs + 130_000);
      storage.close();
      return { lastOk, keyRefused, heirs };
    };

    test.each([
      ['of a node that is up to date', 2_000, 0],
      ['of a node that lags by half a minute', 2_000, 30_000],
      ['of a node that lags by all but a second of what is tolerated', 1_000, 59_000],
      ['of slow blocks', 12_000, 0],
    ])('by readings %s', (_, blockEveryMs, lagMs) => {
      // Wherever the transfer falls between two readings: the worst is right after one.
      const step = Math.ceil(7_000 / blockEveryMs);
      const worst = { owner: 0, key: 0 };
      for (let blocks = step; blocks * blockEveryMs <= 70_000; blocks += step) {
        const { lastOk, keyRefused, heirs } = transferred(blockEveryMs, lagMs, blocks);
        worst.owner = Math.max(worst.owner, lastOk.owner);
        worst.key = Math.max(worst.key, lastOk.key);
        expect([keyRefused, heirs]).toEqual(['signer_not_allowed', 'ok']);
      }
      expect(worst.owner).toBeGreaterThan(30_000);
      expect(worst.owner).toBeLessThanOrEqual(60_000);
      expect(worst.key).toBe(worst.owner);
    });

    test('whatever the rhythm of blocks and however far behind the node', () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 250, max: 20_000 }),
          fc.integer({ min: 0, max: 70_000 }),
          fc.integer({ min: 1_000, max: 70_000 }),
          (blockEveryMs, lagMs, afterMs) => {
            const { lastOk } = transferred(blockEveryMs, lagMs, Math.ceil(afterMs / blockEveryMs));
            expect(lastOk.owner).toBeLessThanOrEqual(60_000);
            expect(lastOk.key).toBeLessThanOrEqual(60_000);
          },
        ),
        { seed: 60, numRuns: runs(20) },
      );
    });
  });

  test('a key dies when its maker’s wallet is unset, and lives while its maker is still the owner', () => {
    const wallet: Address = `0x${'0c'.repeat(20)}`;
    const { book } = bookWithKey(10n ** 18n);
    expect(reason(book.admit(bearer, observed(start + 1, { wallet }), start + 1))).toBe('ok');
    const second = parseSessionKey(formatSessionKey(account, new Uint8Array(32).fill(8)));
    if (second === undefined) throw new Error('a key just made does not read');
    const { id, hash } = second;
    const byWallet: Caller = { signer: wallet, verifiedBy: 'ecdsa' };
    const bounds = { id, hash, label: '', createdMs: start, expiresMs: start + 1e6, spendCap: 1n };
    expect(reason(book.addSessionKey(byWallet, bounds, undefined, start + 1))).toBe('ok');
    expect(reason(book.admit({ keyHash: hash }, undefined, start + 1))).toBe('ok');
    const unset = observed(start + 2, { wallet: `0x${'00'.repeat(20)}` });
    expect(reason(book.admit({ keyHash: hash }, unset, start + 2))).toBe('signer_not_allowed');
    expect(reason(book.admit(bearer, undefined, start + 2))).toBe('ok');
  });

  test('it expires to the millisecond', () => {
    const { book } = bookWithKey(10n ** 18n, start + 5000);
    expect(reason(book.admit(bearer, undefined, start + 4999))).toBe('ok');
    expect(reason(book.admit(bearer, undefined, start + 5000))).toBe('session_key_expired');
  });

  test('a hundred keys and no more', () => {
    const { book } = bookWithKey(1n);
    for (let i = 1; i <= 100; i += 1) {
      const secret = new Uint8Array(32).fill(1);
      secret[0] = i;
      const made = parseSessionKey(formatSessionKey(account, secret));
      if (made === undefined) throw new Error('a key just made does not read');
      const bounds = {
        id: made.id,
        hash: made.hash,
        label: '',
        createdMs: start,
        expiresMs: start + 1,
        spendCap: 1n,
      };
      const result = book.addSessionKey(asOwner, bounds, undefined, start);
      expect(reason(result)).toBe(i < 100 ? 'ok' : 'too_many_session_keys');
    }
  });

  test('a refused call by key writes nothing', () => {
    const { book, storage } = bookWithKey(100n);
    const before = storage.rowsWritten;
    expect(reason(book.reserve(bearer, ask('a', 101n, start), undefined, start))).toBe('session_key_cap');
    expect(reason(book.reserve({ keyHash: zeroHash }, ask('b', 1n, start), undefined, start))).toBe(
      'session_key_unknown',
    );
    expect(reason(book.admit(bearer, undefined, start))).toBe('ok');
    expect(storage.rowsWritten).toBe(before);
  });

  test('spent and held never exceed the cap, whatever happens and in whatever order, evictions included', () => {
    const cap = 1000n;
    const step = fc.oneof(
      fc.record({ op: fc.constant('reserve' as const), ceiling: fc.bigInt(1n, 400n) }),
      fc.record({ op: fc.constant('capture' as const), which: fc.nat(50), cost: fc.bigInt(0n, 600n) }),
      fc.record({ op: fc.constant('release' as const), which: fc.nat(50) }),
      fc.record({ op: fc.constant('wait' as const), seconds: fc.constantFrom(1, 300, 700) }),
      fc.record({ op: fc.constant('evict' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { storage, book: opened } = bookWithKey(cap, start + 1e9);
        let book = opened;
        let nowMs = start;
        const holds: { id: string; holdId: number; ceiling: bigint }[] = [];
        let captured = 0n;
        const standing = () => {
          const keys = book.sessionKeys(asOwner, observed(nowMs), nowMs);
          if (!keys.ok) throw new Error(keys.error.reason);
          const [key] = keys.value;
          if (key === undefined) throw new Error('the key is gone');
          return key;
        };
        for (const each of steps) {
          if (each.op === 'reserve') {
            const id = `r${holds.length}`;
            const { spent, held } = standing();
            const result = book.reserve(bearer, ask(id, each.ceiling, nowMs), observed(nowMs), nowMs);
            expect(reason(result)).toBe(spent + held + each.ceiling <= cap ? 'ok' : 'session_key_cap');
            if (result.ok) holds.push({ id, holdId: result.value.holdId, ceiling: each.ceiling });
          } else if (each.op === 'capture' || each.op === 'release') {
            const hold = holds[each.which];
            if (hold === undefined) continue;
            if (each.op === 'release') book.release(hold.id, nowMs);
            else {
              const before = standing().spent;
              const result = book.capture(hold.holdId, outcome(hold.id, each.cost), nowMs, {
                observation: observed(nowMs),
              });
              if (result.ok) captured += standing().spent - before;
              if (result.ok && standing().spent > before) {
                expect(standing().spent - before).toBe(result.value.receipt.amount);
              }
            }
          } else if (each.op === 'wait') {
            nowMs += each.seconds * 1000;
            book.expire(nowMs);
          } else {
            book = new AccountBook(storage, account, terms, log, nowMs);
          }
          const { spent, held } = standing();
          expect(spent).toBe(captured);
          expect(spent + held).toBeLessThanOrEqual(cap);
          expect(held).toBeGreaterThanOrEqual(0n);
        }
        storage.close();
      }),
      { seed: 0x8128, numRuns: runs(200) },
    );
  });
});

test('a key’s text names its agent, and nothing else reads as one', () => {
  const agent = { chainId: 16602, registry: `0x${'ab'.repeat(20)}` as Hex, agentId: 0n };
  const key = formatSessionKey(agent, new Uint8Array(32).fill(255));
  expect(key).toBe(`ts_16602_${'ab'.repeat(20)}_0_${'ff'.repeat(32)}`);
  expect(parseSessionKey(key)).toMatchObject({ agent, hash: expect.stringMatching(/^0x[0-9a-f]{64}$/) });
  for (const bad of [
    '',
    'ts_',
    key.slice(1),
    `${key} `,
    key.toUpperCase(),
    key.replace('16602', '016602'),
    key.replace('_0_', '_00_'),
    key.replace('16602', '0'),
    `${key}00`,
    `ts_${'9'.repeat(400)}`,
  ]) {
    expect(parseSessionKey(bad)).toBeUndefined();
  }
  expect(() => formatSessionKey(agent, new Uint8Array(31))).toThrow(TypeError);
});
