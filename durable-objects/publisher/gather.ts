import type { Commit } from '../log/log-rows.ts';

/** A file is at most this long, unless a single blob is longer. */
export const fileBytesMax = 4 * 2 ** 20;

export type Cadence = {
  /** Commits wait this long for others to share a file with. */
  readonly publishEveryMs: number;
  /** Seconds from a capture to its receipt's `mergeBy`. */
  readonly mergeDelay: number;
};

/**
 * The commits of the next file: all there are, up to the size of one, once the oldest has waited long enough, or enough
 * bytes wait, or half of somebody's `mergeBy` time is gone.
 * @param waiting consecutive commits, oldest first
 * @returns none to wait, and when to look again
 */
export function gather(
  waiting: readonly Commit[],
  cadence: Cadence,
  nowMs: number,
): { readonly commits: readonly Commit[]; readonly againMs: number | undefined } {
  const [oldest] = waiting;
  if (oldest === undefined) return { commits: [], againMs: undefined };
  let bytes = 0;
  let taken = 0;
  for (const commit of waiting) {
    bytes += commit.blobBytes;
    if (taken > 0 && bytes > fileBytesMax) break;
    taken += 1;
  }
  const mergeBy = Math.min(...waiting.map((commit) => commit.mergeBy));
  const dueMs = Math.min(oldest.sealedMs + cadence.publishEveryMs, (mergeBy - cadence.mergeDelay / 2) * 1000);
  const isFull = taken < waiting.length || bytes >= fileBytesMax;
  return isFull || nowMs >= dueMs
    ? { commits: waiting.slice(0, taken), againMs: undefined }
    : { commits: [], againMs: dueMs };
}
