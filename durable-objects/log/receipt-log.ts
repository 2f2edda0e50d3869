// The log's order. Append, seal, commit: nothing here waits for anything slower than its own storage, so sealing depends on
// nothing else. docs/log.md draws the states.
//
//   append   an account's receipts get their indices the moment they arrive (at least once, taken once)
//   seal     on the alarm: tiles, root, checkpoint and blob are computed from what was appended
//   commit   one transaction writes them; this is the commit point. From here the bytes are republished, never rebuilt
//
// Append order is decided without an await between reading the size and writing the row; a seal reads a prefix that no
// append can change. So both are atomic under input gates alone.

import { DurableObject } from 'cloudflare:workers';
import { hexToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { toHex } from '../../protocol/hex.ts';
import { encodeEntries } from '../../protocol/log/entry-bundle.ts';
import { sameHash } from '../../protocol/log/merkle.ts';
import type { TileName } from '../../protocol/log/tile-path.ts';
import { consistencyProofFrom, inclusionProofFrom, TILE_WIDTH, tileWidth } from '../../protocol/log/tiles.ts';
import { formatTlogProof } from '../../protocol/log/tlog-proof.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import { AlarmClock } from '../alarm-clock.ts';
import { configOf, keyOf, receiptKeyAt } from '../config.ts';
import type { Env } from '../env.ts';
import { batchEntriesMax, nextBatch } from './batch.ts';
import { type Anchor, type Commit, entryOfDigest, LogRows } from './log-rows.ts';
import { seal } from './seal.ts';

/** Receipts taken in one append. */
const appendEntriesMax = 4_096;
/** Commits made in one alarm. What still waits is sealed in the next, at once. */
const commitsPerAlarm = 4;
/** Where the time from seal to anchor of the newest anchored commit is kept. */
const newestSealToAnchor = 'sealToAnchorMs';
/** How often the publisher is reminded of commits that are not anchored. */
const remindMs = 30_000;
/** After a seal that failed. */
const retryMs = 1_000;
/** Blobs of anchored commits are on the DA layer; the newest are kept here as well, for republishing after a reorg. */
const blobsKept = 256;

/** Of the outboxes, this much of the past is looked at. */
const outboxWindowMs = 10 * 60_000;

export type LogStatus = {
  readonly logId: Hex;
  readonly origin: string;
  /** Entries that have an index, sealed ones, and those under an anchored head. */
  readonly appended: number;
  readonly sealed: number;
  readonly anchored: number;
  /** When the oldest entry waiting for a seal arrived. */
  readonly waitingSinceMs: number | undefined;
  /** The earliest `mergeBy` of a receipt that is not in an anchored head, Unix seconds. */
  readonly mergeBy: number | undefined;
  readonly commits: number;
  /** When the oldest commit that is under no anchored head was sealed. */
  readonly unanchoredSinceMs: number | undefined;
  /** From the seal of the newest anchored commit to its anchoring; unknown after a restart, until the next. */
  readonly sealToAnchorMs: number | undefined;
  /** The longest that a receipt taken lately had been in its account's outbox. */
  readonly outboxMs: number;
};

/** Consecutive receipts of one account, as it sends them. */
export type AccountReceipts = {
  readonly account: string;
  readonly firstSequence: number;
  readonly digests: readonly Hex[];
  readonly lastReceipt: Receipt;
  /** The earliest among the receipts, Unix seconds. */
  readonly mergeBy: number;
};

/** The last sequence number the log holds of an account, or why it took nothing. */
export type Appended = { readonly last: number } | { readonly refused: string };

/** Where a receipt stands. */
export type Placement = {
  readonly index: number;
  readonly sealed: boolean;
  /** The first anchored head that covers it. */
  readonly anchored: Omit<Anchor, 'commit'> | undefined;
};

export class ReceiptLog extends DurableObject<Env> {
  readonly #rows: LogRows;
  readonly #alarm: AlarmClock;
  /** The committed tree's size, as the last commit row says. */
  #sealed: number;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#rows = new LogRows(ctx.storage.sql);
    this.#sealed = this.#rows.lastCommit()?.size ?? 0;
    this.#alarm = new AlarmClock(ctx.storage);
    void ctx.blockConcurrencyWhile(() => this.#alarm.load());
  }

  /**
   * Takes consecutive receipts of one account, one row for all of them. What was taken before is skipped; a gap is
   * refused by answering the last number held.
   * @returns the last sequence number the log holds of this account: the account goes on from there
   * @throws RangeError for no receipts or more than 4,096
   */
  append(batch: AccountReceipts): number {
    const { length } = batch.digests;
    if (length === 0 || length > appendEntriesMax) throw new RangeError(`${length} receipts in one append`);
    const known = this.#rows.accountId(batch.account);
    const last = known === undefined ? 0 : this.#rows.lastSequence(known);
    const skip = last + 1 - batch.firstSequence;
    if (skip < 0) return last;
    const entries = batch.digests.map(entryOfDigest);
    if (known !== undefined) this.#compareRepeated(known, batch.firstSequence, entries.slice(0, skip));
    if (skip >= length) return last;

    const { log } = configOf(this.env);
    const nowMs = Date.now();
    const firstIndex = this.#rows.appendedSize();
    const fresh = entries.slice(skip);
    this.ctx.storage.transactionSync(() => {
      const account = known ?? this.#rows.addAccount(batch.account);
      const { mergeBy, lastReceipt } = batch;
      this.#rows.append(
        { firstIndex, account, firstSequence: last + 1, entries: fresh, atMs: nowMs, mergeBy },
        lastReceipt,
      );
    });
    const isFull = firstIndex + fresh.length - this.#sealed >= log.sealAtEntries;
    this.#alarm.noLaterThan(isFull ? nowMs : nowMs + log.sealEveryMs);
    return last + fresh.length;
  }

  /** {@link append} for many accounts, in one call and one commit. What one sends wrongly is that one's alone. */
  appendAll(batches: readonly AccountReceipts[]): Appended[] {
    return batches.map((batch) => {
      try {
        return { last: this.append(batch) };
      } catch (error) {
        return { refused: String(error) };
      }
    });
  }

  /** The next time first; then seal what is due, and remind the publisher of what it has not anchored. */
  override alarm(): void {
    this.#alarm.rang(Date.now() + remindMs);
    try {
      for (let commits = 0; commits < commitsPerAlarm && this.#sealOnce(); commits++);
      const isAllSealed = this.#rows.appendedSize() === this.#sealed;
      if (isAllSealed) this.#rows.forgetWaiting();
      else this.#alarm.noLaterThan(Date.now());
      if (this.#sealed > (this.#rows.lastAnchor()?.size ?? 0)) this.#remind();
      else this.#alarm.clear();
    } catch (error) {
      // Whatever was made durable before it failed is what counts.
      this.#sealed = this.#rows.lastCommit()?.size ?? 0;
      this.#alarm.noLaterThan(Date.now() + retryMs);
      console.error(JSON.stringify({ event: 'seal_failed', error: String(error) }));
    }
  }

  /** Not awaited: the log waits for nobody. A reminder that is lost is repeated. */
  #remind(): void {
    const publisher = this.env.PUBLISHER.getByName(configOf(this.env).log.logId);
    this.ctx.waitUntil(
      publisher
        .wake()
        .catch((error: unknown) =>
          console.warn(JSON.stringify({ event: 'reminder_lost', error: String(error) })),
        ),
    );
  }

  #sealOnce(): boolean {
    const { log } = configOf(this.env);
    const before = this.#rows.lastCommit();
    const size = before?.size ?? 0;
    const appends = nextBatch(this.#rows.appendsFrom(size, batchEntriesMax));
    if (appends.length === 0) return false;
    const { changedTiles, blob, ...head } = seal(
      log.origin,
      { chainId: log.chainId, anchor: log.anchor, logId: log.logId },
      {
        receiptKey: (time) => receiptKeyAt(this.env, time),
        headKey: keyOf(this.env, 'HEAD_KEY'),
        ed25519Seed: hexToBytes(keyOf(this.env, 'CHECKPOINT_KEY').slice(2)),
      },
      (level, index) => this.#rows.tile(level, index),
      size,
      appends,
      (append) => this.#rows.waitingReceipt(append.firstIndex),
    );
    this.ctx.storage.transactionSync(() => {
      for (const tile of changedTiles) this.#rows.writeTile(tile);
      this.#rows.writeCommit(
        {
          ...head,
          id: (before?.id ?? 0) + 1,
          sealedMs: Date.now(),
          mergeBy: Math.min(...appends.map((append) => append.mergeBy)),
        },
        blob,
      );
    });
    this.#sealed = head.size;
    return true;
  }

  /**
   * A repeated receipt that differs would be a second one under the same number: evidence against the operator. The log
   * keeps what it has, which is what may already be published.
   */
  #compareRepeated(account: number, firstSequence: number, entries: readonly Uint8Array[]): void {
    for (const [at, entry] of entries.entries()) {
      const index = this.#rows.indexOf(account, firstSequence + at);
      const held = index === undefined ? undefined : this.#rows.entries(index, 1)[0];
      if (held !== undefined && !sameHash(held, entry)) {
        console.error(
          JSON.stringify({ event: 'receipt_rewritten', account, sequence: firstSequence + at, index }),
        );
      }
    }
  }

  // What the publisher asks.

  /** Commits from one on, in order. */
  commits(fromId: number, limit: number): Commit[] {
    return this.#rows.commits(fromId, limit);
  }

  /** The committed bytes, always the same; `undefined` once they are anchored and forgotten here. */
  blob(id: number): Uint8Array | undefined {
    return this.#rows.blob(id);
  }

  /** The consistency proof from one committed size to another, as the anchor contract takes it. */
  consistencyProof(oldSize: number, newSize: number): Hex[] | undefined {
    if (newSize > this.#sealed) return undefined;
    const proof = consistencyProofFrom((level, index) => this.#rows.tile(level, index), oldSize, newSize);
    return proof.ok ? proof.value.map(toHex) : undefined;
  }

  /** A head is on chain to stay. Telling it twice is harmless. The blobs under it are kept until the next one is, too. */
  anchored(anchor: Anchor): void {
    const before = this.#rows.anchorBelow(anchor.size);
    const isNew = (this.#rows.lastAnchor()?.size ?? 0) < anchor.size;
    const [commit] = isNew ? this.#rows.commits(anchor.commit, 1) : [];
    const sealToAnchorMs = commit && Date.now() - commit.sealedMs;
    if (commit) {
      const { size, transaction } = anchor;
      console.log(JSON.stringify({ event: 'anchored', size, transaction, sealToAnchorMs }));
    }
    this.ctx.storage.transactionSync(() => {
      this.#rows.writeAnchor(anchor);
      // Stored: the alert on it looks for minutes, and an idle object is out of memory after seconds.
      if (sealToAnchorMs !== undefined) this.ctx.storage.kv.put(newestSealToAnchor, sealToAnchorMs);
      if (before !== undefined) this.#rows.forgetBlobsBelow(before.commit - blobsKept);
    });
  }

  // What the edge serves.

  status(): LogStatus {
    // Whoever looks (each scrape of the metrics does) brings back an alarm that was lost.
    if (this.#rows.appendedSize() > (this.#rows.lastAnchor()?.size ?? 0))
      this.#alarm.noLaterThan(Date.now() + remindMs);
    const { logId, origin, mergeDelay } = configOf(this.env).log;
    const anchor = this.#rows.lastAnchor();
    const waiting = this.#rows.waitingFrom(this.#sealed);
    const deadlines = [this.#rows.mergeByAfter(anchor?.commit ?? 0), waiting?.mergeBy].filter(
      (mergeBy) => mergeBy !== undefined,
    );
    return {
      logId,
      origin,
      appended: this.#rows.appendedSize(),
      sealed: this.#sealed,
      anchored: anchor?.size ?? 0,
      waitingSinceMs: waiting?.sinceMs,
      mergeBy: deadlines.length === 0 ? undefined : Math.min(...deadlines),
      commits: this.#rows.lastCommit()?.id ?? 0,
      unanchoredSinceMs: this.#rows.commits((anchor?.commit ?? 0) + 1, 1)[0]?.sealedMs,
      sealToAnchorMs: this.ctx.storage.kv.get<number>(newestSealToAnchor),
      outboxMs: this.#rows.outboxMs(Date.now() - outboxWindowMs, mergeDelay),
    };
  }

  checkpoint(): string | undefined {
    return this.#rows.lastCommit()?.checkpoint;
  }

  /** A tile of the committed tree; `undefined` when the tree does not have it that wide. */
  tile(name: TileName): Uint8Array | undefined {
    const level = name.level === 'entries' ? 0 : name.level;
    if (tileWidth(this.#sealed, level, name.index) < name.width) return undefined;
    if (name.level === 'entries') {
      return encodeEntries(this.#rows.entries(name.index * TILE_WIDTH, name.width));
    }
    return this.#rows.tile(level, name.index)?.slice(0, name.width * 32);
  }

  /** Where an account's receipt stands; `undefined` while it has not arrived. */
  placement(account: string, sequence: number): Placement | undefined {
    const index = this.#indexOf(account, sequence);
    if (index === undefined) return undefined;
    const anchor = this.#rows.firstAnchorAbove(index);
    if (anchor === undefined) return { index, sealed: index < this.#sealed, anchored: undefined };
    const { commit: _, ...anchored } = anchor;
    return { index, sealed: true, anchored };
  }

  /**
   * A C2SP tlog-proof of an account's receipt: in the checkpoint of the size asked for, else in the newest anchored one,
   * else in the newest. `undefined` when the receipt is in no such checkpoint (yet).
   */
  proof(account: string, sequence: number, size?: number): string | undefined {
    const index = this.#indexOf(account, sequence);
    if (index === undefined) return undefined;
    const anchored = this.#rows.lastAnchor();
    const commit =
      size !== undefined
        ? this.#rows.commitOfSize(size)
        : anchored !== undefined && anchored.size > index
          ? this.#rows.commitOfSize(anchored.size)
          : this.#rows.lastCommit();
    if (commit === undefined || commit.size <= index) return undefined;
    const proof = inclusionProofFrom((level, tile) => this.#rows.tile(level, tile), commit.size, index);
    if (!proof.ok)
      throw new Error(`no proof for entry ${index} of ${commit.size}: ${JSON.stringify(proof.error)}`);
    return formatTlogProof({ index, proof: proof.value, checkpoint: commit.checkpoint });
  }

  /**
   * Where the receipt with this digest stands, and its inclusion proof in the tree of a size, whoever's it is; `undefined`
   * when that tree does not hold it. Reads the whole log's appends: for challenges, which cost who makes them a bond.
   */
  show(digest: Hex, size: number): { readonly index: number; readonly proof: Hex[] } | undefined {
    const index = this.#rows.indexOfEntry(entryOfDigest(digest));
    if (index === undefined || index >= size || size > this.#sealed) return undefined;
    const proof = inclusionProofFrom((level, tile) => this.#rows.tile(level, tile), size, index);
    return proof.ok ? { index, proof: proof.value.map(toHex) } : undefined;
  }

  #indexOf(account: string, sequence: number): number | undefined {
    const id = this.#rows.accountId(account);
    return id === undefined ? undefined : this.#rows.indexOf(id, sequence);
  }
}
