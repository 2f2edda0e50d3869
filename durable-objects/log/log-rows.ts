// The log's tables. An append is one row and never changes: its place in the tree is decided when it arrives, so a seal
// writes only tiles, one commit row and the blob's parts.
import { concatBytes, hexToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { HASH_BYTES } from '../../protocol/log/merkle.ts';
import type { TileBytes } from '../../protocol/log/tiles.ts';
import { type Receipt, receiptFromJson, receiptToJson } from '../../protocol/receipt.ts';

/** Consecutive receipts of one account, appended together. */
export type Append = {
  readonly firstIndex: number;
  /** The account's number in this log. */
  readonly account: number;
  readonly firstSequence: number;
  readonly entries: readonly Uint8Array[];
  /** When it arrived. */
  readonly atMs: number;
  /** The earliest `mergeBy` among the receipts, Unix seconds. */
  readonly mergeBy: number;
};

/** A sealed batch. Its blob is never built again: what is published is these bytes. */
export type Commit = {
  readonly id: number;
  /** The tree's size with this commit. */
  readonly size: number;
  readonly root: Hex;
  readonly checkpoint: string;
  readonly headSignature: Hex;
  readonly sealedMs: number;
  /** The earliest `mergeBy` among its receipts, Unix seconds. */
  readonly mergeBy: number;
  readonly blobBytes: number;
};

/** A head that is on chain, for good as far as the chain's depth goes. */
export type Anchor = {
  readonly size: number;
  /** The commit whose head it is. */
  readonly commit: number;
  readonly root: Hex;
  readonly transaction: Hex;
  readonly blockNumber: string;
  readonly daReference: Hex;
};

/** A row may hold 2 MB; a blob is cut into parts well below that. */
const partBytes = 2 ** 20;
/** Rows of one commit's parts have the numbers from `id * partsMax`. */
const partsMax = 64;
/** Tree levels a tile has: 256^7 is more than 2^53. */
const tileLevels = 8;

const unsigned: Hex = `0x${'00'.repeat(65)}`;

export class LogRows {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`
      CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
      CREATE TABLE IF NOT EXISTS appends (
        first_index INTEGER PRIMARY KEY, account INTEGER NOT NULL, first_sequence INTEGER NOT NULL,
        count INTEGER NOT NULL, entries BLOB NOT NULL, at_ms INTEGER NOT NULL, merge_by INTEGER NOT NULL);
      CREATE INDEX IF NOT EXISTS appends_by_account ON appends (account, first_sequence);
      CREATE TABLE IF NOT EXISTS tiles (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
      CREATE TABLE IF NOT EXISTS commits (
        id INTEGER PRIMARY KEY, size INTEGER NOT NULL, root TEXT NOT NULL, checkpoint TEXT NOT NULL,
        head_signature TEXT NOT NULL, sealed_ms INTEGER NOT NULL, merge_by INTEGER NOT NULL,
        blob_bytes INTEGER NOT NULL);
      CREATE INDEX IF NOT EXISTS commits_by_size ON commits (size);
      CREATE TABLE IF NOT EXISTS blob_parts (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
      CREATE TABLE IF NOT EXISTS anchors (
        size INTEGER PRIMARY KEY, commit_id INTEGER NOT NULL, root TEXT NOT NULL, transaction_hash TEXT NOT NULL,
        block_number TEXT NOT NULL, da_reference TEXT NOT NULL);
      ${waitingTable}
    `);
  }

  /** Index after the last entry appended, sealed or not. */
  appendedSize(): number {
    return (
      this.#one<{ end: number }>(
        'SELECT first_index + count AS end FROM appends ORDER BY first_index DESC LIMIT 1',
      )?.end ?? 0
    );
  }

  /** An account's number, if it has ever appended. */
  accountId(name: string): number | undefined {
    return this.#one<{ id: number }>('SELECT id FROM accounts WHERE name = ?', name)?.id;
  }

  addAccount(name: string): number {
    this.#sql.exec('INSERT INTO accounts (name) VALUES (?)', name);
    return this.#one<{ id: number }>('SELECT last_insert_rowid() AS id')?.id ?? 0;
  }

  /** The last sequence number taken from an account; 0 for none. */
  lastSequence(account: number): number {
    return (
      this.#one<{ last: number }>(
        `SELECT first_sequence + count - 1 AS last FROM appends WHERE account = ?
         ORDER BY first_sequence DESC LIMIT 1`,
        account,
      )?.last ?? 0
    );
  }

  /** Two rows and the index's. `lastReceipt` is kept only until it has been sealed. */
  append(append: Append, lastReceipt: Receipt): void {
    this.#sql.exec(
      'INSERT INTO appends VALUES (?, ?, ?, ?, ?, ?, ?)',
      append.firstIndex,
      append.account,
      append.firstSequence,
      append.entries.length,
      bufferOf(concatBytes(...append.entries)),
      append.atMs,
      append.mergeBy,
    );
    this.#sql.exec(
      'INSERT INTO waiting VALUES (?, ?)',
      append.firstIndex,
      JSON.stringify(receiptToJson({ receipt: lastReceipt, signature: unsigned }).receipt),
    );
  }

  /** The appends that begin within so many entries from an index on, in order. */
  appendsFrom(index: number, entries: number): Append[] {
    return this.#sql
      .exec<AppendRow>(
        'SELECT * FROM appends WHERE first_index >= ? AND first_index < ? ORDER BY first_index',
        index,
        index + entries,
      )
      .toArray()
      .map(appendOf);
  }

  /** The last receipt of an append that has not been sealed yet. */
  waitingReceipt(firstIndex: number): Receipt {
    const row = this.#one<{ receipt: string }>(
      'SELECT receipt FROM waiting WHERE first_index = ?',
      firstIndex,
    );
    const read = row && receiptFromJson({ receipt: JSON.parse(row.receipt) as unknown, signature: unsigned });
    if (!read?.ok) throw new Error(`the receipt waiting at ${firstIndex} does not read: ${read?.error}`);
    return read.value.receipt;
  }

  /** Everything is sealed: the receipts that waited go with their table, which costs no row. */
  forgetWaiting(): void {
    this.#sql.exec(`DROP TABLE waiting; ${waitingTable}`);
  }

  /** Of the entries from an index on: when the oldest arrived, and the earliest `mergeBy`. */
  waitingFrom(index: number): { readonly sinceMs: number; readonly mergeBy: number } | undefined {
    const row = this.#one<{ since: number | null; merge_by: number | null }>(
      'SELECT MIN(at_ms) AS since, MIN(merge_by) AS merge_by FROM appends WHERE first_index >= ?',
      index,
    );
    return row === undefined || row.since === null || row.merge_by === null
      ? undefined
      : { sinceMs: row.since, mergeBy: row.merge_by };
  }

  /**
   * The longest time from a capture to its arrival here, among the last appends since a time: a receipt's `mergeBy` is
   * `mergeDelay` seconds after its capture. Milliseconds, to the second; 0 for none.
   */
  outboxMs(sinceMs: number, mergeDelay: number): number {
    const row = this.#one<{ longest: number | null }>(
      `SELECT max(at_ms - 1000 * (merge_by - ?)) AS longest
       FROM (SELECT at_ms, merge_by FROM appends ORDER BY first_index DESC LIMIT 256) WHERE at_ms >= ?`,
      mergeDelay,
      sinceMs,
    );
    return Math.max(0, row?.longest ?? 0);
  }

  /** Where an account's receipt stands in the log; `undefined` when it has not arrived. */
  indexOf(account: number, sequence: number): number | undefined {
    const row = this.#one<{ first_index: number; first_sequence: number; count: number }>(
      `SELECT first_index, first_sequence, count FROM appends
       WHERE account = ? AND first_sequence <= ? ORDER BY first_sequence DESC LIMIT 1`,
      account,
      sequence,
    );
    if (row === undefined || sequence >= row.first_sequence + row.count) return undefined;
    return row.first_index + sequence - row.first_sequence;
  }

  /** Where the entry with these bytes stands. Reads every append there is: for what is asked once in a long while. */
  indexOfEntry(entry: Uint8Array): number | undefined {
    const row = this.#one<{ first_index: number; at: number }>(
      'SELECT first_index, instr(entries, ?) AS at FROM appends WHERE at > 0 AND (at - 1) % 32 = 0 LIMIT 1',
      bufferOf(entry),
    );
    return row && row.first_index + (row.at - 1) / HASH_BYTES;
  }

  /** Entries from `first` on, `count` of them, as far as there are any. */
  entries(first: number, count: number): Uint8Array[] {
    const rows = this.#sql
      .exec<AppendRow>(
        `SELECT * FROM appends WHERE first_index < ? AND first_index >=
           coalesce((SELECT max(first_index) FROM appends WHERE first_index <= ?), 0) ORDER BY first_index`,
        first + count,
        first,
      )
      .toArray()
      .map(appendOf);
    return rows
      .flatMap((row) => row.entries.map((entry, at) => ({ index: row.firstIndex + at, entry })))
      .filter(({ index }) => index >= first && index < first + count)
      .map(({ entry }) => entry);
  }

  tile(level: number, index: number): Uint8Array | undefined {
    const row = this.#one<{ bytes: ArrayBuffer }>(
      'SELECT bytes FROM tiles WHERE id = ?',
      index * tileLevels + level,
    );
    return row && new Uint8Array(row.bytes);
  }

  writeTile({ level, index, bytes }: TileBytes): void {
    this.#sql.exec('INSERT OR REPLACE INTO tiles VALUES (?, ?)', index * tileLevels + level, bufferOf(bytes));
  }

  writeCommit(commit: Omit<Commit, 'blobBytes'>, blob: Uint8Array): void {
    this.#sql.exec(
      'INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      commit.id,
      commit.size,
      commit.root,
      commit.checkpoint,
      commit.headSignature,
      commit.sealedMs,
      commit.mergeBy,
      blob.length,
    );
    const parts = Math.ceil(blob.length / partBytes);
    if (parts > partsMax) throw new RangeError(`a blob of ${blob.length} bytes`);
    for (let part = 0; part < parts; part++) {
      this.#sql.exec(
        'INSERT INTO blob_parts VALUES (?, ?)',
        commit.id * partsMax + part,
        bufferOf(blob.subarray(part * partBytes, (part + 1) * partBytes)),
      );
    }
  }

  lastCommit(): Commit | undefined {
    return this.#commits('ORDER BY id DESC LIMIT 1')[0];
  }

  commits(fromId: number, limit: number): Commit[] {
    return this.#commits('WHERE id >= ? ORDER BY id LIMIT ?', fromId, limit);
  }

  commitOfSize(size: number): Commit | undefined {
    return this.#commits('WHERE size = ?', size)[0];
  }

  /** A commit's bytes; `undefined` when there is no such commit, or its blob has been forgotten. */
  blob(id: number): Uint8Array | undefined {
    const parts = this.#sql
      .exec<{ bytes: ArrayBuffer }>(
        'SELECT bytes FROM blob_parts WHERE id >= ? AND id < ? ORDER BY id',
        id * partsMax,
        (id + 1) * partsMax,
      )
      .toArray();
    return parts.length === 0 ? undefined : concatBytes(...parts.map(({ bytes }) => new Uint8Array(bytes)));
  }

  forgetBlobsBelow(id: number): void {
    this.#sql.exec('DELETE FROM blob_parts WHERE id < ?', id * partsMax);
  }

  /** The earliest `mergeBy` among the commits after one. */
  mergeByAfter(commit: number): number | undefined {
    const row = this.#one<{ merge_by: number | null }>(
      'SELECT MIN(merge_by) AS merge_by FROM commits WHERE id > ?',
      commit,
    );
    return row?.merge_by ?? undefined;
  }

  writeAnchor(anchor: Anchor): void {
    this.#sql.exec(
      'INSERT OR REPLACE INTO anchors VALUES (?, ?, ?, ?, ?, ?)',
      anchor.size,
      anchor.commit,
      anchor.root,
      anchor.transaction,
      anchor.blockNumber,
      anchor.daReference,
    );
  }

  /** The newest head that is on chain. */
  lastAnchor(): Anchor | undefined {
    return this.#anchor('ORDER BY size DESC LIMIT 1');
  }

  /** The first anchored head that covers the entry at an index. */
  firstAnchorAbove(index: number): Anchor | undefined {
    return this.#anchor('WHERE size > ? ORDER BY size LIMIT 1', index);
  }

  /** The anchored head before one of this size. */
  anchorBelow(size: number): Anchor | undefined {
    return this.#anchor('WHERE size < ? ORDER BY size DESC LIMIT 1', size);
  }

  #anchor(where: string, ...bindings: number[]): Anchor | undefined {
    const row = this.#one<AnchorRow>(`SELECT * FROM anchors ${where}`, ...bindings);
    return (
      row && {
        size: row.size,
        commit: row.commit_id,
        root: row.root as Hex,
        transaction: row.transaction_hash as Hex,
        blockNumber: row.block_number,
        daReference: row.da_reference as Hex,
      }
    );
  }

  #commits(where: string, ...bindings: number[]): Commit[] {
    return this.#sql
      .exec<CommitRow>(`SELECT * FROM commits ${where}`, ...bindings)
      .toArray()
      .map((row) => ({
        id: row.id,
        size: row.size,
        root: row.root as Hex,
        checkpoint: row.checkpoint,
        headSignature: row.head_signature as Hex,
        sealedMs: row.sealed_ms,
        mergeBy: row.merge_by,
        blobBytes: row.blob_bytes,
      }));
  }

  #one<T extends Record<string, SqlStorageValue>>(
    query: string,
    ...bindings: (number | string | ArrayBuffer)[]
  ): T | undefined {
    return this.#sql.exec<T>(query, ...bindings).toArray()[0];
  }
}

/** The last receipt of each append that waits for its seal. */
const waitingTable =
  'CREATE TABLE IF NOT EXISTS waiting (first_index INTEGER PRIMARY KEY, receipt TEXT NOT NULL);';

type AppendRow = {
  first_index: number;
  account: number;
  first_sequence: number;
  count: number;
  entries: ArrayBuffer;
  at_ms: number;
  merge_by: number;
};

type CommitRow = {
  id: number;
  size: number;
  root: string;
  checkpoint: string;
  head_signature: string;
  sealed_ms: number;
  merge_by: number;
  blob_bytes: number;
};

type AnchorRow = {
  size: number;
  commit_id: number;
  root: string;
  transaction_hash: string;
  block_number: string;
  da_reference: string;
};

function appendOf(row: AppendRow): Append {
  const bytes = new Uint8Array(row.entries);
  return {
    firstIndex: row.first_index,
    account: row.account,
    firstSequence: row.first_sequence,
    entries: Array.from({ length: row.count }, (_, i) => bytes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)),
    atMs: row.at_ms,
    mergeBy: row.merge_by,
  };
}

/** The platform binds ArrayBuffers, and would bind the whole one behind a view. */
const bufferOf = (bytes: Uint8Array): ArrayBuffer => bytes.slice().buffer as ArrayBuffer;

export const entryOfDigest = (digest: Hex): Uint8Array => hexToBytes(digest.slice(2));
