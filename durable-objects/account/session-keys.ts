// The keys an agent has given to clients that cannot sign. A key may do what its maker may, within its own bounds: until a
// time, up to a sum, for some models. What it has spent is a row of its own, written with the capture that spent it.
import type { Address, Hex } from 'viem';
import { ok, type Result, refuse } from '../../protocol/result.ts';
import type { AccountStorage, SqlValue } from './account-storage.ts';

export type SessionKey = {
  readonly id: string;
  /** SHA-256 of the key, 32 bytes of 0x hex: the key itself is known to its holder alone. */
  readonly hash: Hex;
  readonly label: string;
  /** The agent's owner or wallet that signed for the key; when it is neither any more, the key is dead. */
  readonly maker: Address;
  readonly createdMs: number;
  readonly expiresMs: number;
  /** Base units: the most it may spend in its life, holds included. */
  readonly spendCap: bigint;
  /** The models it may use; absent: all. */
  readonly models?: readonly string[];
};

/** A key and where it stands. Base units. */
export type SessionKeyStanding = SessionKey & { readonly spent: bigint; readonly held: bigint };

/** A caller that has shown a session key, and nothing else. */
export type Bearer = { readonly keyHash: Hex };

export type SessionKeyRefusal =
  | { readonly reason: 'session_key_unknown' }
  | { readonly reason: 'session_key_expired'; readonly expiresMs: number }
  | { readonly reason: 'session_key_model'; readonly models: readonly string[] }
  | {
      readonly reason: 'session_key_cap';
      readonly spendCap: bigint;
      readonly spent: bigint;
      readonly held: bigint;
    }
  | { readonly reason: 'too_many_session_keys'; readonly limit: number };

/** Keys of one agent at a time, dead ones included until they are deleted. */
export const sessionKeysMax = 100;

type Kept = { readonly key: SessionKey; spent: bigint; held: bigint };

type Row = {
  id: string;
  hash: string;
  label: string;
  maker: string;
  created_ms: number;
  expires_ms: number;
  spend_cap: string;
  models: string | null;
  spent: string;
} & Record<string, SqlValue>;

export class SessionKeys {
  readonly #sql: AccountStorage['sql'];
  readonly #byHash = new Map<Hex, Kept>();
  readonly #byId = new Map<string, Kept>();
  /** Looking at an account writes nothing, so there is no table before the first key. */
  #hasTable: boolean;

  constructor(sql: AccountStorage['sql']) {
    this.#sql = sql;
    const tables = sql.exec(`SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'session_keys'`);
    this.#hasTable = tables.toArray().length > 0;
    if (!this.#hasTable) return;
    for (const row of sql.exec<Row>('SELECT * FROM session_keys').toArray()) {
      this.#remember({ key: keyOf(row), spent: BigInt(row.spent), held: 0n });
    }
  }

  /** The key with this hash, if it may be used now. */
  find(hash: Hex, nowMs: number): Result<SessionKey, SessionKeyRefusal> {
    const kept = this.#byHash.get(hash);
    if (kept === undefined) return refuse({ reason: 'session_key_unknown' });
    const { key } = kept;
    return nowMs < key.expiresMs
      ? ok(key)
      : refuse({ reason: 'session_key_expired', expiresMs: key.expiresMs });
  }

  /** Whether the key may set `ceiling` aside for a call of `model`: decided with what its other calls hold. */
  allows(id: string, ceiling: bigint, model: string | undefined): Result<undefined, SessionKeyRefusal> {
    const kept = this.#byId.get(id);
    if (kept === undefined) return refuse({ reason: 'session_key_unknown' });
    const { key, spent, held } = kept;
    if (key.models !== undefined && (model === undefined || !key.models.includes(model))) {
      return refuse({ reason: 'session_key_model', models: key.models });
    }
    return spent + held + ceiling <= key.spendCap
      ? ok(undefined)
      : refuse({ reason: 'session_key_cap', spendCap: key.spendCap, spent, held });
  }

  /**
   * What of `cost` a call that has lost its hold may still charge: the cap holds for late captures too. A key deleted
   * meanwhile has nothing left.
   */
  room(id: string, cost: bigint): bigint {
    const kept = this.#byId.get(id);
    const left = kept === undefined ? 0n : kept.key.spendCap - kept.spent - kept.held;
    return cost < left ? cost : left > 0n ? left : 0n;
  }

  /** Keys in the order they were made. */
  list(): SessionKeyStanding[] {
    return [...this.#byId.values()]
      .map(({ key, spent, held }) => ({ ...key, spent, held }))
      .sort((a, b) => a.createdMs - b.createdMs || (a.id < b.id ? -1 : 1));
  }

  /** Whether there is room for another. */
  canAdd(): Result<undefined, SessionKeyRefusal> {
    return this.#byId.size < sessionKeysMax
      ? ok(undefined)
      : refuse({ reason: 'too_many_session_keys', limit: sessionKeysMax });
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  // What follows writes, one row each: call it within a transaction, then tell memory with the `note` of the same name.

  writeAdd(key: SessionKey): void {
    if (!this.#hasTable) {
      this.#sql.exec(
        `CREATE TABLE IF NOT EXISTS session_keys (
          id TEXT PRIMARY KEY, hash TEXT NOT NULL, label TEXT NOT NULL, maker TEXT NOT NULL, created_ms INTEGER NOT NULL,
          expires_ms INTEGER NOT NULL, spend_cap TEXT NOT NULL, models TEXT, spent TEXT NOT NULL) WITHOUT ROWID`,
      );
    }
    this.#sql.exec(
      'INSERT INTO session_keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
      key.id,
      key.hash,
      key.label,
      key.maker,
      key.createdMs,
      key.expiresMs,
      `${key.spendCap}`,
      key.models === undefined ? null : JSON.stringify(key.models),
      '0',
    );
  }

  noteAdd(key: SessionKey): void {
    this.#hasTable = true;
    this.#remember({ key, spent: 0n, held: 0n });
  }

  writeRemove(id: string): void {
    this.#sql.exec('DELETE FROM session_keys WHERE id = ?', id);
  }

  noteRemove(id: string): void {
    const kept = this.#byId.get(id);
    if (kept === undefined) return;
    this.#byId.delete(id);
    this.#byHash.delete(kept.key.hash);
  }

  writeSpend(id: string, amount: bigint): void {
    const kept = this.#byId.get(id);
    if (kept === undefined || amount === 0n) return;
    this.#sql.exec('UPDATE session_keys SET spent = ? WHERE id = ?', `${kept.spent + amount}`, id);
  }

  noteSpend(id: string, amount: bigint): void {
    const kept = this.#byId.get(id);
    if (kept !== undefined) kept.spent += amount;
  }

  /** A hold was made for the key, or (negative) has ended. Holds are stored with the account's; this is their sum. */
  noteHeld(id: string, ceiling: bigint): void {
    const kept = this.#byId.get(id);
    if (kept !== undefined) kept.held += ceiling;
  }

  #remember(kept: Kept): void {
    this.#byHash.set(kept.key.hash, kept);
    this.#byId.set(kept.key.id, kept);
  }
}

const keyOf = (row: Row): SessionKey => ({
  id: row.id,
  hash: row.hash as Hex,
  label: row.label,
  maker: row.maker as Address,
  createdMs: row.created_ms,
  expiresMs: row.expires_ms,
  spendCap: BigInt(row.spend_cap),
  ...(row.models === null ? {} : { models: JSON.parse(row.models) as string[] }),
});
