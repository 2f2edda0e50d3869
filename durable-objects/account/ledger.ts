// The account's decisions: pure, over plain state. account-book.ts makes them durable.
// Words are TigerBeetle's: reserve makes a hold; capture charges at most the hold; release gives it back; expire gives
// it back at the deadline. `settle` happens on chain only.
import type { Address, Hex } from 'viem';
import type { Account } from '../../protocol/account-name.ts';
import { type SignedVoucher, voucherSigner } from '../../protocol/money/voucher.ts';
import type { Receipt, ReceiptUsage } from '../../protocol/receipt.ts';
import { ok, type Result, refuse } from '../../protocol/result.ts';
import { isFresh, type Observation, observationMaxAgeMs } from '../chain/observation.ts';
import type { RateRefusal, RateTier } from './rates.ts';
import type { SessionKeyRefusal } from './session-keys.ts';

/** Funds set aside for one request. */
export type Hold = {
  readonly requestId: string;
  /** Base units: the most this request may cost. */
  readonly ceiling: bigint;
  /** The vault epoch it was reserved in. */
  readonly epoch: bigint;
  readonly deadlineMs: number;
  /** Hash of the price table the ceiling was computed with; the capture is priced with the same. */
  readonly priceTable: Hex;
  /** The client's own name for this call, if it gave one. */
  readonly idempotency?: Idempotency;
  /** Id of the session key it was made with, if it was. */
  readonly sessionKey?: string;
};

/** `Idempotency-Key`, and what was asked under it. */
export type Idempotency = { readonly key: string; readonly requestHash: Hex };

/** What became of a call with an `Idempotency-Key`. A released one is forgotten: nothing was charged, so it may run again. */
export type IdempotentCall = {
  readonly requestId: string;
  readonly requestHash: Hex;
  readonly untilMs: number;
  /** Of its receipt; absent while it runs, and after it expired. */
  readonly sequence?: bigint;
};

/** What a call was answered, small and not streamed, and its receipt: to be given again under its `Idempotency-Key`. */
export type KeptAnswer = { readonly body: Uint8Array; readonly receipt: Receipt };

/** A voucher that was accepted, with the spender it was accepted from. */
export type KeptVoucher = SignedVoucher & { readonly signer: Address };

/** The account as the ledger sees it. Everything here can be rebuilt from what is stored. */
export type Ledger = {
  /** What the operator may have claimed in total, per vault epoch: claimed when it began, plus captures since. */
  readonly capturedByEpoch: Map<bigint, bigint>;
  readonly holds: Map<string, Hold>;
  /** Sum of the open holds' ceilings. */
  held: bigint;
  /** Nonces in their live window: `<signer> <nonce>` to the Unix second after which it may be forgotten. */
  readonly nonces: Map<string, number>;
  /** Calls with an `Idempotency-Key`, in their window. */
  readonly idempotent: Map<string, IdempotentCall>;
  /** The best voucher per epoch and spender; the newest few, oldest first. A reorg may bring an old epoch back. */
  vouchers: readonly KeptVoucher[];
  observation: Observation | undefined;
};

export const emptyLedger = (): Ledger => ({
  capturedByEpoch: new Map(),
  holds: new Map(),
  held: 0n,
  nonces: new Map(),
  idempotent: new Map(),
  vouchers: [],
  observation: undefined,
});

/** What the operator has decided about its own risk. */
export type Terms = {
  /** Of a deposit that is not final yet, this much is credited. Base units. */
  readonly unfinalCreditMax: bigint;
  /** The most that may be captured or held and not yet claimed on chain; absent: only the deposit bounds it. */
  readonly unclaimedMax?: bigint;
  /** Between a hold's deadline and the end of its epoch there has to be this long, to anchor and to claim. */
  readonly settleMarginMs: number;
  /** How fast agents may call, the generous last; the default tier where none is for them. */
  readonly tiers?: readonly RateTier[];
};

/** Who asks: a verified signature, its code-at-address question left open for the observation to answer. */
export type Caller = {
  readonly signer: Address;
  /**
   * How the signature was verified: by ECDSA recovery, or by asking the contract at the address (ERC-1271). With a session
   * key nothing was: its maker's signature was when it was made.
   */
  readonly verifiedBy: 'ecdsa' | 'contract' | 'session key';
  /** When the contract was asked: its answer is as good as an observation, and for as long. */
  readonly contractAskedMs?: number;
  /** Id of the session key, whose maker is the signer. */
  readonly sessionKey?: string;
  /** Absent where the route allows a request to be repeated. */
  readonly nonce?: { readonly value: string; readonly until: number };
  /** When the signature was made, Unix seconds: one without a nonce stands until its signer invalidates it. */
  readonly created?: number;
};

export type Reservation = {
  readonly requestId: string;
  readonly ceiling: bigint;
  readonly deadlineMs: number;
  readonly priceTable: Hex;
  /** A voucher that came with the request, not yet checked. */
  readonly voucher?: SignedVoucher;
  readonly idempotency?: Idempotency;
  /** About how many tokens it will use: what its rate is judged by until the truth is known. */
  readonly tokens?: number;
  /** The model that was priced: a session key may be for some only. */
  readonly model?: string;
};

/** Where the account stands, as every payment refusal shows it. Base units. */
export type Standing = {
  readonly epoch: bigint;
  readonly spender: Address;
  /** Credited, and on its way to being credited. */
  readonly deposited: bigint;
  readonly arriving: bigint;
  readonly claimed: bigint;
  readonly withdrawn: bigint;
  readonly withdrawing: bigint;
  /** Unix seconds; zero when nothing is pending that ends it. */
  readonly epochEndsAt: bigint;
  readonly voucher: bigint;
  readonly captured: bigint;
  readonly held: bigint;
  readonly available: bigint;
};

/** Refused for want of funds or of the agent's word: answered with 402 and the figures. */
export type PaymentRefusal = {
  readonly reason:
    | 'no_spender'
    | 'no_deposit'
    | 'epoch_ending'
    | 'voucher_missing'
    | 'voucher_wrong_agent'
    | 'voucher_wrong_epoch'
    | 'voucher_bad_signature'
    | 'voucher_insufficient'
    | 'deposit_insufficient';
  readonly standing: Standing;
  readonly ceiling: bigint;
};

export type Refusal =
  /** Not a verdict: read the chain and ask again. */
  | { readonly reason: 'observation_needed' }
  /** The signer's address holds code, so ECDSA does not speak for it: ask the contract, then ask again. */
  | { readonly reason: 'contract_check_needed' }
  | { readonly reason: 'agent_unknown' }
  | { readonly reason: 'signer_not_allowed'; readonly owner: Address; readonly wallet: Address }
  | { readonly reason: 'nonce_expired' }
  /** A signature without a nonce, from before its signer called such signatures back. */
  | { readonly reason: 'invalidated' }
  | { readonly reason: 'nonce_reused' }
  | { readonly reason: 'too_many_holds'; readonly limit: number }
  | RateRefusal
  /** The operator's own cap on what it is owed and has not claimed. */
  | { readonly reason: 'unclaimed_exposure'; readonly limit: bigint; readonly unclaimed: bigint }
  /** The same `Idempotency-Key` again. */
  | { readonly reason: 'idempotency_in_progress' }
  | { readonly reason: 'idempotency_key_reused'; readonly sequence?: bigint }
  | { readonly reason: 'already_answered'; readonly sequence: bigint; readonly kept?: KeptAnswer }
  | SessionKeyRefusal
  | PaymentRefusal;

/** An agent with more calls than this in flight waits: the map of holds is bounded. */
export const holdsMax = 1024;

/** `Idempotency-Key`s are remembered this long after the call began. */
export const idempotencyWindowMs = 60 * 60_000;

/** Nonces taken between two prunings of those whose window has passed. */
const noncesBetweenPrunings = 256;

/** Vouchers kept: the present epoch's, and a few that a reorg could bring back. */
const vouchersKept = 4;

const zeroAddress = `0x${'00'.repeat(20)}`;

/** Who may speak for the agent: its wallet or its owner; a zero never matches. */
export function decideCaller(ledger: Ledger, caller: Caller, nowMs: number): Result<Observation, Refusal> {
  const { observation } = ledger;
  if (observation === undefined || !isFresh(observation, nowMs))
    return refuse({ reason: 'observation_needed' });
  if (observation.owner === zeroAddress) return refuse({ reason: 'agent_unknown' });
  const isOwner = caller.signer === observation.owner;
  const isWallet = caller.signer === observation.wallet && caller.signer !== zeroAddress;
  if (!isOwner && !isWallet) {
    return refuse({ reason: 'signer_not_allowed', owner: observation.owner, wallet: observation.wallet });
  }
  const hasCode = isWallet ? observation.walletHasCode : observation.ownerHasCode;
  if (hasCode && caller.verifiedBy === 'ecdsa') return refuse({ reason: 'contract_check_needed' });
  if (caller.verifiedBy === 'contract' && !(nowMs - (caller.contractAskedMs ?? 0) <= observationMaxAgeMs)) {
    return refuse({ reason: 'contract_check_needed' });
  }
  if (caller.nonce !== undefined) {
    // A nonce is remembered until `until`; what arrives later could have been forgotten, so it is refused.
    if (caller.nonce.until * 1000 < nowMs) return refuse({ reason: 'nonce_expired' });
    if (ledger.nonces.has(nonceKey(caller.signer, caller.nonce.value)))
      return refuse({ reason: 'nonce_reused' });
  }
  return ok(observation);
}

export const nonceKey = (signer: Address, nonce: string): string => `${signer} ${nonce}`;

/**
 * Whether a request may start. Changes nothing: the book writes the hold and then applies it. Order of refusals:
 * identity, replay, repetition, money; so a stranger learns nothing of the account's balance.
 * @returns the hold, and the vouchers to keep if a better one came along
 */
export function decideReserve(
  ledger: Ledger,
  account: Account,
  terms: Terms,
  caller: Caller,
  ask: Reservation,
  nowMs: number,
): Result<{ readonly hold: Hold; readonly vouchers: readonly KeptVoucher[] | undefined }, Refusal> {
  const allowed = decideCaller(ledger, caller, nowMs);
  if (!allowed.ok) return allowed;
  const observation = allowed.value;
  const repeated = ask.idempotency && decideRepetition(ledger, ask.idempotency, nowMs);
  if (repeated) return refuse(repeated);
  if (ledger.holds.size >= holdsMax) return refuse({ reason: 'too_many_holds', limit: holdsMax });

  const offered = decideVoucher(observation, account, ask.voucher);
  const kept = currentVoucher(ledger, observation);
  const better =
    offered.ok && offered.value !== undefined && isBetter(offered.value, kept) ? offered.value : undefined;
  const standing = standingOf(ledger, observation, terms, better ?? kept);
  const { ceiling } = ask;
  const short = (reason: PaymentRefusal['reason']) => refuse<Refusal>({ reason, standing, ceiling });

  if (observation.spender === zeroAddress) return short('no_spender');
  if (!offered.ok) return short(offered.error);
  // A hold that could be captured only after its epoch has ended is not covered by anything.
  if (endsBefore(observation, ask.deadlineMs + terms.settleMarginMs)) return short('epoch_ending');
  const funds = fundsOf(observation, terms);
  if (funds === 0n) return short('no_deposit');
  if (standing.voucher === 0n) return short('voucher_missing');
  if (standing.available < ceiling) {
    const covered = nonNegative(funds - spentOf(ledger, observation) - ledger.held) >= ceiling;
    return short(covered ? 'voucher_insufficient' : 'deposit_insufficient');
  }
  const unclaimed = nonNegative(standing.captured + standing.held + ceiling - observation.claimed);
  if (terms.unclaimedMax !== undefined && unclaimed > terms.unclaimedMax) {
    return refuse({ reason: 'unclaimed_exposure', limit: terms.unclaimedMax, unclaimed });
  }
  return ok({
    hold: {
      requestId: ask.requestId,
      ceiling,
      epoch: observation.epoch,
      deadlineMs: ask.deadlineMs,
      priceTable: ask.priceTable,
      ...(ask.idempotency === undefined ? {} : { idempotency: ask.idempotency }),
      ...(caller.sessionKey === undefined ? {} : { sessionKey: caller.sessionKey }),
    },
    vouchers: better === undefined ? undefined : keepVoucher(ledger.vouchers, better),
  });
}

const endsBefore = (observation: Observation, atMs: number): boolean =>
  observation.epochEndsAt !== 0n && observation.epochEndsAt * 1000n < BigInt(atMs);

/** Why a call may not run under an `Idempotency-Key` that was used in its window. */
function decideRepetition(ledger: Ledger, asked: Idempotency, nowMs: number): Refusal | undefined {
  const before = ledger.idempotent.get(asked.key);
  if (before === undefined || before.untilMs <= nowMs) return undefined;
  const { sequence } = before;
  if (before.requestHash !== asked.requestHash) {
    return { reason: 'idempotency_key_reused', ...(sequence === undefined ? {} : { sequence }) };
  }
  return sequence === undefined
    ? { reason: 'idempotency_in_progress' }
    : { reason: 'already_answered', sequence };
}

/** Signature, vault, agent and epoch are verified before anything else is looked at, however small the voucher. */
export function decideVoucher(
  observation: Observation,
  account: Account,
  signed: SignedVoucher | undefined,
): Result<KeptVoucher | undefined, 'voucher_wrong_agent' | 'voucher_wrong_epoch' | 'voucher_bad_signature'> {
  if (signed === undefined) return ok(undefined);
  const { voucher, signature } = signed;
  if (voucher.registry !== account.registry || voucher.agentId !== account.agentId) {
    return refuse('voucher_wrong_agent');
  }
  if (voucher.epoch !== observation.epoch) return refuse('voucher_wrong_epoch');
  const signer = voucherSigner(account, signed);
  if (signer === undefined || signer !== observation.spender) return refuse('voucher_bad_signature');
  return ok({ voucher, signature, signer });
}

/**
 * The stored voucher of the vault's present epoch and spender. One of another epoch is void; so is one of this epoch from
 * a spender the vault does not know (the first spender needs no delay, so a reorg can exchange it within an epoch).
 */
export const currentVoucher = (ledger: Ledger, observation: Observation): KeptVoucher | undefined =>
  ledger.vouchers.find(
    ({ voucher, signer }) => voucher.epoch === observation.epoch && signer === observation.spender,
  );

export const isBetter = (offered: KeptVoucher, kept: KeptVoucher | undefined): boolean =>
  kept === undefined || offered.voucher.cumulative > kept.voucher.cumulative;

/** One voucher per epoch and spender, the newest few. */
export const keepVoucher = (kept: readonly KeptVoucher[], voucher: KeptVoucher): readonly KeptVoucher[] => [
  ...kept
    .filter((other) => other.voucher.epoch !== voucher.voucher.epoch || other.signer !== voucher.signer)
    .slice(1 - vouchersKept),
  voucher,
];

/** The account's figures under an observation: `available` is what a new hold may take. */
export function standingOf(
  ledger: Ledger,
  observation: Observation,
  terms: Terms,
  voucher: KeptVoucher | undefined = currentVoucher(ledger, observation),
): Standing {
  const { epoch, spender, deposited, arriving, claimed, withdrawn, withdrawing, epochEndsAt } = observation;
  const covered = minOf(fundsOf(observation, terms), authorizedBy(observation, voucher));
  return {
    epoch,
    spender,
    deposited,
    arriving,
    claimed,
    withdrawn,
    withdrawing,
    epochEndsAt,
    voucher: authorizedBy(observation, voucher),
    captured: capturedIn(ledger, observation),
    held: ledger.held,
    available: nonNegative(covered - spentOf(ledger, observation) - ledger.held),
  };
}

/** What the deposit covers in total: what is final, some of what is not yet, less what has left or is leaving. */
const fundsOf = (observation: Observation, terms: Terms): bigint =>
  nonNegative(
    observation.deposited +
      minOf(observation.arriving, terms.unfinalCreditMax) -
      observation.withdrawn -
      observation.withdrawing,
  );

/** A voucher's cumulative, or what a contract spender has authorised on chain, whichever is more. */
const authorizedBy = (observation: Observation, voucher: SignedVoucher | undefined): bigint =>
  maxOf(voucher?.voucher.cumulative ?? 0n, observation.authorized);

/**
 * What has been captured that the operator may still claim, or has claimed, in the observation's epoch. An epoch not
 * seen before starts from what the vault has paid: captures of an older epoch never claimed are the operator's loss.
 */
export const capturedIn = (ledger: Ledger, observation: Observation): bigint =>
  ledger.capturedByEpoch.get(observation.epoch) ?? observation.claimed;

/** The same for an epoch by number: where its first hold finds it, which from then on no reading of the chain moves. */
export function capturedBefore(ledger: Ledger, epoch: bigint): bigint {
  const known = ledger.capturedByEpoch.get(epoch);
  if (known !== undefined) return known;
  if (ledger.observation?.epoch === epoch) return ledger.observation.claimed;
  throw new Error(`nothing is known of epoch ${epoch}`);
}

/**
 * What is gone of the deposit: captured, or claimed where that is more. It is more only after a reorg in which the old
 * epoch was claimed further than when the new one was first seen; the vault will not pay the difference twice.
 */
const spentOf = (ledger: Ledger, observation: Observation): bigint =>
  maxOf(capturedIn(ledger, observation), observation.claimed);

/** What a capture charges, and why. */
export type Charge = {
  readonly amount: bigint;
  readonly cumulative: bigint;
  readonly epoch: bigint;
  /** `late`: the hold had expired or its epoch had ended; the part of the cost not charged is the operator's loss. */
  readonly state: 'captured' | 'late';
  readonly loss: bigint;
};

/**
 * Charges `cost`, at most the hold. After the hold has expired, or when its epoch has ended, only what is still
 * available is charged: for that the chain has to have been read recently, or given up on (`unobserved`).
 */
export function decideCapture(
  ledger: Ledger,
  terms: Terms,
  hold: Hold,
  cost: bigint,
  nowMs: number,
  unobserved = false,
): Result<Charge, 'observation_needed'> {
  const { observation } = ledger;
  const open = ledger.holds.has(hold.requestId);
  if (open && (observation === undefined || observation.epoch === hold.epoch)) {
    const amount = minOf(cost, hold.ceiling);
    const cumulative = capturedBefore(ledger, hold.epoch) + amount;
    return ok({ amount, cumulative, epoch: hold.epoch, state: 'captured', loss: cost - amount });
  }
  if (!unobserved && (observation === undefined || !isFresh(observation, nowMs))) {
    return refuse('observation_needed');
  }
  if (observation === undefined) {
    const cumulative = capturedBefore(ledger, hold.epoch);
    return ok({ amount: 0n, cumulative, epoch: hold.epoch, state: 'late', loss: cost });
  }
  const { available } = standingOf(ledger, observation, terms);
  // Its own hold, if it is still open, is not in its way.
  const room = open
    ? minOf(hold.ceiling, availableWithout(ledger, observation, terms, hold))
    : minOf(hold.ceiling, available);
  const amount = minOf(cost, room);
  return ok({
    amount,
    cumulative: capturedIn(ledger, observation) + amount,
    epoch: observation.epoch,
    state: 'late',
    loss: cost - amount,
  });
}

function availableWithout(ledger: Ledger, observation: Observation, terms: Terms, hold: Hold): bigint {
  return standingOf({ ...ledger, held: ledger.held - hold.ceiling }, observation, terms).available;
}

// Applying a decision that is durable. These are the only functions that change a ledger.

export function applyHold(
  ledger: Ledger,
  hold: Hold,
  caller: Caller,
  vouchers: readonly KeptVoucher[] | undefined,
  nowMs: number,
): void {
  ledger.holds.set(hold.requestId, hold);
  ledger.held += hold.ceiling;
  ledger.capturedByEpoch.set(hold.epoch, capturedBefore(ledger, hold.epoch));
  applyNonce(ledger, caller, nowMs);
  if (hold.idempotency) {
    const { key, requestHash } = hold.idempotency;
    const { requestId } = hold;
    ledger.idempotent.set(key, { requestId, requestHash, untilMs: nowMs + idempotencyWindowMs });
  }
  if (vouchers !== undefined) ledger.vouchers = vouchers;
}

export function applyNonce(ledger: Ledger, { signer, nonce }: Caller, nowMs: number): void {
  if (nonce === undefined) return;
  ledger.nonces.set(nonceKey(signer, nonce.value), nonce.until);
  // An account that only reads sets no alarm, and must not remember for ever.
  if (ledger.nonces.size % noncesBetweenPrunings === 0) forgetPast(ledger, nowMs);
}

/** The hold is given back. A released call may be made again under its `Idempotency-Key`; an expired one may yet be charged. */
export function applyEnd(ledger: Ledger, requestId: string, state: 'released' | 'expired'): void {
  const hold = ledger.holds.get(requestId);
  if (hold === undefined) return;
  takeHold(ledger, hold);
  const call = idempotentCall(ledger, hold);
  if (state === 'released' && call) ledger.idempotent.delete(call.key);
}

export function applyCapture(ledger: Ledger, hold: Hold, charge: Charge, sequence: bigint): void {
  takeHold(ledger, hold);
  ledger.capturedByEpoch.set(charge.epoch, charge.cumulative);
  const call = idempotentCall(ledger, hold);
  if (call) ledger.idempotent.set(call.key, { ...call.call, sequence });
}

/** What is remembered under a hold's key, unless the key's window has passed and another call has taken it since. */
function idempotentCall(
  ledger: Ledger,
  { requestId, idempotency }: Hold,
): { readonly key: string; readonly call: IdempotentCall } | undefined {
  const call = idempotency && ledger.idempotent.get(idempotency.key);
  return call?.requestId === requestId ? { key: idempotency?.key ?? '', call } : undefined;
}

function takeHold(ledger: Ledger, hold: Hold): void {
  if (ledger.holds.delete(hold.requestId)) ledger.held -= hold.ceiling;
}

/** Forgets nonces and keys whose window has passed: memory is bounded by the live window. */
export function forgetPast(ledger: Ledger, nowMs: number): void {
  for (const [key, until] of ledger.nonces) if (until * 1000 < nowMs) ledger.nonces.delete(key);
  for (const [key, call] of ledger.idempotent) if (call.untilMs <= nowMs) ledger.idempotent.delete(key);
}

/** Holds whose deadline has passed. */
export const overdue = (ledger: Ledger, nowMs: number): Hold[] =>
  [...ledger.holds.values()].filter((hold) => hold.deadlineMs <= nowMs);

/** What the worker reports when upstream has ended. */
export type Outcome = {
  readonly requestId: string;
  /** Base units: the usage priced with the hold's table. */
  readonly cost: bigint;
  readonly usage: ReceiptUsage;
  readonly authorizationKind: number;
  readonly authorization: Hex;
  readonly requestHash: Hex;
  readonly forwardedHash: Hex;
  readonly responseHash: Hex;
  readonly upstreamResponseHash: Hex;
  readonly upstream: string;
  readonly model: string;
  readonly upstreamId: string;
  readonly assurance: number;
  readonly evidence: Hex;
};

const minOf = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const maxOf = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const nonNegative = (value: bigint): bigint => (value > 0n ? value : 0n);
