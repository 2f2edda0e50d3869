// Which claims are worth their gas. Pure.
import type { SettlementPolicy } from '../config.ts';

/** Claims in one settlement transaction. */
export const claimsMax = 100;

/** What one account owes: its captures of `epoch` up to `cumulative` are in an anchored head. Base units. */
export type ClaimDue = { readonly account: string; readonly epoch: bigint; readonly cumulative: bigint };

/** A due as it waits. */
export type WaitingClaim = ClaimDue & {
  /** What the vault had paid when it was last read; zero when it never was. */
  readonly claimed: bigint;
  readonly sinceMs: number;
  /** The epoch may end before the next round, and with it the voucher: claim at once, whatever it costs. */
  readonly urgent: boolean;
};

const owed = (claim: WaitingClaim): bigint => claim.cumulative - claim.claimed;

const isRipeAlone = (claim: WaitingClaim, policy: SettlementPolicy): boolean =>
  owed(claim) > 0n && (claim.urgent || owed(claim) >= policy.at);

/**
 * The claims of the next settlement, at most {@link claimsMax}; none to wait.
 *
 * A round takes everything that is worth its gas together, at most once every `policy.everyMs`: so a claim shares the
 * transaction's own 21,000 gas with up to 99 others, and an account costs no more than `86,400,000 / everyMs` claims a day.
 * Between rounds only what cannot wait is claimed: a sum the operator does not want to risk, or an epoch that is ending.
 */
export function chooseClaims(
  waiting: readonly WaitingClaim[],
  policy: SettlementPolicy,
  nowMs: number,
): WaitingClaim[] {
  const worthwhile = waiting.filter((claim) => owed(claim) >= policy.least && owed(claim) > 0n);
  const isRound = worthwhile.some((claim) => nowMs - claim.sinceMs >= policy.everyMs);
  const alone = waiting.filter((claim) => isRipeAlone(claim, policy));
  const chosen = isRound ? new Set([...alone, ...worthwhile]) : new Set(alone);
  return [...chosen].sort(byUrgencyThenAge).slice(0, claimsMax);
}

/** When {@link chooseClaims} will next choose something, if nothing changes; `undefined` for never. */
export function nextRoundMs(waiting: readonly WaitingClaim[], policy: SettlementPolicy): number | undefined {
  if (waiting.some((claim) => isRipeAlone(claim, policy))) return 0;
  const times = waiting
    .filter((claim) => owed(claim) >= policy.least && owed(claim) > 0n)
    .map((claim) => claim.sinceMs + policy.everyMs);
  return times.length === 0 ? undefined : Math.min(...times);
}

const byUrgencyThenAge = (a: WaitingClaim, b: WaitingClaim): number =>
  Number(b.urgent) - Number(a.urgent) || a.sinceMs - b.sinceMs;
