// A fetch that signs for an agent, pays with vouchers, and checks every receipt.
import type { Address, Hex } from 'viem';
import { parseAgentId } from '../protocol/identity/agent-id.ts';
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
import type { AccountStanding } from './account-standing.ts';
import { AgentError } from './agent-error.ts';
import type { Deployment } from './deployment.ts';
import { type FirstContact, GatewayLink, GatewayRefusal, type Pins, unusable } from './gateway-link.ts';
import {
  type MessageSigner,
  type OutgoingRequest,
  readOutgoing,
  signCall,
  urlOf,
} from './outgoing-request.ts';
import { isFailedTool, isPaid, isPrivate } from './paid-route.ts';
import { readPaymentDemand } from './payment-demand.ts';
import { readProblem } from './problem-detail.ts';
import {
  type CallOutcome,
  type CheckedReceipt,
  isEventStream,
  ReceiptDesk,
  type ReceiptProblem,
  receiptHeader,
  type SentCall,
} from './receipt-desk.ts';
import { type Ending, RetriedCalls } from './retried-calls.ts';
import { readVault } from './vault-on-chain.ts';
import { type Exposure, VoucherBook } from './voucher-book.ts';
import { VoucherLimitError, type VoucherLimits } from './voucher-limit.ts';
import type { BodyEnding } from './watched-body.ts';

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
  readonly pins?: Pins;
  /** Whether a missing or wrong receipt fails the call (its body ends with ReceiptMismatchError) or is only reported. */
  readonly strict?: boolean;
  /** Each receipt that was checked and found right. What it throws, the reader of the body gets. */
  readonly onReceipt?: (receipt: CheckedReceipt) => void;
  readonly onProblem?: (problem: ReceiptProblem) => void;
  /** Milliseconds since 1970; default Date.now. */
  readonly now?: () => number;
};

export type AgentFetch = typeof fetch & {
  /** The gateway's origin. */
  readonly gateway: string;
  /** The newest receipts that were found right, oldest first; at most 100. */
  readonly receipts: readonly CheckedReceipt[];
  readonly lastReceipt: CheckedReceipt | undefined;
  /** How the call of this response ended; resolves once its body was read or given up. Undefined for calls that cost nothing. */
  receiptOf(response: Response): Promise<CallOutcome> | undefined;
  /** Where the account stands, by the gateway's word. */
  account(): Promise<AccountStanding>;
  /** The gateway's description of itself, read once. */
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

/**
 * Makes the fetch an agent gives its client library: `new OpenAI({ baseURL: gateway + '/v1', apiKey: 'unused', fetch })`.
 *
 * Throws TypeError for an Agent-Id or gateway that is none, and where limits have to be given. The fetch itself rejects
 * with AgentError (VoucherLimitError among them) besides what fetch rejects with; in strict mode reading a body can end with
 * ReceiptMismatchError. A refusal by the gateway is a response like any other.
 */
export function createAgentFetch(options: AgentFetchOptions): AgentFetch {
  const { wallet, spender = wallet, rpcUrl, now = Date.now } = options;
  const parsed = parseAgentId(options.agent);
  if (!parsed.ok) throw new TypeError(parsed.error);
  const agent = parsed.value;
  const { origin } = new URL(options.gateway);
  const limits = checkedLimits(options.limits, agent.chainId);
  const send: typeof fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));

  const link = new GatewayLink({ origin, agent, wallet, send, pins: options.pins ?? {}, rpcUrl, now });
  const book: VoucherBook = new VoucherBook({
    limits,
    spentBefore: options.spentBefore ?? 0n,
    contact: async () => {
      const contact = await link.contact();
      desk.startAt(contact);
      return contact;
    },
    readVault: rpcUrl === undefined ? undefined : (account) => readVault(rpcUrl, account),
    reconcile: async () => {
      await desk.reconcile().catch(() => undefined); // what cannot be asked stays unknown, and so unspent
    },
    sign: (account, voucher) => signVoucher(spender, account, voucher),
    now,
  });
  const desk: ReceiptDesk = new ReceiptDesk({
    link,
    contact: () => book.open(),
    epoch: () => book.epoch,
    spend: (amount) => book.spend(amount),
    strict: options.strict ?? false,
    onReceipt: options.onReceipt,
    onProblem: options.onProblem,
    now,
  });
  const retried = new RetriedCalls(now);
  let refused: { readonly requestHash: Hex; readonly spent: bigint; readonly error: Error } | undefined;

  /** One call, however often a client library repeats it: a lost answer is not paid twice. */
  async function paidOnce(request: OutgoingRequest, init: RequestInit | undefined): Promise<Response> {
    if (request.headers.has(idempotencyHeader)) return paidCall(request, init);
    const call = retried.begin(request.requestHash, request.headers.get(retryCountHeader) === '0');
    const headers = new Headers(request.headers);
    headers.set(idempotencyHeader, call.key);
    // A whole answer can be had again under its key. The rest of a stream cannot: who saw its beginning decides.
    const bodyEnded = (how: BodyEnding): void => {
      if (how === 'broken') retried.end(call, 'lost');
    };
    try {
      const response = await paidCall({ ...request, headers }, init, bodyEnded);
      retried.end(call, await endingOf(response));
      return response;
    } catch (error) {
      // What this client refused by itself never left; anything else may have arrived.
      retried.end(call, error instanceof AgentError ? 'answered' : 'lost');
      throw error;
    }
  }

  async function paidCall(
    request: OutgoingRequest,
    init: RequestInit | undefined,
    bodyEnded?: (how: BodyEnding) => void,
  ): Promise<Response> {
    const { signal, requestHash } = request;
    signal?.throwIfAborted();
    if (refused?.requestHash === requestHash && refused.spent === book.exposure.spent) throw refused.error;
    link.prepare();
    let first: FirstContact;
    try {
      first = await orAborted(book.open(), signal);
    } catch (error) {
      if (error instanceof GatewayRefusal) return error.response.clone();
      throw error;
    }

    const tried = await attempt(request, init, await orAborted(book.attach(), signal));
    const voucher =
      tried.response.status === 402 ? await demanded(tried.response, first, request) : undefined;
    if (voucher === undefined) return answered(tried, bodyEnded);
    await tried.response.body?.cancel();
    return answered(await attempt(request, init, voucher), bodyEnded);
  }

  async function answered(
    { sent, response }: { readonly sent: SentCall; readonly response: Response },
    bodyEnded: ((how: BodyEnding) => void) | undefined,
  ): Promise<Response> {
    if (response.headers.has(receiptHeader) || !(await isFailedTool(sent.url, response)))
      return desk.watch(response, sent, isEventStream(response) ? undefined : bodyEnded);
    sent.open = false;
    desk.forget(sent);
    return response;
  }

  async function attempt(
    request: OutgoingRequest,
    init: RequestInit | undefined,
    voucher: SignedVoucher | undefined,
  ) {
    const headers = new Headers(request.headers);
    if (voucher) headers.set(paymentSignatureHeader, formatPaymentSignature(agent.chainId, voucher));
    const call = await signCall({ ...request, headers }, wallet, agent, now());
    request.signal?.throwIfAborted();
    const sent = desk.expect(call, request);
    try {
      const response = await transmit(send, request, init, call.headers);
      if (response.ok && voucher) book.delivered(voucher);
      if (!response.ok) sent.open = false;
      // A refusal costs nothing; behind a 5xx of something in between, who knows.
      if (!response.ok && response.status < 500) desk.forget(sent);
      return { sent, response };
    } catch (error) {
      sent.open = false;
      throw error;
    }
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
    if (!demand.ok) throw new AgentError('payment_mismatch', `${demand.error}. Nothing was signed.`);
    if (demand.value === undefined || !curable.includes(demand.value.reason)) return undefined;
    try {
      return await orAborted(book.answer(demand.value), signal);
    } catch (error) {
      // Client libraries repeat what throws. The same call need not travel again only to be refused again.
      if (error instanceof VoucherLimitError) refused = { requestHash, spent: book.exposure.spent, error };
      throw error;
    }
  }

  const agentFetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const url = urlOf(input);
    if (url?.origin !== origin) return send(input, init);
    const request = await readOutgoing(url, input, init);
    if (isPaid(request)) return paidOnce(request, init);
    const headers = isPrivate(url)
      ? (await signCall(request, wallet, agent, now())).headers
      : request.headers;
    request.signal?.throwIfAborted();
    return transmit(send, request, init, headers);
  };

  const members = {
    gateway: origin,
    receiptOf: (response: Response) => desk.outcomeOf(response),
    account: async () => {
      try {
        return await link.standing();
      } catch (error) {
        if (!(error instanceof GatewayRefusal)) throw error;
        const { status } = error.response;
        const { code, detail } = await readProblem(error.response);
        throw unusable(`/v1/account answered ${status} ${code}: ${detail.replace(/\.$/, '')}`);
      }
    },
    deployment: link.deployment,
    reconcile: () => desk.reconcile(),
    settled: () => desk.settled(),
  };
  return Object.defineProperties(Object.assign(agentFetch, members), {
    receipts: { get: () => desk.receipts },
    lastReceipt: { get: () => desk.receipts.at(-1) },
    exposure: { get: () => book.exposure },
  }) as unknown as AgentFetch;
}

function checkedLimits(given: VoucherLimits | undefined, chainId: number): VoucherLimits {
  const limits = given ?? (zeroGChains.includes(chainId) ? defaultLimits : undefined);
  if (limits === undefined) {
    throw new TypeError(
      `chain ${chainId}: give limits.perVoucher, in base units of the vault's asset: what the operator could take without having answered`,
    );
  }
  if (limits.perVoucher <= 0n || (limits.total ?? 0n) < 0n || (limits.perDay ?? 1n) <= 0n) {
    throw new TypeError(
      'limits.perVoucher and limits.perDay must be positive, and limits.total not negative',
    );
  }
  return limits;
}

async function signVoucher(
  signer: VoucherSigner,
  domain: VaultDomain,
  voucher: Voucher,
): Promise<SignedVoucher> {
  return { voucher, signature: await signer.signTypedData(voucherTypedData(domain, voucher)) };
}

function transmit(
  send: typeof fetch,
  { url, method, body, signal }: OutgoingRequest,
  init: RequestInit | undefined,
  headers: Headers,
): Promise<Response> {
  return send(url.href, {
    ...init,
    method,
    headers,
    body: body.length === 0 ? null : body,
    signal: signal ?? null,
    // A signature and a voucher are for this gateway alone: a redirect is shown, not followed.
    redirect: 'manual',
  });
}

const idempotencyHeader = 'idempotency-key';
/** The stock OpenAI client counts its repetitions here. */
const retryCountHeader = 'x-stainless-retry-count';

/** What this answer means for the call's key. A refusal's body stays to be read. */
async function endingOf(response: Response): Promise<Ending> {
  if (response.status >= 500) return 'lost';
  if (response.status !== 409) return 'answered';
  const { code } = await readProblem(response.clone());
  if (code === 'idempotency_in_progress') return 'lost';
  return code === 'already_answered' ? 'spent' : 'answered';
}

/** What several calls share goes on when one of them is aborted. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const leave = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', leave, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}
