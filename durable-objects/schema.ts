// How the tables of an object that holds money change. docs/operating.md, "Changing a schema", says how to make a step.
//
// Steps are numbered by their place and never edited once deployed; new ones are added at the end. An object takes those it
// has not taken when it is next opened, each in a transaction with the number it makes, before anything else looks at its
// tables. So an upgrade needs no downtime, no order among objects and nobody to run it; one that fails leaves the storage as
// it was, and the object does not start.
import type { SqlValue } from './account/account-storage.ts';

type Storage = {
  readonly sql: {
    exec<T extends Record<string, SqlValue>>(query: string, ...bindings: SqlValue[]): { toArray(): T[] };
  };
  readonly kv: { get<T>(key: string): T | undefined; put<T>(key: string, value: T): void };
  transactionSync<T>(closure: () => T): T;
};

export type Step = (sql: Storage['sql']) => void;

/** The steps taken, in storage. */
const taken = 'schema';

/**
 * Brings an object's tables up to date. Storage without tables has nothing to change and is not written to: whoever makes
 * the first table calls {@link isCurrent} in the same transaction. Throws when a newer version has been here: an older
 * one must not guess what it did.
 */
export function upgrade(storage: Storage, steps: readonly Step[]): void {
  if (tablesOf(storage.sql, '*').length === 0) return;
  const before = storage.kv.get<number>(taken) ?? 0;
  if (before > steps.length) {
    throw new Error(`storage is of schema ${before}, this code knows ${steps.length}: deploy what made it`);
  }
  for (const [at, step] of steps.entries()) {
    if (at < before) continue;
    storage.transactionSync(() => {
      step(storage.sql);
      storage.kv.put(taken, at + 1);
    });
  }
}

/** Notes that tables are made as the newest schema has them. */
export const isCurrent = (storage: Pick<Storage, 'kv'>, steps: readonly Step[]): void =>
  storage.kv.put(taken, steps.length);

/** Names of the object's own tables. @param like as SQLite's GLOB has it */
export const tablesOf = (sql: Storage['sql'], like: string): string[] =>
  sql
    .exec<{ name: string }>(
      `SELECT name FROM sqlite_master
       WHERE type = 'table' AND name GLOB ? AND name NOT GLOB '_cf_*' AND name NOT GLOB 'sqlite_*' AND name <> 'kv'`,
      like,
    )
    .toArray()
    .map(({ name }) => name);
