// How much an agent's signature may put at risk. Pure.
import { AgentError } from './agent-error.ts';

/** Base units of the vault's asset. */
export type VoucherLimits = {
  /**
   * The most a voucher may go beyond what this client knows was spent: what the operator could take without ever having
   * answered. It has to cover the ceilings of all calls in flight.
   */
  readonly perVoucher: bigint;
  /**
   * Within any 24 hours, vouchers go no further than this beyond what was spent or authorised before them. It is this
   * client's own: another process, or this one started again, begins another day.
   */
  readonly perDay?: bigint;
  /** No voucher ever has a cumulative above this, over the account's whole life. */
  readonly total?: bigint;
};

const dayMs = 24 * 60 * 60_000;

/** How far vouchers may go today: what they authorised a day ago, and `perDay` on top. */
export class DailyLimit {
  readonly #perDay: bigint | undefined;
  /** Ascending in both. */
  #signed: { readonly atMs: number; readonly cumulative: bigint }[] = [];
  #before = 0n;

  /** @param perDay base units; undefined for no limit */
  constructor(perDay: bigint | undefined) {
    this.#perDay = perDay;
  }

  /** Where the client's first day begins: nothing before it counts. */
  beginAt(spent: bigint): void {
    this.#before = spent;
  }

  signed(cumulative: bigint, atMs: number): void {
    this.#signed.push({ atMs, cumulative });
  }

  /** The largest cumulative for now; undefined for no limit. */
  bound(nowMs: number): bigint | undefined {
    if (this.#perDay === undefined) return undefined;
    for (const { cumulative } of this.#signed.filter(({ atMs }) => atMs <= nowMs - dayMs)) {
      if (cumulative > this.#before) this.#before = cumulative;
    }
    this.#signed = this.#signed.filter(({ atMs }) => atMs > nowMs - dayMs);
    return this.#before + this.#perDay;
  }
}

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

/**
 * The largest cumulative a voucher may have now.
 * @param today by {@link DailyLimit}; undefined for no such limit
 */
export function voucherBound(limits: VoucherLimits, known: KnownSpending, today?: bigint): bigint {
  const bounds = [spentOf(known) + limits.perVoucher, limits.total, today].filter(
    (bound) => bound !== undefined,
  );
  return bounds.reduce((least, bound) => (bound < least ? bound : least));
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
      : bound < spent + limits.perVoucher
        ? `limits.perDay ${limits.perDay}`
        : `${spent} known to be spent + limits.perVoucher ${limits.perVoucher}`;
  const remedy =
    bound < spent + limits.perVoucher && bound !== limits.total
      ? 'Come back when a day has passed since the vouchers before, or raise limits.perDay.'
      : claimedCaptured > spent
        ? `The gateway says ${claimedCaptured} was spent, of which this client knows ${spent}. If the rest is yours, from before or by other processes with this agent, start with rpcUrl (what was claimed on chain by then counts), with spentBefore (what you remember), or with a higher limit.`
        : `The call may cost ${claimedCeiling}, and ${claimedHeld} is held for calls in flight: lower max_tokens, run fewer calls at once, or raise limits.perVoucher.`;
  return `A voucher of ${required} is asked for, and the most this client signs is ${bound} (${cap}). ${remedy} Amounts are in base units. Nothing was signed or charged.`;
}
