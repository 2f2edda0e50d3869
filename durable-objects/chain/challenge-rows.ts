// The challenges that are being answered, and how far the bond's events have been read.
import type { Hex } from 'viem';

/** A receipt that somebody has demanded to be shown. */
export type OpenChallenge = {
  /** The receipt's digest. */
  readonly digest: Hex;
  /** The last second in which an answer counts. */
  readonly deadline: bigint;
  /** Which answer is being tried, from 1. */
  readonly attempt: number;
};

type Row = { digest: string; deadline: string; attempt: number };

export class ChallengeRows {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    storage.sql.exec(
      'CREATE TABLE IF NOT EXISTS challenges (digest TEXT PRIMARY KEY, deadline TEXT NOT NULL, attempt INTEGER NOT NULL) WITHOUT ROWID',
    );
  }

  /** The first block whose events have not been read; `undefined` before anything was. */
  get nextBlock(): bigint | undefined {
    const block = this.#storage.kv.get<string>('challengesFrom');
    return block === undefined ? undefined : BigInt(block);
  }

  /** Notes what was found, and that everything before a block has been read, at once. Found again changes nothing. */
  found(challenges: readonly Omit<OpenChallenge, 'attempt'>[], nextBlock: bigint): void {
    this.#storage.transactionSync(() => {
      for (const { digest, deadline } of challenges) {
        this.#storage.sql.exec('INSERT OR IGNORE INTO challenges VALUES (?, ?, 1)', digest, `${deadline}`);
      }
      this.#storage.kv.put('challengesFrom', `${nextBlock}`);
    });
  }

  open(): OpenChallenge[] {
    return this.#storage.sql
      .exec<Row>('SELECT * FROM challenges ORDER BY length(deadline), deadline')
      .toArray()
      .map(({ digest, deadline, attempt }) => ({
        digest: digest as Hex,
        deadline: BigInt(deadline),
        attempt,
      }));
  }

  /** That answer came to nothing. */
  tryAgain({ digest, attempt }: OpenChallenge): void {
    this.#storage.sql.exec('UPDATE challenges SET attempt = ? WHERE digest = ?', attempt + 1, digest);
  }

  /** It is answered, or lost, or was never made. */
  done(digest: Hex): void {
    this.#storage.sql.exec('DELETE FROM challenges WHERE digest = ?', digest);
  }
}
