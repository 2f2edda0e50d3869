/**
 * The accounts a Chain watches for: those that have earned something here. A row each, written once, and again when an
 * account's epoch is about to end.
 */
export class KnownAccounts {
  readonly #sql: SqlStorage;
  readonly #names: Set<string>;
  /** When accounts whose epoch is going to end have to be claimed for once more; milliseconds. */
  readonly #closing = new Map<string, number>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(
      'CREATE TABLE IF NOT EXISTS known_accounts (account TEXT PRIMARY KEY, closing_ms INTEGER) WITHOUT ROWID',
    );
    const rows = sql
      .exec<{ account: string; closing_ms: number | null }>('SELECT account, closing_ms FROM known_accounts')
      .toArray();
    this.#names = new Set(rows.map(({ account }) => account));
    for (const { account, closing_ms } of rows)
      if (closing_ms !== null) this.#closing.set(account, closing_ms);
  }

  get isEmpty(): boolean {
    return this.#names.size === 0;
  }

  get size(): number {
    return this.#names.size;
  }

  /** Some of them. */
  some(limit: number): string[] {
    const names: string[] = [];
    for (const name of this.#names) {
      if (names.length === limit) break;
      names.push(name);
    }
    return names;
  }

  /** In order of their names, those after one. */
  after(account: string, limit: number): string[] {
    return this.#sql
      .exec<{ account: string }>(
        'SELECT account FROM known_accounts WHERE account > ? ORDER BY account LIMIT ?',
        account,
        limit,
      )
      .toArray()
      .map((row) => row.account);
  }

  has(account: string): boolean {
    return this.#names.has(account);
  }

  /** @returns whether it is news */
  add(account: string): boolean {
    if (this.#names.has(account)) return false;
    this.#sql.exec('INSERT OR IGNORE INTO known_accounts (account) VALUES (?)', account);
    this.#names.add(account);
    return true;
  }

  /**
   * An account's epoch may end at `endsMs` (0: it does not). No new hold is given in the margin before that, so what is
   * claimed in the middle of it is the last there is to claim.
   */
  closes(account: string, endsMs: number, marginMs: number, nowMs: number): void {
    const last = endsMs - marginMs / 2;
    const next = endsMs !== 0 && last > nowMs ? last : undefined;
    if (this.#closing.get(account) === next) return;
    this.#sql.exec('UPDATE known_accounts SET closing_ms = ? WHERE account = ?', next ?? null, account);
    if (next === undefined) this.#closing.delete(account);
    else this.#closing.set(account, next);
  }

  /** Accounts to be claimed for now, before their epoch ends. */
  closing(nowMs: number): string[] {
    return [...this.#closing].filter(([, at]) => at <= nowMs).map(([account]) => account);
  }
}
