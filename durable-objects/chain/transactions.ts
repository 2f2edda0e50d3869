// The rows of the transactions this deployment has asked for, and the one durable nonce sequence they are sent with.
// docs/log.md draws the states.
import type { Address, Hex } from 'viem';
import { isCurrent, tablesOf, upgrade } from '../schema.ts';
import { chainSchema } from './chain-schema.ts';

/** A transaction somebody asked for. The key makes asking twice harmless. */
export type TransactionRequest = {
  readonly key: string;
  readonly to: Address;
  readonly data: Hex;
  /** Base units. */
  readonly value: bigint;
  /** Worth more gas than the cap: see `maxFeePerGas`. */
  readonly urgent?: boolean;
};

export type MinedLog = { readonly address: Address; readonly topics: readonly Hex[]; readonly data: Hex };

/** What has become of a transaction. */
export type TransactionState =
  | { readonly state: 'pending' }
  /**
   * Included in a block. `success: false` means it reverted there. Until `final` (as deep as the chain's depth) the block may
   * still be reorganised away, and the transaction pending again.
   */
  | {
      readonly state: 'mined';
      readonly success: boolean;
      readonly final: boolean;
      readonly hash: Hex;
      readonly blockNumber: bigint;
      readonly logs: readonly MinedLog[];
    }
  /**
   * Simulation reverted, or its nonce was taken by another transaction: it is not on chain. Asking again with the same key
   * tries again; whoever does looks first whether it is still needed.
   */
  | { readonly state: 'refused'; readonly error: string };

export type Mined = Extract<TransactionState, { state: 'mined' }>;

export type Transaction = TransactionRequest & {
  readonly id: number;
  readonly state: 'queued' | 'sent' | 'mined' | 'final' | 'refused';
  readonly nonce: number | undefined;
  /** Whose nonce it is; undefined while it has none, and for one from before this was noted, until {@link TransactionRows.adopt}. */
  readonly sender: Address | undefined;
  /** Every hash ever signed for this nonce, newest last: any of them may be the one that is mined. */
  readonly hashes: readonly Hex[];
  /** The newest signed transaction, to be broadcast again as it is. */
  readonly raw: Hex | undefined;
  readonly gas: bigint;
  readonly fees: Fees;
  readonly sentMs: number;
};

/** Wei per gas. */
export type Fees = { readonly maxFeePerGas: bigint; readonly maxPriorityFeePerGas: bigint };

/** A transaction signed and about to be broadcast. */
export type Signed = {
  readonly sender: Address;
  readonly nonce: number;
  readonly hash: Hex;
  readonly raw: Hex;
  readonly gas: bigint;
  readonly fees: Fees;
};

type Row = {
  id: number;
  key: string;
  to_address: string;
  data: string;
  value: string;
  urgent: number;
  state: Transaction['state'];
  nonce: number | null;
  hashes: string;
  raw: string | null;
  gas: string;
  max_fee: string;
  priority_fee: string;
  sent_ms: number;
  outcome: string | null;
  sender: string | null;
};

export class TransactionRows {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    upgrade(storage, chainSchema);
    const isNew = tablesOf(storage.sql, 'transactions').length === 0;
    this.#sql.exec(
      `CREATE TABLE IF NOT EXISTS transactions (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, to_address TEXT NOT NULL, data TEXT NOT NULL,
        value TEXT NOT NULL, urgent INTEGER NOT NULL, state TEXT NOT NULL, nonce INTEGER,
        hashes TEXT NOT NULL DEFAULT '[]', raw TEXT, gas TEXT NOT NULL DEFAULT '0', max_fee TEXT NOT NULL DEFAULT '0',
        priority_fee TEXT NOT NULL DEFAULT '0', sent_ms INTEGER NOT NULL DEFAULT 0, outcome TEXT, sender TEXT);
      CREATE INDEX IF NOT EXISTS transactions_open ON transactions (state) WHERE state IN ('queued', 'sent', 'mined')`,
    );
    if (isNew) isCurrent(storage, chainSchema);
  }

  /** Queues a transaction once per key; one that was refused is queued again. */
  ask(request: TransactionRequest): TransactionState {
    const row = this.#row(request.key);
    if (row === undefined) {
      this.#sql.exec(
        `INSERT INTO transactions (key, to_address, data, value, urgent, state) VALUES (?, ?, ?, ?, ?, 'queued')`,
        request.key,
        request.to,
        request.data,
        `${request.value}`,
        request.urgent ? 1 : 0,
      );
      return { state: 'pending' };
    }
    if (row.state !== 'refused') return stateOf(row);
    // What is asked for may have changed (a price, a proof against another head): the new words count.
    this.#sql.exec(
      `UPDATE transactions SET state = 'queued', to_address = ?, data = ?, value = ?, urgent = ?, outcome = NULL,
         nonce = NULL, sender = NULL, hashes = '[]', raw = NULL, sent_ms = 0 WHERE id = ?`,
      request.to,
      request.data,
      `${request.value}`,
      request.urgent ? 1 : 0,
      row.id,
    );
    return { state: 'pending' };
  }

  state(key: string): TransactionState | undefined {
    const row = this.#row(key);
    return row && stateOf(row);
  }

  queued(): Transaction[] {
    return this.#list(`state = 'queued' ORDER BY urgent DESC, id`);
  }

  /** Those that hold a nonce and are not final yet, in order of nonces. */
  open(): Transaction[] {
    return this.#list(`state IN ('sent', 'mined') ORDER BY nonce`);
  }

  /** Whether there is anything to look after. */
  isBusy(): boolean {
    const row = this.#sql
      .exec<{ open: number }>(
        `SELECT EXISTS (SELECT 1 FROM transactions WHERE state IN ('queued', 'sent', 'mined')) AS open`,
      )
      .toArray()[0];
    return row?.open === 1;
  }

  /** The next nonce of a key's durable sequence; `undefined` until it has been read from the chain once. */
  nextNonce(sender: Address): number | undefined {
    return this.#storage.kv.get<number>(`nextNonce:${sender}`);
  }

  /** What was sent before senders were noted was sent by the key that is the operator's at the upgrade. */
  adopt(operator: Address): void {
    const next = this.#storage.kv.get<number>('nextNonce');
    if (next === undefined) return;
    this.#storage.transactionSync(() => {
      this.#sql.exec(
        'UPDATE transactions SET sender = ? WHERE nonce IS NOT NULL AND sender IS NULL',
        operator,
      );
      this.#storage.kv.put(`nextNonce:${operator}`, next);
      this.#storage.kv.delete('nextNonce');
    });
  }

  /**
   * Written before the broadcast: whatever happens afterwards, the hash to look for is known and the nonce is not used
   * for anything else.
   */
  sending(transaction: Transaction, signed: Signed, nowMs: number): void {
    this.#storage.transactionSync(() => {
      this.#sql.exec(
        `UPDATE transactions SET state = 'sent', nonce = ?, sender = ?, hashes = ?, raw = ?, gas = ?, max_fee = ?, priority_fee = ?,
           sent_ms = ? WHERE id = ?`,
        signed.nonce,
        signed.sender,
        JSON.stringify([...transaction.hashes, signed.hash]),
        signed.raw,
        `${signed.gas}`,
        `${signed.fees.maxFeePerGas}`,
        `${signed.fees.maxPriorityFeePerGas}`,
        nowMs,
        transaction.id,
      );
      const { sender, nonce } = signed;
      if (nonce >= (this.nextNonce(sender) ?? 0)) this.#storage.kv.put(`nextNonce:${sender}`, nonce + 1);
    });
  }

  /** A reorganisation took its block away: it waits with the nonce it has. */
  unmined(id: number): void {
    this.#sql.exec(`UPDATE transactions SET state = 'sent', outcome = NULL WHERE id = ?`, id);
  }

  mined(id: number, outcome: Mined): void {
    this.#finish(id, outcome.final ? 'final' : 'mined', outcome);
  }

  refused(id: number, error: string): void {
    this.#finish(id, 'refused', { state: 'refused', error });
  }

  #finish(id: number, state: Row['state'], outcome: TransactionState): void {
    const json = JSON.stringify(outcome, (_, value) => (typeof value === 'bigint' ? `${value}` : value));
    // What was said to the chain is on the chain: the row keeps what has come of it.
    const forget = state === 'final' ? `, data = '0x', raw = NULL` : '';
    this.#sql.exec(`UPDATE transactions SET state = ?, outcome = ?${forget} WHERE id = ?`, state, json, id);
  }

  #row(key: string): Row | undefined {
    return this.#sql.exec<Row>('SELECT * FROM transactions WHERE key = ?', key).toArray()[0];
  }

  #list(where: string): Transaction[] {
    return this.#sql
      .exec<Row>(`SELECT * FROM transactions WHERE ${where}`)
      .toArray()
      .map((row) => ({
        id: row.id,
        key: row.key,
        to: row.to_address as Address,
        data: row.data as Hex,
        value: BigInt(row.value),
        urgent: row.urgent === 1,
        state: row.state,
        nonce: row.nonce ?? undefined,
        sender: (row.sender ?? undefined) as Address | undefined,
        hashes: JSON.parse(row.hashes) as Hex[],
        raw: row.raw === null ? undefined : (row.raw as Hex),
        gas: BigInt(row.gas),
        fees: { maxFeePerGas: BigInt(row.max_fee), maxPriorityFeePerGas: BigInt(row.priority_fee) },
        sentMs: row.sent_ms,
      }));
  }
}

function stateOf(row: Row): TransactionState {
  if (row.outcome === null) return { state: 'pending' };
  const outcome = JSON.parse(row.outcome) as TransactionState & { blockNumber: string };
  return outcome.state === 'mined' ? { ...outcome, blockNumber: BigInt(outcome.blockNumber) } : outcome;
}
