import type { Append } from './log-rows.ts';

/** A commit takes at most this many entries, and discloses at most this many accounts' receipts (about 3.5 kB each). */
export const batchEntriesMax = 16_384;
export const batchAccountsMax = 512;

/**
 * The appends of the next commit: as many whole ones as stay within both limits, and at least one. What does not fit is
 * the next commit's, sealed right after it: so a blob is at most some 2.5 MB, however much has been waiting.
 */
export function nextBatch(waiting: readonly Append[]): Append[] {
  const accounts = new Set<number>();
  let entries = 0;
  let taken = 0;
  for (const append of waiting) {
    accounts.add(append.account);
    entries += append.entries.length;
    if (taken > 0 && (entries > batchEntriesMax || accounts.size > batchAccountsMax)) break;
    taken += 1;
  }
  return waiting.slice(0, taken);
}
