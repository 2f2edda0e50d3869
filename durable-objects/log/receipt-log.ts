// The log's order. Append, seal, commit: nothing here waits for anything slower than its own storage, so `mergeBy` depends
// on nothing else.
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
import type { TileName } from '../../protocol/log/tile-path.ts';
import { consistencyProofFrom, inclusionProofFrom, TILE_WIDTH, tileWidth } from '../../protocol/log/tiles.ts';
import { formatTlogProof } from '../../protocol/log/tlog-proof.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import { AlarmClock } from '../alarm-clock.ts';
import { configOf, keyOf } from '../config.ts';
import type { Env } from '../env.ts';
import { type Anchored, type Append, type Commit, entryOfDigest, LogRows } from './log-rows.ts';
import { seal } from './seal.ts';

/** A commit takes at most this many appends (so claims) and entries: its blob stays below the 2 MB a row may hold. */
const sealAppendsMax = 256;
const sealEntriesMax = 16_384;
/** How often the publisher is reminded of commits that are not anchored. */
const remindMs = 30_000;

export type LogStatus = {
  readonly logId: Hex;
  readonly origin: string;
  /** Entries that have an index, sealed ones, and those under an anchored head. */
  readonly appended: number;
  readonly sealed: number;
  readonly anchored: number;
  /** When the oldest entry waiting for a seal arrived. */
  readonly waitingSinceMs: number | undefined;
  readonly commits: number;
};

/** Where a receipt stands. */
export type Placement = {
  readonly index: number;
  readonly sealed: boolean;
  /** The first anchored head that covers it. */
  readonly anchored: (Anchored & { readonly size: number; readonly root: Hex }) | undefined;
};

export class ReceiptLog extends DurableObject<Env> {
  readonly #rows: LogRows;
  readonly #alarm: AlarmClock;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#rows = new LogRows(ctx.storage.sql);
    this.#alarm = new AlarmClock(ctx.storage);
    void ctx.blockConcurrencyWhile(() => this.#alarm.load());
  }

  /**
   * Takes consecutive receipts of one account, one row for all of them. What was taken before is skipped; a gap is
   * refused by answering the last number held.
   * @returns the last sequence number the log holds of this account: the account goes on from there
   */
  append(batch: {
    readonly account: string;
    readonly firstSequence: number;
    readonly digests: readonly Hex[];
    readonly lastReceipt: Receipt;
  }): number {
    const last = this.#rows.lastSequence(batch.account);
    const skip = last + 1 - batch.firstSequence;
    if (skip < 0 || skip >= batch.digests.length) return last;
    const nowMs = Date.now();
    this.#rows.append(
      {
        firstIndex: this.#rows.appendedSize(),
        account: batch.account,
        firstSequence: last + 1,
        entries: batch.digests.slice(skip).map(entryOfDigest),
        lastReceipt: batch.lastReceipt,
      },
      nowMs,
    );
    this.#alarm.noLaterThan(nowMs + configOf(this.env).log.sealEveryMs);
    return batch.firstSequence + batch.digests.length - 1;
  }

  /** The next time first; then seal what is due, and remind the publisher of what it has not anchored. */
  override alarm(): void {
    this.#alarm.rang();
    const nowMs = Date.now();
    this.#alarm.noLaterThan(nowMs + remindMs);
    try {
      while (this.#sealOnce());
      const commits = this.#rows.lastCommit()?.id ?? 0;
      if (commits > (this.#rows.lastAnchored()?.id ?? 0)) {
        const { logId } = configOf(this.env).log;
        // Not awaited: the log waits for nobody. A lost reminder is repeated.
        this.ctx.waitUntil(
          this.env.PUBLISHER.getByName(logId)
            .wake()
            .catch((error: unknown) =>
              console.warn(JSON.stringify({ event: 'reminder_lost', error: String(error) })),
            ),
        );
      } else {
        this.#alarm.clear();
      }
    } catch (error) {
      console.error(JSON.stringify({ event: 'seal_failed', error: String(error) }));
    }
  }

  #sealOnce(): boolean {
    const { log } = configOf(this.env);
    const before = this.#rows.lastCommit();
    const size = before?.size ?? 0;
    const appends = firstOf(this.#rows.appendsFrom(size, sealAppendsMax), sealEntriesMax);
    if (appends.length === 0) return false;
    const sealed = seal(
      log.origin,
      { chainId: log.chainId, anchor: log.anchor, logId: log.logId },
      {
        receiptKey: keyOf(this.env, 'RECEIPT_KEY'),
        headKey: keyOf(this.env, 'HEAD_KEY'),
        ed25519Seed: hexToBytes(keyOf(this.env, 'CHECKPOINT_KEY').slice(2)),
      },
      (level, index) => this.#rows.tile(level, index),
      size,
      appends,
    );
    const { checkpoint, headSignature, root } = sealed;
    this.ctx.storage.transactionSync(() => {
      for (const tile of sealed.changedTiles) this.#rows.writeTile(tile);
      this.#rows.writeCommit(
        { id: (before?.id ?? 0) + 1, size: sealed.size, root, checkpoint, headSignature },
        sealed.blob,
      );
    });
    return true;
  }

  // What the publisher asks.

  commit(id: number): Commit | undefined {
    return this.#rows.commit(id);
  }

  blob(id: number): Uint8Array | undefined {
    return this.#rows.blob(id);
  }

  /** The consistency proof from one committed size to another, as the anchor contract takes it. */
  consistencyProof(oldSize: number, newSize: number): Hex[] | undefined {
    const proof = consistencyProofFrom((level, index) => this.#rows.tile(level, index), oldSize, newSize);
    return proof.ok ? proof.value.map(toHex) : undefined;
  }

  anchored(id: number, anchored: Anchored): void {
    this.#rows.markAnchored(id, anchored);
  }

  // What the edge serves.

  status(): LogStatus {
    const { logId, origin } = configOf(this.env).log;
    const last = this.#rows.lastCommit();
    return {
      logId,
      origin,
      appended: this.#rows.appendedSize(),
      sealed: last?.size ?? 0,
      anchored: this.#rows.lastAnchored()?.size ?? 0,
      waitingSinceMs: this.#rows.oldestMsFrom(last?.size ?? 0),
      commits: last?.id ?? 0,
    };
  }

  checkpoint(): string | undefined {
    return this.#rows.lastCommit()?.checkpoint;
  }

  /** A tile of the committed tree; `undefined` when the tree does not have it that wide. */
  tile(name: TileName): Uint8Array | undefined {
    const size = this.#rows.lastCommit()?.size ?? 0;
    const level = name.level === 'entries' ? 0 : name.level;
    if (tileWidth(size, level, name.index) < name.width) return undefined;
    if (name.level === 'entries') {
      return encodeEntries(this.#rows.entries(name.index * TILE_WIDTH, name.width));
    }
    return this.#rows.tile(level, name.index)?.slice(0, name.width * 32);
  }

  /** Where an account's receipt stands; `undefined` while it has not arrived. */
  placement(account: string, sequence: number): Placement | undefined {
    const index = this.#rows.indexOf(account, sequence);
    if (index === undefined) return undefined;
    const last = this.#rows.lastCommit();
    const anchor = this.#rows.firstAnchoredAbove(index);
    return {
      index,
      sealed: index < (last?.size ?? 0),
      anchored: anchor?.anchored && { ...anchor.anchored, size: anchor.size, root: anchor.root },
    };
  }

  /**
   * A C2SP tlog-proof of an account's receipt: in the checkpoint of the size asked for, else in the newest anchored one,
   * else in the newest. `undefined` when the receipt is in no such checkpoint (yet).
   */
  proof(account: string, sequence: number, size?: number): string | undefined {
    const index = this.#rows.indexOf(account, sequence);
    if (index === undefined) return undefined;
    const anchored = this.#rows.lastAnchored();
    const commit =
      size !== undefined
        ? this.#rows.commitOfSize(size)
        : anchored !== undefined && anchored.size > index
          ? anchored
          : this.#rows.lastCommit();
    if (commit === undefined || commit.size <= index) return undefined;
    const proof = inclusionProofFrom((level, tile) => this.#rows.tile(level, tile), commit.size, index);
    if (!proof.ok)
      throw new Error(`no proof for entry ${index} of ${commit.size}: ${JSON.stringify(proof.error)}`);
    return formatTlogProof({ index, proof: proof.value, checkpoint: commit.checkpoint });
  }
}

/** As many whole appends as hold at most `entriesMax` entries, and at least one. */
function firstOf(appends: readonly Append[], entriesMax: number): Append[] {
  let entries = 0;
  return appends.filter((append, at) => {
    entries += append.entries.length;
    return at === 0 || entries <= entriesMax;
  });
}
