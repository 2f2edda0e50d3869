/** A value SQLite stores. */
export type SqlValue = ArrayBuffer | string | number | null;

/**
 * What an account needs of a Durable Object's storage. Structural, so that the very code that writes rows in workerd can
 * be driven by a test over any SQLite.
 */
export type AccountStorage = {
  readonly sql: {
    exec<T extends Record<string, SqlValue>>(
      query: string,
      ...bindings: SqlValue[]
    ): { toArray(): T[]; one(): T };
  };
  readonly kv: {
    get<T>(key: string): T | undefined;
    put<T>(key: string, value: T): void;
    delete(key: string): unknown;
  };
  /** Everything the closure writes, or nothing if it throws. */
  transactionSync<T>(closure: () => T): T;
};
