// What is due to the operator, and which settlement is under way.
import type { ClaimDue, WaitingClaim } from './settlement.ts';

/** A settlement that was asked for: its transaction's key, and whose claims it carries. */
export type Settlement = { readonly key: string; readonly accounts: readonly string[] };

/** What the vault had paid when it was last read, over all accounts; and who owes most. Base units. */
export type Dues = {
  readonly claimed: bigint;
  readonly top: readonly Due[];
};

type Due = { readonly account: string; readonly cumulative: bigint; readonly claimed: bigint };

type Row = {
  account: string;
  epoch: string;
  cumulative: string;
  claimed: string;
  since_ms: number | null;
  urgent_until_ms: number;
};

export class ClaimRows {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    storage.sql.exec(
      `CREATE TABLE IF NOT EXISTS claims (
        account TEXT PRIMARY KEY, epoch TEXT NOT NULL, cumulative TEXT NOT NULL, claimed TEXT NOT NULL,
        since_ms INTEGER, urgent_until_ms INTEGER NOT NULL) WITHOUT ROWID`,
    );
  }

  /** Notes what is due, if it is news. Dues may arrive more than once, and out of order. */
  note(due: ClaimDue, nowMs: number): void {
    const known = this.#row(due.account);
    if (known === undefined) {
      this.#write({ ...due, claimed: 0n, sinceMs: nowMs, urgentUntilMs: 0 });
      return;
    }
    const [epoch, cumulative] = [BigInt(known.epoch), BigInt(known.cumulative)];
    if (due.epoch < epoch || (due.epoch === epoch && due.cumulative <= cumulative)) return;
    this.#write({
      ...due,
      claimed: BigInt(known.claimed),
      sinceMs: known.since_ms ?? nowMs,
      urgentUntilMs: known.urgent_until_ms,
    });
  }

  /** An account whose claims cannot wait, now and for whatever becomes due until then. */
  hurry(account: string, untilMs: number, nowMs: number): void {
    const known = this.#row(account);
    this.#write({
      account,
      epoch: BigInt(known?.epoch ?? '0'),
      cumulative: BigInt(known?.cumulative ?? '0'),
      claimed: BigInt(known?.claimed ?? '0'),
      // What was struck off because nothing could be had may be had now.
      sinceMs: known?.since_ms ?? nowMs,
      urgentUntilMs: untilMs,
    });
  }

  waiting(nowMs: number): WaitingClaim[] {
    return this.#storage.sql
      .exec<Row>('SELECT * FROM claims WHERE since_ms IS NOT NULL')
      .toArray()
      .map((row) => ({
        account: row.account,
        epoch: BigInt(row.epoch),
        cumulative: BigInt(row.cumulative),
        claimed: BigInt(row.claimed),
        sinceMs: row.since_ms ?? 0,
        urgent: row.urgent_until_ms > nowMs,
      }));
  }

  /** All that is due, and since when the oldest of it waits. */
  totals(): { readonly due: bigint; readonly dueSinceMs: number | undefined } {
    const rows = this.#storage.sql.exec<Row>('SELECT * FROM claims').toArray();
    const waiting = rows.flatMap(({ since_ms }) => (since_ms === null ? [] : [since_ms]));
    return {
      due: rows.reduce((sum, row) => {
        const due = BigInt(row.cumulative) - BigInt(row.claimed);
        return due > 0n ? sum + due : sum;
      }, 0n),
      dueSinceMs: waiting.length === 0 ? undefined : Math.min(...waiting),
    };
  }

  /** The accounts that owe most by what they have published, `limit` of them, and what all have paid. */
  dues(limit: number): Dues {
    let claimed = 0n;
    let top: Due[] = [];
    for (const row of this.#storage.sql.exec<Row>('SELECT * FROM claims')) {
      const due = {
        account: row.account,
        cumulative: BigInt(row.cumulative),
        claimed: BigInt(row.claimed),
      };
      claimed += due.claimed;
      top.push(due);
      if (top.length > 2 * limit) top = owingMost(top, limit);
    }
    return { claimed, top: owingMost(top, limit) };
  }

  /**
   * What the chain says about a claim that was waiting.
   * @param sinceMs since when what is left waits; `null` when nothing can be had until more is due
   */
  read(account: string, claimed: bigint, sinceMs: number | null): void {
    this.#storage.sql.exec(
      'UPDATE claims SET claimed = ?, since_ms = ? WHERE account = ?',
      `${claimed}`,
      sinceMs,
      account,
    );
  }

  /** The vault would not pay this: until more is due. */
  strike(account: string): void {
    this.#storage.sql.exec('UPDATE claims SET since_ms = NULL WHERE account = ?', account);
  }

  get settlement(): Settlement | undefined {
    return this.#storage.kv.get<Settlement>('settlement');
  }

  /** Begins a settlement; `ask` is part of the same transaction. */
  begin(accounts: readonly string[], ask: (key: string) => void): void {
    this.#storage.transactionSync(() => {
      const number = (this.#storage.kv.get<number>('settlements') ?? 0) + 1;
      const key = `settle:${number}`;
      this.#storage.kv.put('settlements', number);
      this.#storage.kv.put('settlement', { key, accounts });
      ask(key);
    });
  }

  end(): void {
    this.#storage.kv.delete('settlement');
  }

  /** After a settlement that could not be: not before this. */
  get notBeforeMs(): number {
    return this.#storage.kv.get<number>('settleNotBefore') ?? 0;
  }

  set notBeforeMs(ms: number) {
    this.#storage.kv.put('settleNotBefore', ms);
  }

  #row(account: string): Row | undefined {
    return this.#storage.sql.exec<Row>('SELECT * FROM claims WHERE account = ?', account).toArray()[0];
  }

  #write(
    claim: ClaimDue & {
      readonly claimed: bigint;
      readonly sinceMs: number;
      readonly urgentUntilMs: number;
    },
  ): void {
    this.#storage.sql.exec(
      'INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?, ?)',
      claim.account,
      `${claim.epoch}`,
      `${claim.cumulative}`,
      `${claim.claimed}`,
      claim.sinceMs,
      claim.urgentUntilMs,
    );
  }
}

const owingMost = (dues: readonly Due[], limit: number): Due[] => {
  const owed = ({ cumulative, claimed }: Due) => cumulative - claimed;
  return [...dues].sort((a, b) => (owed(a) === owed(b) ? 0 : owed(a) > owed(b) ? -1 : 1)).slice(0, limit);
};
