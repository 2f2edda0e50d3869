// What is being published: files of committed blobs on their way to the DA layer, and the one anchor under way.
import type { Hex } from 'viem';
import type { DaProgress } from '../da/da-port.ts';

/** Consecutive commits published as one file. Which commits they are never changes, so neither do its bytes. */
export type PublishedFile = {
  readonly id: number;
  readonly firstCommit: number;
  readonly lastCommit: number;
  /** Index of the first entry, and the tree's size with the last. */
  readonly first: number;
  readonly size: number;
  /** The layer's progress while it is being stored. */
  readonly progress: DaProgress | undefined;
  /** A DA reference of this one file, once it can be had. */
  readonly reference: Hex | undefined;
};

/** An anchor under way: one transaction, its words fixed before it is asked for. */
export type AnchorUnderWay = {
  /** Its number among all anchors ever tried: the transaction's key. */
  readonly number: number;
  /** The last file it covers. */
  readonly file: number;
  /** The head on chain it was built against. */
  readonly fromSize: number;
  readonly daReference: Hex;
};

type FileRow = {
  id: number;
  first_commit: number;
  last_commit: number;
  first: number;
  size: number;
  progress: string | null;
  reference: string | null;
};

export class PublicationRows {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    storage.sql.exec(
      `CREATE TABLE IF NOT EXISTS files (
        id INTEGER PRIMARY KEY, first_commit INTEGER NOT NULL, last_commit INTEGER NOT NULL,
        first INTEGER NOT NULL, size INTEGER NOT NULL, progress TEXT, reference TEXT)`,
    );
  }

  lastFile(): PublishedFile | undefined {
    return this.#files('ORDER BY id DESC LIMIT 1')[0];
  }

  file(id: number): PublishedFile | undefined {
    return this.#files('WHERE id = ?', id)[0];
  }

  /** The first file that cannot be had yet. */
  nextToStore(): PublishedFile | undefined {
    return this.#files('WHERE reference IS NULL ORDER BY id LIMIT 1')[0];
  }

  fileOfSize(size: number): PublishedFile | undefined {
    return this.#files('WHERE size = ?', size)[0];
  }

  /** Files with entries from an index on, in order. */
  filesFrom(size: number, limit: number): PublishedFile[] {
    return this.#files('WHERE size > ? ORDER BY id LIMIT ?', size, limit);
  }

  addFile(file: Omit<PublishedFile, 'id' | 'progress' | 'reference'>): void {
    this.#storage.sql.exec(
      'INSERT INTO files (first_commit, last_commit, first, size) VALUES (?, ?, ?, ?)',
      file.firstCommit,
      file.lastCommit,
      file.first,
      file.size,
    );
  }

  progressed(id: number, progress: DaProgress): void {
    this.#storage.sql.exec('UPDATE files SET progress = ? WHERE id = ?', JSON.stringify(progress), id);
  }

  stored(id: number, reference: Hex): void {
    this.#storage.sql.exec('UPDATE files SET reference = ? WHERE id = ?', reference, id);
  }

  get anchor(): AnchorUnderWay | undefined {
    return this.#storage.kv.get<AnchorUnderWay>('anchor');
  }

  beginAnchor(anchor: Omit<AnchorUnderWay, 'number'>): AnchorUnderWay {
    const number = (this.#storage.kv.get<number>('anchors') ?? 0) + 1;
    const numbered = { ...anchor, number };
    this.#storage.transactionSync(() => {
      this.#storage.kv.put('anchors', number);
      this.#storage.kv.put('anchor', numbered);
    });
    return numbered;
  }

  /** It came to nothing: the next one starts from what is on chain then. */
  dropAnchor(): void {
    this.#storage.kv.delete('anchor');
  }

  /** The last file whose head is on chain to stay, and whose dues were handed on. */
  get done(): number {
    return this.#storage.kv.get<number>('done') ?? 0;
  }

  anchored(file: number): void {
    this.#storage.transactionSync(() => {
      this.#storage.kv.put('done', file);
      this.#storage.kv.delete('anchor');
    });
  }

  /** Level-0 tiles that are in the bucket, with everything they complete. */
  get tilesCopied(): number {
    return this.#storage.kv.get<number>('tilesCopied') ?? 0;
  }

  set tilesCopied(tiles: number) {
    this.#storage.kv.put('tilesCopied', tiles);
  }

  /** Rounds that failed, in a row. Stored: they are further apart than an idle object stays in memory. */
  get failures(): number {
    return this.#storage.kv.get<number>('failures') ?? 0;
  }

  set failures(rounds: number) {
    if (rounds !== this.failures) this.#storage.kv.put('failures', rounds);
  }

  #files(where: string, ...bindings: number[]): PublishedFile[] {
    return this.#storage.sql
      .exec<FileRow>(`SELECT * FROM files ${where}`, ...bindings)
      .toArray()
      .map((row) => ({
        id: row.id,
        firstCommit: row.first_commit,
        lastCommit: row.last_commit,
        first: row.first,
        size: row.size,
        progress: row.progress === null ? undefined : (JSON.parse(row.progress) as DaProgress),
        reference: row.reference === null ? undefined : (row.reference as Hex),
      }));
  }
}
