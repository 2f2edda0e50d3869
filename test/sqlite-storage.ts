import { DatabaseSync } from 'node:sqlite';
import type { AccountStorage, SqlValue } from '../durable-objects/account/account-storage.ts';

/**
 * A Durable Object's storage over Node's own SQLite, for driving the code that writes rows without a platform. What was
 * written is all there is: two books opened on it one after the other share nothing else.
 */
export type SqliteStorage = AccountStorage & {
  /** The write after this many more throws, and so undoes its transaction. */
  failAfter(writes: number): void;
  /** Rows written so far, as Cloudflare bills them, but for indexes and alarms. */
  readonly rowsWritten: number;
  /** What the database takes, without its free pages. */
  bytes(): number;
  close(): void;
};

export function sqliteStorage(): SqliteStorage {
  const db = new DatabaseSync(':memory:');
  db.exec('CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID');
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>();
  let writesLeft = Number.POSITIVE_INFINITY;
  let rowsWritten = 0;

  const prepare = (query: string) => {
    const known = statements.get(query);
    if (known) return known;
    const statement = db.prepare(query);
    // A table may be dropped and made anew: only what reads and writes rows is kept.
    if (/^\s*(SELECT|INSERT|UPDATE|DELETE)/i.test(query) && !/sqlite_master/.test(query)) {
      statements.set(query, statement);
    }
    return statement;
  };
  const write = (query: string, bindings: readonly SqlValue[]) => {
    if (writesLeft === 0) throw new Error('the disk failed');
    writesLeft -= 1;
    const { changes } = prepare(query).run(...bindings.map(bound));
    rowsWritten += Number(changes);
  };

  return {
    sql: {
      exec<T extends Record<string, SqlValue>>(query: string, ...bindings: SqlValue[]) {
        const isRead = /^\s*SELECT/i.test(query);
        if (!isRead) write(query, bindings);
        const rows = isRead
          ? (prepare(query)
              .all(...bindings.map(bound))
              .map(unbound) as T[])
          : [];
        return {
          toArray: () => rows,
          one() {
            const [row] = rows;
            if (row === undefined || rows.length > 1) throw new Error(`${rows.length} rows, not one`);
            return row;
          },
        };
      },
    },
    kv: {
      get<T>(key: string): T | undefined {
        const row = prepare('SELECT value FROM kv WHERE key = ?').get(key);
        return row === undefined ? undefined : (JSON.parse(String(row['value'])) as T);
      },
      put<T>(key: string, value: T) {
        write('INSERT OR REPLACE INTO kv (key, value) VALUES (?, ?)', [key, JSON.stringify(value)]);
      },
      delete(key: string) {
        write('DELETE FROM kv WHERE key = ?', [key]);
      },
    },
    transactionSync(closure) {
      db.exec('BEGIN');
      try {
        const result = closure();
        db.exec('COMMIT');
        return result;
      } catch (error) {
        db.exec('ROLLBACK');
        throw error;
      }
    },
    failAfter(writes) {
      writesLeft = writes;
    },
    get rowsWritten() {
      return rowsWritten;
    },
    bytes() {
      const pragma = (name: string): number =>
        Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
      return (pragma('page_count') - pragma('freelist_count')) * pragma('page_size');
    },
    close: () => db.close(),
  };
}

const bound = (value: SqlValue) => (value instanceof ArrayBuffer ? new Uint8Array(value) : value);

const unbound = (row: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? value.slice().buffer : value,
    ]),
  );
