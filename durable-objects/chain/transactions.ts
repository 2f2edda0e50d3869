// The rows of the transactions this deployment has asked for, and the one durable nonce sequence they are sent with.
import type { Address, Hex } from 'viem';

/** A transaction somebody asked for. The key makes asking twice harmless. */
export type TransactionRequest = {
  readonly key: string;
  readonly to: Address;
  readonly data: Hex;
  /** Base units. */
  readonly value: bigint;
};

export type MinedLog = { readonly address: Address; readonly topics: readonly Hex[]; readonly data: Hex };

/** What has become of a transaction. */
export type TransactionState =
  | { readonly state: 'pending' }
  /** Included in a block. `success: false` means it reverted there. */
  | {
      readonly state: 'mined';
      readonly success: boolean;
      readonly hash: Hex;
      readonly blockNumber: bigint;
      readonly logs: readonly MinedLog[];
    }
  /** Simulation reverted: it was never sent. Asking again with the same key tries again. */
  | { readonly state: 'refused'; readonly error: string };

export type Transaction = TransactionRequest & {
  readonly id: number;
  readonly nonce: number | undefined;
  /** Every hash ever broadcast for this nonce, newest last: any of them may be the one that is mined. */
  readonly hashes: readonly Hex[];
  readonly sentMs: number;
  readonly maxFeePerGas: bigint;
};

type Row = {
  id: number;
  key: string;
  to_address: string;
  data: string;
  value: string;
  state: 'queued' | 'sent' | 'mined' | 'refused';
  nonce: number | null;
  hashes: string;
  sent_ms: number;
  max_fee: string;
  outcome: string | null;
};

export class TransactionRows {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#sql.exec(
      `CREATE TABLE IF NOT EXISTS transactions (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, to_address TEXT NOT NULL, data TEXT NOT NULL,
        value TEXT NOT NULL, state TEXT NOT NULL, nonce INTEGER, hashes TEXT NOT NULL DEFAULT '[]',
        sent_ms INTEGER NOT NULL DEFAULT 0, max_fee TEXT NOT NULL DEFAULT '0', outcome TEXT)`,
    );
  }

  /** Queues a transaction once per key; one that was refused is queued again. */
  ask(request: TransactionRequest): TransactionState {
    const row = this.#sql.exec<Row>('SELECT * FROM transactions WHERE key = ?', request.key).toArray()[0];
    if (row === undefined) {
      this.#sql.exec(
        `INSERT INTO transactions (key, to_address, data, value, state) VALUES (?, ?, ?, ?, 'queued')`,
        request.key,
        request.to,
        request.data,
        `${request.value}`,
      );
      return { state: 'pending' };
    }
    if (row.state === 'mined' && row.outcome) return parseOutcome(row.outcome);
    if (row.state === 'refused') {
      // What is asked for may have changed (a proof rebuilt against another head): the new words count.
      this.#sql.exec(
        `UPDATE transactions SET state = 'queued', to_address = ?, data = ?, value = ?, outcome = NULL WHERE id = ?`,
        request.to,
        request.data,
        `${request.value}`,
        row.id,
      );
      return row.outcome ? parseOutcome(row.outcome) : { state: 'pending' };
    }
    return { state: 'pending' };
  }

  state(key: string): TransactionState | undefined {
    const row = this.#sql.exec<Row>('SELECT * FROM transactions WHERE key = ?', key).toArray()[0];
    if (row === undefined) return undefined;
    return row.outcome ? parseOutcome(row.outcome) : { state: 'pending' };
  }

  queued(): Transaction[] {
    return this.#list('queued');
  }

  sent(): Transaction[] {
    return this.#list('sent');
  }

  #list(state: Row['state']): Transaction[] {
    return this.#sql
      .exec<Row>('SELECT * FROM transactions WHERE state = ? ORDER BY nonce, id', state)
      .toArray()
      .map((row) => ({
        id: row.id,
        key: row.key,
        to: row.to_address as Address,
        data: row.data as Hex,
        value: BigInt(row.value),
        nonce: row.nonce ?? undefined,
        hashes: JSON.parse(row.hashes) as Hex[],
        sentMs: row.sent_ms,
        maxFeePerGas: BigInt(row.max_fee),
      }));
  }

  /** The next nonce of the durable sequence; `undefined` until it has been read from the chain once. */
  get nextNonce(): number | undefined {
    return this.#storage.kv.get<number>('nextNonce');
  }

  set nextNonce(nonce: number) {
    this.#storage.kv.put('nextNonce', nonce);
  }

  /**
   * Written before the broadcast: whatever happens afterwards, the hash to look for is known and the nonce is not used
   * for anything else.
   */
  sending(id: number, nonce: number, hashes: readonly Hex[], maxFeePerGas: bigint, nowMs: number): void {
    this.#sql.exec(
      `UPDATE transactions SET state = 'sent', nonce = ?, hashes = ?, max_fee = ?, sent_ms = ? WHERE id = ?`,
      nonce,
      JSON.stringify(hashes),
      `${maxFeePerGas}`,
      nowMs,
      id,
    );
  }

  /** Its nonce was spent by a transaction that is not ours: it will never be mined, and starts again with a new one. */
  requeue(id: number): void {
    this.#sql.exec(
      `UPDATE transactions SET state = 'queued', nonce = NULL, hashes = '[]', sent_ms = 0 WHERE id = ?`,
      id,
    );
  }

  mined(id: number, outcome: TransactionState & { state: 'mined' }): void {
    this.#finish(id, 'mined', outcome);
  }

  refused(id: number, error: string): void {
    this.#finish(id, 'refused', { state: 'refused', error });
  }

  #finish(id: number, state: Row['state'], outcome: TransactionState): void {
    const json = JSON.stringify(outcome, (_, value) => (typeof value === 'bigint' ? `${value}` : value));
    this.#sql.exec('UPDATE transactions SET state = ?, outcome = ? WHERE id = ?', state, json, id);
  }
}

function parseOutcome(json: string): TransactionState {
  const outcome = JSON.parse(json);
  return outcome.state === 'mined' ? { ...outcome, blockNumber: BigInt(outcome.blockNumber) } : outcome;
}
