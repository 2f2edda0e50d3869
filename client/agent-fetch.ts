// A fetch that signs for an agent, pays with vouchers, and checks every receipt.
import type { Address, Hex } from 'viem';
import { type Account, accountName } from '../protocol/account-name.ts';
import { formatAgentId, parseAgentId } from '../protocol/identity/agent-id.ts';
import {
  type SignedVoucher,
  type VaultDomain,
  type Voucher,
  voucherTypedData,
} from '../protocol/money/voucher.ts';
import {
  formatPaymentSignature,
  paymentRequiredHeader,
  paymentSignatureHeader,
} from '../protocol/money/x402.ts';
import { receiptDigest, receiptFromJson, type SignedReceipt } from '../protocol/receipt.ts';
import { type AccountStanding, readAccountStanding } from './account-standing.ts';
import { AgentError } from './agent-error.ts';
import {
  checkReceipt,
  type Exchange,
  type Mismatch,
  parseReceipt,
  type ReceiptTerms,
} from './check-receipt.ts';
import { type Deployment, type KnownPrices, readDeployment, readPrices } from './deployment.ts';
import {
  type MessageSigner,
  type OutgoingRequest,
  readOutgoing,
  type SignedCall,
  signCall,
  urlOf,
} from './outgoing-request.ts';
import { readPaymentDemand } from './payment-demand.ts';
import { ReceiptHistory } from './receipt-history.ts';
import { createReceiptScanner } from './receipt-scanner.ts';
import { readVault } from './vault-on-chain.ts';
import { type Exposure, type FirstContact, VoucherBook } from './voucher-book.ts';
import type { VoucherLimits } from './voucher-limit.ts';
import { type BodyEnding, watchBody } from './watched-body.ts';

/** What signs a voucher. */
export type VoucherSigner = {
  readonly address: Address;
  signTypedData(parameters: ReturnType<typeof voucherTypedData>): Promise<Hex>;
};

/** An agent's wallet. Any viem account with a private key or a wallet behind it fits. */
export type AgentWallet = MessageSigner & VoucherSigner;

export type AgentFetchOptions = {
  /** Signs requests; the agent's wallet or owner in the identity registry. */
  readonly wallet: AgentWallet;
  /** Signs vouchers, where the vault's spender is another key than the wallet. */
  readonly spender?: VoucherSigner;
  /** `eip155:<chainId>:<identityRegistry>:<agentId>`. */
  readonly agent: string;
  /** The gateway's URL; only its origin counts. Requests elsewhere pass unsigned and untouched. */
  readonly gateway: string | URL;
  readonly fetch?: typeof fetch;
  /**
   * How much may be at risk. Default, on 0G's chains and the local one: `perVoucher` 10^18 base units (1 0G), which covers
   * two calls of the dearest model with its default limits. On other chains there is no default: what 10^18 is worth differs.
   */
  readonly limits?: VoucherLimits;
  /**
   * A node of the agent's chain. With it, what was spent before this process and which epoch it is come from the vault
   * itself, not from the gateway; and the vault is checked to belong to this gateway.
   */
  readonly rpcUrl?: string;
  /** The account's cumulative as the developer remembers it, in base units: counts as spent. */
  readonly spentBefore?: bigint;
  /** What must not be learned from the gateway. */
  readonly pins?: { readonly vault?: Address; readonly receiptKey?: Address; readonly priceTable?: Hex };
  /** Whether a missing or wrong receipt fails the call (the body ends with ReceiptMismatchError) or is only reported. */
  readonly strict?: boolean;
  /** Each receipt that was checked and found right. */
  readonly onReceipt?: (receipt: CheckedReceipt) => void;
  readonly onProblem?: (problem: ReceiptProblem) => void;
  /** Milliseconds since 1970; default Date.now. */
  readonly now?: () => number;
};

export type CheckedReceipt = {
  readonly signed: SignedReceipt;
  /** The receipt's name and log entry. */
  readonly digest: Hex;
  /** Where it came from. */
  readonly url: string;
  /** False where the answer was not read to its end, so that its hash could not be compared. */
  readonly responseChecked: boolean;
};

/** What is wrong with the receipt of one call. */
export type ReceiptProblem = {
  readonly url: string;
  /** The gateway's name for the call, for support. */
  readonly requestId: string | undefined;
  readonly receipt: SignedReceipt | undefined;
  readonly mismatches: readonly Mismatch[];
};

/** How a paid call ended. */
export type CallOutcome =
  | { readonly kind: 'receipt'; readonly receipt: CheckedReceipt }
  | { readonly kind: 'problem'; readonly problem: ReceiptProblem }
  /** The caller left before the receipt came; `reconcile` asks for it. */
  | { readonly kind: 'left' };

/** Thrown in strict mode: by the call, or by reading its body to the end. */
export class ReceiptMismatchError extends AgentError {
  readonly problem: ReceiptProblem;

  constructor(problem: ReceiptProblem) {
    const reasons = problem.mismatches.map(({ name, detail }) => `${name}: ${detail}`).join('; ');
    super('receipt_mismatch', `The receipt of ${problem.url} is not right: ${reasons}`);
    this.name = 'ReceiptMismatchError';
    this.problem = problem;
  }
}

export type AgentFetch = typeof fetch & {
  /** The gateway's origin. */
  readonly gateway: string;
  /** The newest receipts that were found right, oldest first; at most 100. */
  readonly receipts: readonly CheckedReceipt[];
  readonly lastReceipt: CheckedReceipt | undefined;
  /** How the call of this response ended; resolves once its body was read or given up. Undefined for calls without one. */
  receiptOf(response: Response): Promise<CallOutcome> | undefined;
  /** Where the account stands, by the gateway's word. */
  account(): Promise<AccountStanding>;
  /** The gateway's description of itself, read once, and checked against what was pinned. */
  deployment(): Promise<Deployment>;
  /** What could be lost. */
  readonly exposure: Exposure;
  /** Asks for the receipts of calls that were sent and whose receipt never arrived; answers how many are still missing. */
  reconcile(): Promise<number>;
  /** Resolves when every body that is being read has ended and its receipt has been checked. */
  settled(): Promise<void>;
};

/** Chains whose native asset is 0G, and the local one. */
const zeroGChains: readonly number[] = [16_661, 16_602, 31_337];
const defaultLimits: VoucherLimits = { perVoucher: 10n ** 18n };
/** Reasons of a 402 that a voucher cures. */
const curable: readonly string[] = ['voucher_missing', 'voucher_insufficient', 'voucher_wrong_epoch'];
const receiptHeader = 'Tallystick-Receipt';
const receiptsKept = 100;
const unsettledKept = 1_000;
const metadataTimeoutMs = 10_000;
const reconcilePages = 50;

/** A call that was sent and whose receipt has not come. */
type SentCall = Pick<Exchange, 'authorization' | 'requestHash' | 'model' | 'sentAt'> & {
  readonly url: string;
  /** Its answer is still being waited for or read: the receipt may yet come by itself. */
  open: boolean;
};

/** The gateway answered a question of ours with a refusal, which is the best answer the caller can get. */
class GatewayRefusal extends Error {
  readonly response: Response;
  constructor(response: Response) {
    super(`the gateway answered ${response.status}`);
    this.response = response;
  }
}

/**
 * Makes the fetch that an agent gives to its client library: `new OpenAI({ baseURL: gateway + '/v1', apiKey: 'unused', fetch })`.
 *
 * Throws TypeError for an Agent-Id or gateway that is none, and where limits have to be given. The fetch itself rejects
 * with AgentError (VoucherLimitError, ReceiptMismatchError in strict mode) besides what fetch rejects with; a refusal by the
 * gateway is a response like any other.
 */
export function createAgentFetch(options: AgentFetchOptions): AgentFetch {
  const parsed = parseAgentId(options.agent);
  if (!parsed.ok) throw new TypeError(parsed.error);
  const agent = parsed.value;
  const { origin } = new URL(options.gateway);
  const limits = options.limits ?? (zeroGChains.includes(agent.chainId) ? defaultLimits : undefined);
  if (limits === undefined) {
    throw new TypeError(
      `chain ${agent.chainId}: give limits.perVoucher, in base units of the vault's asset: what the operator could take without having answered`,
    );
  }
  if (limits.perVoucher <= 0n || (limits.total !== undefined && limits.total < 0n)) {
    throw new TypeError('limits.perVoucher must be positive and limits.total not negative');
  }
  const { wallet, spender = wallet, pins = {}, rpcUrl, strict = false } = options;
  const send: typeof fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  const now = options.now ?? Date.now;

  const history = new ReceiptHistory();
  const receipts: CheckedReceipt[] = [];
  const outcomes = new WeakMap<Response, Promise<CallOutcome>>();
  const open = new Set<Promise<unknown>>();
  const unsettled = new Map<Hex, SentCall>();
  let refused: { readonly requestHash: Hex; readonly spent: bigint; readonly error: AgentError } | undefined;

  // What the gateway says of itself.

  const deployment = once(async (): Promise<Deployment> => {
    const read = readDeployment(await readJson(send, `${origin}/.well-known/tallystick`));
    if (!read.ok) throw unusable(`/.well-known/tallystick: ${read.error}`);
    return read.value;
  });

  let prices = once(fetchPrices);
  async function fetchPrices(): Promise<KnownPrices> {
    const read = readPrices(await readJson(send, `${origin}/v1/prices`));
    if (!read.ok) throw unusable(`/v1/prices: ${read.error}`);
    if (pins.priceTable !== undefined && read.value.hash !== pins.priceTable) {
      throw unusable(`/v1/prices: the table's hash is ${read.value.hash}, pinned is ${pins.priceTable}`);
    }
    return read.value;
  }

  async function accountOf(): Promise<Account> {
    const { chains } = await deployment();
    const chain = chains.find(({ chainId }) => chainId === agent.chainId);
    if (!chain?.registries.includes(agent.registry)) {
      throw unusable(`it does not serve agents of ${formatAgentId(agent)}`);
    }
    if (pins.vault !== undefined && pins.vault.toLowerCase() !== chain.vault) {
      throw unusable(`it names vault ${chain.vault}, pinned is ${pins.vault}`);
    }
    return { ...agent, vault: chain.vault };
  }

  // First contact, and money.

  async function readStanding(): Promise<AccountStanding> {
    const response = await signedGet('/v1/account');
    if (!response.ok) throw new GatewayRefusal(response);
    const read = readAccountStanding(await response.json());
    if (!read.ok) throw unusable(`/v1/account: ${read.error}`);
    return read.value;
  }

  async function contact(): Promise<FirstContact> {
    const [account, standing] = await Promise.all([accountOf(), readStanding()]);
    if (standing.vault !== account.vault || standing.agent !== formatAgentId(agent)) {
      throw unusable(
        `/v1/account is about ${standing.agent} in vault ${standing.vault}, ours is ${accountName(account)}`,
      );
    }
    const vault = rpcUrl === undefined ? undefined : await readVault(rpcUrl, account);
    if (vault && vault.gatewayOrigin !== origin) {
      throw unusable(
        `vault ${account.vault} belongs to ${vault.gatewayOrigin || 'nobody'}, not to ${origin}`,
      );
    }
    history.startAt(standing);
    return { account, standing, vault };
  }

  const book = new VoucherBook({
    limits,
    spentBefore: options.spentBefore ?? 0n,
    contact,
    readVault: rpcUrl === undefined ? undefined : (account) => readVault(rpcUrl, account),
    reconcile: async () => {
      await reconcile().catch(() => undefined); // what cannot be asked stays unknown
    },
    sign: (account, voucher) => signVoucher(spender, account, voucher),
  });

  // Requests.

  async function signedGet(path: string): Promise<Response> {
    const url = new URL(path, origin);
    const request = { url, method: 'GET', headers: new Headers(), body: new Uint8Array() };
    const { headers } = await signCall(request, wallet, agent, now());
    return send(url.href, { headers, redirect: 'manual', signal: AbortSignal.timeout(metadataTimeoutMs) });
  }

  async function transmit(
    request: OutgoingRequest,
    init: RequestInit | undefined,
    headers: Headers,
  ): Promise<Response> {
    const { method, signal, body, url } = request;
    const { duplex: _, ...rest } = (init ?? {}) as RequestInit & { duplex?: unknown };
    return send(url.href, {
      ...rest,
      method,
      headers,
      body: body.length === 0 ? null : body,
      signal: signal ?? null,
      // A signature and a voucher are for this gateway alone: a redirect is shown, not followed.
      redirect: 'manual',
    });
  }

  async function paidCall(request: OutgoingRequest, init: RequestInit | undefined): Promise<Response> {
    const { signal, requestHash } = request;
    signal?.throwIfAborted();
    if (refused?.requestHash === requestHash && refused.spent === book.exposure.spent) throw refused.error;
    void prices().catch(() => undefined); // needed when the receipt comes; asked for meanwhile
    let first: FirstContact;
    try {
      first = await orAborted(book.open(), signal);
    } catch (error) {
      if (error instanceof GatewayRefusal) return error.response.clone();
      throw error;
    }

    const attempt = async (voucher: SignedVoucher | undefined) => {
      const headers = new Headers(request.headers);
      if (voucher) headers.set(paymentSignatureHeader, formatPaymentSignature(agent.chainId, voucher));
      const call = await signCall({ ...request, headers }, wallet, agent, now());
      signal?.throwIfAborted();
      const sent = expectReceipt(call, request);
      try {
        const response = await transmit(request, init, call.headers);
        // A refusal charges nothing; behind a 5xx of something in between, who knows.
        if (!response.ok && response.status < 500) unsettled.delete(call.authorization);
        if (!response.ok) sent.open = false;
        if (response.ok && voucher) book.delivered(voucher);
        return { sent, response };
      } catch (error) {
        sent.open = false;
        throw error;
      }
    };

    const tried = await attempt(await orAborted(book.attach(), signal));
    const voucher =
      tried.response.status === 402 ? await demanded(tried.response, first, request) : undefined;
    if (voucher === undefined) return watch(tried.response, request, tried.sent);
    await tried.response.body?.cancel().catch(() => undefined);
    const again = await attempt(voucher);
    return watch(again.response, request, again.sent);
  }

  /** The voucher a 402 asks for; undefined where none would help, and the response says what does. */
  async function demanded(
    response: Response,
    { account }: FirstContact,
    { requestHash, signal }: OutgoingRequest,
  ): Promise<SignedVoucher | undefined> {
    const header = response.headers.get(paymentRequiredHeader);
    if (header === null) return undefined;
    const demand = readPaymentDemand(header, account);
    if (!demand.ok) {
      throw new AgentError('payment_mismatch', `${demand.error}. Nothing was signed.`);
    }
    if (demand.value === undefined || !curable.includes(demand.value.reason)) return undefined;
    try {
      return await orAborted(book.answer(demand.value), signal);
    } catch (error) {
      // Client libraries repeat what throws; the same call need not travel again to be refused again.
      if (error instanceof AgentError && error.code === 'voucher_limit') {
        refused = { requestHash, spent: book.exposure.spent, error };
      }
      throw error;
    }
  }

  function expectReceipt(call: SignedCall, request: OutgoingRequest): SentCall {
    const sent: SentCall = {
      authorization: call.authorization,
      requestHash: request.requestHash,
      model: modelOf(request.body),
      sentAt: call.sentAt,
      url: request.url.href,
      open: true,
    };
    unsettled.set(call.authorization, sent);
    for (const oldest of unsettled.keys()) {
      if (unsettled.size <= unsettledKept) break;
      unsettled.delete(oldest);
    }
    return sent;
  }

  // Receipts.

  function watch(response: Response, request: OutgoingRequest, sent: SentCall): Response {
    const header = response.headers.get(receiptHeader);
    if (!response.ok && header === null) return response;
    const scanner = createReceiptScanner();
    const isStream = /^text\/event-stream\b/i.test(response.headers.get('content-type') ?? '');
    let conclude: (outcome: CallOutcome) => void = () => undefined;
    const outcome = new Promise<CallOutcome>((resolve) => {
      conclude = resolve;
    });
    open.add(outcome);
    void outcome.finally(() => open.delete(outcome));

    async function finish(ending: BodyEnding): Promise<void> {
      try {
        await judgeEnding(ending);
      } finally {
        sent.open = false;
      }
    }

    async function judgeEnding(ending: BodyEnding): Promise<void> {
      const base64 = header ?? scanner.receipt;
      const context = { url: request.url.href, requestId: response.headers.get('x-request-id') ?? undefined };
      const readAll = ending === 'complete' || (isStream && scanner.done);
      if (base64 === undefined && ending !== 'complete') {
        conclude({ kind: 'left' });
        return;
      }
      const result =
        base64 === undefined
          ? problemOf(context, undefined, [
              { name: 'receipt_missing', detail: 'the answer came without a receipt' },
            ])
          : await judge(context, base64, sent, readAll ? scanner.responseHash() : undefined);
      conclude(result);
      if (result.kind === 'problem' && strict) throw new ReceiptMismatchError(result.problem);
    }

    const watched = response.body
      ? watchBody(response.body, {
          push: (chunk) => scanner.push(chunk),
          get holds() {
            return isStream && scanner.receipt !== undefined;
          },
          get done() {
            return isStream && scanner.done;
          },
          finish,
        })
      : null;
    if (watched === null) void finish('complete').catch(() => undefined);
    const { status, statusText, headers } = response;
    const shown = new Response(watched, { status, statusText, headers });
    Object.defineProperty(shown, 'url', { value: response.url || request.url.href });
    outcomes.set(shown, outcome);
    return shown;
  }

  type Context = { readonly url: string; readonly requestId: string | undefined };

  async function judge(
    context: Context,
    base64: string,
    sent: SentCall,
    responseHash: Hex | undefined,
  ): Promise<CallOutcome> {
    const read = parseReceipt(base64);
    if (!read.ok) return problemOf(context, undefined, [{ name: 'receipt_unreadable', detail: read.error }]);
    return judgeReceipt(context, read.value, sent, responseHash);
  }

  async function judgeReceipt(
    context: Context,
    signed: SignedReceipt,
    sent: SentCall,
    responseHash: Hex | undefined,
  ): Promise<CallOutcome> {
    let terms: ReceiptTerms;
    let account: Account;
    try {
      account = await accountOf();
      terms = await termsFor(signed);
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      return problemOf(context, signed, [{ name: 'unverifiable', detail }]);
    }
    const mismatches = checkReceipt(
      signed,
      { ...sent, account, epoch: book.epoch, responseHash, endedAt: Math.floor(now() / 1000) },
      terms,
    );
    if (mismatches.length === 0) mismatches.push(...history.add(signed.receipt));
    if (mismatches.length > 0) return problemOf(context, signed, mismatches);
    unsettled.delete(sent.authorization);
    book.spend(signed.receipt.amount);
    const checked: CheckedReceipt = {
      signed,
      digest: receiptDigest(signed.receipt),
      url: context.url,
      responseChecked: responseHash !== undefined,
    };
    receipts.push(checked);
    if (receipts.length > receiptsKept) receipts.shift();
    options.onReceipt?.(checked);
    return { kind: 'receipt', receipt: checked };
  }

  function problemOf(
    context: Context,
    receipt: SignedReceipt | undefined,
    mismatches: readonly Mismatch[],
  ): CallOutcome {
    const problem: ReceiptProblem = { ...context, receipt, mismatches };
    options.onProblem?.(problem);
    return { kind: 'problem', problem };
  }

  async function termsFor({ receipt }: SignedReceipt): Promise<ReceiptTerms> {
    const { log } = await deployment();
    let known = await prices();
    if (known.hash !== receipt.priceTable) {
      // Prices may have changed since they were read.
      prices = once(fetchPrices);
      known = await prices();
    }
    const receiptKey = (pins.receiptKey?.toLowerCase() as Address | undefined) ?? log.receiptKey;
    return { receiptKey, logId: log.logId, mergeDelay: log.mergeDelay, prices: known };
  }

  let reconciling: Promise<number> | undefined;
  function reconcile(): Promise<number> {
    reconciling ??= askForReceipts().finally(() => {
      reconciling = undefined;
    });
    return reconciling;
  }

  const missing = (): SentCall[] => [...unsettled.values()].filter(({ open }) => !open);

  async function askForReceipts(): Promise<number> {
    if (missing().length === 0) return 0;
    const { standing } = await book.open();
    let from: bigint | undefined = standing.sequence + 1n;
    for (let page = 0; from !== undefined && missing().length > 0 && page < reconcilePages; page += 1) {
      const response = await signedGet(`/v1/receipts?from=${from}`);
      if (!response.ok) throw unusable(`/v1/receipts answered ${response.status}`);
      const json: unknown = await response.json();
      const { receipts: listed, next } = json as { receipts?: unknown; next?: unknown };
      if (!Array.isArray(listed)) throw unusable('/v1/receipts: receipts: a list');
      for (const item of listed as unknown[]) {
        const read = receiptFromJson(item);
        const sent = read.ok ? unsettled.get(read.value.receipt.authorization) : undefined;
        if (read.ok && sent && !sent.open) {
          await judgeReceipt({ url: sent.url, requestId: undefined }, read.value, sent, undefined);
        }
      }
      const following = typeof next === 'string' && /^[1-9]\d{0,14}$/.test(next) ? BigInt(next) : undefined;
      from = following !== undefined && following > from ? following : undefined;
    }
    return missing().length;
  }

  const agentFetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const url = urlOf(input);
    if (url?.origin !== origin) return send(input, init);
    const request = await readOutgoing(url, input, init);
    if (isPaid(request)) return paidCall(request, init);
    const headers = isPrivate(url)
      ? (await signCall(request, wallet, agent, now())).headers
      : request.headers;
    request.signal?.throwIfAborted();
    return transmit(request, init, headers);
  };

  const members = {
    gateway: origin,
    receiptOf: (response: Response) => outcomes.get(response),
    account: async () => {
      try {
        return await readStanding();
      } catch (error) {
        if (!(error instanceof GatewayRefusal)) throw error;
        throw unusable(`/v1/account answered ${error.response.status}: ${await error.response.text()}`);
      }
    },
    deployment,
    reconcile,
    settled: async () => {
      while (open.size > 0) await Promise.all(open);
    },
  };
  return Object.defineProperties(Object.assign(agentFetch, members), {
    receipts: { get: () => receipts },
    lastReceipt: { get: () => receipts.at(-1) },
    exposure: { get: () => book.exposure },
  }) as unknown as AgentFetch;
}

async function signVoucher(
  signer: VoucherSigner,
  domain: VaultDomain,
  voucher: Voucher,
): Promise<SignedVoucher> {
  return { voucher, signature: await signer.signTypedData(voucherTypedData(domain, voucher)) };
}

/** Calls that cost money: POSTs to the routes models answer on. */
const isPaid = ({ method, url }: OutgoingRequest): boolean =>
  method === 'POST' && /^\/v1\/(chat\/completions|completions|embeddings|responses)$/.test(url.pathname);

/** What anyone may read needs no signature; a wallet may have to ask its user for each one. */
const isPrivate = (url: URL): boolean =>
  url.pathname.startsWith('/v1/') && !/^\/v1\/(models(\/.*)?|prices)$/.test(url.pathname);

function modelOf(body: Uint8Array): string | undefined {
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(body));
    const model = typeof json === 'object' && json !== null ? (json as { model?: unknown }).model : undefined;
    return typeof model === 'string' ? model : undefined;
  } catch {
    return undefined;
  }
}

async function readJson(send: typeof fetch, url: string): Promise<unknown> {
  const response = await send(url, { redirect: 'manual', signal: AbortSignal.timeout(metadataTimeoutMs) });
  if (!response.ok) throw unusable(`${url} answered ${response.status}`);
  return response.json();
}

const unusable = (why: string): AgentError =>
  new AgentError('gateway_unusable', `The gateway cannot be used: ${why}.`);

/** One attempt at a time, kept once it has succeeded. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= work().catch((error: unknown) => {
      result = undefined;
      throw error;
    });
    return result;
  };
}

/** What is shared by several calls goes on when one of them is aborted. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  signal.throwIfAborted();
  let leave: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}
