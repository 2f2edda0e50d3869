// How much an agent's signature may put at risk. Pure.
import { AgentError } from './agent-error.ts';

/** Base units of the vault's asset. */
export type VoucherLimits = {
  /**
   * The most a voucher may go beyond what this client knows was spent: what the operator could take without ever having
   * answered. It has to cover the ceilings of all calls in flight.
   */
  readonly perVoucher: bigint;
  /** No voucher ever has a cumulative above this, over the account's whole life. */
  readonly total?: bigint;
};

/** What this client knows of the account's spending without taking the gateway's word for it. Base units. */
export type KnownSpending = {
  /** Where it started from: what was claimed on the chain by then, or what the developer remembers. */
  readonly baseline: bigint;
  /**
   * Sum of the receipts since, each of them checked. Later claims on the chain do not count: an operator that claims what a
   * voucher allows without having answered would be given the next voucher for it, and so on to the end of the deposit.
   */
  readonly receipts: bigint;
};

/** What is known to be spent. */
export const spentOf = ({ baseline, receipts }: KnownSpending): bigint => baseline + receipts;

/** The largest cumulative a voucher may have now. */
export function voucherBound(limits: VoucherLimits, known: KnownSpending): bigint {
  const bound = spentOf(known) + limits.perVoucher;
  return limits.total !== undefined && limits.total < bound ? limits.total : bound;
}

/** What a refused demand was about; base units. */
export type RefusedDemand = {
  /** The cumulative the gateway wants the voucher to reach. */
  readonly required: bigint;
  /** The largest this client would sign. */
  readonly bound: bigint;
  readonly spent: bigint;
  readonly limits: VoucherLimits;
  /** The gateway's own words, not verified: the call's ceiling, and what is held for calls in flight. */
  readonly claimedCeiling: bigint;
  readonly claimedHeld: bigint;
  readonly claimedCaptured: bigint;
};

/** The gateway asks for more than the limits allow. Nothing was signed for it. */
export class VoucherLimitError extends AgentError {
  readonly demand: RefusedDemand;

  constructor(demand: RefusedDemand) {
    super('voucher_limit', explain(demand));
    this.name = 'VoucherLimitError';
    this.demand = demand;
  }
}

function explain(demand: RefusedDemand): string {
  const { required, bound, spent, limits, claimedCeiling, claimedHeld, claimedCaptured } = demand;
  const cap =
    limits.total !== undefined && bound === limits.total
      ? `limits.total ${limits.total}`
      : `${spent} known to be spent + limits.perVoucher ${limits.perVoucher}`;
  const remedy =
    claimedCaptured > spent
      ? `The gateway says ${claimedCaptured} was spent, of which this client knows ${spent}. If the rest is yours, from before or by other processes with this agent, start with rpcUrl (what was claimed on chain by then counts), with spentBefore (what you remember), or with a higher limit.`
      : `The call may cost ${claimedCeiling}, and ${claimedHeld} is held for calls in flight: lower max_tokens, run fewer calls at once, or raise limits.perVoucher.`;
  return `A voucher of ${required} is asked for, and the most this client signs is ${bound} (${cap}). ${remedy} Amounts are in base units. Nothing was signed or charged.`;
}
