// The agent's side against gateways that lie, each in one way.
import { createHash } from 'node:crypto';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import OpenAI from 'openai';
import type { Address } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { describe, expect, it, vi } from 'vitest';
import { type AgentFetch, type AgentFetchOptions, createAgentFetch } from '../client/agent-fetch.ts';
import { ReceiptMismatchError, type ReceiptProblem } from '../client/receipt-desk.ts';
import { createReceiptScanner, type ReceiptScanner } from '../client/receipt-scanner.ts';
import { VoucherLimitError } from '../client/voucher-limit.ts';
import { addressOfKey } from '../protocol/ecdsa.ts';
import { zeroHash } from '../protocol/hex.ts';
import { parsePaymentSignature } from '../protocol/money/x402.ts';
import type { Receipt } from '../protocol/receipt.ts';
import {
  agent,
  amountPerCall,
  ceilingPerCall,
  chainId,
  type FakeGateway,
  fakeGateway,
  type Lies,
  origin,
  otherKey,
  table,
  vault,
} from './fake-gateway.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);
const wallet = privateKeyToAccount(`0x${'21'.repeat(32)}`);
const spender = wallet.address.toLowerCase() as Address;
const perVoucher = 1_000n;

type Setup = {
  readonly gateway: FakeGateway;
  readonly agentFetch: AgentFetch;
  readonly client: OpenAI;
  readonly problems: ReceiptProblem[];
};

function setup(
  lies: Lies = {},
  options: Partial<AgentFetchOptions> = {},
  gateway = fakeGateway(spender, lies),
): Setup {
  const problems: ReceiptProblem[] = [];
  const agentFetch = createAgentFetch({
    wallet,
    agent,
    gateway: origin,
    fetch: gateway.fetch,
    limits: { perVoucher },
    onProblem: (problem) => problems.push(problem),
    ...options,
  });
  const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'unused', fetch: agentFetch, maxRetries: 0 });
  return { gateway, agentFetch, client, problems };
}

const messages = [{ role: 'user' as const, content: 'Grüße?' }];
const ask = (client: OpenAI, options: { signal?: AbortSignal } = {}) =>
  client.chat.completions.create({ model: 'qwen-test', messages }, options);

async function askStreaming(client: OpenAI): Promise<string> {
  const stream = await client.chat.completions.create({ model: 'qwen-test', messages, stream: true });
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
  return text;
}

const body = (stream: boolean) => JSON.stringify({ model: 'qwen-test', messages, stream });
const post = (agentFetch: AgentFetch, stream = false, init: RequestInit = {}): Promise<Response> =>
  agentFetch(`${origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: body(stream),
    ...init,
  });
/** A body of its own: the same one again would be the same call, repeated. */
const another = (call: number) => ({ body: JSON.stringify({ model: 'qwen-test', messages, seed: call }) });
const posts = (gateway: FakeGateway) => gateway.seen.filter(({ method }) => method === 'POST');
const vouchersSeen = (gateway: FakeGateway) =>
  posts(gateway).map(({ headers }) => {
    const header = headers.get('payment-signature');
    return header === null ? undefined : parsePaymentSignature(header, chainId)?.voucher.cumulative;
  });
/** What a call that rejects is really about: openai wraps what its fetch throws. */
async function rejection(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error instanceof OpenAI.APIConnectionError ? error.cause : error;
  }
  throw new Error('it did not reject');
}

describe('a stock OpenAI client with this fetch', () => {
  it('gets its answer, and the receipt has been checked by then', async () => {
    const { client, agentFetch, problems, gateway } = setup();
    const answer = await ask(client);
    expect(answer.choices[0]?.message.content).toBe('Grüße, 你好');
    expect(problems).toEqual([]);
    expect(agentFetch.lastReceipt?.signed.receipt.amount).toBe(amountPerCall);
    expect(agentFetch.lastReceipt?.responseChecked).toBe(true);
    expect(agentFetch.exposure).toMatchObject({ spent: amountPerCall, signed: perVoucher });
    // The voucher went along: the prompt travelled once.
    expect(posts(gateway).map(({ refusal }) => refusal)).toEqual([undefined]);
  });

  it('streams, and the receipt has been checked when the last event is read', async () => {
    const { client, agentFetch, problems } = setup();
    expect(await askStreaming(client)).toBe('Grüße, 你好');
    expect(problems).toEqual([]);
    expect(agentFetch.lastReceipt?.responseChecked).toBe(true);
  });

  it('never sends the placeholder key, nor anybody else’s signature', async () => {
    const { agentFetch, gateway } = setup();
    const headers = {
      authorization: 'Bearer unused',
      signature: 'x=:AA==:',
      'payment-signature': 'e30=',
      'content-type': 'application/json',
    };
    expect((await post(agentFetch, false, { headers })).status).toBe(200);
    expect(posts(gateway)[0]?.headers.get('authorization')).toBeNull();
    expect(posts(gateway)[0]?.headers.get('payment-signature')).not.toBe('e30=');
  });

  it('signs reads without a nonce, spends with a fresh one, and public routes not at all', async () => {
    const { agentFetch, gateway } = setup();
    await (await post(agentFetch)).text();
    await (await post(agentFetch)).text();
    await agentFetch(`${origin}/v1/prices`);
    const inputs = gateway.seen.map(({ path, headers }) => [path, headers.get('signature-input')] as const);
    const nonces = inputs.map(([, input]) => /;nonce="([^"]+)"/.exec(input ?? '')?.[1]);
    const spends = inputs.flatMap(([path], at) => (path.startsWith('/v1/chat') ? [nonces[at]] : []));
    expect(new Set(spends).size).toBe(2);
    for (const nonce of spends) expect(nonce).toMatch(/^[A-Za-z0-9_-]{22}$/);
    for (const [at, [path, input]] of inputs.entries()) {
      if (path === '/v1/account') expect([input === null, nonces[at]]).toEqual([false, undefined]);
      if (path === '/v1/prices' || path.startsWith('/.well-known')) expect(input).toBeNull();
    }
  });

  it('takes Request objects, URLs and byte bodies', async () => {
    const { agentFetch, problems } = setup();
    const url = `${origin}/v1/chat/completions`;
    const json = { 'content-type': 'application/json' };
    const ways = [
      () => agentFetch(new Request(url, { method: 'POST', body: body(false), headers: json })),
      () => agentFetch(new URL(url), { method: 'post', body: utf8ToBytes(body(false)), headers: json }),
      () => agentFetch(url, { method: 'POST', body: new Blob([body(false)], { type: 'application/json' }) }),
    ];
    for (const way of ways) expect((await (await way()).json()) as object).toHaveProperty('choices');
    expect(agentFetch.receipts).toHaveLength(3);
    expect(problems).toEqual([]);
  });

  it('leaves the response a response: url, clone, status', async () => {
    const { agentFetch } = setup();
    const response = await post(agentFetch, true);
    const twin = response.clone();
    expect(await response.text()).toBe(await twin.text());
    expect(await agentFetch.receiptOf(response)).toMatchObject({ kind: 'receipt' });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
  });
});

describe('requests that are not for the gateway', () => {
  it.each([
    'https://elsewhere.test/v1/chat/completions',
    'http://gateway.test/v1/chat/completions',
    'https://gateway.test:8443/v1/account',
  ])('pass unsigned: %s', async (url) => {
    const plain = vi.fn<typeof fetch>(async () => new Response('hello'));
    const agentFetch = createAgentFetch({ wallet, agent, gateway: origin, fetch: plain });
    const init = { method: 'POST', headers: { authorization: 'Bearer theirs' }, body: 'x' };
    await agentFetch(url, init);
    expect(plain.mock.calls).toEqual([[url, init]]);
  });

  it('a redirect is not followed: signature and voucher stay here', async () => {
    const gateway = fakeGateway(spender);
    const modes: RequestRedirect[] = [];
    const redirecting: typeof fetch = async (input, init) => {
      modes.push(new Request(input, init).redirect);
      if (!String(input).endsWith('/completions')) return gateway.fetch(input, init);
      return new Response(null, { status: 307, headers: { location: 'https://elsewhere.test/' } });
    };
    const { agentFetch } = setup({}, { fetch: redirecting });
    expect((await post(agentFetch)).status).toBe(307);
    expect(new Set(modes)).toEqual(new Set(['manual']));
  });
});

describe('a receipt that is wrong', () => {
  const change = (over: Partial<Receipt>): Lies => ({ receipt: (honest) => ({ ...honest, ...over }) });
  const foreign: Address = `0x${'99'.repeat(20)}`;
  const hash = `0x${'77'.repeat(32)}` as const;
  const cases: [string, Lies, string[]][] = [
    ['no receipt', { noReceipt: true }, ['receipt_missing']],
    ['a receipt that is none', { garbledReceipt: true }, ['receipt_unreadable']],
    ['another key', { signingKey: otherKey }, ['signature']],
    ['an altered signature', { signed: (s) => ({ ...s, signature: `0x${'00'.repeat(65)}` }) }, ['signature']],
    [
      'a field changed after signing',
      { signed: (s) => ({ ...s, receipt: { ...s.receipt, upstreamId: 'x' } }) },
      ['signature'],
    ],
    ['another log', change({ logId: hash }), ['log']],
    ['another vault', change({ vault: foreign }), ['account']],
    ['another agent', change({ agentId: 8n }), ['account']],
    ['another registry', change({ registry: foreign }), ['account']],
    ['another chain', change({ chainId: 1n }), ['account']],
    ['an earlier epoch', change({ epoch: 2n }), ['epoch']],
    ['another authorisation', change({ authorization: hash }), ['authorization']],
    ['a session key we have none of', change({ authorizationKind: 2 }), ['authorization']],
    ['another request', change({ requestHash: hash }), ['request_hash']],
    ['another response', change({ responseHash: hash }), ['response_hash']],
    ['a dearer model', change({ model: 'qwen-gold' }), ['model', 'amount']],
    ['another price table', change({ priceTable: hash }), ['price_table']],
    [
      'one base unit too much',
      { receipt: (r) => ({ ...r, amount: r.amount + 1n, cumulative: r.cumulative + 1n }) },
      ['amount'],
    ],
    [
      'more tokens than the answer says',
      { receipt: (r) => ({ ...r, usage: { ...r.usage, output: 6n }, amount: 34n, cumulative: 34n }) },
      ['usage'],
    ],
    [
      'more cached than input',
      { receipt: (r) => ({ ...r, usage: { ...r.usage, cachedInput: 11n } }) },
      ['usage', 'amount'],
    ],
    [
      'a cumulative that does not add up',
      { receipt: (r) => ({ ...r, cumulative: r.cumulative + 1n }) },
      ['cumulative'],
    ],
    ['a first receipt with a predecessor', change({ previous: hash }), ['previous']],
    ['number zero', change({ sequence: 0n }), ['sequence']],
    ['an old capture', { receipt: (r) => ({ ...r, time: r.time - 120n, mergeBy: r.time }) }, ['time']],
    ['a promise that is put off', { receipt: (r) => ({ ...r, mergeBy: r.mergeBy + 1n }) }, ['merge_by']],
    ['evidence for nothing', change({ evidence: hash }), ['evidence']],
  ];

  it.each(cases)('is reported: %s', async (_, lies, names) => {
    for (const streaming of [false, true]) {
      const { client, agentFetch, problems } = setup(lies);
      await (streaming ? askStreaming(client) : ask(client));
      expect(problems.map(({ mismatches }) => mismatches.map(({ name }) => name))).toEqual([names]);
      expect(agentFetch.receipts).toEqual([]);
      // And nothing of it counts as spent: the exposure does not grow.
      expect(agentFetch.exposure.spent).toBe(0n);
    }
  });

  it.each(cases)('fails the call in strict mode: %s', async (_, lies) => {
    const plain = setup(lies, { strict: true });
    expect(await rejection(post(plain.agentFetch).then((r) => r.json()))).toBeInstanceOf(
      ReceiptMismatchError,
    );
    const streaming = setup(lies, { strict: true });
    expect(await rejection(askStreaming(streaming.client))).toBeInstanceOf(ReceiptMismatchError);
  });

  it('is reported when the body is not what was hashed', async () => {
    const { client, problems } = setup({ body: (honest) => honest.replace('Grüße', 'Grüsse') });
    await ask(client);
    await askStreaming(client);
    expect(problems.map(({ mismatches }) => mismatches[0]?.name)).toEqual(['response_hash', 'response_hash']);
  });

  it('is reported when it is the last one again', async () => {
    const { client, problems } = setup({ signed: (honest, before) => before ?? honest });
    await ask(client);
    await ask(client);
    const names = problems.flatMap(({ mismatches }) => mismatches.map(({ name }) => name));
    expect(names).toContain('authorization');
  });

  it('is reported when two share a number, and when the chain of digests is broken', async () => {
    let number = 0;
    const twice = setup({
      receipt: (r) => ({ ...r, sequence: 1n, previous: zeroHash, cumulative: r.amount }),
    });
    await ask(twice.client);
    await ask(twice.client);
    expect(twice.problems.map(({ mismatches }) => mismatches[0]?.name)).toEqual(['sequence']);
    expect(twice.problems[0]?.mismatches[0]?.detail).toMatch(/keep both/);

    const broken = setup({ receipt: (r) => (++number === 2 ? { ...r, previous: r.authorization } : r) });
    await ask(broken.client);
    await ask(broken.client);
    expect(broken.problems.map(({ mismatches }) => mismatches[0]?.name)).toEqual(['previous']);

    number = 0;
    const sum = setup({ receipt: (r) => (++number === 2 ? { ...r, cumulative: r.cumulative + 5n } : r) });
    await ask(sum.client);
    await ask(sum.client);
    expect(sum.problems.map(({ mismatches }) => mismatches[0]?.name)).toEqual(['cumulative']);
  });

  it('may charge less than the usage costs', async () => {
    const { client, problems } = setup({ receipt: (r) => ({ ...r, amount: 1n, cumulative: 1n }) });
    await ask(client);
    expect(problems).toEqual([]);
  });

  it('cannot bring its own prices or key where these are pinned', async () => {
    const dear = structuredClone(table);
    const tier = dear.models['qwen-test']?.tiers[0] as { input: string };
    tier.input = '9000000';
    const honest = `0x${'55'.repeat(32)}` as const;
    const prices = setup(
      { prices: dear, receipt: (r) => ({ ...r, amount: 110n }) },
      { pins: { priceTable: honest } },
    );
    await ask(prices.client);
    expect(prices.problems[0]?.mismatches[0]?.name).toBe('unverifiable');
    const key = setup({}, { pins: { receiptKey: `0x${'99'.repeat(20)}` } });
    await ask(key.client);
    expect(key.problems[0]?.mismatches[0]?.name).toBe('signature');
  });

  it('is right under a key that was exchanged after the gateway was first asked', async () => {
    const lies: Lies = {
      deployment: (honest) => {
        const key = lies.signingKey;
        const log = honest['log'] as Record<string, unknown>;
        return key ? { ...honest, log: { ...log, receiptKey: addressOfKey(key) } } : honest;
      },
    };
    const { client, agentFetch, problems } = setup(lies);
    await ask(client);
    lies.signingKey = otherKey;
    await ask(client);
    await ask(client);
    expect(problems).toEqual([]);
    expect(agentFetch.receipts).toHaveLength(3);
  });

  it('cannot be justified by a price table that is not the one its hash is advertised for', async () => {
    const gateway = fakeGateway(spender, { receipt: (r) => ({ ...r, amount: 110n, cumulative: 110n }) });
    const twoFaced: typeof fetch = async (input, init) => {
      const response = await gateway.fetch(input, init);
      if (!String(input).endsWith('/v1/prices')) return response;
      // The hash everybody knows, over prices that nobody agreed to.
      const text = (await response.text()).replace('"input":"1000000"', '"input":"9000000"');
      expect(text).toContain('9000000');
      return new Response(text, { headers: response.headers });
    };
    const { client, problems, agentFetch } = setup({}, { fetch: twoFaced }, gateway);
    await ask(client);
    expect(problems[0]?.mismatches).toMatchObject([
      { name: 'unverifiable', detail: expect.stringMatching(/prices: hash: the table's is 0x/) },
    ]);
    expect(agentFetch.exposure.spent).toBe(0n);
  });

  it('is checked again with prices that changed meanwhile', async () => {
    const lies: Lies = {};
    const { client, problems, gateway } = setup(lies);
    await ask(client);
    const dearer = structuredClone(table) as { version: number };
    dearer.version = 2;
    lies.prices = dearer as typeof table;
    const { priceTableHash } = await import('../protocol/price-table.ts');
    lies.receipt = (r) => ({ ...r, priceTable: priceTableHash(dearer as typeof table) });
    await ask(client);
    expect(problems).toEqual([]);
    expect(gateway.seen.filter(({ path }) => path === '/v1/prices')).toHaveLength(2);
  });
});

describe('a gateway that says it only repeats itself', () => {
  const replaying = (lies: Lies) => {
    const gateway = fakeGateway(spender, lies);
    const fetch: typeof globalThis.fetch = async (input, init) => {
      const response = await gateway.fetch(input, init);
      const headers = new Headers(response.headers);
      headers.set('idempotency-replayed', 'true');
      return new Response(response.body, { status: response.status, headers });
    };
    return setup({}, { fetch }, gateway);
  };

  it('is not believed where the answer to that call has come', async () => {
    const { client, problems, agentFetch } = replaying({ signed: (honest, before) => before ?? honest });
    await ask(client);
    expect(problems).toEqual([]);
    await ask(client);
    expect(problems[0]?.mismatches.map(({ name }) => name)).toContain('authorization');
    expect(agentFetch.exposure.spent).toBe(amountPerCall);
  });

  it('is not believed about another body', async () => {
    const { agentFetch, problems } = replaying({ signed: (honest, before) => before ?? honest });
    await (await post(agentFetch, false, another(1))).text();
    await (await post(agentFetch, false, another(2))).text();
    expect(problems[0]?.mismatches.map(({ name }) => name)).toContain('request_hash');
  });
});

describe('the stream', () => {
  it('passes every byte on and finds the receipt, wherever it is cut', async () => {
    const whole = await (await post(setup().agentFetch, true)).text();
    expect(whole).toMatch(/: tallystick-receipt [\w+/=]+\n\ndata: \[DONE\]\n\n$/);
    const { agentFetch, gateway, problems, client } = setup();
    let at = 1;
    gateway.cut = (bytes) => [bytes.slice(0, at), bytes.slice(at)];
    gateway.deposited = 10n ** 30n;
    // All cuts through the comment and what follows, a few elsewhere; each is a call of its own.
    const total = utf8ToBytes(whole).length;
    const comment = whole.indexOf(': tallystick');
    const cuts = [1, 2, comment - 1, ...range(comment, comment + 25), ...range(total - 25, total - 1)];
    for (at of cuts) expect(await askStreaming(client)).toBe('Grüße, 你好');
    expect(problems).toEqual([]);
    expect(agentFetch.exposure.spent).toBe(amountPerCall * BigInt(cuts.length));
  });

  it('byte by byte, too', async () => {
    const { client, gateway, problems } = setup();
    gateway.cut = (bytes) => Array.from(bytes, (byte) => Uint8Array.of(byte));
    expect(await askStreaming(client)).toBe('Grüße, 你好');
    expect(problems).toEqual([]);
  });

  it('the scanner is blind to cuts', () => {
    const line = fc.constantFrom(
      'data: x\n\n',
      ': comment\n\n',
      ': tallystick-receipt YWJj\n\n',
      ': tallystick-receipt YWJj\nx',
      ': tallystick-rec',
      ': tallystick-evidence ZGVm\n\n',
      '\r',
      '\n',
      ':',
      ' : tallystick-receipt YWJj\n\n',
      'data: [DONE]\n\n',
      'data: [DONE]\r\n\r\n',
    );
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 8 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
        (lines, sizes) => {
          const bytes = utf8ToBytes(lines.join(''));
          const whole = createReceiptScanner();
          whole.push(bytes);
          const cut = createReceiptScanner();
          for (let at = 0; at < bytes.length; ) {
            const size = sizes.next().value ?? 1;
            cut.push(bytes.subarray(at, at + size));
            at += size;
          }
          const seen = (scanner: ReceiptScanner) => [
            scanner.receipt,
            scanner.evidence,
            scanner.done,
            scanner.responseHash(false),
            scanner.responseHash(true),
          ];
          expect(seen(cut)).toEqual(seen(whole));
          // Without any comment it is a plain hash; with one, the hash of the rest.
          const text = lines.join('');
          const comments =
            /(?<=^|[\r\n])(: tallystick-evidence ([^\n]*)\n\n)?: tallystick-receipt ([^\n]*)\n\n/g;
          const last = [...text.matchAll(comments)].at(-1);
          const [both = '', first = '', evidence, receipt] = last ?? [];
          expect([whole.receipt, whole.evidence]).toEqual([receipt, evidence]);
          const before = text.slice(0, last?.index ?? text.length);
          const after = last ? text.slice(last.index + both.length) : '';
          expect(whole.responseHash(false)).toBe(hashOf(before + first + after));
          expect(whole.responseHash(true)).toBe(hashOf(before + after));
        },
      ),
      { numRuns: runs(300) },
    );
  });

  it('TEE evidence is taken out, checked against the receipt, and kept', async () => {
    for (const streaming of [false, true]) {
      const { client, agentFetch, problems } = setup({ evidence: {} });
      await (streaming ? askStreaming(client) : ask(client));
      expect(problems).toEqual([]);
      expect(agentFetch.lastReceipt?.evidence?.signer).toBe(addressOfKey(otherKey));
    }
  });

  it.each<[string, Lies['evidence']]>([
    ['missing', { missing: true }],
    ['of another bundle', { bundle: (honest) => ({ ...honest, key: 'other' }), hashOfHonest: true }],
    [
      'about other bytes',
      { bundle: (honest) => ({ ...honest, text: `${'00'.repeat(32)}:${'00'.repeat(32)}` }) },
    ],
    ['signed by another key', { bundle: (honest) => ({ ...honest, signer: `0x${'99'.repeat(20)}` }) }],
    ['no bundle', { bundle: () => ({}) }],
  ])('TEE evidence that is wrong is reported: %s', async (_, evidence) => {
    for (const streaming of [false, true]) {
      const { client, problems } = setup(evidence ? { evidence } : {});
      await (streaming ? askStreaming(client) : ask(client));
      expect(problems.map(({ mismatches }) => mismatches.map(({ name }) => name))).toEqual([['evidence']]);
    }
  });

  it('an upstream’s forged evidence is content, even next to the receipt', async () => {
    const { client, problems } = setup({ streamExtra: ': tallystick-evidence YWJj\n\n', extraLast: true });
    expect(await askStreaming(client)).toBe('Grüße, 你好');
    expect(problems).toEqual([]);
  });

  it('an upstream’s forged comment is content, and the gateway’s is the receipt', async () => {
    const { client, problems, agentFetch } = setup({ streamExtra: ': tallystick-receipt YWJj\n\n' });
    expect(await askStreaming(client)).toBe('Grüße, 你好');
    expect(problems).toEqual([]);
    expect(agentFetch.receipts).toHaveLength(1);
  });

  it('a connection that stays open after [DONE] holds nobody up', async () => {
    const { client, gateway, agentFetch } = setup();
    gateway.hangs = true;
    expect(await askStreaming(client)).toBe('Grüße, 你好');
    expect(agentFetch.receipts).toHaveLength(1);
  });

  it('a caller who leaves early stops the upstream read and is told so; the receipt can be asked for', async () => {
    const { gateway, agentFetch, problems } = setup();
    gateway.beforeReceipt = () => new Promise((resolve) => setTimeout(resolve, 20));
    const response = await post(agentFetch, true);
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    expect(await agentFetch.receiptOf(response)).toEqual({ kind: 'left' });
    expect(gateway.cancelled).toBe(1);
    expect(agentFetch.exposure.spent).toBe(0n);
    await new Promise((resolve) => setTimeout(resolve, 40)); // the gateway captures what upstream did
    expect(await agentFetch.reconcile()).toBe(0);
    expect(agentFetch.lastReceipt?.responseChecked).toBe(false);
    expect(agentFetch.exposure.spent).toBe(amountPerCall);
    expect(problems).toEqual([]);
  });
});

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, at) => from + at);

function hashOf(text: string): string {
  return `0x${createHash('sha256').update(text).digest('hex')}`;
}

describe('vouchers', () => {
  it('are signed only as far as the limit, by steps, and renewed before they run out', async () => {
    const { client, gateway, agentFetch } = setup();
    for (let call = 0; call < 40; call += 1) await ask(client);
    // 40 calls of 30 at a limit of 1000: a new one each time half of it is used up, and never a 402.
    expect(vouchersSeen(gateway).filter((cumulative) => cumulative !== undefined)).toEqual([
      1_000n,
      1_510n,
      2_020n,
    ]);
    expect(posts(gateway)).toHaveLength(40);
    expect(agentFetch.exposure.spent).toBe(40n * amountPerCall);
    expect(agentFetch.exposure.atRisk).toBeLessThanOrEqual(perVoucher);
  });

  it('answer a demand once, with a fresh signature', async () => {
    const { client, gateway } = setup({ account: (honest) => ({ ...honest, voucher: '5000' }) });
    await ask(client); // the gateway said it had one; it has not
    expect(posts(gateway).map(({ refusal }) => refusal)).toEqual(['voucher_missing', undefined]);
    const [first, second] = posts(gateway).map(({ headers }) => headers.get('signature-input'));
    expect(first).not.toBe(second);
  });

  it('one serves parallel calls', async () => {
    let signatures = 0;
    const counting = {
      ...wallet,
      signTypedData: (data: Parameters<typeof wallet.signTypedData>[0]) => {
        signatures += 1;
        return wallet.signTypedData(data);
      },
    };
    const { gateway, agentFetch, client, problems } = setup({}, { wallet: counting as typeof wallet });
    await Promise.all([ask(client), askStreaming(client), ask(client), askStreaming(client), ask(client)]);
    expect(signatures).toBe(1);
    expect(gateway.seen.filter(({ path }) => path === '/v1/account')).toHaveLength(1);
    expect(agentFetch.exposure.spent).toBe(5n * amountPerCall);
    expect(problems).toEqual([]);
  });

  it('one answers parallel demands', async () => {
    const { gateway, client } = setup({ account: (honest) => ({ ...honest, voucher: '5000' }) });
    await Promise.all([ask(client), ask(client), ask(client)]);
    const signed = vouchersSeen(gateway).filter((cumulative) => cumulative !== undefined);
    expect(new Set(signed)).toEqual(new Set([perVoucher]));
  });

  it('are not sent again while the gateway’s own will do', async () => {
    const gateway = fakeGateway(spender);
    gateway.voucher = 100_000n;
    const { client } = setup({}, {}, gateway);
    await ask(client);
    expect(vouchersSeen(gateway)).toEqual([undefined]);
  });

  it('are renewed before the gateway’s own runs out', async () => {
    const gateway = fakeGateway(spender);
    gateway.voucher = 600n;
    const { client } = setup({}, {}, gateway);
    for (let call = 0; call < 10; call += 1) await ask(client);
    expect(vouchersSeen(gateway).filter((cumulative) => cumulative !== undefined)).toEqual([1_120n]);
    expect(posts(gateway)).toHaveLength(10);
  });

  it('never go above the limit, whatever a demand says; the numbers are in the error', async () => {
    const greedy: Lies = {
      refuse: 'voucher_insufficient',
      terms: (honest) => ({ ...honest, required: 10n ** 17n }),
    };
    const { client, gateway, agentFetch } = setup(greedy);
    const error = await rejection(ask(client));
    expect(error).toBeInstanceOf(VoucherLimitError);
    expect(error).toMatchObject({
      code: 'voucher_limit',
      demand: { required: 10n ** 17n, bound: perVoucher, spent: 0n },
    });
    expect((error as Error).message).toMatch(/limits\.perVoucher 1000/);
    expect(agentFetch.exposure.signed).toBe(perVoucher); // the one that went along
    expect(vouchersSeen(gateway)).toEqual([perVoucher]);
    // A library that repeats the same call does not make the prompt travel again.
    expect(await rejection(ask(client))).toBe(error);
    expect(posts(gateway)).toHaveLength(1);
  });

  it('never go above the limit, whatever the account is said to have spent', async () => {
    const gateway = fakeGateway(spender, { account: (honest) => ({ ...honest, captured: `${10n ** 17n}` }) });
    gateway.captured = 10n ** 17n;
    const liar = setup({}, {}, gateway);
    expect(await rejection(ask(liar.client))).toBeInstanceOf(VoucherLimitError);
    expect(liar.agentFetch.exposure.signed).toBe(0n);
  });

  it('never go above limits.total, which lets the gateway say how much of it is used', async () => {
    const gateway = fakeGateway(spender);
    gateway.captured = 5_000n;
    const { client, agentFetch } = setup({}, { limits: { perVoucher, total: 5_500n } }, gateway);
    await ask(client);
    expect(agentFetch.exposure.signed).toBe(5_500n);
    for (let call = 1; call < 14; call += 1) await ask(client);
    const error = await rejection(ask(client)); // 14 * 30 + a ceiling of 100 is above 500
    expect(error).toMatchObject({ code: 'voucher_limit', demand: { bound: 5_500n } });
  });

  it('never go above limits.perDay within a day, and go on after it', async () => {
    let now = Date.now();
    const gateway = fakeGateway(spender);
    gateway.now = () => now;
    const { client, agentFetch } = setup(
      {},
      { limits: { perVoucher, perDay: 300n }, now: () => now },
      gateway,
    );
    await ask(client);
    expect(agentFetch.exposure.signed).toBe(300n);
    for (let call = 1; call < 7; call += 1) await ask(client);
    const error = await rejection(ask(client)); // 7 * 30 + a ceiling of 100 is above 300
    expect(error).toMatchObject({ code: 'voucher_limit', demand: { bound: 300n } });
    expect((error as Error).message).toMatch(/limits\.perDay 300/);
    now += 23 * 60 * 60_000;
    expect(await rejection(ask(client))).toMatchObject({ code: 'voucher_limit' });
    now += 61 * 60_000;
    await askStreaming(client);
    // What was authorised yesterday and not used does not count again.
    expect(agentFetch.exposure.signed).toBe(600n);
  });

  it('go on from what the developer remembers', async () => {
    const gateway = fakeGateway(spender);
    gateway.captured = 5_000n;
    const { client, agentFetch } = setup({}, { spentBefore: 5_000n }, gateway);
    await ask(client);
    expect(agentFetch.exposure).toMatchObject({ spent: 5_000n + amountPerCall, signed: 6_000n });
  });

  it('wrong receipts do not buy more room', async () => {
    const { client, agentFetch } = setup({ receipt: (r) => ({ ...r, amount: r.amount + 1n }) });
    const calls = Number((perVoucher - ceilingPerCall) / amountPerCall) + 1;
    for (let call = 0; call < calls; call += 1) await ask(client);
    expect(await rejection(ask(client))).toBeInstanceOf(VoucherLimitError);
    expect(agentFetch.exposure.signed).toBe(perVoucher);
  });

  it.each<[string, Lies['terms']]>([
    ['vault', (t) => ({ ...t, vault: `0x${'99'.repeat(20)}` })],
    ['agent', (t) => ({ ...t, agentId: 8n })],
    ['registry', (t) => ({ ...t, registry: `0x${'99'.repeat(20)}` })],
    ['epoch', (t) => ({ ...t, epoch: t.epoch + 1n })],
  ])('are not signed for another %s', async (_, terms) => {
    const lies: Lies = { refuse: 'voucher_insufficient', ...(terms ? { terms } : {}) };
    const { client, gateway } = setup(lies);
    expect(await rejection(ask(client))).toMatchObject({ code: 'payment_mismatch' });
    expect(vouchersSeen(gateway)).toEqual([perVoucher]);
  });

  it('are not signed for another chain: that demand is somebody else’s, and the 402 is passed on', async () => {
    const { agentFetch } = setup({ refuse: 'voucher_insufficient', terms: (t) => ({ ...t, chainId: 1 }) });
    expect((await post(agentFetch)).status).toBe(402);
  });

  it('cannot cure a missing deposit: the 402 says what to do', async () => {
    const { client, gateway } = setup({ refuse: 'deposit_insufficient' });
    const error = await rejection(ask(client));
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect(error).toMatchObject({ status: 402, code: 'deposit_insufficient' });
    expect(posts(gateway)).toHaveLength(1);
  });

  it('are for the vault that is pinned, or none', async () => {
    const right = setup({}, { pins: { vault } });
    await ask(right.client);
    const wrong = setup({}, { pins: { vault: `0x${'99'.repeat(20)}` } });
    expect(await rejection(ask(wrong.client))).toMatchObject({ code: 'gateway_unusable' });
    expect(posts(wrong.gateway)).toEqual([]);
    const two = setup({ account: (honest) => ({ ...honest, vault: `0x${'99'.repeat(20)}` }) });
    expect(await rejection(ask(two.client))).toMatchObject({ code: 'gateway_unusable' });
  });

  it('need a limit on chains where 10^18 may be anything', () => {
    const base = agent.replace(`${chainId}`, '8453');
    expect(() => createAgentFetch({ wallet, agent: base, gateway: origin })).toThrow(/limits\.perVoucher/);
    expect(() => createAgentFetch({ wallet, agent, gateway: origin, limits: { perVoucher: 0n } })).toThrow(
      TypeError,
    );
    expect(() => createAgentFetch({ wallet, agent: 'agent 7', gateway: origin })).toThrow(TypeError);
  });
});

describe('what comes in between', () => {
  it('an abort before, during and after the first byte reaches the caller', async () => {
    const { agentFetch, gateway } = setup();
    const early = new AbortController();
    early.abort();
    await expect(post(agentFetch, true, { signal: early.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(posts(gateway)).toEqual([]);

    gateway.beforeReceipt = () => new Promise((resolve) => setTimeout(resolve, 30));
    const during = new AbortController();
    const response = await post(agentFetch, true, { signal: during.signal });
    setTimeout(() => during.abort(), 5);
    await expect(response.text()).rejects.toMatchObject({ name: 'AbortError' });
    expect(await agentFetch.receiptOf(response)).toEqual({ kind: 'left' });
  });

  it('an abort of one call does not break the first contact the others wait for', async () => {
    const { agentFetch, problems } = setup();
    const leaving = new AbortController();
    const first = post(agentFetch, false, { signal: leaving.signal });
    const second = post(agentFetch);
    leaving.abort();
    await expect(first).rejects.toMatchObject({ name: 'AbortError' });
    expect((await second).status).toBe(200);
    expect(problems).toEqual([]);
  });

  it('a refused account is the call’s answer, and the prompt stays home', async () => {
    const gateway = fakeGateway(spender);
    const stranger = privateKeyToAccount(`0x${'31'.repeat(32)}`);
    const refusing: typeof fetch = async (input, init) =>
      String(input).endsWith('/v1/account')
        ? Response.json({ error: { message: 'no', code: 'signer_not_allowed' } }, { status: 403 })
        : gateway.fetch(input, init);
    const { client } = setup({}, { fetch: refusing, wallet: stranger });
    const both = await Promise.all([rejection(ask(client)), rejection(ask(client))]);
    for (const error of both) expect(error).toMatchObject({ status: 403, code: 'signer_not_allowed' });
    expect(posts(gateway)).toEqual([]);
  });

  it('an unreachable price list makes receipts unverifiable, not calls impossible', async () => {
    const gateway = fakeGateway(spender);
    let down = true;
    const flaky: typeof fetch = async (input, init) =>
      down && String(input).endsWith('/v1/prices')
        ? new Response('', { status: 503 })
        : gateway.fetch(input, init);
    const { client, problems, agentFetch } = setup({}, { fetch: flaky });
    await ask(client);
    expect(problems[0]?.mismatches[0]?.name).toBe('unverifiable');
    down = false;
    expect(await agentFetch.reconcile()).toBe(0); // and once it is back, the receipt is found right
    expect(agentFetch.exposure.spent).toBe(amountPerCall);
  });

  it('receipts of calls whose answer was lost are found, over several pages', async () => {
    const gateway = fakeGateway(spender);
    let losing = true;
    const lossy: typeof fetch = async (input, init) => {
      const response = await gateway.fetch(input, init);
      if (losing && String(input).endsWith('/completions')) throw new TypeError('fetch failed');
      return response;
    };
    const { agentFetch, client, problems } = setup({}, { fetch: lossy });
    for (let call = 0; call < 5; call += 1)
      await expect(post(agentFetch, false, another(call))).rejects.toThrow('fetch failed');
    losing = false;
    await ask(client);
    expect(await agentFetch.reconcile()).toBe(0);
    expect(agentFetch.exposure.spent).toBe(6n * amountPerCall);
    expect(problems).toEqual([]);
  });

  it('a problem is told once, however often its receipt is asked for again', async () => {
    const lies: Lies = { signed: (honest) => ({ ...honest, signature: `0x${'00'.repeat(65)}` }) };
    const { client, agentFetch, problems, gateway } = setup(lies);
    await ask(client);
    expect(await agentFetch.reconcile()).toBe(0); // the list has it right
    expect(agentFetch.receipts).toHaveLength(1);
    await ask(client);
    gateway.receipts.pop();
    expect(await agentFetch.reconcile()).toBe(1);
    expect(await agentFetch.reconcile()).toBe(1);
    expect(problems).toHaveLength(2);
  });

  it('lost receipts are looked for before a limit is called reached', async () => {
    const gateway = fakeGateway(spender);
    let losing = true;
    const lossy: typeof fetch = async (input, init) => {
      const response = await gateway.fetch(input, init);
      if (losing && String(input).endsWith('/completions')) throw new TypeError('fetch failed');
      return response;
    };
    const { agentFetch, client } = setup({}, { fetch: lossy });
    for (let call = 0; call < 31; call += 1)
      await post(agentFetch, false, another(call)).catch(() => undefined);
    losing = false;
    await ask(client);
    expect(agentFetch.exposure.spent).toBeGreaterThan(30n * amountPerCall);
  });
});
