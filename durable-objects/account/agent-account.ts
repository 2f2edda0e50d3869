// One agent's account. A shell: it makes the ledger's decisions durable and knows nothing of HTTP or chains.
//
// Atomicity: no method awaits between reading the ledger and writing the rows, so input gates make each call one
// transaction; the answer leaves only when the writes are durable (output gates). The in-memory ledger is changed after
// its rows are written; a throw in between would leave memory behind storage, so it resets the object.
import { DurableObject } from 'cloudflare:workers';
import type { Address, Hex } from 'viem';
import { type Account, parseAccountName } from '../../protocol/account-name.ts';
import { zeroHash } from '../../protocol/hex.ts';
import { type SignedVoucher, voucherFromJson, voucherToJson } from '../../protocol/money/voucher.ts';
import { type Receipt, receiptDigest } from '../../protocol/receipt.ts';
import { ok, type Result, refuse } from '../../protocol/result.ts';
import { AlarmClock } from '../alarm-clock.ts';
import type { Observation } from '../chain/observation.ts';
import { configOf } from '../config.ts';
import type { Env } from '../env.ts';
import { AccountRows } from './account-rows.ts';
import {
  applyCapture,
  applyEnd,
  applyHold,
  type Caller,
  decideCaller,
  decideCapture,
  decideReserve,
  decideVoucher,
  emptyLedger,
  forgetNonces,
  type Hold,
  type Ledger,
  nonceKey,
  type Outcome,
  overdue,
  type Refusal,
  type Reservation,
  type Standing,
  standingOf,
} from './ledger.ts';
import { receiptOfCapture } from './receipt-of-capture.ts';
import { receiptsPage } from './receipts-page.ts';

/** Captures wait this long for company before they are sent to the log together. */
const outboxDelayMs = 500;
/** After the log could not be reached. */
const outboxRetryMs = 2_000;
/** Receipts sent to the log in one call. */
const outboxBatch = 500;

/** What the operator may ask the vault for: see {@link AgentAccount.claimable}. */
export type Claimable = {
  readonly registry: Address;
  readonly agentId: bigint;
  readonly epoch: bigint;
  readonly voucherCumulative: bigint;
  readonly cumulative: bigint;
  readonly signature: Hex;
};

export class AgentAccount extends DurableObject<Env> {
  readonly #account: Account;
  readonly #ledger: Ledger = emptyLedger();
  readonly #holdIds = new Map<string, number>();
  readonly #rows: AccountRows;
  readonly #alarm: AlarmClock;
  #last: { sequence: bigint; digest: Hex };
  /** The last receipt the log has acknowledged. */
  #acknowledged: bigint;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const account = parseAccountName(ctx.id.name ?? '');
    if (account === undefined) throw new Error(`not an account's name: ${ctx.id.name}`);
    this.#account = account;
    this.#rows = new AccountRows(ctx.storage.sql);
    this.#alarm = new AlarmClock(ctx.storage);

    const last = this.#rows.lastReceipt();
    this.#last = { sequence: last?.receipt.sequence ?? 0n, digest: last?.digest ?? zeroHash };
    if (last) this.#ledger.capturedByEpoch.set(last.receipt.epoch, last.receipt.cumulative);
    this.#acknowledged = BigInt(ctx.storage.kv.get<string>('acknowledged') ?? '0');
    this.#ledger.voucher = voucherFromJson(JSON.parse(ctx.storage.kv.get<string>('voucher') ?? 'null'));
    for (const { id, hold } of this.#rows.openHolds()) {
      this.#ledger.holds.set(hold.requestId, hold);
      this.#ledger.held += hold.ceiling;
      this.#holdIds.set(hold.requestId, id);
    }
    for (const { signer, nonce, until } of this.#rows.liveNonces(Math.floor(Date.now() / 1000))) {
      this.#ledger.nonces.set(nonceKey(signer as Address, nonce), until);
    }
    void ctx.blockConcurrencyWhile(() => this.#alarm.load());
  }

  /**
   * Sets funds aside for one request, consumes its nonce, and keeps a better voucher if one came along: one row (two
   * with a new voucher). A refusal writes nothing. The same request id again gives the same hold.
   */
  reserve(
    caller: Caller,
    ask: Reservation,
    observation?: Observation,
  ): Result<{ readonly holdId: number; readonly standing: Standing }, Refusal> {
    this.#observe(observation);
    const held = this.#holdIds.get(ask.requestId);
    if (held !== undefined) return ok({ holdId: held, standing: this.#standing() });

    const decision = decideReserve(this.#ledger, this.#account, this.#account, caller, ask, Date.now());
    if (!decision.ok) return decision;
    const { hold, voucher } = decision.value;
    const holdId = this.#durably(() => {
      if (voucher) this.#storeVoucher(voucher);
      return this.#rows.insertHold(hold, caller);
    });
    applyHold(this.#ledger, hold, caller, voucher);
    this.#holdIds.set(hold.requestId, holdId);
    this.#alarm.noLaterThan(hold.deadlineMs);
    return ok({ holdId, standing: this.#standing() });
  }

  /**
   * Charges a hold and makes its receipt: one row. The receipt is unsigned; the worker signs it. Repeating a capture
   * answers the receipt of the first.
   */
  capture(holdId: number, outcome: Outcome): Result<Receipt, 'unknown_hold' | 'released'> {
    const open = this.#ledger.holds.get(outcome.requestId);
    const found = open ? { state: 'held' as const, hold: open } : this.#rows.hold(holdId);
    if (found === undefined || found.hold.requestId !== outcome.requestId) {
      const before = this.#rows.captured(outcome.requestId);
      return before ? ok(before.receipt) : refuse('unknown_hold');
    }
    if (found.state === 'released') return refuse('released');

    const nowMs = Date.now();
    const charge = decideCapture(this.#ledger, found.hold, outcome.cost);
    const receipt = receiptOfCapture(
      this.#account,
      configOf(this.env).log,
      this.#last,
      found.hold,
      charge,
      outcome,
      nowMs,
    );
    const digest = receiptDigest(receipt);
    this.#durably(() => this.#rows.capture(holdId, charge, receipt, digest));
    applyCapture(this.#ledger, found.hold, charge);
    this.#holdIds.delete(outcome.requestId);
    this.#last = { sequence: receipt.sequence, digest };
    this.#alarm.noLaterThan(nowMs + outboxDelayMs);
    return ok(receipt);
  }

  /** Gives a hold back whole: upstream was never reached, or answered nothing that costs. Repeating it is harmless. */
  release(holdId: number, requestId: string): void {
    this.#end(holdId, requestId, 'released');
  }

  /** Takes a voucher without a request. */
  putVoucher(caller: Caller, signed: SignedVoucher, observation?: Observation): Result<Standing, Refusal> {
    const seen = this.#admit(caller, observation);
    if (!seen.ok) return seen;
    const decision = decideVoucher(seen.value, this.#account, this.#account, signed);
    if (!decision.ok) return refuse({ reason: decision.error, standing: this.#standing(), ceiling: 0n });
    const kept = this.#ledger.voucher?.voucher;
    if (kept?.epoch !== signed.voucher.epoch || kept.cumulative < signed.voucher.cumulative) {
      this.#durably(() => this.#storeVoucher(signed));
      this.#ledger.voucher = signed;
    }
    return ok(this.#standing());
  }

  /** Where the account stands. */
  standing(caller: Caller, observation?: Observation): Result<Standing & { sequence: bigint }, Refusal> {
    const seen = this.#admit(caller, observation);
    return seen.ok ? ok({ ...this.#standing(), sequence: this.#last.sequence }) : seen;
  }

  /** A page of receipts in ascending order, from a sequence number on. */
  receipts(caller: Caller, from: number, observation?: Observation): Result<Receipt[], Refusal> {
    const seen = this.#admit(caller, observation);
    return seen.ok ? ok(this.#rows.receipts(from, receiptsPage).map((row) => row.receipt)) : seen;
  }

  /** What Chain has read; requests bring observations of their own. */
  observe(observation: Observation): void {
    this.#observe(observation);
  }

  /**
   * What the operator may claim on account of receipts up to `cumulative`, with the voucher that covers it; `undefined`
   * when there is none. For Chain, which settles.
   */
  claimable(cumulative: bigint): Claimable | undefined {
    const { observation, voucher } = this.#ledger;
    const { registry, agentId } = this.#account;
    const authorized = observation?.authorized ?? 0n;
    if (voucher === undefined || voucher.voucher.cumulative < authorized) {
      if (authorized === 0n || observation === undefined) return undefined;
      const claimed = cumulative < authorized ? cumulative : authorized;
      const { epoch } = observation;
      return {
        registry,
        agentId,
        epoch,
        voucherCumulative: authorized,
        cumulative: claimed,
        signature: '0x',
      };
    }
    const { epoch, cumulative: limit } = voucher.voucher;
    return {
      registry,
      agentId,
      epoch,
      voucherCumulative: limit,
      cumulative: cumulative < limit ? cumulative : limit,
      signature: voucher.signature,
    };
  }

  /** The next time is set first, then the work is done, and nothing is thrown: a throwing alarm is dropped in the end. */
  override async alarm(): Promise<void> {
    this.#alarm.rang();
    const nowMs = Date.now();
    forgetNonces(this.#ledger, nowMs);
    for (const hold of overdue(this.#ledger, nowMs)) {
      const holdId = this.#holdIds.get(hold.requestId);
      if (holdId !== undefined) this.#end(holdId, hold.requestId, 'expired');
    }
    for (const hold of this.#ledger.holds.values()) this.#alarm.noLaterThan(hold.deadlineMs);
    if (this.#acknowledged < this.#last.sequence) {
      this.#alarm.noLaterThan(nowMs + outboxRetryMs);
      await this.#sendOutbox();
    }
  }

  /** At least once: the log takes each sequence number once, so a lost answer costs a repetition and nothing else. */
  async #sendOutbox(): Promise<void> {
    const log = this.env.RECEIPT_LOG.getByName(configOf(this.env).log.logId);
    try {
      while (this.#acknowledged < this.#last.sequence) {
        const batch = this.#rows.receipts(Number(this.#acknowledged) + 1, outboxBatch);
        const last = batch.at(-1);
        if (last === undefined) return;
        const acknowledged = await log.append({
          account: this.ctx.id.name ?? '',
          firstSequence: Number(this.#acknowledged) + 1,
          digests: batch.map((row) => row.digest),
          lastReceipt: last.receipt,
        });
        this.#acknowledged = BigInt(acknowledged);
        this.ctx.storage.kv.put('acknowledged', `${acknowledged}`);
      }
    } catch (error) {
      console.error(
        JSON.stringify({ event: 'outbox_delayed', account: this.ctx.id.name, error: String(error) }),
      );
    }
  }

  /** A caller's read: the nonce, if there is one, is consumed like any other. */
  #admit(caller: Caller, observation: Observation | undefined): Result<Observation, Refusal> {
    this.#observe(observation);
    const allowed = decideCaller(this.#ledger, caller, Date.now());
    if (allowed.ok && caller.nonce !== undefined) {
      const { nonce } = caller;
      const read: Hold = {
        requestId: '',
        ceiling: 0n,
        epoch: allowed.value.epoch,
        deadlineMs: 0,
        priceTable: zeroHash,
      };
      this.#durably(() => this.#rows.insertHold(read, caller, 'read'));
      this.#ledger.nonces.set(nonceKey(caller.signer, nonce.value), nonce.until);
    }
    return allowed;
  }

  /** The newest reading wins, whatever block it names: a node that lies about its height must not win for ever. */
  #observe(observation: Observation | undefined): void {
    if (observation === undefined) return;
    const known = this.#ledger.observation;
    if (known === undefined || observation.readAtMs >= known.readAtMs) this.#ledger.observation = observation;
  }

  #standing(): Standing {
    const { observation } = this.#ledger;
    if (observation === undefined) throw new Error('no observation: every caller has checked for one');
    return standingOf(this.#ledger, observation);
  }

  #end(holdId: number, requestId: string, state: 'released' | 'expired'): void {
    if (!this.#ledger.holds.has(requestId)) return;
    this.#durably(() => this.#rows.end(holdId, state));
    applyEnd(this.#ledger, requestId);
    this.#holdIds.delete(requestId);
  }

  #storeVoucher(signed: SignedVoucher): void {
    this.ctx.storage.kv.put('voucher', JSON.stringify(voucherToJson(signed)));
  }

  /** Writes in one transaction; if it throws, the object starts anew from its rows rather than go on with a guess. */
  #durably<T>(write: () => T): T {
    try {
      return this.ctx.storage.transactionSync(write);
    } catch (error) {
      this.ctx.abort(`account storage failed: ${String(error)}`);
      throw error;
    }
  }
}
