// Every paid call ends here: with a receipt that is right, a problem, or a caller who left before it came.
import type { Hex } from 'viem';
import { assurances, receiptDigest, receiptFromJson, type SignedReceipt } from '../protocol/receipt.ts';
import { AgentError } from './agent-error.ts';
import { checkReceipt, type Exchange, type Mismatch, parseReceipt } from './check-receipt.ts';
import { type FirstContact, type GatewayLink, unusable } from './gateway-link.ts';
import type { OutgoingRequest, SignedCall } from './outgoing-request.ts';
import { ReceiptHistory } from './receipt-history.ts';
import { createReceiptScanner } from './receipt-scanner.ts';
import { createUsageReader, type StatedUsage } from './stated-usage.ts';
import { checkTeeEvidence, type TeeEvidence } from './tee-evidence.ts';
import { type BodyEnding, watchBody } from './watched-body.ts';

export type CheckedReceipt = {
  readonly signed: SignedReceipt;
  /** The receipt's name and log entry. */
  readonly digest: Hex;
  /** Of the call it is for. */
  readonly url: string;
  /** False where the answer was not read to its end, so that its hash could not be compared. */
  readonly responseChecked: boolean;
  /** What a TEE signed about the call; undefined where the receipt claims none, or the call was not seen to its end. */
  readonly evidence: TeeEvidence | undefined;
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
  /** The caller left, or the connection broke, before the receipt came; `reconcile` asks for it. */
  | { readonly kind: 'left' };

/** Thrown in strict mode by reading the body to its end. */
export class ReceiptMismatchError extends AgentError {
  readonly problem: ReceiptProblem;

  constructor(problem: ReceiptProblem) {
    const reasons = problem.mismatches.map(({ name, detail }) => `${name}: ${detail}`).join('; ');
    super('receipt_mismatch', `The receipt of ${problem.url} is not right: ${reasons}`);
    this.name = 'ReceiptMismatchError';
    this.problem = problem;
  }
}

/** A call that was sent and whose receipt has not come. */
export type SentCall = Pick<Exchange, 'authorization' | 'requestHash' | 'model' | 'sentAt' | 'epoch'> & {
  readonly url: string;
  /** Its Idempotency-Key: of several tries under one key the gateway charges one. */
  readonly key: string | undefined;
  /** Its answer is still being waited for or read: the receipt may yet come by itself. */
  open: boolean;
  /** What is wrong with its receipt has been said. */
  reported: boolean;
};

export type ReceiptDeskOptions = {
  readonly link: GatewayLink;
  /** Once, whoever asks. */
  readonly contact: () => Promise<FirstContact>;
  /** Of our vouchers. */
  readonly epoch: () => bigint | undefined;
  /** Told the amount of each receipt that is right, in base units. */
  readonly spend: (amount: bigint) => void;
  readonly strict: boolean;
  readonly onReceipt: ((receipt: CheckedReceipt) => void) | undefined;
  readonly onProblem: ((problem: ReceiptProblem) => void) | undefined;
  /** Milliseconds. */
  readonly now: () => number;
};

export const receiptHeader = 'Tallystick-Receipt';
const replayedHeader = 'idempotency-replayed';
const evidenceHeader = 'Tallystick-Evidence';
const receiptsKept = 100;
const missingKept = 1_000;
/** Seconds by which the gateway's clock may be behind ours. */
const clockSkew = 60;
/** Pages of receipts read in one reconciliation. */
const pagesMax = 50;

export const isEventStream = (response: Response): boolean =>
  /^text\/event-stream\b/i.test(response.headers.get('content-type') ?? '');

/** What was seen of an answer. */
type Answer = {
  readonly responseHash: Hex | undefined;
  readonly statedUsage: StatedUsage | undefined;
  /** Base64, as it came. */
  readonly evidence: string | undefined;
};
const unread: Answer = { responseHash: undefined, statedUsage: undefined, evidence: undefined };

type Context = Pick<ReceiptProblem, 'url' | 'requestId'>;

export class ReceiptDesk {
  readonly #options: ReceiptDeskOptions;
  readonly #history = new ReceiptHistory();
  readonly #receipts: CheckedReceipt[] = [];
  readonly #outcomes = new WeakMap<Response, Promise<CallOutcome>>();
  readonly #reading = new Set<Promise<unknown>>();
  readonly #sent = new Map<Hex, SentCall>();
  /** Calls whose receipt was right, and whose answer was not seen: it may come yet, to a repetition. */
  readonly #unread = new Map<Hex, SentCall>();
  #reconciling: Promise<number> | undefined;

  constructor(options: ReceiptDeskOptions) {
    this.#options = options;
  }

  /** The newest receipts that were right, oldest first. */
  get receipts(): readonly CheckedReceipt[] {
    return this.#receipts;
  }

  /** Receipts are only new after this point. */
  startAt({ standing }: FirstContact): void {
    this.#history.startAt(standing);
  }

  outcomeOf(response: Response): Promise<CallOutcome> | undefined {
    return this.#outcomes.get(response);
  }

  async settled(): Promise<void> {
    while (this.#reading.size > 0) await Promise.all(this.#reading);
  }

  /** A call is about to be sent: whatever becomes of it, it may have to be paid for. */
  expect(call: SignedCall, request: OutgoingRequest): SentCall {
    const sent: SentCall = {
      authorization: call.authorization,
      requestHash: request.requestHash,
      model: modelOf(request.body),
      sentAt: call.sentAt,
      epoch: this.#options.epoch(),
      url: request.url.href,
      key: request.headers.get('idempotency-key') ?? undefined,
      open: true,
      reported: false,
    };
    this.#sent.set(sent.authorization, sent);
    keepNewest(this.#sent);
    return sent;
  }

  /** A repeated call is answered with the receipt of the first, which is the one that cost something. */
  #askedFirst(response: Response, { receipt }: SignedReceipt, sent: SentCall): SentCall {
    if (!response.headers.has(replayedHeader)) return sent;
    const { authorization } = receipt;
    const first = this.#sent.get(authorization) ?? this.#unread.get(authorization);
    if (first?.requestHash !== sent.requestHash) return sent;
    this.forget(sent);
    return first;
  }

  /** The call was refused: it costs nothing. */
  forget(sent: SentCall): void {
    this.#sent.delete(sent.authorization);
  }

  /**
   * The response as the caller gets it, its receipt checked by the time it has been read.
   * @param ended told how the body ended, before the receipt is looked at
   */
  watch(response: Response, sent: SentCall, ended?: (how: BodyEnding) => void): Response {
    const header = response.headers.get(receiptHeader);
    if (!response.ok && header === null) return response;
    const scanner = createReceiptScanner();
    const isStream = isEventStream(response);
    const usage = createUsageReader(isStream);
    const context = { url: sent.url, requestId: response.headers.get('x-request-id') ?? undefined };
    const ending = Promise.withResolvers<CallOutcome>();
    this.#reading.add(ending.promise);

    const conclude = async (how: BodyEnding): Promise<CallOutcome> => {
      const base64 = header ?? scanner.receipt;
      const readAll = how === 'complete' || (isStream && scanner.done);
      if (base64 === undefined) {
        if (how !== 'complete') return { kind: 'left' };
        return this.#problem(
          context,
          sent,
          undefined,
          'receipt_missing',
          'the answer came without a receipt',
        );
      }
      const read = parseReceipt(base64);
      if (!read.ok) return this.#problem(context, sent, undefined, 'receipt_unreadable', read.error);
      const inHeader = response.headers.get(evidenceHeader) ?? undefined;
      const isTee = read.value.receipt.assurance === assurances.teeSigned;
      const answer = readAll
        ? {
            responseHash: scanner.responseHash(isTee && inHeader === undefined),
            statedUsage: usage.read(),
            evidence: inHeader ?? scanner.evidence,
          }
        : unread;
      return this.#judge(context, read.value, this.#askedFirst(response, read.value, sent), answer);
    };
    const finish = async (how: BodyEnding): Promise<void> => {
      ended?.(how);
      try {
        const outcome = await conclude(how);
        ending.resolve(outcome);
        if (this.#options.strict && outcome.kind === 'problem') {
          throw new ReceiptMismatchError(outcome.problem);
        }
      } catch (error) {
        ending.resolve({ kind: 'left' }); // of no effect where it was resolved above
        throw error;
      } finally {
        sent.open = false;
        this.#reading.delete(ending.promise);
      }
    };

    const source = response.body ?? new Response('').body;
    const body =
      source &&
      watchBody(source, {
        push: (chunk) => {
          scanner.push(chunk);
          usage.push(chunk);
        },
        get holds() {
          return isStream && (scanner.receipt !== undefined || scanner.done);
        },
        get done() {
          return isStream && scanner.done;
        },
        finish,
      });
    const { status, statusText, headers, url } = response;
    const shown = new Response(body, { status, statusText, headers });
    Object.defineProperty(shown, 'url', { value: url });
    this.#outcomes.set(shown, ending.promise);
    return shown;
  }

  /** Asks for the receipts that never arrived. Answers how many calls are still without. */
  reconcile(): Promise<number> {
    this.#reconciling ??= this.#askForReceipts().finally(() => {
      this.#reconciling = undefined;
    });
    return this.#reconciling;
  }

  async #askForReceipts(): Promise<number> {
    const missing = () => [...this.#sent.values()].filter(({ open }) => !open);
    if (missing().length === 0) return 0;
    await this.#options.contact();
    const earliest = missing().reduce((time, { sentAt }) => (sentAt < time ? sentAt : time), Infinity);
    let from: bigint | undefined = this.#history.lastBefore(BigInt(earliest - clockSkew)) + 1n;
    for (let page = 0; from !== undefined && missing().length > 0 && page < pagesMax; page += 1) {
      const response = await this.#options.link.get(`/v1/receipts?from=${from}`);
      if (!response.ok) throw unusable(`/v1/receipts answered ${response.status}`);
      const { receipts, next } = (await response.json()) as { receipts?: unknown; next?: unknown };
      if (!Array.isArray(receipts)) throw unusable('/v1/receipts: receipts: a list');
      for (const item of receipts as unknown[]) {
        const read = receiptFromJson(item);
        const sent = read.ok ? this.#sent.get(read.value.receipt.authorization) : undefined;
        // An open call's receipt comes by itself, and is then judged with the response's hash.
        if (!read.ok || sent === undefined || sent.open) continue;
        await this.#judge({ url: sent.url, requestId: undefined }, read.value, sent, unread);
      }
      const following = typeof next === 'string' && /^[1-9]\d{0,14}$/.test(next) ? BigInt(next) : undefined;
      from = following !== undefined && following > from ? following : undefined;
    }
    return missing().length;
  }

  async #judge(
    context: Context,
    signed: SignedReceipt,
    sent: SentCall,
    answer: Answer,
  ): Promise<CallOutcome> {
    const { link, now, spend, onReceipt } = this.#options;
    const { receipt } = signed;
    const digest = receiptDigest(receipt);
    const endedAt = Math.floor(now() / 1000);
    let mismatches: Mismatch[];
    try {
      const account = await link.account();
      const check = async (): Promise<Mismatch[]> => {
        const terms = await link.terms(receipt.priceTable);
        return checkReceipt(signed, { ...sent, ...answer, account, endedAt }, terms, digest);
      };
      mismatches = await check();
      if (mismatches.some(({ name }) => name === 'signature')) {
        await link.readReceiptKey();
        mismatches = await check();
      }
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      return this.#problem(context, sent, signed, 'unverifiable', detail);
    }
    let evidence: TeeEvidence | undefined;
    if (receipt.assurance !== assurances.gatewaySigned && answer !== unread) {
      const checked = checkTeeEvidence(answer.evidence ?? '', receipt);
      if (checked.ok) evidence = checked.value;
      else mismatches.push({ name: 'evidence', detail: checked.error });
    }
    const isKnown = this.#unread.has(sent.authorization);
    if (mismatches.length === 0 && !isKnown) mismatches = this.#history.add(receipt, digest);
    if (mismatches.length > 0) return this.#report(sent, { ...context, receipt: signed, mismatches });
    this.#sent.delete(sent.authorization);
    for (const other of this.#sent.values()) {
      if (other.key !== undefined && other.key === sent.key && !other.open) this.forget(other);
    }
    if (answer.responseHash !== undefined) this.#unread.delete(sent.authorization);
    else keepNewest(this.#unread.set(sent.authorization, sent));
    if (!isKnown) spend(receipt.amount);
    const checked: CheckedReceipt = {
      signed,
      digest,
      url: context.url,
      responseChecked: answer.responseHash !== undefined,
      evidence,
    };
    const before = isKnown ? this.#receipts.findIndex(({ digest }) => digest === checked.digest) : -1;
    if (before >= 0) this.#receipts.splice(before, 1);
    this.#receipts.push(checked);
    if (this.#receipts.length > receiptsKept) this.#receipts.shift();
    if (!isKnown) onReceipt?.(checked);
    return { kind: 'receipt', receipt: checked };
  }

  #problem(
    context: Context,
    sent: SentCall,
    receipt: SignedReceipt | undefined,
    name: Mismatch['name'],
    detail: string,
  ): CallOutcome {
    return this.#report(sent, { ...context, receipt, mismatches: [{ name, detail }] });
  }

  /** Once per call: a later look for a better receipt does not repeat it. */
  #report(sent: SentCall, problem: ReceiptProblem): CallOutcome {
    const known = sent.reported;
    sent.reported = true;
    if (!known) this.#options.onProblem?.(problem);
    return { kind: 'problem', problem };
  }
}

function keepNewest(calls: Map<Hex, SentCall>): void {
  for (const oldest of calls.keys()) {
    if (calls.size <= missingKept) return;
    calls.delete(oldest);
  }
}

function modelOf(body: Uint8Array): string | undefined {
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(body));
    if (typeof json !== 'object' || json === null) return undefined;
    const asked = json as { model?: unknown; params?: { arguments?: { model?: unknown } } };
    const model = asked.params === undefined ? asked.model : asked.params.arguments?.model;
    return typeof model === 'string' ? model : undefined;
  } catch {
    return undefined; // not JSON: the gateway will say so
  }
}
