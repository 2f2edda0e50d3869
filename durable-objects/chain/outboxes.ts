// Looks into the accounts' outboxes from outside. A receipt leaves its account on that account's own alarm; if that is lost
// (a platform gives up an alarm whose object did not start for some minutes, as with a broken deploy) nobody else would know
// of the receipt before the agent calls again, which it may never do, and its `mergeBy` would pass unseen. Being asked makes
// the account set its alarm again, so what is found late and stays late has another reason.
import type { AccountStorage } from '../account/account-storage.ts';

/** Accounts asked in one look, besides those that were found late before. */
const asksPerLook = 20;
/** Accounts asked at once. */
const asksAtOnce = 5;
/** A receipt is in its account's outbox for half a second; one that is there for longer than this is late. */
const lateMs = 60_000;
/** The last account that was asked. */
const askedUpTo = 'outboxesAsked';

type Ports = {
  readonly accountOf: (name: string) => { unsentSinceMs(): Promise<number | undefined> };
  /** Accounts in order of their names, those after one. */
  readonly accountsAfter: (account: string, limit: number) => readonly string[];
};

/** What was found. Stored: between two looks this object may be out of memory. */
export type UnsentTotals = { readonly unsent: number; readonly unsentSinceMs: number | undefined };

export class Outboxes {
  readonly #storage: Pick<AccountStorage, 'sql' | 'kv'>;
  readonly #ports: Ports;
  #nextLookMs = 0;

  constructor(storage: Pick<AccountStorage, 'sql' | 'kv'>, ports: Ports) {
    this.#storage = storage;
    this.#ports = ports;
    storage.sql.exec(
      'CREATE TABLE IF NOT EXISTS late_outboxes (account TEXT PRIMARY KEY, since_ms INTEGER NOT NULL) WITHOUT ROWID',
    );
  }

  totals(): UnsentTotals {
    const { unsent, since } = this.#storage.sql
      .exec<{ unsent: number; since: number | null }>(
        'SELECT count(*) AS unsent, min(since_ms) AS since FROM late_outboxes',
      )
      .one();
    return { unsent, unsentSinceMs: since ?? undefined };
  }

  /**
   * Asks the next accounts, one round after the other, and those that were found late. Writes a row only for what has changed.
   * @returns when to be called again; `undefined` while there is nobody to ask
   */
  async step(everyMs: number, nowMs: number): Promise<number | undefined> {
    if (nowMs < this.#nextLookMs) return this.#nextLookMs;
    const { kv } = this.#storage;
    const before = kv.get<string>(askedUpTo) ?? '';
    const page = this.#ports.accountsAfter(before, asksPerLook);
    if (page.length === 0 && before === '') return undefined;
    this.#nextLookMs = nowMs + everyMs;
    const asked = [...new Set([...this.#late(), ...page])];
    for (let at = 0; at < asked.length; at += asksAtOnce) {
      const few = asked.slice(at, at + asksAtOnce);
      await Promise.all(few.map((account) => this.#ask(account, nowMs)));
    }
    const upTo = page.length < asksPerLook ? '' : (page.at(-1) ?? '');
    if (upTo !== before) kv.put(askedUpTo, upTo);
    return this.#nextLookMs;
  }

  async #ask(account: string, nowMs: number): Promise<void> {
    const { sql } = this.#storage;
    const lateSinceMs = sql
      .exec<{ since_ms: number }>('SELECT since_ms FROM late_outboxes WHERE account = ?', account)
      .toArray()[0]?.since_ms;
    let sinceMs: number | undefined;
    try {
      sinceMs = await this.#ports.accountOf(account).unsentSinceMs();
    } catch (error) {
      // What it holds is not known, so it is taken to hold something from now on.
      sinceMs = lateSinceMs ?? nowMs - lateMs;
      console.error(JSON.stringify({ event: 'outbox_unseen', account, error: String(error) }));
    }
    if (sinceMs === undefined || nowMs - sinceMs < lateMs) {
      if (lateSinceMs !== undefined) sql.exec('DELETE FROM late_outboxes WHERE account = ?', account);
    } else if (sinceMs !== lateSinceMs) {
      sql.exec('INSERT OR REPLACE INTO late_outboxes VALUES (?, ?)', account, sinceMs);
      console.warn(JSON.stringify({ event: 'receipts_unsent', account, sinceMs }));
    }
  }

  /** Those that were found late, the longest first. */
  #late(): string[] {
    return this.#storage.sql
      .exec<{ account: string }>('SELECT account FROM late_outboxes ORDER BY since_ms LIMIT ?', asksPerLook)
      .toArray()
      .map(({ account }) => account);
  }
}
