// The account's one table. A request is one row: inserted as a hold, updated once. A hold's id is negative; its capture
// changes the id to the receipt's sequence number, so that receipts are found by primary key without an index (an index
// would bill one more row on every write; changing the id bills none).
import type { Hex } from 'viem';
import { type Receipt, receiptFromJson, receiptToJson } from '../../protocol/receipt.ts';
import type { Caller, Charge, Hold } from './ledger.ts';

export type HoldState = 'held' | 'captured' | 'late' | 'released' | 'expired' | 'read';

type Row = {
  id: number;
  state: HoldState;
  request_id: string;
  signer: string | null;
  nonce: string | null;
  nonce_until: number | null;
  epoch: string;
  ceiling: string;
  deadline_ms: number;
  price_table: string;
  digest: string | null;
  receipt: string | null;
};

/** No real signature: the stored receipt is unsigned, and signed anew whenever it is shown. */
const unsigned: Hex = `0x${'00'.repeat(65)}`;

export class AccountRows {
  readonly #sql: SqlStorage;
  #lowestId: number;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(
      `CREATE TABLE IF NOT EXISTS requests (
        id INTEGER PRIMARY KEY, state TEXT NOT NULL, request_id TEXT NOT NULL,
        signer TEXT, nonce TEXT, nonce_until INTEGER,
        epoch TEXT NOT NULL, ceiling TEXT NOT NULL, deadline_ms INTEGER NOT NULL, price_table TEXT NOT NULL,
        amount TEXT, loss TEXT, digest TEXT, receipt TEXT)`,
    );
    this.#lowestId = Number(sql.exec('SELECT min(id) AS id FROM requests').one()['id'] ?? 0);
    if (this.#lowestId > 0) this.#lowestId = 0;
  }

  /** @returns the hold's id, which the capture and release name it by */
  insertHold(hold: Hold, caller: Caller, state: HoldState = 'held'): number {
    this.#lowestId -= 1;
    this.#sql.exec(
      `INSERT INTO requests (id, state, request_id, signer, nonce, nonce_until, epoch, ceiling, deadline_ms, price_table)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      this.#lowestId,
      state,
      hold.requestId,
      caller.signer,
      caller.nonce?.value ?? null,
      caller.nonce?.until ?? null,
      `${hold.epoch}`,
      `${hold.ceiling}`,
      hold.deadlineMs,
      hold.priceTable,
    );
    return this.#lowestId;
  }

  capture(holdId: number, charge: Charge, receipt: Receipt, digest: Hex): void {
    this.#sql.exec(
      'UPDATE requests SET id = ?, state = ?, amount = ?, loss = ?, digest = ?, receipt = ? WHERE id = ?',
      Number(receipt.sequence),
      charge.state,
      `${charge.amount}`,
      `${charge.loss}`,
      digest,
      JSON.stringify(receiptToJson({ receipt, signature: unsigned }).receipt),
      holdId,
    );
  }

  end(holdId: number, state: 'released' | 'expired'): void {
    this.#sql.exec(`UPDATE requests SET state = ? WHERE id = ? AND state = 'held'`, state, holdId);
  }

  /** A hold as it was reserved, whatever became of it; `undefined` once captured or when there never was one. */
  hold(holdId: number): { readonly state: HoldState; readonly hold: Hold } | undefined {
    const row = this.#sql.exec<Row>('SELECT * FROM requests WHERE id = ? AND id < 0', holdId).toArray()[0];
    return row && { state: row.state, hold: holdOf(row) };
  }

  openHolds(): { readonly id: number; readonly hold: Hold }[] {
    return this.#sql
      .exec<Row>(`SELECT * FROM requests WHERE id < 0 AND state = 'held'`)
      .toArray()
      .map((row) => ({ id: row.id, hold: holdOf(row) }));
  }

  liveNonces(
    nowSeconds: number,
  ): { readonly signer: string; readonly nonce: string; readonly until: number }[] {
    return this.#sql
      .exec<{ signer: string; nonce: string; until: number }>(
        'SELECT signer, nonce, nonce_until AS until FROM requests WHERE nonce_until >= ?',
        nowSeconds,
      )
      .toArray();
  }

  /** The receipt with this sequence number. */
  receipt(sequence: number): { readonly receipt: Receipt; readonly digest: Hex } | undefined {
    return this.receipts(sequence, 1).find((row) => row.receipt.sequence === BigInt(sequence));
  }

  /** Receipts in ascending order, from a sequence number on. */
  receipts(from: number, limit: number): { readonly receipt: Receipt; readonly digest: Hex }[] {
    return this.#sql
      .exec<Row>('SELECT * FROM requests WHERE id >= ? AND id > 0 ORDER BY id LIMIT ?', from, limit)
      .toArray()
      .map(receiptOf);
  }

  lastReceipt(): { readonly receipt: Receipt; readonly digest: Hex } | undefined {
    const row = this.#sql
      .exec<Row>('SELECT * FROM requests WHERE id > 0 ORDER BY id DESC LIMIT 1')
      .toArray()[0];
    return row && receiptOf(row);
  }

  /** The sequence number a request was captured under, if it was: what makes a repeated capture harmless. */
  captured(requestId: string): { readonly receipt: Receipt; readonly digest: Hex } | undefined {
    const row = this.#sql
      .exec<Row>('SELECT * FROM requests WHERE id > 0 AND request_id = ? ORDER BY id DESC LIMIT 1', requestId)
      .toArray()[0];
    return row && receiptOf(row);
  }
}

const holdOf = (row: Row): Hold => ({
  requestId: row.request_id,
  ceiling: BigInt(row.ceiling),
  epoch: BigInt(row.epoch),
  deadlineMs: row.deadline_ms,
  priceTable: row.price_table as Hex,
});

function receiptOf(row: Row): { receipt: Receipt; digest: Hex } {
  const read = receiptFromJson({ receipt: JSON.parse(row.receipt ?? 'null'), signature: unsigned });
  if (!read.ok) throw new Error(`stored receipt ${row.id} does not read: ${read.error}`);
  return { receipt: read.value.receipt, digest: row.digest as Hex };
}
