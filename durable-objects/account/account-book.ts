// The account as it is kept: every decision of the ledger is written before it is applied, in one transaction, and the
// ledger can be rebuilt from what was written. Knows storage and nothing else: no clock, no network, no platform.
//
// No method awaits, so each is one transaction under a Durable Object's input gates. The ledger in memory changes only after
// its rows are written; a write that throws leaves a book that must be thrown away and opened anew.
import type { Address, Hex } from 'viem';
import { type Account, accountName } from '../../protocol/account-name.ts';
import { zeroHash } from '../../protocol/hex.ts';
import { type SignedVoucher, voucherFromJson, voucherToJson } from '../../protocol/money/voucher.ts';
import { type Receipt, receiptDigest } from '../../protocol/receipt.ts';
import { ok, type Result, refuse } from '../../protocol/result.ts';
import { isFresh, type Observation, replaces } from '../chain/observation.ts';
import { AccountRows, type HoldState, type LastReceipt, type StoredReceipt } from './account-rows.ts';
import type { AccountStorage } from './account-storage.ts';
import { AgentFactsBook } from './agent-facts.ts';
import {
  applyCapture,
  applyEnd,
  applyHold,
  applyNonce,
  type Caller,
  capturedBefore,
  currentVoucher,
  decideCaller,
  decideCapture,
  decideReserve,
  decideVoucher,
  emptyLedger,
  forgetPast,
  type Hold,
  idempotencyWindowMs,
  isBetter,
  type KeptVoucher,
  keepVoucher,
  type Ledger,
  nonceKey,
  type Outcome,
  overdue,
  type Refusal,
  type Reservation,
  type Standing,
  standingOf,
  type Terms,
} from './ledger.ts';
import { RateMeter, type RateState, type RateTier, tierOf } from './rates.ts';
import { type ArchiveTerms, defaultArchiveTerms, type Packable, type Piece } from './receipt-archive.ts';
import { type LogTerms, receiptOfCapture } from './receipt-of-capture.ts';
import { type Bearer, type SessionKey, type SessionKeyStanding, SessionKeys } from './session-keys.ts';

/** A refusal that rests on what the chain said is checked against the chain again unless it said so this recently. */
const recheckMs = 3_000;
/** Epochs whose totals are kept: one rises at most once in a withdrawal delay, and only a reorg brings an old one back. */
const epochsKept = 16;
/** A signature is good for at most this many seconds after it was made, skew included: then nobody need remember its end. */
const signatureLifeMax = 600;
/** An answer longer than this is not kept for its `Idempotency-Key`. */
export const answerBytesMax = 32 * 1024;

export type Reserved = {
  readonly holdId: number;
  readonly standing: Standing;
  /** Absent when the hold was there already. */
  readonly rate?: RateState;
};

/** An account in a few figures. Base units. */
export type AccountSummary = {
  readonly sequence: bigint;
  /** What the operator may have claimed in all, by the last receipt. */
  readonly cumulative: bigint;
  readonly held: bigint;
  readonly holds: number;
  /** Receipts the log has not taken yet. */
  readonly unsent: number;
};

/** What the operator may ask the vault for: see {@link AccountBook.claimable}. */
export type Claimable = {
  readonly registry: Address;
  readonly agentId: bigint;
  readonly epoch: bigint;
  readonly voucherCumulative: bigint;
  readonly cumulative: bigint;
  readonly signature: Hex;
};

/** `observation_needed`: the hold is no longer open, and what is still available has to be asked of the chain. */
export type CaptureRefusal = 'unknown_hold' | 'released' | 'observation_needed';

export class AccountBook {
  readonly #storage: AccountStorage;
  readonly #account: Account;
  readonly #terms: Terms;
  readonly #log: LogTerms;
  readonly #rows: AccountRows;
  readonly #ledger: Ledger = emptyLedger();
  readonly #holdIds = new Map<string, number>();
  readonly #rates = new RateMeter();
  readonly #archive: ArchiveTerms;
  readonly #digestOf: (receipt: Receipt) => Hex;
  readonly #keys: SessionKeys;
  /** What the agent's owner publishes about it. */
  readonly agentFacts: AgentFactsBook;
  /** Per signer: signatures without a nonce made in this second or before are void. */
  #voidUntil: ReadonlyMap<Address, number>;
  #last: LastReceipt | undefined;
  #acknowledged: bigint;

  constructor(
    storage: AccountStorage,
    account: Account,
    terms: Terms,
    log: LogTerms,
    nowMs: number,
    archive: ArchiveTerms = defaultArchiveTerms,
    digestOf: (receipt: Receipt) => Hex = receiptDigest,
  ) {
    this.#archive = archive;
    this.#digestOf = digestOf;
    this.#storage = storage;
    this.#account = account;
    this.#terms = terms;
    this.#log = log;
    this.#rows = new AccountRows(storage);
    this.#keys = new SessionKeys(storage.sql);
    this.agentFacts = new AgentFactsBook(storage.kv);
    this.#voidUntil = new Map(JSON.parse(storage.kv.get<string>('voidUntil') ?? '[]') as [Address, number][]);

    const ledger = this.#ledger;
    this.#last = this.#rows.lastReceipt();
    for (const [epoch, captured] of JSON.parse(storage.kv.get<string>('epochs') ?? '[]') as string[][]) {
      ledger.capturedByEpoch.set(BigInt(epoch ?? ''), BigInt(captured ?? ''));
    }
    // The epochs were last written when one began; since then only the last receipt's has grown.
    if (this.#last) ledger.capturedByEpoch.set(this.#last.epoch, this.#last.cumulative);
    this.#acknowledged = BigInt(storage.kv.get<string>('acknowledged') ?? '0');
    ledger.vouchers = vouchersFromJson(storage.kv.get<string>('vouchers') ?? '[]');
    for (const { id, hold } of this.#rows.openHolds()) {
      ledger.holds.set(hold.requestId, hold);
      ledger.held += hold.ceiling;
      this.#holdIds.set(hold.requestId, id);
      if (hold.sessionKey) this.#keys.noteHeld(hold.sessionKey, hold.ceiling);
    }
    for (const { signer, nonce, nonce_until } of this.#rows.liveNonces(Math.floor(nowMs / 1000))) {
      ledger.nonces.set(nonceKey(signer as Address, nonce), nonce_until);
    }
    for (const { key, createdMs, ...call } of this.#rows.idempotentCalls(nowMs - idempotencyWindowMs)) {
      ledger.idempotent.set(key, { ...call, untilMs: createdMs + idempotencyWindowMs });
    }
  }

  /** Sequence number of the last receipt; 0 before the first. */
  get sequence(): bigint {
    return this.#last?.sequence ?? 0n;
  }

  /** The last receipt the log has taken. */
  get acknowledged(): bigint {
    return this.#acknowledged;
  }

  set acknowledged(sequence: bigint) {
    if (sequence <= this.#acknowledged) return;
    this.#storage.kv.put('acknowledged', `${sequence}`);
    this.#acknowledged = sequence;
  }

  /** When the oldest receipt was captured that the log has not taken, in milliseconds; `undefined` when it has them all. */
  get unsentSinceMs(): number | undefined {
    if (this.#acknowledged >= this.sequence) return undefined;
    const [oldest] = this.#rows.receipts(this.#acknowledged + 1n, 1);
    return oldest && Number(oldest.receipt.time) * 1000;
  }

  /** The earliest deadline of an open hold. */
  get nextDeadlineMs(): number | undefined {
    let next: number | undefined;
    for (const { deadlineMs } of this.#ledger.holds.values()) next = Math.min(next ?? deadlineMs, deadlineMs);
    return next;
  }

  /** What the chain was read to say, if it says something newer than is known. */
  observe(observation: Observation | undefined, nowMs: number): void {
    if (observation !== undefined && replaces(this.#ledger.observation, observation, nowMs)) {
      this.#ledger.observation = observation;
    }
  }

  /**
   * Sets funds aside for one request, consumes its nonce, and keeps a better voucher if one came along: one row, one more
   * with a new voucher, one more for the first hold of an epoch. A refusal writes nothing. The same request id again
   * gives the same hold.
   */
  reserve(
    asking: Caller | Bearer,
    ask: Reservation,
    observation: Observation | undefined,
    nowMs: number,
  ): Result<Reserved, Refusal> {
    this.observe(observation, nowMs);
    const held = this.#holdIds.get(ask.requestId);
    const seen = this.#ledger.observation;
    if (held !== undefined && seen) return ok({ holdId: held, standing: this.#standing(seen) });
    const who = this.#callerOf(asking, nowMs);
    if (!who.ok) return who;
    const caller = who.value;
    const within = caller.sessionKey && this.#keys.allows(caller.sessionKey, ask.ceiling, ask.model);
    if (within && !within.ok) return within;

    const decision = decideReserve(this.#ledger, this.#account, this.#terms, caller, ask, nowMs);
    if (!decision.ok) return this.#recheck(this.#withAnswer(decision.error), observation, nowMs);
    const { hold, vouchers } = decision.value;
    const tier = this.#tier();
    if (this.#ledger.holds.size >= tier.concurrent) {
      return refuse({ reason: 'too_many_holds', limit: tier.concurrent });
    }
    const rate = this.#rates.take(hold.requestId, ask.tokens ?? 0, tier, nowMs);
    if (!rate.ok) return rate;
    const holdId = this.#storage.transactionSync(() => {
      if (vouchers) this.#storage.kv.put('vouchers', vouchersToJson(vouchers));
      if (!this.#ledger.capturedByEpoch.has(hold.epoch)) this.#storeEpochs(hold.epoch);
      return this.#insert(hold, caller, nowMs);
    });
    applyHold(this.#ledger, hold, caller, vouchers, nowMs);
    this.#holdIds.set(hold.requestId, holdId);
    if (hold.sessionKey) this.#keys.noteHeld(hold.sessionKey, hold.ceiling);
    return ok({ holdId, standing: this.#standingNow(), rate: rate.value });
  }

  /**
   * Charges a hold and makes its receipt: one row. The receipt is unsigned; the worker signs its digest. Repeating a capture
   * answers the receipt of the first. `answer` is kept for the call's `Idempotency-Key`, if it has one and it is small.
   * @param unobserved the chain was asked and did not answer: decide on what is known
   */
  capture(
    holdId: number,
    outcome: Outcome,
    nowMs: number,
    more: {
      readonly observation?: Observation;
      readonly unobserved?: boolean;
      readonly answer?: Uint8Array;
    } = {},
  ): Result<StoredReceipt, CaptureRefusal> {
    this.observe(more.observation, nowMs);
    const open = this.#ledger.holds.get(outcome.requestId);
    const found = open ? { state: 'held' as const, hold: open } : this.#rows.hold(holdId);
    if (found === undefined || found.hold.requestId !== outcome.requestId) {
      const before = this.#rows.captured(outcome.requestId);
      return before ? ok(before) : refuse('unknown_hold');
    }
    if (found.state === 'released') return refuse('released');
    const { hold } = found;

    const cost =
      hold.sessionKey === undefined || open ? outcome.cost : this.#keys.room(hold.sessionKey, outcome.cost);
    const decision = decideCapture(this.#ledger, this.#terms, hold, cost, nowMs, more.unobserved);
    if (!decision.ok) return decision;
    const charge = { ...decision.value, loss: decision.value.loss + outcome.cost - cost };
    const before = { sequence: this.sequence, digest: this.#last?.digest ?? zeroHash };
    const receipt = receiptOfCapture(this.#account, this.#log, before, hold, charge, outcome, nowMs);
    const digest = this.#digestOf(receipt);
    const { epoch, cumulative, sequence } = receipt;
    const answer = hold.idempotency && more.answer && more.answer.length <= answerBytesMax;
    this.#storage.transactionSync(() => {
      if (this.#last !== undefined && this.#last.epoch !== epoch) this.#storeEpochs(epoch);
      this.#rows.capture(
        this.#holdIds.get(outcome.requestId) ?? holdId,
        charge,
        receipt,
        digest,
        nowMs,
        answer && more.answer ? new Uint8Array(more.answer) : undefined,
      );
      if (hold.sessionKey) this.#keys.writeSpend(hold.sessionKey, charge.amount);
    });
    applyCapture(this.#ledger, hold, charge, sequence);
    if (hold.sessionKey) {
      if (open) this.#keys.noteHeld(hold.sessionKey, -hold.ceiling);
      this.#keys.noteSpend(hold.sessionKey, charge.amount);
    }
    this.#holdIds.delete(outcome.requestId);
    this.#rates.settle(outcome.requestId, Number(outcome.usage.input + outcome.usage.output));
    this.#last = { sequence, digest, epoch, cumulative };
    return ok({ receipt, digest });
  }

  /** Gives a hold back whole: upstream was never reached, or answered nothing that costs. Repeating it is harmless. */
  release(requestId: string, nowMs: number): void {
    this.#end(requestId, 'released', nowMs);
  }

  /** Gives back what is overdue. @returns the request ids */
  expire(nowMs: number): string[] {
    forgetPast(this.#ledger, nowMs);
    const ids = overdue(this.#ledger, nowMs).map(({ requestId }) => requestId);
    for (const id of ids) this.#end(id, 'expired', nowMs);
    return ids;
  }

  /** Takes a voucher without a request. A signature is checked before anything else is looked at. */
  putVoucher(
    asking: Caller | Bearer,
    signed: SignedVoucher,
    observation: Observation | undefined,
    nowMs: number,
  ): Result<Standing, Refusal> {
    this.observe(observation, nowMs);
    const who = this.#callerOf(asking, nowMs);
    if (!who.ok) return who;
    const caller = who.value;
    const allowed = decideCaller(this.#ledger, caller, nowMs);
    if (!allowed.ok) return this.#recheck(allowed.error, observation, nowMs);
    const decision = decideVoucher(allowed.value, this.#account, signed);
    if (!decision.ok) {
      const standing = this.#standing(allowed.value);
      return this.#recheck({ reason: decision.error, standing, ceiling: 0n }, observation, nowMs);
    }
    const voucher = decision.value;
    const vouchers =
      voucher && isBetter(voucher, currentVoucher(this.#ledger, allowed.value))
        ? keepVoucher(this.#ledger.vouchers, voucher)
        : undefined;
    this.#storage.transactionSync(() => {
      if (vouchers) this.#storage.kv.put('vouchers', vouchersToJson(vouchers));
      this.#insertNonce(caller, nowMs);
    });
    applyNonce(this.#ledger, caller, nowMs);
    if (vouchers) this.#ledger.vouchers = vouchers;
    return ok(this.#standing(allowed.value));
  }

  /** Admits a caller who only reads: the nonce, if there is one, is consumed like any other. */
  admit(
    asking: Caller | Bearer,
    observation: Observation | undefined,
    nowMs: number,
  ): Result<Standing, Refusal> {
    const who = this.#callerOf(asking, nowMs);
    if (!who.ok) return who;
    const allowed = this.#consume(who.value, observation, nowMs, () => undefined);
    return allowed.ok ? ok(this.#standing(allowed.value)) : allowed;
  }

  /** Keeps a session key: one row, and one for the nonce. */
  addSessionKey(
    caller: Caller,
    key: Omit<SessionKey, 'maker'>,
    observation: Observation | undefined,
    nowMs: number,
  ): Result<SessionKeyStanding, Refusal> {
    const made: SessionKey = { ...key, maker: caller.signer };
    const allowed = this.#consume(
      caller,
      observation,
      nowMs,
      () => this.#keys.writeAdd(made),
      this.#keys.canAdd(),
    );
    if (!allowed.ok) return allowed;
    this.#keys.noteAdd(made);
    return ok({ ...made, spent: 0n, held: 0n });
  }

  sessionKeys(
    caller: Caller,
    observation: Observation | undefined,
    nowMs: number,
  ): Result<SessionKeyStanding[], Refusal> {
    const allowed = this.#consume(caller, observation, nowMs, () => undefined);
    return allowed.ok ? ok(this.#keys.list()) : allowed;
  }

  /** Revokes a session key at once; what it holds may still be captured. @returns whether there was one */
  removeSessionKey(
    caller: Caller,
    id: string,
    observation: Observation | undefined,
    nowMs: number,
  ): Result<boolean, Refusal> {
    const had = this.#keys.has(id);
    const allowed = this.#consume(caller, observation, nowMs, () => had && this.#keys.writeRemove(id));
    if (!allowed.ok) return allowed;
    this.#keys.noteRemove(id);
    return ok(had);
  }

  /** Voids every signature without a nonce that this caller has made until now (ERC-8128, section 5.2): one row. */
  invalidate(
    caller: Caller,
    observation: Observation | undefined,
    nowMs: number,
  ): Result<{ readonly voidUntil: number }, Refusal> {
    const now = Math.floor(nowMs / 1000);
    const recent = [...this.#voidUntil].filter(([, until]) => until + signatureLifeMax >= now);
    const voidUntil = new Map(recent).set(caller.signer, now);
    const json = JSON.stringify([...voidUntil]);
    const allowed = this.#consume(caller, observation, nowMs, () => this.#storage.kv.put('voidUntil', json));
    if (!allowed.ok) return allowed;
    this.#voidUntil = voidUntil;
    return ok({ voidUntil: now });
  }

  /** What is known of the agent's identity, while it may be decided on. */
  identity(nowMs: number): Observation | undefined {
    const { observation } = this.#ledger;
    return observation !== undefined && isFresh(observation, nowMs) ? observation : undefined;
  }

  /** Receipts in ascending order, from a sequence number on. */
  receipts(from: bigint, limit: number): StoredReceipt[] {
    return this.#rows.receipts(from, limit);
  }

  /** What a call was answered before, if that was kept. */
  #withAnswer(refusal: Refusal): Refusal {
    if (refusal.reason !== 'already_answered') return refusal;
    const body = this.#rows.answer(refusal.sequence);
    const [stored] = this.#rows.receipts(refusal.sequence, 1);
    return body && stored ? { ...refusal, kept: { body, receipt: stored.receipt } } : refusal;
  }

  /** When {@link packable} may next have something; `undefined` while no table is full. */
  get nextPackMs(): number | undefined {
    const oldest = this.#rows.oldestFullMs();
    return oldest === undefined ? undefined : oldest + this.#archive.afterMs;
  }

  /** Receipts of a table in which nothing can change any more: past every window, and taken by the log. */
  packable(nowMs: number): Packable | undefined {
    const dueMs = this.nextPackMs;
    if (dueMs === undefined || dueMs > nowMs) return undefined;
    const packable = this.#rows.packable();
    return packable && (packable.range?.last ?? 0n) <= this.#acknowledged ? packable : undefined;
  }

  /** The receipts are packed: in `piece` itself, or in a bucket under that name. Their table goes. */
  packed(packable: Packable, piece: Uint8Array<ArrayBuffer> | string): void {
    this.#storage.transactionSync(() => this.#rows.drop(packable, piece));
  }

  /** The archived piece that holds a receipt which has no row any more. */
  pieceOf(sequence: bigint): Piece | undefined {
    return this.#rows.pieceOf(sequence);
  }

  /** A few figures for the operator. Writes nothing. */
  summary(): AccountSummary {
    return {
      sequence: this.sequence,
      cumulative: this.#last?.cumulative ?? 0n,
      held: this.#ledger.held,
      holds: this.#ledger.holds.size,
      unsent: Number(this.sequence - this.#acknowledged),
    };
  }

  /** What has been captured in the vault's present epoch, as far as the chain was read: for Chain, which settles. */
  owed(): bigint | undefined {
    const { observation, capturedByEpoch } = this.#ledger;
    return observation && capturedByEpoch.get(observation.epoch);
  }

  /**
   * What the operator may claim on account of receipts up to `cumulative`, with the voucher that covers it; `undefined`
   * when there is none, or the chain has not been read.
   */
  claimable(cumulative: bigint): Claimable | undefined {
    const { observation } = this.#ledger;
    if (observation === undefined) return undefined;
    const { registry, agentId } = this.#account;
    const { epoch, authorized } = observation;
    const kept = currentVoucher(this.#ledger, observation);
    const bySignature = kept !== undefined && kept.voucher.cumulative >= authorized;
    const limit = bySignature ? kept.voucher.cumulative : authorized;
    if (limit === 0n) return undefined;
    return {
      registry,
      agentId,
      epoch,
      voucherCumulative: limit,
      cumulative: cumulative < limit ? cumulative : limit,
      signature: bySignature ? kept.signature : '0x',
    };
  }

  /** Whether the chain may have changed since it said what this refusal rests on: then it is asked before refusing. */
  #recheck(
    refusal: Refusal,
    observation: Observation | undefined,
    nowMs: number,
  ): { readonly ok: false; readonly error: Refusal } {
    const { observation: known } = this.#ledger;
    const chainSaidSo = !repeatsItself(refusal) && known !== undefined && nowMs - known.readAtMs > recheckMs;
    return refuse(
      observation === undefined && chainSaidSo ? { reason: 'observation_needed' as const } : refusal,
    );
  }

  /** Who asks, when it is a session key: its maker, as far as the key goes. */
  #callerOf(asking: Caller | Bearer, nowMs: number): Result<Caller, Refusal> {
    if (!('keyHash' in asking)) return ok(asking);
    const key = this.#keys.find(asking.keyHash, nowMs);
    if (!key.ok) return key;
    return ok({ signer: key.value.maker, verifiedBy: 'session key', sessionKey: key.value.id });
  }

  /** Admits a caller, consumes the nonce and writes what goes with it, in one transaction. `first` refuses after identity. */
  #consume(
    caller: Caller,
    observation: Observation | undefined,
    nowMs: number,
    write: () => unknown,
    first: Result<unknown, Refusal> = ok(undefined),
  ): Result<Observation, Refusal> {
    this.observe(observation, nowMs);
    const allowed = decideCaller(this.#ledger, caller, nowMs);
    if (!allowed.ok) return this.#recheck(allowed.error, observation, nowMs);
    const { signer, nonce, created = Number.POSITIVE_INFINITY } = caller;
    if (nonce === undefined && created <= (this.#voidUntil.get(signer) ?? 0)) {
      return refuse({ reason: 'invalidated' });
    }
    if (!first.ok) return first;
    this.#storage.transactionSync(() => {
      write();
      this.#insertNonce(caller, nowMs);
    });
    applyNonce(this.#ledger, caller, nowMs);
    return allowed;
  }

  #tier(): RateTier {
    const { observation } = this.#ledger;
    return tierOf(this.#terms.tiers ?? [], {
      account: accountName(this.#account),
      deposited: observation?.deposited ?? 0n,
      claimed: observation?.claimed ?? 0n,
      registration: this.agentFacts.facts?.registration,
    });
  }

  #standing(observation: Observation): Standing {
    return standingOf(this.#ledger, observation, this.#terms);
  }

  #standingNow(): Standing {
    const { observation } = this.#ledger;
    if (observation === undefined) throw new Error('no observation: every caller has checked for one');
    return this.#standing(observation);
  }

  #end(requestId: string, state: 'released' | 'expired', nowMs: number): void {
    const holdId = this.#holdIds.get(requestId);
    if (holdId === undefined) return;
    this.#storage.transactionSync(() => this.#rows.end(holdId, state, nowMs));
    const { sessionKey, ceiling = 0n } = this.#ledger.holds.get(requestId) ?? {};
    if (sessionKey) this.#keys.noteHeld(sessionKey, -ceiling);
    applyEnd(this.#ledger, requestId, state);
    this.#rates.settle(requestId, 0);
    this.#holdIds.delete(requestId);
  }

  /** A row of its own for a nonce that came with nothing to hold. */
  #insertNonce(caller: Caller, nowMs: number): void {
    if (caller.nonce === undefined) return;
    const read: Hold = { requestId: '', ceiling: 0n, epoch: 0n, deadlineMs: 0, priceTable: zeroHash };
    this.#insert(read, caller, nowMs, 'read');
  }

  /** One row, in a table with room. Call within a transaction. */
  #insert(hold: Hold, caller: Caller, nowMs: number, state: HoldState = 'held'): number {
    if (this.#rows.size >= this.#archive.rows) this.#rows.beginGeneration();
    return this.#rows.insertHold(hold, caller, nowMs, state);
  }

  /** One row, whenever another epoch than the last receipt's begins to count. */
  #storeEpochs(epoch: bigint): void {
    const epochs = new Map(this.#ledger.capturedByEpoch).set(epoch, capturedBefore(this.#ledger, epoch));
    const newest = [...epochs].sort(([a], [b]) => (a < b ? -1 : 1)).slice(-epochsKept);
    this.#storage.kv.put('epochs', JSON.stringify(newest.map((pair) => pair.map(String))));
  }
}

/** Refusals that another look at the chain would not change. */
const repeatsItself = ({ reason }: Refusal): boolean =>
  reason === 'nonce_reused' ||
  reason === 'nonce_expired' ||
  reason === 'too_many_holds' ||
  reason === 'rate_limited' ||
  reason === 'voucher_wrong_agent' ||
  reason === 'idempotency_in_progress' ||
  reason === 'idempotency_key_reused' ||
  reason === 'already_answered' ||
  reason === 'observation_needed';

const vouchersToJson = (vouchers: readonly KeptVoucher[]): string =>
  JSON.stringify(vouchers.map((kept) => ({ ...voucherToJson(kept), signer: kept.signer })));

function vouchersFromJson(json: string): KeptVoucher[] {
  return (JSON.parse(json) as { signer: Address }[]).map((kept) => {
    const signed = voucherFromJson(kept);
    if (signed === undefined) throw new Error('a stored voucher does not read');
    return { ...signed, signer: kept.signer };
  });
}
