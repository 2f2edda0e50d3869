import type { Address, Hex } from 'viem';

/**
 * What was read of one agent from the chain, at one block. The worker or the Chain object reads it, the account decides
 * on it: an account never asks the chain itself, so no decision waits on a network.
 */
export type Observation = {
  readonly blockNumber: bigint;
  readonly blockHash: Hex;
  /** The block's own timestamp, Unix seconds. */
  readonly blockTime: number;
  /** When it was read, by the reader's clock. */
  readonly readAtMs: number;
  /** ERC-8004 `ownerOf`; zero when the registry knows no such agent. */
  readonly owner: Address;
  /** ERC-8004 `getAgentWallet`; zero when none is set. */
  readonly wallet: Address;
  readonly ownerHasCode: boolean;
  readonly walletHasCode: boolean;
  readonly spender: Address;
  readonly epoch: bigint;
  /** Credited deposits: those at least the configured depth below the head. Base units, cumulative. */
  readonly deposited: bigint;
  /** Deposits seen at the head and not that deep yet. */
  readonly arriving: bigint;
  readonly claimed: bigint;
  readonly withdrawn: bigint;
  /** Amount of the pending withdrawal, whoever owns the agent now, until the vault clears it. */
  readonly withdrawing: bigint;
  /**
   * When a pending withdrawal or spender change can first be completed, Unix seconds; zero when neither is pending. Either
   * raises the epoch, and with that every voucher of this one is void.
   */
  readonly epochEndsAt: bigint;
  /** What a contract spender has authorised by its own transaction in this epoch. */
  readonly authorized: bigint;
};

/**
 * An answer about an agent is used at most this long after the block it was read at, and after it was read (docs/identity.md):
 * so long, and no longer, does a change on chain go unseen, however far behind the node that was asked.
 */
export const observationMaxAgeMs = 60_000;

/** The head an observation was read from may be this far behind or ahead of the reader's clock. */
export const headMaxSkewMs = 60_000;

/** An observation may say it was read this far in the future: clocks of two machines. */
export const readerMaxSkewMs = 10_000;

/**
 * Whether an observation may be decided on now: of a recent block, by this clock and by the block's own. A node that has
 * stopped following the chain must not be believed, nor one whose blocks are from the future.
 */
export function isFresh({ readAtMs, blockTime }: Observation, nowMs: number): boolean {
  const blockMs = blockTime * 1000;
  return (
    nowMs - Math.min(readAtMs, blockMs) <= observationMaxAgeMs &&
    readAtMs - nowMs <= readerMaxSkewMs &&
    blockMs - readAtMs <= headMaxSkewMs
  );
}

/**
 * Whether `next` takes the place of `known`. Among fresh ones the higher block wins, so that a node that lags cannot hide
 * a withdrawal that was already seen; a fresh one always replaces one that is not, so that neither a node that lied about
 * its height nor a branch that is gone is believed for longer than `observationMaxAgeMs`.
 */
export function replaces(known: Observation | undefined, next: Observation, nowMs: number): boolean {
  if (!isFresh(next, nowMs)) return false;
  if (known === undefined || !isFresh(known, nowMs)) return true;
  if (next.blockNumber !== known.blockNumber) return next.blockNumber > known.blockNumber;
  return next.readAtMs >= known.readAtMs;
}
