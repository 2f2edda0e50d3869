// Where there are more accounts than one log can be called by: an object takes about a thousand calls a second, and a log
// spends most of an append on the call and its commit. Intakes stand between: each takes the appends of its share of the
// accounts and passes them on together, the next lot while the one before is on its way. Nothing is stored: an account is
// answered when the log has answered, and sends again what was not. docs/scaling.md has the figures.
import { DurableObject } from 'cloudflare:workers';
import { configOf } from '../config.ts';
import type { Env } from '../env.ts';
import type { AccountReceipts, Appended } from './receipt-log.ts';

/** Accounts in one call to the log: a commit of so many rows is a matter of milliseconds. */
const accountsMax = 200;
/** Receipts in one call, as many as the log takes of one account: bounds the message. */
const receiptsMax = 4_096;
/** Accounts that may wait here. One more is refused, and comes again later, as when the log itself has too much to do. */
const waitingMax = 10_000;

type Waiting = {
  readonly receipts: AccountReceipts;
  readonly answer: (appended: Appended) => void;
  readonly fail: (error: unknown) => void;
};

export class LogIntake extends DurableObject<Env> {
  readonly #waiting: Waiting[] = [];
  #isSending = false;

  /** As {@link ReceiptLog.append}, answered when the log has it. */
  async append(receipts: AccountReceipts): Promise<Appended> {
    if (this.#waiting.length >= waitingMax) throw new Error('the intake is full');
    return new Promise((answer, fail) => {
      this.#waiting.push({ receipts, answer, fail });
      if (!this.#isSending) void this.#send();
    });
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    const log = this.env.RECEIPT_LOG.getByName(configOf(this.env).log.logId);
    for (let lot = this.#nextLot(); lot.length > 0; lot = this.#nextLot()) {
      try {
        const appended = await log.appendAll(lot.map(({ receipts }) => receipts));
        for (const [index, { answer }] of lot.entries()) {
          answer(appended[index] ?? { refused: 'the log answered for fewer accounts than it was sent' });
        }
      } catch (error) {
        for (const { fail } of lot) fail(error);
      }
    }
    this.#isSending = false;
  }

  #nextLot(): Waiting[] {
    let receipts = 0;
    let count = 0;
    for (const waiting of this.#waiting) {
      receipts += waiting.receipts.digests.length;
      if (count > 0 && (count === accountsMax || receipts > receiptsMax)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }
}
