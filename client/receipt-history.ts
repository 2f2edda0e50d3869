// Receipts of one account against each other: parallel calls and other processes leave gaps, not contradictions. Pure state.
import type { Hex } from 'viem';
import { zeroHash } from '../protocol/hex.ts';
import { type Receipt, receiptDigest } from '../protocol/receipt.ts';
import type { Mismatch } from './check-receipt.ts';

/** Where the account stood at first contact: the gateway's word, but one it has to stand by. */
export type StartingPoint = { readonly epoch: bigint; readonly sequence: bigint; readonly captured: bigint };

/** Kept for comparison; what is older has been compared. */
const keptMax = 1_000;

type Kept = { readonly receipt: Receipt; readonly digest: Hex };

export class ReceiptHistory {
  readonly #bySequence = new Map<bigint, Kept>();
  #start: StartingPoint | undefined;

  /** Only receipts after this point can be new. */
  startAt(point: StartingPoint): void {
    this.#start = point;
  }

  /** What of this receipt contradicts those held. Without contradiction it is held, too. */
  add(receipt: Receipt, digest: Hex = receiptDigest(receipt)): Mismatch[] {
    const found = this.#contradictions(receipt, digest);
    if (found.length > 0) return found;
    this.#bySequence.set(receipt.sequence, { receipt, digest });
    if (this.#bySequence.size > keptMax) {
      const lowest = [...this.#bySequence.keys()].reduce((a, b) => (a < b ? a : b));
      this.#bySequence.delete(lowest);
    }
    return found;
  }

  /** The highest number known to have been captured before this time (Unix seconds): what came later is above it. */
  lastBefore(time: bigint): bigint {
    let last = this.#start?.sequence ?? 0n;
    for (const { receipt } of this.#bySequence.values()) {
      if (receipt.time < time && receipt.sequence > last) last = receipt.sequence;
    }
    return last;
  }

  #contradictions(receipt: Receipt, digest: Hex): Mismatch[] {
    const found: Mismatch[] = [];
    const { sequence, epoch, amount, cumulative } = receipt;
    const same = this.#bySequence.get(sequence);
    if (same) {
      const again = same.digest === digest;
      found.push({
        name: 'sequence',
        detail: again
          ? `receipt ${sequence} was shown before, for another call`
          : `two receipts have number ${sequence}: ${same.digest} and ${digest}. Together they are evidence against the operator: keep both`,
      });
      return found;
    }
    if (sequence === 0n || (this.#start && sequence <= this.#start.sequence)) {
      found.push({
        name: 'sequence',
        detail: `number ${sequence}, and at first contact the account was at ${this.#start?.sequence ?? 0n}`,
      });
    }
    const before = this.#bySequence.get(sequence - 1n);
    const previous = sequence === 1n ? zeroHash : before?.digest;
    if (previous !== undefined && receipt.previous !== previous) {
      found.push({
        name: 'previous',
        detail: `names ${receipt.previous}, number ${sequence - 1n} is ${previous}`,
      });
    }
    const after = this.#bySequence.get(sequence + 1n);
    if (after && after.receipt.previous !== digest) {
      found.push({
        name: 'previous',
        detail: `number ${sequence + 1n} names ${after.receipt.previous}, this one is ${digest}`,
      });
    }

    if (cumulative < amount) {
      found.push({
        name: 'cumulative',
        detail: `cumulative ${cumulative} is less than the amount ${amount}`,
      });
    }
    const neighbours = this.#neighbours(receipt);
    const { lower, higher } = neighbours;
    if (lower && lower.epoch === epoch) {
      const least = lower.cumulative + amount;
      const fits = lower.sequence === sequence - 1n ? cumulative === least : cumulative >= least;
      if (!fits) {
        found.push({
          name: 'cumulative',
          detail: `cumulative ${cumulative}; after number ${lower.sequence} with ${lower.cumulative} and this amount of ${amount} it is ${least}${lower.sequence === sequence - 1n ? '' : ' or more'}`,
        });
      }
    } else if (!lower && this.#start && this.#start.epoch === epoch) {
      const least = this.#start.captured + amount;
      const fits = this.#start.sequence === sequence - 1n ? cumulative === least : cumulative >= least;
      if (!fits) {
        found.push({
          name: 'cumulative',
          detail: `cumulative ${cumulative}; the account stood at ${this.#start.captured} before, and ${amount} is ${least}`,
        });
      }
    }
    if (higher && higher.epoch === epoch) {
      const most = higher.cumulative - higher.amount;
      const fits = higher.sequence === sequence + 1n ? cumulative === most : cumulative <= most;
      if (!fits) {
        found.push({
          name: 'cumulative',
          detail: `cumulative ${cumulative}; before number ${higher.sequence} it was ${most}`,
        });
      }
    }
    if ((lower && lower.epoch > epoch) || (higher && higher.epoch < epoch)) {
      found.push({ name: 'epoch', detail: `epoch ${epoch} between receipts of other epochs` });
    }
    return found;
  }

  /** The nearest receipts held on both sides. */
  #neighbours({ sequence }: Receipt): { lower: Receipt | undefined; higher: Receipt | undefined } {
    let lower: Receipt | undefined;
    let higher: Receipt | undefined;
    for (const { receipt } of this.#bySequence.values()) {
      if (receipt.sequence < sequence && (!lower || receipt.sequence > lower.sequence)) lower = receipt;
      if (receipt.sequence > sequence && (!higher || receipt.sequence < higher.sequence)) higher = receipt;
    }
    return { lower, higher };
  }
}
