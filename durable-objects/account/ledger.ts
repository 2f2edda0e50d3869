// The account's decisions: pure, over plain state. The shell (agent-account.ts) makes them durable.
// Words are TigerBeetle's: reserve makes a hold; capture charges at most the hold; release gives it back; expire gives
// it back at the deadline. `settle` happens on chain only.
import type { Address, Hex } from 'viem';
import { type SignedVoucher, type VaultDomain, voucherSigner } from '../../protocol/money/voucher.ts';
import type { ReceiptUsage } from '../../protocol/receipt.ts';
import { ok, type Result, refuse } from '../../protocol/result.ts';
import { isFresh, type Observation } from '../chain/observation.ts';

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
};

/** The account as the ledger sees it. Everything here can be rebuilt from the stored rows. */
export type Ledger = {
  /** What the operator may have claimed in total, per vault epoch: claimed when it began, plus captures since. */
  readonly capturedByEpoch: Map<bigint, bigint>;
  readonly holds: Map<string, Hold>;
  /** Sum of the open holds' ceilings. */
  held: bigint;
  /** Nonces in their live window: `<signer> <nonce>` to the Unix second after which it may be forgotten. */
  readonly nonces: Map<string, number>;
  voucher: SignedVoucher | undefined;
  observation: Observation | undefined;
};

export const emptyLedger = (): Ledger => ({
  capturedByEpoch: new Map(),
  holds: new Map(),
  held: 0n,
  nonces: new Map(),
  voucher: undefined,
  observation: undefined,
});

/** Who asks: a verified signature, its code-at-address question left open for the observation to answer. */
export type Caller = {
  readonly signer: Address;
  /** How the signature was verified: by ECDSA recovery, or by asking the contract at the address (ERC-1271). */
  readonly verifiedBy: 'ecdsa' | 'contract';
  /** Absent where the route allows a request to be repeated. */
  readonly nonce?: { readonly value: string; readonly until: number };
};

export type Reservation = {
  readonly requestId: string;
  readonly ceiling: bigint;
  readonly deadlineMs: number;
  readonly priceTable: Hex;
  /** A voucher that came with the request, not yet checked. */
  readonly voucher?: SignedVoucher;
};

/** Where the account stands, as every payment refusal shows it. Base units. */
export type Standing = {
  readonly epoch: bigint;
  readonly spender: Address;
  readonly deposited: bigint;
  readonly claimed: bigint;
  readonly withdrawn: bigint;
  readonly withdrawing: bigint;
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
  | { readonly reason: 'nonce_reused' }
  | { readonly reason: 'too_many_holds'; readonly limit: number }
  | PaymentRefusal;

/** An agent with more calls than this in flight waits: the map of holds is bounded. */
export const holdsMax = 1024;

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
 * Whether a request may start. Changes nothing: the shell writes the hold and then applies it. Order of refusals:
 * identity, replay, money; so a stranger learns nothing of the account's balance.
 * @returns the hold, and the voucher to keep if a better one came along
 */
export function decideReserve(
  ledger: Ledger,
  domain: VaultDomain,
  account: { readonly registry: Address; readonly agentId: bigint },
  caller: Caller,
  ask: Reservation,
  nowMs: number,
): Result<{ readonly hold: Hold; readonly voucher: SignedVoucher | undefined }, Refusal> {
  const allowed = decideCaller(ledger, caller, nowMs);
  if (!allowed.ok) return allowed;
  const observation = allowed.value;
  if (ledger.holds.size >= holdsMax) return refuse({ reason: 'too_many_holds', limit: holdsMax });

  const offered = decideVoucher(observation, domain, account, ask.voucher);
  const kept = currentVoucher(ledger, observation);
  const voucher = offered.ok ? best(kept, offered.value) : kept;
  const standing = standingOf(ledger, observation, voucher);
  const short = (reason: PaymentRefusal['reason']) =>
    refuse<Refusal>({ reason, standing, ceiling: ask.ceiling });

  if (observation.spender === zeroAddress) return short('no_spender');
  if (!offered.ok) return short(offered.error);
  const funds = fundsOf(observation);
  if (funds === 0n) return short('no_deposit');
  if (standing.voucher === 0n) return short('voucher_missing');
  if (standing.available < ask.ceiling) {
    const covered = nonNegative(funds - standing.captured - standing.held) >= ask.ceiling;
    return short(covered ? 'voucher_insufficient' : 'deposit_insufficient');
  }
  return ok({
    hold: {
      requestId: ask.requestId,
      ceiling: ask.ceiling,
      epoch: observation.epoch,
      deadlineMs: ask.deadlineMs,
      priceTable: ask.priceTable,
    },
    voucher: voucher === kept ? undefined : voucher,
  });
}

/** Signature, vault, agent and epoch are verified before anything else is looked at, however small the voucher. */
export function decideVoucher(
  observation: Observation,
  domain: VaultDomain,
  account: { readonly registry: Address; readonly agentId: bigint },
  signed: SignedVoucher | undefined,
): Result<
  SignedVoucher | undefined,
  'voucher_wrong_agent' | 'voucher_wrong_epoch' | 'voucher_bad_signature'
> {
  if (signed === undefined) return ok(undefined);
  const { voucher } = signed;
  if (voucher.registry !== account.registry || voucher.agentId !== account.agentId) {
    return refuse('voucher_wrong_agent');
  }
  if (voucher.epoch !== observation.epoch) return refuse('voucher_wrong_epoch');
  if (voucherSigner(domain, signed) !== observation.spender) return refuse('voucher_bad_signature');
  return ok(signed);
}

/** The stored voucher while its epoch is the vault's: a voucher of an older epoch is void. */
function currentVoucher(ledger: Ledger, observation: Observation): SignedVoucher | undefined {
  return ledger.voucher?.voucher.epoch === observation.epoch ? ledger.voucher : undefined;
}

const best = (a: SignedVoucher | undefined, b: SignedVoucher | undefined): SignedVoucher | undefined =>
  a === undefined || (b !== undefined && b.voucher.cumulative > a.voucher.cumulative) ? b : a;

/** The account's figures under an observation: `available` is what a new hold may take. */
export function standingOf(
  ledger: Ledger,
  observation: Observation,
  voucher: SignedVoucher | undefined = currentVoucher(ledger, observation),
): Standing {
  const captured = capturedIn(ledger, observation);
  return {
    epoch: observation.epoch,
    spender: observation.spender,
    deposited: observation.deposited,
    claimed: observation.claimed,
    withdrawn: observation.withdrawn,
    withdrawing: observation.withdrawing,
    voucher: authorizedBy(observation, voucher),
    captured,
    held: ledger.held,
    available: nonNegative(spendable(ledger, observation, voucher) - captured - ledger.held),
  };
}

/** What the deposit and the agent's word both cover, in total: `min(deposited - withdrawn - withdrawing, voucher)`. */
function spendable(
  ledger: Ledger,
  observation: Observation,
  voucher: SignedVoucher | undefined = currentVoucher(ledger, observation),
): bigint {
  return minOf(fundsOf(observation), authorizedBy(observation, voucher));
}

const fundsOf = (observation: Observation): bigint =>
  nonNegative(observation.deposited - observation.withdrawn - observation.withdrawing);

/** A voucher's cumulative, or what a contract spender has authorised on chain, whichever is more. */
const authorizedBy = (observation: Observation, voucher: SignedVoucher | undefined): bigint =>
  maxOf(voucher?.voucher.cumulative ?? 0n, observation.authorized);

/**
 * What has been captured that the operator may still claim, or has claimed, in the observation's epoch. An epoch not
 * seen before starts from what the vault has paid: captures of an older epoch never claimed are the operator's loss.
 */
export const capturedIn = (ledger: Ledger, observation: Observation): bigint =>
  ledger.capturedByEpoch.get(observation.epoch) ?? observation.claimed;

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
 * available is charged.
 */
export function decideCapture(ledger: Ledger, hold: Hold, cost: bigint): Charge {
  const { observation } = ledger;
  const open = ledger.holds.has(hold.requestId);
  const epoch = observation?.epoch ?? hold.epoch;
  const captured = ledger.capturedByEpoch.get(epoch) ?? observation?.claimed ?? 0n;
  if (open && epoch === hold.epoch) {
    const amount = minOf(cost, hold.ceiling);
    return { amount, cumulative: captured + amount, epoch, state: 'captured', loss: cost - amount };
  }
  const heldByOthers = ledger.held - (open ? hold.ceiling : 0n);
  const room =
    observation === undefined ? 0n : nonNegative(spendable(ledger, observation) - captured - heldByOthers);
  const amount = minOf(minOf(cost, hold.ceiling), room);
  return { amount, cumulative: captured + amount, epoch, state: 'late', loss: cost - amount };
}

// Applying a decision that is durable. These are the only functions that change a ledger.

export function applyHold(
  ledger: Ledger,
  hold: Hold,
  caller: Caller,
  voucher: SignedVoucher | undefined,
): void {
  ledger.holds.set(hold.requestId, hold);
  ledger.held += hold.ceiling;
  if (caller.nonce !== undefined) {
    ledger.nonces.set(nonceKey(caller.signer, caller.nonce.value), caller.nonce.until);
  }
  if (voucher !== undefined) ledger.voucher = voucher;
}

export function applyEnd(ledger: Ledger, requestId: string): void {
  const hold = ledger.holds.get(requestId);
  if (hold === undefined) return;
  ledger.holds.delete(requestId);
  ledger.held -= hold.ceiling;
}

export function applyCapture(ledger: Ledger, hold: Hold, charge: Charge): void {
  applyEnd(ledger, hold.requestId);
  ledger.capturedByEpoch.set(charge.epoch, charge.cumulative);
}

/** Forgets nonces whose window has passed: memory is bounded by the live window. */
export function forgetNonces(ledger: Ledger, nowMs: number): void {
  for (const [key, until] of ledger.nonces) if (until * 1000 < nowMs) ledger.nonces.delete(key);
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
