// The log's tables. An append is one row and never changes: its place in the tree is decided when it arrives, so a seal
// writes only tiles and one commit row.
import { concatBytes, hexToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { HASH_BYTES } from '../../protocol/log/merkle.ts';
import type { TileBytes } from '../../protocol/log/tiles.ts';
import { type Receipt, receiptFromJson, receiptToJson } from '../../protocol/receipt.ts';

/** Consecutive receipts of one account, appended together. */
export type Append = {
  readonly firstIndex: number;
  readonly account: string;
  readonly firstSequence: number;
  readonly entries: readonly Uint8Array[];
  readonly lastReceipt: Receipt;
};

/** A sealed batch. Its blob is never built again: what is published is these bytes. */
export type Commit = {
  readonly id: number;
  /** The tree's size with this commit. */
  readonly size: number;
  readonly root: Hex;
  readonly checkpoint: string;
  readonly headSignature: Hex;
  readonly anchored: Anchored | undefined;
};

/** Where a commit's head stands on chain. */
export type Anchored = {
  readonly transaction: Hex;
  readonly blockNumber: string;
  readonly daReference: Hex;
};

type CommitRow = {
  id: number;
  size: number;
  root: string;
  checkpoint: string;
  head_signature: string;
  anchored: string | null;
};

const unsigned: Hex = `0x${'00'.repeat(65)}`;

export class LogRows {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`
      CREATE TABLE IF NOT EXISTS appends (
        first_index INTEGER PRIMARY KEY, account TEXT NOT NULL, first_sequence INTEGER NOT NULL,
        count INTEGER NOT NULL, entries BLOB NOT NULL, last_receipt TEXT NOT NULL, at_ms INTEGER NOT NULL);
      CREATE INDEX IF NOT EXISTS appends_by_account ON appends (account, first_sequence);
      CREATE TABLE IF NOT EXISTS tiles (
        level INTEGER, idx INTEGER, bytes BLOB NOT NULL, PRIMARY KEY (level, idx)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS commits (
        id INTEGER PRIMARY KEY, size INTEGER NOT NULL, root TEXT NOT NULL, checkpoint TEXT NOT NULL,
        head_signature TEXT NOT NULL, blob BLOB NOT NULL, anchored TEXT);
      CREATE INDEX IF NOT EXISTS commits_by_size ON commits (size);
    `);
  }

  /** Index after the last entry appended, sealed or not. */
  appendedSize(): number {
    const row = this.#sql
      .exec<{ end: number }>(
        'SELECT first_index + count AS end FROM appends ORDER BY first_index DESC LIMIT 1',
      )
      .toArray()[0];
    return row?.end ?? 0;
  }

  /** The last sequence number taken from an account; 0 for none. */
  lastSequence(account: string): number {
    const row = this.#sql
      .exec<{ last: number }>(
        `SELECT first_sequence + count - 1 AS last FROM appends WHERE account = ?
         ORDER BY first_sequence DESC LIMIT 1`,
        account,
      )
      .toArray()[0];
    return row?.last ?? 0;
  }

  append(append: Append, atMs: number): void {
    this.#sql.exec(
      'INSERT INTO appends VALUES (?, ?, ?, ?, ?, ?, ?)',
      append.firstIndex,
      append.account,
      append.firstSequence,
      append.entries.length,
      concatBytes(...append.entries).slice().buffer,
      JSON.stringify(receiptToJson({ receipt: append.lastReceipt, signature: unsigned }).receipt),
      atMs,
    );
  }

  /** Appends from an index on, in order, at most so many. */
  appendsFrom(index: number, limit: number): Append[] {
    return this.#sql
      .exec<AppendRow>(
        'SELECT * FROM appends WHERE first_index >= ? ORDER BY first_index LIMIT ?',
        index,
        limit,
      )
      .toArray()
      .map(appendOf);
  }

  /** When the oldest entry from an index on was appended. */
  oldestMsFrom(index: number): number | undefined {
    return this.#sql
      .exec<{ at_ms: number }>(
        'SELECT at_ms FROM appends WHERE first_index >= ? ORDER BY first_index LIMIT 1',
        index,
      )
      .toArray()[0]?.at_ms;
  }

  /** Where an account's receipt stands in the log; `undefined` when it has not arrived. */
  indexOf(account: string, sequence: number): number | undefined {
    const row = this.#sql
      .exec<{ first_index: number; first_sequence: number; count: number }>(
        `SELECT first_index, first_sequence, count FROM appends
         WHERE account = ? AND first_sequence <= ? ORDER BY first_sequence DESC LIMIT 1`,
        account,
        sequence,
      )
      .toArray()[0];
    if (row === undefined || sequence >= row.first_sequence + row.count) return undefined;
    return row.first_index + sequence - row.first_sequence;
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
    const row = this.#sql
      .exec<{ bytes: ArrayBuffer }>('SELECT bytes FROM tiles WHERE level = ? AND idx = ?', level, index)
      .toArray()[0];
    return row && new Uint8Array(row.bytes);
  }

  writeTile({ level, index, bytes }: TileBytes): void {
    this.#sql.exec('INSERT OR REPLACE INTO tiles VALUES (?, ?, ?)', level, index, bytes.slice().buffer);
  }

  writeCommit(commit: Omit<Commit, 'anchored'>, blob: Uint8Array): void {
    this.#sql.exec(
      'INSERT INTO commits (id, size, root, checkpoint, head_signature, blob) VALUES (?, ?, ?, ?, ?, ?)',
      commit.id,
      commit.size,
      commit.root,
      commit.checkpoint,
      commit.headSignature,
      blob.slice().buffer,
    );
  }

  lastCommit(): Commit | undefined {
    return this.#commit('ORDER BY id DESC LIMIT 1');
  }

  /** The newest commit whose head is on chain. */
  lastAnchored(): Commit | undefined {
    return this.#commit('WHERE anchored IS NOT NULL ORDER BY id DESC LIMIT 1');
  }

  /** The first anchored commit that covers the entry at an index. */
  firstAnchoredAbove(index: number): Commit | undefined {
    return this.#commit('WHERE size > ? AND anchored IS NOT NULL ORDER BY size LIMIT 1', index);
  }

  commit(id: number): Commit | undefined {
    return this.#commit('WHERE id = ?', id);
  }

  commitOfSize(size: number): Commit | undefined {
    return this.#commit('WHERE size = ?', size);
  }

  blob(id: number): Uint8Array | undefined {
    const row = this.#sql
      .exec<{ blob: ArrayBuffer }>('SELECT blob FROM commits WHERE id = ?', id)
      .toArray()[0];
    return row && new Uint8Array(row.blob);
  }

  markAnchored(id: number, anchored: Anchored): void {
    this.#sql.exec('UPDATE commits SET anchored = ? WHERE id = ?', JSON.stringify(anchored), id);
  }

  #commit(where: string, ...bindings: number[]): Commit | undefined {
    const row = this.#sql
      .exec<CommitRow>(
        `SELECT id, size, root, checkpoint, head_signature, anchored FROM commits ${where}`,
        ...bindings,
      )
      .toArray()[0];
    return (
      row && {
        id: row.id,
        size: row.size,
        root: row.root as Hex,
        checkpoint: row.checkpoint,
        headSignature: row.head_signature as Hex,
        anchored: row.anchored === null ? undefined : (JSON.parse(row.anchored) as Anchored),
      }
    );
  }
}

type AppendRow = {
  first_index: number;
  account: string;
  first_sequence: number;
  count: number;
  entries: ArrayBuffer;
  last_receipt: string;
};

function appendOf(row: AppendRow): Append {
  const read = receiptFromJson({ receipt: JSON.parse(row.last_receipt), signature: unsigned });
  if (!read.ok) throw new Error(`stored receipt at ${row.first_index} does not read: ${read.error}`);
  const bytes = new Uint8Array(row.entries);
  return {
    firstIndex: row.first_index,
    account: row.account,
    firstSequence: row.first_sequence,
    entries: Array.from({ length: row.count }, (_, i) => bytes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)),
    lastReceipt: read.value.receipt,
  };
}

export const entryOfDigest = (digest: Hex): Uint8Array => hexToBytes(digest.slice(2));
