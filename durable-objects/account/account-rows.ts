// The account's rows. A request is one row: inserted as a hold, updated once. A hold's id is negative; its capture changes
// the id to the receipt's sequence number, so that receipts are found by primary key without an index (an index would bill
// one more row on every write; changing the id bills none).
//
// Rows live in tables of one generation each. When a generation is full the next is begun; when nothing in an old one can
// change any more its receipts are packed into one archive row and the table is dropped whole, which bills nothing. A
// receipt is always written to the newest generation, so each generation's receipts follow the one's before.
import type { Hex } from 'viem';
import { type Receipt, receiptFromJson, receiptToJson } from '../../protocol/receipt.ts';
import { isCurrent, upgrade } from '../schema.ts';
import { accountSchema } from './account-schema.ts';
import type { AccountStorage, SqlValue } from './account-storage.ts';
import type { Caller, Charge, Hold } from './ledger.ts';
import type { Packable, Piece } from './receipt-archive.ts';

export type HoldState = 'held' | 'captured' | 'late' | 'released' | 'expired' | 'read';

/** What the next receipt builds on. */
export type LastReceipt = {
  readonly sequence: bigint;
  readonly digest: Hex;
  readonly epoch: bigint;
  readonly cumulative: bigint;
};

export type StoredReceipt = { readonly receipt: Receipt; readonly digest: Hex };

/** A call with an `Idempotency-Key`, as its row remembers it. */
export type StoredCall = {
  readonly requestId: string;
  readonly key: string;
  readonly requestHash: Hex;
  readonly createdMs: number;
  readonly sequence?: bigint;
};

type Row = {
  id: number;
  state: HoldState;
  request_id: string;
  signer: string | null;
  epoch: string;
  ceiling: string;
  deadline_ms: number;
  price_table: string;
  idempotency_key: string | null;
  request_hash: string | null;
  digest: string | null;
  receipt: string | null;
};

/** No real signature: the stored receipt is unsigned, and signed anew whenever it is shown. */
const unsigned: Hex = `0x${'00'.repeat(65)}`;

export class AccountRows {
  readonly #storage: AccountStorage;
  readonly #sql: AccountStorage['sql'];
  /** Numbers of the live generations, oldest first. None until the first hold: looking at an account writes nothing. */
  readonly #generations: number[];
  /** Rows in the newest generation. */
  #size = 0;
  #lowestId = 0;
  #oldestFull: { readonly generation: number; readonly ms: number } | undefined;

  constructor(storage: AccountStorage) {
    upgrade(storage, accountSchema);
    const { sql } = storage;
    this.#storage = storage;
    this.#sql = sql;
    this.#generations = sql
      .exec<{ name: string }>(
        `SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'requests_*'`,
      )
      .toArray()
      .map(({ name }) => Number(name.slice('requests_'.length)))
      .sort((a, b) => a - b);
    for (const generation of this.#generations) {
      const { rows, lowest } = sql
        .exec<{ rows: number; lowest: number | null }>(
          `SELECT count(*) AS rows, min(id) AS lowest FROM ${table(generation)}`,
        )
        .one();
      this.#size = rows;
      this.#lowestId = Math.min(this.#lowestId, lowest ?? 0);
    }
  }

  /** Rows in the newest generation. */
  get size(): number {
    return this.#size;
  }

  /** Begins the next generation. Call within a transaction. */
  beginGeneration(): void {
    if (this.#generations.length === 0) isCurrent(this.#storage, accountSchema);
    const generation = (this.#generations.at(-1) ?? 0) + 1;
    this.#sql.exec(
      `CREATE TABLE ${table(generation)} (
        id INTEGER PRIMARY KEY, state TEXT NOT NULL, request_id TEXT NOT NULL,
        signer TEXT, nonce TEXT, nonce_until INTEGER, idempotency_key TEXT, request_hash TEXT, created_ms INTEGER NOT NULL,
        epoch TEXT NOT NULL, ceiling TEXT NOT NULL, deadline_ms INTEGER NOT NULL, price_table TEXT NOT NULL,
        loss TEXT, digest TEXT, receipt TEXT, answer BLOB, ended_ms INTEGER)`,
    );
    this.#generations.push(generation);
    this.#size = 0;
  }

  /** @returns the hold's id, which the capture and release name it by */
  insertHold(hold: Hold, caller: Caller, nowMs: number, state: HoldState = 'held'): number {
    if (this.#generations.length === 0) this.beginGeneration();
    this.#lowestId -= 1;
    this.#size += 1;
    this.#sql.exec(
      `INSERT INTO ${this.#newest()} (id, state, request_id, signer, nonce, nonce_until, idempotency_key, request_hash,
         created_ms, epoch, ceiling, deadline_ms, price_table)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      this.#lowestId,
      state,
      hold.requestId,
      // A key's calls carry no nonce, which is what the signer is kept for.
      hold.sessionKey ?? caller.signer,
      caller.nonce?.value ?? null,
      caller.nonce?.until ?? null,
      hold.idempotency?.key ?? null,
      hold.idempotency?.requestHash ?? null,
      nowMs,
      `${hold.epoch}`,
      `${hold.ceiling}`,
      hold.deadlineMs,
      hold.priceTable,
    );
    return this.#lowestId;
  }

  /** One row; two when the hold is of an older generation. `answer` is kept where it may have to be given again. */
  capture(
    holdId: number,
    charge: Charge,
    receipt: Receipt,
    digest: Hex,
    nowMs: number,
    answer?: Uint8Array<ArrayBuffer>,
  ): void {
    const newest = this.#newest();
    const where = this.#tables().find((name) => this.#find(name, holdId) !== undefined);
    if (where === undefined) throw new Error(`no hold ${holdId}`);
    if (where !== newest) {
      this.#sql.exec(`INSERT INTO ${newest} SELECT * FROM ${where} WHERE id = ?`, holdId);
      this.#sql.exec(`DELETE FROM ${where} WHERE id = ?`, holdId);
      this.#size += 1;
    }
    this.#sql.exec(
      `UPDATE ${newest} SET id = ?, state = ?, loss = ?, digest = ?, receipt = ?, answer = ?, ended_ms = ?
       WHERE id = ?`,
      Number(receipt.sequence),
      charge.state,
      `${charge.loss}`,
      digest,
      JSON.stringify(receiptToJson({ receipt, signature: unsigned }).receipt),
      answer === undefined ? null : answer.slice().buffer,
      nowMs,
      holdId,
    );
  }

  end(holdId: number, state: 'released' | 'expired', nowMs: number): void {
    for (const name of this.#tables()) {
      this.#sql.exec(
        `UPDATE ${name} SET state = ?, ended_ms = ? WHERE id = ? AND state = 'held'`,
        state,
        nowMs,
        holdId,
      );
    }
  }

  /** A hold as it was reserved, whatever became of it; `undefined` once captured or when there is none any more. */
  hold(holdId: number): { readonly state: HoldState; readonly hold: Hold } | undefined {
    if (holdId >= 0) return undefined;
    for (const name of this.#tables()) {
      const row = this.#find(name, holdId);
      if (row) return { state: row.state, hold: holdOf(row) };
    }
    return undefined;
  }

  openHolds(): { readonly id: number; readonly hold: Hold }[] {
    return this.#all<Row>(`id < 0 AND state = 'held'`).map((row) => ({ id: row.id, hold: holdOf(row) }));
  }

  liveNonces(nowSeconds: number): { signer: string; nonce: string; nonce_until: number }[] {
    return this.#all('nonce_until >= ?', nowSeconds);
  }

  /** Calls with an `Idempotency-Key` begun after a time, oldest first; a released one is as if it had not been made. */
  idempotentCalls(sinceMs: number): StoredCall[] {
    return this.#all<Row & { created_ms: number }>(
      `idempotency_key IS NOT NULL AND created_ms > ? AND state <> 'released'`,
      sinceMs,
    )
      .sort((a, b) => a.created_ms - b.created_ms)
      .map((row) => ({
        key: row.idempotency_key ?? '',
        requestId: row.request_id,
        requestHash: row.request_hash as Hex,
        createdMs: row.created_ms,
        ...(row.id > 0 ? { sequence: BigInt(row.id) } : {}),
      }));
  }

  /** The answer kept with a receipt, if it was. */
  answer(sequence: bigint): Uint8Array | undefined {
    const [row] = this.#all<{ answer: ArrayBuffer | null }>('id = ?', Number(sequence));
    return row?.answer ? new Uint8Array(row.answer) : undefined;
  }

  /** Receipts that have rows, in ascending order, from a sequence number on. */
  receipts(from: bigint, limit: number): StoredReceipt[] {
    const found: StoredReceipt[] = [];
    for (const generation of this.#generations) {
      if (found.length >= limit) break;
      const rows = this.#sql
        .exec<Row>(
          `SELECT * FROM ${table(generation)} WHERE id > 0 AND id >= ? ORDER BY id LIMIT ?`,
          Number(from),
          limit - found.length,
        )
        .toArray();
      found.push(...rows.map(receiptOf));
    }
    return found;
  }

  /** When the newest row of the oldest full generation was made; `undefined` while none is full. */
  oldestFullMs(): number | undefined {
    const [oldest, ...newer] = this.#generations;
    if (oldest === undefined || newer.length === 0) return undefined;
    // Nothing is added to a full one, so it is read once.
    if (this.#oldestFull?.generation === oldest) return this.#oldestFull.ms;
    const { newest } = this.#sql
      .exec<{ newest: number | null }>(`SELECT max(created_ms) AS newest FROM ${table(oldest)}`)
      .one();
    this.#oldestFull = { generation: oldest, ms: newest ?? 0 };
    return this.#oldestFull.ms;
  }

  /** The oldest full generation's receipts, unless something in it is still under way. */
  packable(): Packable | undefined {
    const [oldest, ...newer] = this.#generations;
    if (oldest === undefined || newer.length === 0) return undefined;
    const open = this.#sql
      .exec<{ n: number }>(`SELECT count(*) AS n FROM ${table(oldest)} WHERE state = 'held'`)
      .one();
    if (open.n > 0) return undefined;
    const rows = this.#sql
      .exec<{ id: number; receipt: string }>(
        `SELECT id, receipt FROM ${table(oldest)} WHERE id > 0 ORDER BY id`,
      )
      .toArray();
    const [first, last] = [rows[0], rows.at(-1)];
    return {
      generation: oldest,
      range: first && last && { first: BigInt(first.id), last: BigInt(last.id) },
      json: `[${rows.map(({ receipt }) => receipt).join(',')}]`,
    };
  }

  /** A generation's receipts have been packed: one row, and its table goes. Call within a transaction. */
  drop({ generation, range }: Packable, piece: Uint8Array<ArrayBuffer> | string): void {
    if (this.#generations[0] !== generation || this.#generations.length === 1) return;
    if (range !== undefined) {
      const last = this.#sql
        .exec<Row>(`SELECT * FROM ${table(generation)} WHERE id = ?`, Number(range.last))
        .one();
      const { receipt, digest } = receiptOf(last);
      this.#sql.exec(
        `CREATE TABLE IF NOT EXISTS archives (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, packed BLOB,
           object_name TEXT, digest TEXT NOT NULL, epoch TEXT NOT NULL, cumulative TEXT NOT NULL)`,
      );
      this.#sql.exec(
        'INSERT OR REPLACE INTO archives VALUES (?, ?, ?, ?, ?, ?, ?)',
        Number(range.first),
        Number(range.last),
        typeof piece === 'string' ? null : piece.slice().buffer,
        typeof piece === 'string' ? piece : null,
        digest,
        `${receipt.epoch}`,
        `${receipt.cumulative}`,
      );
    }
    this.#sql.exec(`DROP TABLE ${table(generation)}`);
    this.#generations.shift();
  }

  /** The archived piece that holds a receipt; `undefined` for one that has a row, or does not exist. */
  pieceOf(sequence: bigint): Piece | undefined {
    const [row] = this.#archives<{
      first: number;
      last: number;
      packed: ArrayBuffer | null;
      object_name: string | null;
    }>('SELECT first, last, packed, object_name FROM archives WHERE first <= ? ORDER BY first DESC LIMIT 1', [
      Number(sequence),
    ]);
    if (row === undefined || BigInt(row.last) < sequence) return undefined;
    return {
      first: BigInt(row.first),
      last: BigInt(row.last),
      packed: row.packed === null ? undefined : new Uint8Array(row.packed),
      objectName: row.object_name ?? undefined,
    };
  }

  #archives<T extends Record<string, SqlValue>>(query: string, bindings: readonly SqlValue[]): T[] {
    const { n } = this.#sql
      .exec<{ n: number }>(`SELECT count(*) AS n FROM sqlite_master WHERE name = 'archives'`)
      .one();
    return n === 0 ? [] : this.#sql.exec<T>(query, ...bindings).toArray();
  }

  lastReceipt(): LastReceipt | undefined {
    for (const name of this.#tables()) {
      const [row] = this.#sql
        .exec<Row>(`SELECT * FROM ${name} WHERE id > 0 ORDER BY id DESC LIMIT 1`)
        .toArray();
      if (row) {
        const { receipt, digest } = receiptOf(row);
        return { sequence: receipt.sequence, digest, epoch: receipt.epoch, cumulative: receipt.cumulative };
      }
    }
    const [row] = this.#archives<{ last: number; digest: string; epoch: string; cumulative: string }>(
      'SELECT last, digest, epoch, cumulative FROM archives ORDER BY first DESC LIMIT 1',
      [],
    );
    return (
      row && {
        sequence: BigInt(row.last),
        digest: row.digest as Hex,
        epoch: BigInt(row.epoch),
        cumulative: BigInt(row.cumulative),
      }
    );
  }

  /** What a request was captured as, if it was: what makes a repeated capture harmless. */
  captured(requestId: string): StoredReceipt | undefined {
    const [row] = this.#all<Row>('id > 0 AND request_id = ?', requestId);
    return row && receiptOf(row);
  }

  #newest(): string {
    return table(this.#generations.at(-1) ?? 1);
  }

  /** Newest first: what is looked for is usually there. */
  #tables(): string[] {
    return this.#generations.map(table).reverse();
  }

  #find(name: string, id: number): Row | undefined {
    return this.#sql.exec<Row>(`SELECT * FROM ${name} WHERE id = ?`, id).toArray()[0];
  }

  #all<T>(where: string, ...bindings: SqlValue[]): T[] {
    return this.#tables().flatMap(
      (name) => this.#sql.exec(`SELECT * FROM ${name} WHERE ${where}`, ...bindings).toArray() as T[],
    );
  }
}

const table = (generation: number): string => `requests_${generation}`;

const holdOf = (row: Row): Hold => ({
  requestId: row.request_id,
  ceiling: BigInt(row.ceiling),
  epoch: BigInt(row.epoch),
  deadlineMs: row.deadline_ms,
  priceTable: row.price_table as Hex,
  ...(row.idempotency_key === null
    ? {}
    : { idempotency: { key: row.idempotency_key, requestHash: row.request_hash as Hex } }),
  ...(row.signer?.startsWith('key_') ? { sessionKey: row.signer } : {}),
});

function receiptOf(row: Row): StoredReceipt {
  const read = receiptFromJson({ receipt: JSON.parse(row.receipt ?? 'null'), signature: unsigned });
  if (!read.ok) throw new Error(`stored receipt ${row.id} does not read: ${read.error}`);
  return { receipt: read.value.receipt, digest: row.digest as Hex };
}
