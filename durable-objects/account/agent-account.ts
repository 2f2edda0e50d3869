// One agent's account. A shell: the book decides and writes; this file gives it a clock, an alarm and a way to the log.
//
// Atomicity: no method awaits between reading the ledger and writing the rows, so input gates make each call one
// transaction; the answer leaves only when the writes are durable (output gates). A write that throws would leave memory
// behind storage, so it resets the object.
import { DurableObject } from 'cloudflare:workers';
import { keccak256 } from '../../compiled/hash-with-wasm.ts';
import { parseAccountName } from '../../protocol/account-name.ts';
import type { SignedVoucher } from '../../protocol/money/voucher.ts';
import { type Receipt, receiptDigestWith } from '../../protocol/receipt.ts';
import { ok, type Result } from '../../protocol/result.ts';
import { AlarmClock } from '../alarm-clock.ts';
import { chainName } from '../chain/chain-name.ts';
import type { Observation } from '../chain/observation.ts';
import { chainOf, configOf } from '../config.ts';
import type { Env } from '../env.ts';
import { intakeOf } from '../log/intake-of.ts';
import type { AccountReceipts } from '../log/receipt-log.ts';
import {
  AccountBook,
  type AccountSummary,
  type CaptureRefusal,
  type Claimable,
  type Reserved,
} from './account-book.ts';
import type { StoredReceipt } from './account-rows.ts';
import type { AccountStorage } from './account-storage.ts';
import type { AgentFacts } from './agent-facts.ts';
import type { Caller, Outcome, Refusal, Reservation, Standing } from './ledger.ts';
import { type Bucket, gzip, objectNameOf, type Piece, unpack } from './receipt-archive.ts';
import { receiptsPage } from './receipts-page.ts';
import type { Bearer, SessionKey, SessionKeyStanding } from './session-keys.ts';

const digestOf = receiptDigestWith(keccak256);

/** Captures wait this long for company before they are sent to the log together. */
const outboxDelayMs = 500;
/** After the log could not be reached: the first wait, which doubles with every failure, and the longest. */
const outboxRetryMs = 2_000;
const outboxRetryMaxMs = 120_000;
/** Between two tables packed, and after the archive could not be written. */
const packRetryMs = 5_000;
/** Receipts sent to the log in one call. */
const outboxBatch = 500;

export class AgentAccount extends DurableObject<Env> {
  readonly #book: AccountBook;
  readonly #alarm: AlarmClock;
  /** How often in a row the log could not be reached, and until when it is left alone for that. */
  #outboxFailures = 0;
  #outboxNotBeforeMs = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const account = parseAccountName(ctx.id.name ?? '');
    if (account === undefined) throw new Error(`not an account's name: ${ctx.id.name}`);
    const config = configOf(env);
    const chain = chainOf(config, account.chainId);
    if (chain === undefined) throw new Error(`chain ${account.chainId} is not configured`);
    this.#alarm = new AlarmClock(ctx.storage);
    const { terms } = chain;
    this.#book = new AccountBook(
      storageOf(ctx),
      account,
      terms,
      config.log,
      Date.now(),
      config.archive,
      digestOf,
    );
    void ctx.blockConcurrencyWhile(() => this.#alarm.load());
  }

  /** See {@link AccountBook.reserve}. */
  reserve(caller: Caller | Bearer, ask: Reservation, observation?: Observation): Result<Reserved, Refusal> {
    const reserved = this.#book.reserve(caller, ask, observation, Date.now());
    // A refusal may rest on a hold whose alarm was lost: then it would be held for ever.
    const ringMs = reserved.ok ? ask.deadlineMs : this.#book.nextDeadlineMs;
    if (ringMs !== undefined) this.#alarm.noLaterThan(ringMs);
    return reserved;
  }

  /** See {@link AccountBook.capture}. */
  capture(
    holdId: number,
    outcome: Outcome,
    more: {
      readonly observation?: Observation;
      readonly unobserved?: boolean;
      readonly answer?: Uint8Array;
    } = {},
  ): Result<StoredReceipt, CaptureRefusal> {
    const nowMs = Date.now();
    const captured = this.#book.capture(holdId, outcome, nowMs, more);
    if (captured.ok) {
      this.#alarm.noLaterThan(this.#nextSendMs(nowMs));
      // Not left to the alarm alone: whoever watches for alarms that do not ring has to know of the account.
      if (captured.value.receipt.sequence === 1n) void this.#announce();
    }
    return captured;
  }

  /** When what is in the outbox may go: with company, and not before the log is to be asked again. */
  #nextSendMs(nowMs: number): number {
    return Math.max(nowMs + outboxDelayMs, this.#outboxNotBeforeMs);
  }

  /**
   * See {@link AccountBook.unsentSinceMs}. Chain asks now and then, and asking mends what it is about: an alarm that was lost (a
   * platform gives one up that could not be rung for some minutes) is set again, whether or not the agent ever calls.
   */
  unsentSinceMs(): number | undefined {
    const { unsentSinceMs, nextDeadlineMs } = this.#book;
    if (unsentSinceMs !== undefined) this.#alarm.noLaterThan(this.#nextSendMs(Date.now()));
    if (nextDeadlineMs !== undefined) this.#alarm.noLaterThan(nextDeadlineMs);
    return unsentSinceMs;
  }

  /** See {@link AccountBook.release}. */
  release(requestId: string): void {
    this.#book.release(requestId, Date.now());
  }

  /** Takes a voucher without a request. */
  putVoucher(
    caller: Caller | Bearer,
    signed: SignedVoucher,
    observation?: Observation,
  ): Result<Standing, Refusal> {
    return this.#book.putVoucher(caller, signed, observation, Date.now());
  }

  /** Where the account stands. */
  standing(
    caller: Caller | Bearer,
    observation?: Observation,
  ): Result<Standing & { sequence: bigint }, Refusal> {
    const seen = this.#book.admit(caller, observation, Date.now());
    return seen.ok ? ok({ ...seen.value, sequence: this.#book.sequence }) : seen;
  }

  /** A page of receipts in ascending order, from a sequence number on. */
  async receipts(
    caller: Caller | Bearer,
    from: number,
    observation?: Observation,
  ): Promise<Result<Receipt[], Refusal>> {
    const seen = this.#book.admit(caller, observation, Date.now());
    return seen.ok ? ok(await this.#receiptsFrom(BigInt(from))) : seen;
  }

  /** Those that have rows, after those that were packed. */
  async #receiptsFrom(from: bigint): Promise<Receipt[]> {
    const page: Receipt[] = [];
    for (let next = from; page.length < receiptsPage; ) {
      const piece = this.#book.pieceOf(next);
      const found = piece
        ? (await this.#unpack(piece)).filter(({ sequence }) => sequence >= next)
        : this.#book.receipts(next, receiptsPage).map(({ receipt }) => receipt);
      page.push(...found);
      if (piece === undefined) break;
      next = piece.last + 1n;
    }
    return page.slice(0, receiptsPage);
  }

  async #unpack(piece: Piece): Promise<Receipt[]> {
    if (piece.packed) return unpack(piece.packed);
    const object = await this.env.RECEIPT_ARCHIVE?.get(piece.objectName ?? '');
    if (!object) throw new Error(`the archive has no ${piece.objectName}`);
    return unpack(new Uint8Array(await object.arrayBuffer()));
  }

  /** See {@link AccountBook.addSessionKey}. */
  addSessionKey(
    caller: Caller,
    key: Omit<SessionKey, 'maker'>,
    observation?: Observation,
  ): Result<SessionKeyStanding, Refusal> {
    return this.#book.addSessionKey(caller, key, observation, Date.now());
  }

  /** See {@link AccountBook.sessionKeys}. */
  sessionKeys(caller: Caller, observation?: Observation): Result<SessionKeyStanding[], Refusal> {
    return this.#book.sessionKeys(caller, observation, Date.now());
  }

  /** See {@link AccountBook.removeSessionKey}. */
  removeSessionKey(caller: Caller, id: string, observation?: Observation): Result<boolean, Refusal> {
    return this.#book.removeSessionKey(caller, id, observation, Date.now());
  }

  /** See {@link AccountBook.invalidate}. */
  invalidate(caller: Caller, observation?: Observation): Result<{ readonly voidUntil: number }, Refusal> {
    return this.#book.invalidate(caller, observation, Date.now());
  }

  /** See {@link AccountBook.summary}. */
  summary(): AccountSummary {
    return this.#book.summary();
  }

  /** What the agent's owner publishes about it, as far as it has been read. */
  facts(): AgentFacts | undefined {
    return this.#book.agentFacts.facts;
  }

  /** See {@link AgentFactsBook.takeLook}. */
  takeFactsLook(): boolean {
    return this.#book.agentFacts.takeLook(Date.now());
  }

  /** See {@link AgentFactsBook.keep}. */
  keepFacts(facts: AgentFacts): void {
    this.#book.agentFacts.keep(facts);
  }

  /** See {@link AccountBook.identity}. */
  identity(): Observation | undefined {
    return this.#book.identity(Date.now());
  }

  /**
   * What Chain has read; requests bring observations of their own.
   * @returns what has been captured in the vault's present epoch, if anything
   */
  observe(observation: Observation): bigint | undefined {
    this.#book.observe(observation, Date.now());
    return this.#book.owed();
  }

  /** See {@link AccountBook.claimable}. */
  claimable(cumulative: bigint): Claimable | undefined {
    return this.#book.claimable(cumulative);
  }

  /** The next time is set first, then the work is done, and nothing is thrown: a throwing alarm is dropped in the end. */
  override async alarm(): Promise<void> {
    this.#alarm.rang();
    const nowMs = Date.now();
    this.#book.expire(nowMs);
    const { nextDeadlineMs } = this.#book;
    if (nextDeadlineMs !== undefined) this.#alarm.noLaterThan(nextDeadlineMs);
    if (this.#book.acknowledged < this.#book.sequence) {
      this.#alarm.noLaterThan(
        this.#outboxNotBeforeMs > nowMs ? this.#outboxNotBeforeMs : nowMs + outboxRetryMs,
      );
      if (this.#outboxNotBeforeMs <= nowMs) await this.#sendOutbox();
    }
    await this.#packOld(nowMs);
  }

  /** One table a time, whose receipts cannot change: what is awaited in between can be done again. */
  async #packOld(nowMs: number): Promise<void> {
    try {
      const packable = this.#book.packable(nowMs);
      if (packable) {
        const bytes = await gzip(packable.json);
        const bucket: Bucket | undefined = this.env.RECEIPT_ARCHIVE;
        const name = packable.range && objectNameOf(this.ctx.id.name ?? '', packable.range);
        if (bucket && name) await bucket.put(name, bytes);
        this.#book.packed(packable, bucket && name ? name : bytes);
      }
    } catch (error) {
      console.error(
        JSON.stringify({ event: 'archive_delayed', account: this.ctx.id.name, error: String(error) }),
      );
    }
    const { nextPackMs } = this.#book;
    if (nextPackMs !== undefined) this.#alarm.noLaterThan(Math.max(nextPackMs, nowMs + packRetryMs));
  }

  /** Once in an account's life: from its first capture on, Chain watches what happens to it. */
  async #announce(): Promise<void> {
    if (this.ctx.storage.kv.get('watched') !== undefined) return;
    const account = parseAccountName(this.ctx.id.name ?? '');
    if (account === undefined) return;
    try {
      await this.env.CHAIN.getByName(chainName(account.chainId)).watch(this.ctx.id.name ?? '');
      this.ctx.storage.kv.put('watched', true);
    } catch (error) {
      console.error(
        JSON.stringify({ event: 'watch_delayed', account: this.ctx.id.name, error: String(error) }),
      );
    }
  }

  /** To the log itself, or by way of an intake where there are so many accounts. @returns the last number it holds */
  async #append(receipts: AccountReceipts): Promise<number> {
    const { logId, intakes } = configOf(this.env).log;
    if (intakes === 0) return await this.env.RECEIPT_LOG.getByName(logId).append(receipts);
    const intake = this.env.LOG_INTAKE.getByName(`${logId}/${intakeOf(receipts.account, intakes)}`);
    const appended = await intake.append(receipts);
    if ('refused' in appended) throw new Error(appended.refused);
    return appended.last;
  }

  /** At least once: the log takes each sequence number once, so a lost answer costs a repetition and nothing else. */
  async #sendOutbox(): Promise<void> {
    await this.#announce();
    const book = this.#book;
    try {
      while (book.acknowledged < book.sequence) {
        const first = book.acknowledged + 1n;
        const batch = book.receipts(first, outboxBatch);
        const last = batch.at(-1);
        if (last === undefined) return;
        const appended = await this.#append({
          account: this.ctx.id.name ?? '',
          firstSequence: Number(first),
          digests: batch.map((row) => row.digest),
          lastReceipt: last.receipt,
          mergeBy: Number(batch[0]?.receipt.mergeBy ?? 0n),
        });
        book.acknowledged = BigInt(appended);
      }
      this.#outboxFailures = 0;
      this.#outboxNotBeforeMs = 0;
    } catch (error) {
      this.#outboxFailures += 1;
      const waitMs = Math.min(outboxRetryMaxMs, outboxRetryMs * 2 ** (this.#outboxFailures - 1));
      // Not all accounts at once: a log that comes back is not to be called by everybody in the same second.
      this.#outboxNotBeforeMs = Date.now() + waitMs * (0.5 + Math.random());
      console.error(
        JSON.stringify({ event: 'outbox_delayed', account: this.ctx.id.name, error: String(error) }),
      );
    }
  }
}

/** The object's storage, such that a failed write resets the object: it starts anew from its rows rather than go on with a guess. */
function storageOf(ctx: DurableObjectState): AccountStorage {
  const { storage } = ctx;
  return {
    sql: storage.sql,
    kv: storage.kv,
    transactionSync(closure) {
      try {
        return storage.transactionSync(closure);
      } catch (error) {
        ctx.abort(`account storage failed: ${String(error)}`);
        throw error;
      }
    },
  };
}
