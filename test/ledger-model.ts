// What an account should be, said as naively as possible: a list of what happened, added up anew whenever somebody asks.

import type { Terms } from '../durable-objects/account/ledger.ts';
import type { Observation } from '../durable-objects/chain/observation.ts';

/** A call, as the model remembers it. */
export type ModelCall = {
  readonly requestId: string;
  readonly ceiling: bigint;
  readonly epoch: bigint;
  readonly deadlineMs: number;
  state: 'held' | 'captured' | 'late' | 'released' | 'expired';
  /** What it was charged, and in which epoch. */
  amount: bigint;
  chargedIn: bigint;
};

export type ModelVoucher = { readonly epoch: bigint; readonly signer: string; readonly cumulative: bigint };

export class ModelAccount {
  readonly calls: ModelCall[] = [];
  readonly vouchers: ModelVoucher[] = [];
  /** What the vault had paid when an epoch's first hold (or late charge) came. */
  readonly epochStart = new Map<bigint, bigint>();

  begin(observation: Observation): void {
    if (!this.epochStart.has(observation.epoch)) this.epochStart.set(observation.epoch, observation.claimed);
  }

  captured(epoch: bigint, otherwise: bigint): bigint {
    const start = this.epochStart.get(epoch);
    if (start === undefined) return otherwise;
    return this.calls
      .filter((call) => (call.state === 'captured' || call.state === 'late') && call.chargedIn === epoch)
      .reduce((sum, call) => sum + call.amount, start);
  }

  held(): bigint {
    return this.calls.filter((call) => call.state === 'held').reduce((sum, call) => sum + call.ceiling, 0n);
  }

  voucher(observation: Observation): bigint {
    return this.vouchers
      .filter(({ epoch, signer }) => epoch === observation.epoch && signer === observation.spender)
      .reduce((most, { cumulative }) => (cumulative > most ? cumulative : most), 0n);
  }

  /** `max(0, min(deposited - withdrawn - withdrawing, voucher) - captured - held)`, design's identity to the letter. */
  available(observation: Observation, terms: Terms): bigint {
    const { deposited, arriving, withdrawn, withdrawing, claimed, epoch } = observation;
    const credit = arriving < terms.unfinalCreditMax ? arriving : terms.unfinalCreditMax;
    const funds = positive(deposited + credit - withdrawn - withdrawing);
    const voucher = this.voucher(observation);
    const covered = funds < voucher ? funds : voucher;
    const captured = this.captured(epoch, claimed);
    // Only a reorg can leave more claimed than captured; the vault does not pay that twice.
    const spent = captured > claimed ? captured : claimed;
    return positive(covered - spent - this.held());
  }
}

const positive = (value: bigint): bigint => (value > 0n ? value : 0n);

/** A vault with one account in it, with a history that can be taken back. */
export class ModelChain {
  #states: ChainState[];
  readonly depth: number;
  /** Seconds. */
  readonly delay: number;
  /** Blocks only ever get higher numbers here, as a longer branch does. */
  #blockNumber = 100n;

  constructor(spender: string, depth: number, delay: number) {
    this.depth = depth;
    this.delay = delay;
    this.#states = Array.from({ length: depth + 1 }, () => ({
      spender,
      epoch: 0n,
      deposited: 0n,
      claimed: 0n,
      withdrawn: 0n,
      withdrawal: undefined,
      spenderChange: undefined,
    }));
  }

  get now(): ChainState {
    const state = this.#states.at(-1);
    if (state === undefined) throw new Error('a chain has a head');
    return state;
  }

  mine(change: Partial<ChainState> = {}): void {
    this.#blockNumber += 1n;
    this.#states.push({ ...this.now, ...change });
  }

  /** The last `blocks` never happened, and as many empty ones took their place, and one more. */
  reorg(blocks: number): void {
    this.#states = this.#states.slice(0, Math.max(1, this.#states.length - blocks));
    for (let block = 0; block <= blocks; block += 1) this.mine();
  }

  /** What the vault would pay. */
  claim(epoch: bigint, cumulative: bigint): bigint {
    const { now } = this;
    const funds = now.deposited - now.withdrawn;
    const reach = cumulative < funds ? cumulative : funds;
    if (epoch !== now.epoch || reach <= now.claimed) return 0n;
    const paid = reach - now.claimed;
    this.mine({ claimed: reach });
    return paid;
  }

  completeWithdrawal(nowSeconds: number): boolean {
    const { now } = this;
    if (now.withdrawal === undefined || nowSeconds < now.withdrawal.readyAt) return false;
    const left = now.deposited - now.withdrawn - now.claimed;
    const amount = now.withdrawal.amount < left ? now.withdrawal.amount : left;
    this.mine({ withdrawn: now.withdrawn + amount, epoch: now.epoch + 1n, withdrawal: undefined });
    return true;
  }

  completeSpenderChange(nowSeconds: number): boolean {
    const { now } = this;
    if (now.spenderChange === undefined || nowSeconds < now.spenderChange.readyAt) return false;
    this.mine({ spender: now.spenderChange.spender, epoch: now.epoch + 1n, spenderChange: undefined });
    return true;
  }

  observe(owner: `0x${string}`, nowMs: number): Observation {
    const { now } = this;
    const deep = this.#states.at(-1 - this.depth)?.deposited ?? 0n;
    const deposited = deep < now.deposited ? deep : now.deposited;
    const ends = [now.withdrawal?.readyAt, now.spenderChange?.readyAt].filter((at) => at !== undefined);
    return {
      blockNumber: this.#blockNumber,
      blockHash: `0x${'00'.repeat(32)}`,
      blockTime: Math.floor(nowMs / 1000),
      readAtMs: nowMs,
      owner,
      wallet: `0x${'00'.repeat(20)}`,
      ownerHasCode: false,
      walletHasCode: false,
      spender: now.spender as `0x${string}`,
      epoch: now.epoch,
      deposited,
      arriving: now.deposited - deposited,
      claimed: now.claimed,
      withdrawn: now.withdrawn,
      withdrawing: now.withdrawal?.amount ?? 0n,
      epochEndsAt: BigInt(ends.length > 0 ? Math.min(...ends) : 0),
      authorized: 0n,
    };
  }
}

type ChainState = {
  readonly spender: string;
  readonly epoch: bigint;
  readonly deposited: bigint;
  readonly claimed: bigint;
  readonly withdrawn: bigint;
  readonly withdrawal: { readonly amount: bigint; readonly readyAt: number } | undefined;
  readonly spenderChange: { readonly spender: string; readonly readyAt: number } | undefined;
};
