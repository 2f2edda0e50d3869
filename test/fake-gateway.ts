// A gateway in one function, built from the protocol alone, that can be told to lie. For the client's tests only.
import { randomUUID } from 'node:crypto';
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { type Address, type Hex, hashMessage } from 'viem';
import { toBase64 } from '../protocol/base64.ts';
import { addressOfKey, signDigest } from '../protocol/ecdsa.ts';
import { toHex, zeroHash } from '../protocol/hex.ts';
import { formatAgentId } from '../protocol/identity/agent-id.ts';
import { verifyAgentRequest } from '../protocol/identity/agent-request.ts';
import { authorizationHash } from '../protocol/identity/personal-message.ts';
import type { Policy } from '../protocol/identity/policy.ts';
import { targetOf } from '../protocol/identity/received-request.ts';
import { recoverWithNoble } from '../protocol/identity/recover.ts';
import { voucherSigner } from '../protocol/money/voucher.ts';
import {
  formatPaymentRequired,
  type PaymentTerms,
  parsePaymentSignature,
  requirementsOf,
} from '../protocol/money/x402.ts';
import { type PriceTable, priceTableHash } from '../protocol/price-table.ts';
import { cost } from '../protocol/pricing.ts';
import {
  type Receipt,
  receiptDigest,
  receiptToJson,
  type SignedReceipt,
  signReceipt,
} from '../protocol/receipt.ts';

export const origin = 'https://gateway.test';
export const chainId = 31_337;
export const vault: Address = `0x${'aa'.repeat(20)}`;
export const registry: Address = `0x${'bb'.repeat(20)}`;
export const agentId = 7n;
export const agent = formatAgentId({ chainId, registry, agentId });
export const logId: Hex = `0x${'cc'.repeat(32)}`;
export const receiptKey: Hex = `0x${'11'.repeat(32)}`;
export const otherKey: Hex = `0x${'12'.repeat(32)}`;

const rates = {
  input: '1000000',
  cachedInput: '100000',
  cacheCreation: '1250000',
  output: '4000000',
  thinkingOutput: '8000000',
};
export const table: PriceTable = {
  version: 1,
  asset: '0G',
  basis: 'made up: one base unit a token',
  models: {
    'qwen-test': {
      basis: 'made up',
      licence: 'Apache-2.0',
      contextTokens: 1_000,
      maxOutputTokens: 100,
      maxThinkingTokens: 0,
      defaultOutputTokens: 100,
      thinking: 'none',
      outputLimitParameter: 'max_tokens',
      tiers: [{ upToInputTokens: 1_000, ...rates }],
    },
  },
};
/** 10 tokens in, 5 out: 10 + 20 base units by the table. */
const usage = { input: 10n, cachedInput: 0n, cacheCreation: 0n, output: 5n, thinking: 0n, estimated: false };
export const amountPerCall = 30n;
export const ceilingPerCall = 100n;

/** What the gateway does wrong. */
export type Lies = {
  /** Applied to each receipt before it is signed. */
  receipt?: (honest: Receipt) => Receipt;
  signingKey?: Hex;
  /** After signing. */
  signed?: (honest: SignedReceipt, before: SignedReceipt | undefined) => SignedReceipt;
  noReceipt?: boolean;
  garbledReceipt?: boolean;
  /** Of a 402. */
  terms?: (honest: PaymentTerms) => PaymentTerms;
  /** Always answers 402 with this reason. */
  refuse?: string;
  /** Of /v1/account. */
  account?: (honest: Record<string, string>) => Record<string, string>;
  deployment?: (honest: Record<string, unknown>) => Record<string, unknown>;
  prices?: PriceTable;
  /** Content put into the stream, before its last chunk or as the last before the receipt. */
  streamExtra?: string;
  extraLast?: boolean;
  /** Brings evidence as from a TEE that signs with `otherKey`; empty: honest. */
  evidence?: {
    readonly missing?: boolean;
    readonly bundle?: (honest: Record<string, unknown>) => Record<string, unknown>;
    /** The receipt has the hash of the honest bundle all the same. */
    readonly hashOfHonest?: boolean;
  };
  /** Answers without looking at money, and without counting it. */
  body?: (honest: string) => string;
};

type Captured = { readonly signed: SignedReceipt; readonly evidence: string | undefined };
type Capture = (responseBody: Uint8Array) => Captured;

/** A bundle as the gateway makes them, its hash, and the base64 that is sent. */
function evidenceFor(lie: NonNullable<Lies['evidence']>, forwardedHash: Hex, responseHash: Hex) {
  const text = `${forwardedHash.slice(2)}:${responseHash.slice(2)}`;
  const honest = {
    format: 'tallystick evidence v1',
    kind: '0g',
    upstream: 'fake',
    key: 'chatcmpl-1',
    signer: addressOfKey(otherKey),
    text,
    signature: signDigest(hashMessage(text), otherKey),
  };
  const bytesOf = (bundle: object) => utf8ToBytes(JSON.stringify(bundle));
  const sent = bytesOf(lie.bundle?.(honest) ?? honest);
  return {
    hash: toHex(sha256(lie.hashOfHonest ? bytesOf(honest) : sent)),
    base64: lie.missing ? undefined : toBase64(sent),
  };
}

export type SeenRequest = {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
  readonly refusal: string | undefined;
};

export type FakeGateway = {
  readonly fetch: typeof fetch;
  readonly seen: SeenRequest[];
  readonly lies: Lies;
  /** Base units. */
  voucher: bigint;
  captured: bigint;
  deposited: bigint;
  held: bigint;
  epoch: bigint;
  readonly receipts: SignedReceipt[];
  /** Cuts a stream's bytes into what the client reads. */
  cut: (bytes: Uint8Array) => Uint8Array[];
  /** Awaited after a stream's content was sent, and before the receipt. Absent: both come together. */
  beforeReceipt: (() => Promise<void>) | undefined;
  /** Whether a stream's connection stays open after its last byte. */
  hangs: boolean;
  cancelled: number;
  now: () => number;
};

const policy: Policy = {
  chains: [chainId],
  maxValiditySeconds: 300,
  skewSeconds: 30,
  requiredComponents: ['agent-id'],
  nonce: 'required',
  accounts: 'eoa-only',
  code: 'deferred',
};

/** Where the agent lives; made up unless a test has a chain. */
export type Place = { readonly vault: Address; readonly registry: Address; readonly agentId: bigint };
const nowhere: Place = { vault, registry, agentId };

export function fakeGateway(spender: Address, lies: Lies = {}, place: Place = nowhere): FakeGateway {
  const { vault, registry, agentId } = place;
  const agent = formatAgentId({ chainId, registry, agentId });
  const nonces = new Set<string>();
  const gateway: FakeGateway = {
    seen: [],
    lies,
    voucher: 0n,
    captured: 0n,
    deposited: 10n ** 18n,
    held: 0n,
    epoch: 3n,
    receipts: [],
    cut: (bytes) => [bytes],
    beforeReceipt: undefined,
    hangs: false,
    cancelled: 0,
    now: Date.now,
    fetch: async (input, init) => {
      const request = new Request(input, init);
      request.signal.throwIfAborted();
      const url = new URL(request.url);
      const body = new Uint8Array(await request.arrayBuffer());
      const seen = {
        method: request.method,
        path: url.pathname + url.search,
        headers: request.headers,
        body: new TextDecoder().decode(body),
      };
      const answer = await respond(request, url, body);
      gateway.seen.push({
        ...seen,
        refusal: answer.ok ? undefined : ((await answer.clone().json()) as { reason?: string }).reason,
      });
      return answer;
    },
  };

  const json = (value: unknown, headers: Record<string, string> = {}) => Response.json(value, { headers });
  const problem = (status: number, reason: string, headers: Record<string, string> = {}) =>
    new Response(
      JSON.stringify({
        status,
        reason,
        detail: reason,
        error: { message: reason, type: 'x', param: null, code: reason },
      }),
      {
        status,
        headers: { 'content-type': 'application/problem+json', 'x-should-retry': 'false', ...headers },
      },
    );
  const { deployment = (honest) => honest, account = (honest) => honest } = lies;

  async function respond(request: Request, url: URL, body: Uint8Array): Promise<Response> {
    if (url.pathname === '/.well-known/tallystick') {
      return json(
        deployment({
          publicOrigin: origin,
          chains: [{ chainId, vault, registries: [registry], asset: { symbol: '0G', decimals: 18 } }],
          log: {
            logId,
            origin: 'log.test',
            chainId,
            anchor: `0x${'dd'.repeat(20)}`,
            mergeDelay: 600,
            checkpointKey: 'unused',
            headKey: `0x${'ee'.repeat(20)}`,
            receiptKey: addressOfKey(receiptKey),
          },
        }),
      );
    }
    const prices = lies.prices ?? table;
    if (url.pathname === '/v1/prices') return json({ hash: priceTableHash(prices), table: prices });
    const single = request.method === 'POST';
    const verified = await verifyAgentRequest(
      { method: request.method, ...targetOf(request.url, origin), headers: request.headers, body },
      { ...policy, nonce: single ? 'required' : 'optional' },
      { now: Math.floor(gateway.now() / 1000), recover: recoverWithNoble, invalidated: async () => false },
    );
    if (!verified.ok) return problem(verified.error.status, verified.error.code);
    const { nonce, signatureBase, signature } = verified.value;
    const authorization = authorizationHash(signatureBase, signature);
    if (nonce !== undefined && nonces.has(nonce)) return problem(401, 'nonce_reused');
    if (url.pathname === '/v1/account') {
      return json(
        account({
          agent,
          vault,
          spender,
          epoch: `${gateway.epoch}`,
          deposited: `${gateway.deposited}`,
          claimed: '0',
          withdrawn: '0',
          withdrawing: '0',
          voucher: `${gateway.voucher}`,
          captured: `${gateway.captured}`,
          held: `${gateway.held}`,
          available: '0',
          sequence: `${gateway.receipts.length}`,
        }),
      );
    }
    if (url.pathname === '/v1/receipts') {
      const from = Number(url.searchParams.get('from') ?? '1');
      const page = gateway.receipts.slice(from - 1, from + 1); // pages of two, so that there are several
      return json({
        receipts: page.map((signed) => ({ id: `${signed.receipt.sequence}`, ...receiptToJson(signed) })),
        next: page.length === 2 ? `${from + 2}` : null,
      });
    }
    if (url.pathname !== '/v1/chat/completions' || !single) return problem(404, 'not_found');

    const sent = JSON.parse(new TextDecoder().decode(body)) as { model: string; stream?: boolean };
    const refusal = pay(request, url);
    if (refusal) return refusal;
    if (nonce !== undefined) nonces.add(nonce);
    gateway.held += ceilingPerCall;
    const capture = (responseBody: Uint8Array): Captured => {
      gateway.held -= ceilingPerCall;
      gateway.captured += amountPerCall;
      const time = BigInt(Math.floor(gateway.now() / 1000));
      const before = gateway.receipts.at(-1);
      const hashes = [toHex(sha256(body)), toHex(sha256(responseBody))] as const;
      const evidence = lies.evidence && evidenceFor(lies.evidence, ...hashes);
      const honest: Receipt = {
        logId,
        chainId: BigInt(chainId),
        vault,
        registry,
        agentId,
        epoch: gateway.epoch,
        sequence: BigInt(gateway.receipts.length + 1),
        previous: before ? receiptDigest(before.receipt) : zeroHash,
        authorizationKind: 1,
        authorization,
        requestHash: toHex(sha256(body)),
        forwardedHash: toHex(sha256(body)),
        responseHash: toHex(sha256(responseBody)),
        upstreamResponseHash: toHex(sha256(responseBody)),
        upstream: 'fake',
        model: sent.model,
        upstreamId: randomUUID(),
        usage,
        priceTable: priceTableHash(table),
        amount: cost(table.models['qwen-test'] ?? raise(), usage),
        cumulative: gateway.captured,
        time,
        mergeBy: time + 600n,
        assurance: evidence ? 1 : 0,
        evidence: evidence?.hash ?? zeroHash,
      };
      const signed = signReceipt(lies.receipt?.(honest) ?? honest, lies.signingKey ?? receiptKey);
      const shown = lies.signed?.(signed, before) ?? signed;
      gateway.receipts.push(signed);
      return { signed: shown, evidence: evidence?.base64 };
    };
    return sent.stream ? stream(request, capture) : whole(capture);
  }

  /** The 402, or undefined when the call may start. */
  function pay(request: Request, url: URL): Response | undefined {
    const header = request.headers.get('payment-signature');
    const signed = header === null ? undefined : parsePaymentSignature(header, chainId);
    let reason = lies.refuse;
    if (signed) {
      if (signed.voucher.epoch !== gateway.epoch) reason ??= 'voucher_wrong_epoch';
      else if (voucherSigner({ chainId, vault }, signed) !== spender) reason ??= 'voucher_bad_signature';
      else if (reason === undefined && signed.voucher.cumulative > gateway.voucher)
        gateway.voucher = signed.voucher.cumulative;
    }
    const required = gateway.captured + gateway.held + ceilingPerCall;
    if (gateway.voucher === 0n) reason ??= 'voucher_missing';
    else if (gateway.voucher < required) reason ??= 'voucher_insufficient';
    if (reason === undefined) return undefined;
    const honest: PaymentTerms = {
      chainId,
      vault,
      registry,
      agentId,
      epoch: gateway.epoch,
      required,
      ceiling: ceilingPerCall,
      available: 0n,
      captured: gateway.captured,
      held: gateway.held,
      deposited: gateway.deposited,
    };
    const terms = lies.terms?.(honest) ?? honest;
    return problem(402, reason, {
      'PAYMENT-REQUIRED': formatPaymentRequired(reason, url.href, requirementsOf(terms)),
    });
  }

  const encoded = (signed: SignedReceipt): string =>
    lies.garbledReceipt
      ? 'bm90IGEgcmVjZWlwdA=='
      : toBase64(utf8ToBytes(JSON.stringify(receiptToJson(signed))));

  function whole(capture: Capture): Response {
    const text = JSON.stringify({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1,
      model: 'qwen-test',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Grüße, 你好' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
    });
    const { signed, evidence } = capture(utf8ToBytes(text));
    return new Response(lies.body?.(text) ?? text, {
      headers: {
        'content-type': 'application/json',
        'x-request-id': 'call-1',
        ...(lies.noReceipt ? {} : { 'Tallystick-Receipt': encoded(signed) }),
        ...(evidence === undefined ? {} : { 'Tallystick-Evidence': evidence }),
      },
    });
  }

  function stream(request: Request, capture: Capture): Response {
    const chunk = (delta: object, finish: string | null) =>
      `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'qwen-test', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
    const usageChunk = `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'qwen-test', choices: [], usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 } })}\n\n`;
    const extra = lies.streamExtra ?? '';
    const content = `${chunk({ role: 'assistant', content: 'Grüße, ' }, null)}${chunk({ content: '你好' }, null)}${lies.extraLast ? '' : extra}${chunk({}, 'stop')}${usageChunk}${lies.extraLast ? extra : ''}`;
    const done = 'data: [DONE]\n\n';
    async function* parts(): AsyncGenerator<Uint8Array> {
      const head = utf8ToBytes(lies.body?.(content) ?? content);
      const signedLater = async () => {
        await gateway.beforeReceipt?.();
        const { signed, evidence } = capture(utf8ToBytes(content + done));
        const comment = evidence === undefined ? '' : `: tallystick-evidence ${evidence}\n\n`;
        return lies.noReceipt ? '' : `${comment}: tallystick-receipt ${encoded(signed)}\n\n`;
      };
      if (gateway.beforeReceipt) {
        yield* gateway.cut(head);
        yield* gateway.cut(utf8ToBytes((await signedLater()) + done));
      } else yield* gateway.cut(concatBytes(head, utf8ToBytes((await signedLater()) + done)));
    }
    const source = parts();
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        request.signal.addEventListener('abort', () => {
          try {
            controller.error(request.signal.reason);
          } catch {
            // ended already
          }
        });
      },
      async pull(controller) {
        const next = await source.next();
        if (!next.done) controller.enqueue(next.value);
        else if (!gateway.hangs) controller.close();
        else await new Promise(() => undefined);
      },
      async cancel() {
        gateway.cancelled += 1;
        // A client that goes away does not stop the meter.
        for await (const _ of source);
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream', 'x-request-id': 'call-2' } });
  }

  return gateway;
}

function raise(): never {
  throw new Error('unreachable');
}
