// The account against a naive model: every sequence of operations to a depth, and long random ones. After each operation the
// design's identity for `available` holds, what is owed is covered on chain, and a book opened anew on the same rows says the same.
import fc from 'fast-check';
import type { Address, Hex } from 'viem';
import { describe, expect, test } from 'vitest';
import { AccountBook } from '../durable-objects/account/account-book.ts';
import type { Outcome, Terms } from '../durable-objects/account/ledger.ts';
import type { Observation } from '../durable-objects/chain/observation.ts';
import type { Account } from '../protocol/account-name.ts';
import { addressOfKey, signDigest } from '../protocol/ecdsa.ts';
import { zeroHash } from '../protocol/hex.ts';
import { type SignedVoucher, voucherDigest } from '../protocol/money/voucher.ts';
import { type Receipt, receiptDigest, receiptFromJson } from '../protocol/receipt.ts';
import { ModelAccount, type ModelCall, ModelChain } from './ledger-model.ts';
import { sqliteStorage } from './sqlite-storage.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);

const owner: Address = `0x${'0a'.repeat(20)}`;
const keys: Record<'a' | 'b', Hex> = { a: `0x${'11'.repeat(32)}`, b: `0x${'22'.repeat(32)}` };
const spenders = { a: addressOfKey(keys.a), b: addressOfKey(keys.b) };
const account: Account = {
  chainId: 31337,
  vault: `0x${'aa'.repeat(20)}`,
  registry: `0x${'bb'.repeat(20)}`,
  agentId: 0n,
};
const terms: Terms = { unfinalCreditMax: 30n, settleMarginMs: 900_000 };
const log = { logId: zeroHash, mergeDelay: 3600 };
/** Tables of a few rows, so that histories outlive many. */
const archive = { rows: 6, afterMs: 3_600_000 };
/** Seconds. */
const holdLifetime = 600;
const withdrawalDelay = 3600;
const depositDepth = 2;

const signatures = new Map<string, SignedVoucher>();
function voucherOf(epoch: bigint, by: 'a' | 'b', cumulative: bigint): SignedVoucher {
  const name = `${epoch} ${by} ${cumulative}`;
  const known = signatures.get(name);
  if (known) return known;
  const voucher = { registry: account.registry, agentId: account.agentId, epoch, cumulative };
  const signed = { voucher, signature: signDigest(voucherDigest(account, voucher), keys[by]) };
  signatures.set(name, signed);
  return signed;
}

const outcomeOf = (requestId: string, cost: bigint): Outcome => ({
  requestId,
  cost,
  usage: { input: 1n, cachedInput: 0n, cacheCreation: 0n, output: 1n, thinking: 0n, estimated: false },
  authorizationKind: 1,
  authorization: zeroHash,
  requestHash: zeroHash,
  forwardedHash: zeroHash,
  responseHash: zeroHash,
  upstreamResponseHash: zeroHash,
  upstream: 'test',
  model: 'test',
  upstreamId: requestId,
  assurance: 0,
  evidence: zeroHash,
});

type Operation =
  | { readonly op: 'deposit'; readonly amount: bigint }
  | { readonly op: 'withdraw'; readonly amount: bigint }
  | {
      readonly op:
        | 'completeWithdrawal'
        | 'cancelWithdrawal'
        | 'completeSpender'
        | 'claim'
        | 'look'
        | 'restart';
    }
  | { readonly op: 'changeSpender'; readonly to: 'a' | 'b' }
  | { readonly op: 'reorg'; readonly blocks: number }
  | { readonly op: 'wait'; readonly seconds: number }
  | {
      readonly op: 'reserve';
      readonly ceiling: bigint;
      readonly voucher?: { readonly by: 'a' | 'b'; readonly cumulative: bigint; readonly epochsAgo: bigint };
      readonly key?: string;
      readonly lost?: boolean;
    }
  | { readonly op: 'capture'; readonly at: number; readonly cost: bigint; readonly lost?: boolean }
  | { readonly op: 'release'; readonly at: number }
  | { readonly op: 'diskFails'; readonly writes: number };

/** The account under test, the model beside it, and the chain and clock they share. */
class World {
  readonly storage = sqliteStorage();
  readonly model = new ModelAccount();
  readonly chain = new ModelChain(spenders.a, depositDepth, withdrawalDelay);
  readonly holdIds = new Map<string, number>();
  readonly idempotent: { key: string; atMs: number; call: ModelCall }[] = [];
  nowMs = 1_800_000_000_000;
  /** What the account has been shown of the chain. */
  seen: Observation | undefined;
  hadReorg = false;
  requests = 0;
  pieces = 0;
  book = this.open();

  open(): AccountBook {
    return new AccountBook(this.storage, account, terms, log, this.nowMs, archive);
  }

  look(): Observation {
    this.seen = this.chain.observe(owner, this.nowMs);
    return this.seen;
  }

  restart(): void {
    this.book = this.open();
    this.seen = undefined;
  }

  isFresh(): boolean {
    return this.seen !== undefined && this.nowMs - this.seen.blockTime * 1000 <= 60_000;
  }

  run(operation: Operation): void {
    this.nowMs += 250;
    this.apply(operation);
    // The alarm is punctual.
    this.expire();
    this.check();
  }

  apply(operation: Operation): void {
    const { chain } = this;
    const seconds = Math.floor(this.nowMs / 1000);
    switch (operation.op) {
      case 'deposit':
        chain.mine({ deposited: chain.now.deposited + operation.amount });
        break;
      case 'withdraw': {
        const readyAt = seconds + withdrawalDelay;
        chain.mine({ withdrawal: { amount: operation.amount, readyAt } });
        break;
      }
      case 'cancelWithdrawal':
        chain.mine({ withdrawal: undefined });
        break;
      case 'changeSpender':
        chain.mine({
          spenderChange: { spender: spenders[operation.to], readyAt: seconds + withdrawalDelay },
        });
        break;
      case 'completeWithdrawal':
      case 'completeSpender':
        this.claim(); // Chain claims before an epoch ends
        this.endEpoch(operation.op, seconds);
        break;
      case 'claim':
        this.claim();
        break;
      case 'reorg':
        this.hadReorg = true;
        chain.reorg(operation.blocks);
        break;
      case 'look':
        this.book.observe(this.look(), this.nowMs);
        break;
      case 'restart':
        this.restart();
        break;
      case 'wait':
        // In steps of a block or so, with the alarm between them.
        for (let left = operation.seconds; left > 0; left -= 300) {
          this.nowMs += 1000 * Math.min(left, 300);
          chain.mine();
          this.expire();
        }
        break;
      case 'reserve':
        this.reserve(operation);
        break;
      case 'capture':
        this.capture(operation);
        break;
      case 'release': {
        const call = this.callAt(operation.at);
        if (call === undefined) break;
        this.book.release(call.requestId, this.nowMs);
        if (call.state === 'held') call.state = 'released';
        break;
      }
      case 'diskFails':
        this.failWhileReserving(operation.writes);
        break;
    }
  }

  /** What Chain does: reads the chain, tells the account, claims what it says. */
  claim(): void {
    this.book.observe(this.look(), this.nowMs);
    const owed = this.book.owed();
    const claimable = owed === undefined ? undefined : this.book.claimable(owed);
    if (claimable) this.chain.claim(claimable.epoch, claimable.cumulative);
  }

  endEpoch(which: 'completeWithdrawal' | 'completeSpender', seconds: number): void {
    const { epoch, claimed } = this.chain.now;
    const captured = this.model.captured(epoch, claimed);
    const open = this.model.calls.filter((call) => call.state === 'held' && call.epoch === epoch);
    const ended =
      which === 'completeWithdrawal'
        ? this.chain.completeWithdrawal(seconds)
        : this.chain.completeSpenderChange(seconds);
    if (!ended || this.hadReorg) return;
    // Nothing is in flight when an epoch ends, and everything that was earned in it has been paid.
    expect(open).toEqual([]);
    expect(claimed).toBe(captured);
  }

  expire(): void {
    this.book.expire(this.nowMs);
    // The log takes what there is, and what is old is packed.
    this.book.acknowledged = this.book.sequence;
    const packable = this.book.packable(this.nowMs);
    if (packable) this.book.packed(packable, new Uint8Array(new TextEncoder().encode(packable.json)));
    for (const call of this.model.calls) {
      if (call.state === 'held' && call.deadlineMs <= this.nowMs) call.state = 'expired';
    }
  }

  reserve(operation: Operation & { op: 'reserve' }): void {
    this.requests += 1;
    const requestId = `request ${this.requests}`;
    const deadlineMs = this.nowMs + holdLifetime * 1000;
    const epoch = this.chain.now.epoch - (operation.voucher?.epochsAgo ?? 0n);
    const voucher =
      operation.voucher && epoch >= 0n
        ? voucherOf(epoch, operation.voucher.by, operation.voucher.cumulative)
        : undefined;
    const requestHash: Hex = `0x${'0c'.repeat(32)}`;
    const ask = {
      requestId,
      ceiling: operation.ceiling,
      deadlineMs,
      priceTable: zeroHash,
      ...(voucher ? { voucher } : {}),
      ...(operation.key ? { idempotency: { key: operation.key, requestHash } } : {}),
    };
    const caller = {
      signer: owner,
      verifiedBy: 'ecdsa' as const,
      nonce: { value: requestId, until: Math.floor(this.nowMs / 1000) + 90 },
    };
    const before = this.storage.rowsWritten;
    let answer = this.book.reserve(caller, ask, undefined, this.nowMs);
    if (!answer.ok && answer.error.reason === 'observation_needed') {
      answer = this.book.reserve(caller, ask, this.look(), this.nowMs);
    }
    const seen = this.seen;
    if (seen === undefined) throw new Error('a decision was made without looking at the chain');

    // What the model says.
    const repeated = this.idempotent.findLast(
      ({ key, atMs, call }) =>
        key === operation.key && atMs + 3_600_000 > this.nowMs && call.state !== 'released',
    );
    const isGood =
      voucher === undefined ||
      (voucher.voucher.epoch === seen.epoch && spenders[operation.voucher?.by ?? 'a'] === seen.spender);
    if (voucher && isGood && !repeated) {
      // A voucher counts from the moment it is accepted with a hold.
      this.model.vouchers.push({
        epoch: seen.epoch,
        signer: seen.spender,
        cumulative: voucher.voucher.cumulative,
      });
    }
    const isEnding =
      seen.epochEndsAt !== 0n && Number(seen.epochEndsAt) * 1000 < deadlineMs + terms.settleMarginMs;
    const isCovered = this.model.available(seen, terms) >= operation.ceiling;
    const hasAny = this.model.voucher(seen) > 0n && fundsOf(seen) > 0n;
    const expected = !repeated && isGood && !isEnding && isCovered && hasAny;
    expect([answer.ok, answer]).toEqual([expected, answer]);
    if (!answer.ok) {
      if (voucher && isGood && !repeated) this.model.vouchers.pop();
      expect(this.storage.rowsWritten).toBe(before); // a refusal writes nothing
      if (repeated) {
        const captured = repeated.call.state === 'captured' || repeated.call.state === 'late';
        expect(answer.error.reason).toBe(captured ? 'already_answered' : 'idempotency_in_progress');
      }
      return;
    }
    this.model.begin(seen);
    const call: ModelCall = {
      requestId,
      ceiling: operation.ceiling,
      epoch: seen.epoch,
      deadlineMs,
      state: 'held',
      amount: 0n,
      chargedIn: seen.epoch,
    };
    this.model.calls.push(call);
    if (operation.key) this.idempotent.push({ key: operation.key, atMs: this.nowMs, call });
    this.holdIds.set(requestId, answer.value.holdId);
    if (operation.lost) {
      // The answer is lost and the object restarted: asking again under the same id gives the same hold.
      this.restart();
      const again = this.book.reserve(caller, ask, this.look(), this.nowMs);
      expect(again.ok && again.value.holdId).toBe(answer.value.holdId);
    }
  }

  capture(operation: Operation & { op: 'capture' }): void {
    const call = this.callAt(operation.at);
    if (call === undefined) return;
    const outcome = outcomeOf(call.requestId, operation.cost);
    const holdId = this.holdIds.get(call.requestId) ?? 0;
    const wasCharged = call.state === 'captured' || call.state === 'late';
    let answer = this.book.capture(holdId, outcome, this.nowMs);
    if (!answer.ok && answer.error === 'observation_needed') {
      answer = this.book.capture(holdId, outcome, this.nowMs, { observation: this.look() });
    }
    // Long past its deadline there may be no row to charge any more.
    const isOld = call.deadlineMs - holdLifetime * 1000 + archive.afterMs <= this.nowMs;
    if (isOld && !answer.ok && answer.error === 'unknown_hold') return;
    if (call.state === 'released') {
      expect(answer).toEqual({ ok: false, error: 'released' });
      return;
    }
    if (!answer.ok) throw new Error(`capture of ${call.requestId} refused: ${answer.error}`);
    if (!wasCharged) this.charge(call, operation.cost);
    const { receipt, digest } = answer.value;
    expect(digest).toBe(receiptDigest(receipt));
    expect([call.requestId, receipt.amount, receipt.epoch]).toEqual([
      call.requestId,
      call.amount,
      call.chargedIn,
    ]);
    expect(receipt.cumulative).toBeLessThanOrEqual(
      this.model.captured(call.chargedIn, this.seen?.claimed ?? 0n),
    );
    if (operation.lost) {
      this.restart();
      const again = this.book.capture(holdId, outcome, this.nowMs);
      expect(again).toEqual(answer);
    }
  }

  /** What the model charges for a call that ended. */
  charge(call: ModelCall, cost: bigint): void {
    const { seen } = this;
    const most = cost < call.ceiling ? cost : call.ceiling;
    if (call.state === 'held' && (seen === undefined || seen.epoch === call.epoch)) {
      call.state = 'captured';
      call.amount = most;
      return;
    }
    if (seen === undefined) throw new Error('a late charge without looking at the chain');
    call.state = 'released'; // its own hold is not in its way
    const room = this.model.available(seen, terms);
    this.model.begin(seen);
    call.state = 'late';
    call.amount = most < room ? most : room;
    call.chargedIn = seen.epoch;
  }

  /** A write that fails leaves everything as it was. */
  failWhileReserving(writes: number): void {
    this.look();
    const caller = { signer: owner, verifiedBy: 'ecdsa' as const };
    const ask = {
      requestId: `lost ${this.requests}`,
      ceiling: 1n,
      deadlineMs: this.nowMs + 1000,
      priceTable: zeroHash,
    };
    this.storage.failAfter(writes);
    try {
      const answer = this.book.reserve(caller, ask, this.seen, this.nowMs);
      if (answer.ok) this.book.release(ask.requestId, this.nowMs);
      this.storage.failAfter(Number.POSITIVE_INFINITY);
      if (answer.ok && this.seen) this.model.begin(this.seen);
    } catch {
      this.storage.failAfter(Number.POSITIVE_INFINITY);
      this.restart();
      // Whatever was undone, the next book may or may not hold it; released, it counts for nothing.
      this.book.release(ask.requestId, this.nowMs);
      const { seen } = this;
      if (seen) this.model.begin(seen);
      if (this.storage.kv.get('epochs')) {
        for (const [epoch, start] of JSON.parse(
          this.storage.kv.get<string>('epochs') ?? '[]',
        ) as string[][]) {
          if (!this.model.epochStart.has(BigInt(epoch ?? 0)))
            this.model.epochStart.set(BigInt(epoch ?? 0), BigInt(start ?? 0));
        }
      }
    }
  }

  callAt(at: number): ModelCall | undefined {
    const { calls } = this.model;
    return calls.length === 0 ? undefined : calls[calls.length - 1 - (at % calls.length)];
  }

  check(): void {
    const figures = this.figures(this.book);
    const { model, chain } = this;
    expect(figures.held).toBe(model.held());
    if (this.isFresh() && this.seen) {
      expect(figures.available).toBe(model.available(this.seen, terms));
      expect(figures.captured).toBe(model.captured(this.seen.epoch, this.seen.claimed));
    }
    // A book opened anew on the same rows says the same, looked at the same way.
    const anew = this.open();
    if (this.seen) anew.observe(this.seen, this.nowMs);
    expect(this.figures(anew)).toEqual(figures);

    if (this.hadReorg) return;
    // Solvency: what was captured and what is in flight is covered by the deposit and by the agent's word, on the chain
    // as it is now and not as somebody saw it.
    const { epoch, deposited, withdrawn, claimed, spender } = chain.now;
    const inFlight = model.calls
      .filter((call) => call.state === 'held' && call.epoch === epoch)
      .reduce((sum, call) => sum + call.ceiling, 0n);
    const owed = model.captured(epoch, claimed) + inFlight;
    const word = model.vouchers
      .filter((voucher) => voucher.epoch === epoch && voucher.signer === spender)
      .reduce((most, { cumulative }) => (cumulative > most ? cumulative : most), claimed);
    expect(owed <= word && owed <= deposited - withdrawn).toBe(true);
  }

  figures(book: AccountBook) {
    const caller = { signer: owner, verifiedBy: 'ecdsa' as const };
    const standing = book.admit(caller, undefined, this.nowMs);
    const {
      held = undefined,
      available = undefined,
      captured = undefined,
    } = standing.ok ? standing.value : {};
    return { held: held ?? this.model.held(), available, captured, sequence: book.sequence };
  }

  /** The receipts are a chain without gaps whose sums are the model's. */
  checkReceipts(): void {
    const receipts: { receipt: Receipt; digest: Hex }[] = [];
    while (BigInt(receipts.length) < this.book.sequence) {
      const next = BigInt(receipts.length + 1);
      const piece = this.book.pieceOf(next);
      if (piece === undefined) receipts.push(...this.book.receipts(next, 10_000));
      else {
        for (const json of JSON.parse(new TextDecoder().decode(piece.packed)) as unknown[]) {
          const read = receiptFromJson({ receipt: json, signature: `0x${'00'.repeat(65)}` });
          if (!read.ok) throw new Error(read.error);
          receipts.push({ receipt: read.value.receipt, digest: receiptDigest(read.value.receipt) });
        }
        this.pieces += 1;
      }
      // Whatever is wrong, this ends.
      if (BigInt(receipts.length) < next) throw new Error(`receipt ${next} is nowhere`);
    }
    const charged = this.model.calls.filter((call) => call.state === 'captured' || call.state === 'late');
    expect(receipts.length).toBe(charged.length);
    let previous: Hex = zeroHash;
    const cumulative = new Map(this.model.epochStart);
    for (const [index, { receipt, digest }] of receipts.entries()) {
      expect(receipt.sequence).toBe(BigInt(index + 1));
      expect(receipt.previous).toBe(previous);
      expect(digest).toBe(receiptDigest(receipt));
      const sum = (cumulative.get(receipt.epoch) ?? 0n) + receipt.amount;
      expect(receipt.cumulative).toBe(sum);
      cumulative.set(receipt.epoch, sum);
      previous = digest;
    }
  }
}

const fundsOf = ({ deposited, arriving, withdrawn, withdrawing }: Observation): bigint =>
  deposited +
  (arriving < terms.unfinalCreditMax ? arriving : terms.unfinalCreditMax) -
  withdrawn -
  withdrawing;

function play(start: readonly Operation[], operations: readonly Operation[]): World {
  const world = new World();
  try {
    for (const operation of start) world.run(operation);
    for (const operation of operations) world.run(operation);
    world.checkReceipts();
    return world;
  } finally {
    world.storage.close();
  }
}

/** A deposit that is final and a voucher for most of it. */
const funded: readonly Operation[] = [
  { op: 'deposit', amount: 100n },
  { op: 'wait', seconds: 700 },
  { op: 'reserve', ceiling: 10n, voucher: { by: 'a', cumulative: 80n, epochsAgo: 0n } },
];

describe('the ledger against a naive model', () => {
  const alphabet: readonly Operation[] = [
    { op: 'reserve', ceiling: 40n, key: 'k' },
    { op: 'reserve', ceiling: 30n, voucher: { by: 'a', cumulative: 95n, epochsAgo: 0n } },
    { op: 'capture', at: 0, cost: 25n },
    { op: 'capture', at: 1, cost: 50n, lost: true },
    { op: 'release', at: 0 },
    { op: 'restart' },
    { op: 'withdraw', amount: 60n },
    { op: 'wait', seconds: 3700 },
    { op: 'completeWithdrawal' },
    { op: 'reorg', blocks: 1 },
  ];
  const depth = Number(process.env['LONG'] ?? 1) > 1 ? 4 : 3;

  test(`all ${alphabet.length}^${depth} sequences of operations`, { timeout: 600_000 }, () => {
    const count = alphabet.length ** depth;
    for (let index = 0; index < count; index += 1) {
      const sequence = Array.from({ length: depth }, (_, place) => {
        const operation = alphabet[Math.floor(index / alphabet.length ** place) % alphabet.length];
        if (operation === undefined) throw new Error('no such operation');
        return operation;
      });
      try {
        play(funded, sequence);
      } catch (error) {
        throw new Error(`sequence ${sequence.map((step) => JSON.stringify(step, plain)).join(', ')}`, {
          cause: error,
        });
      }
    }
  });

  const by = fc.constantFrom('a' as const, 'b' as const);
  const amount = fc.bigInt(1n, 60n);
  const anyOperation: fc.Arbitrary<Operation> = fc.oneof(
    { weight: 2, arbitrary: fc.record({ op: fc.constant('deposit' as const), amount }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('withdraw' as const), amount }) },
    {
      weight: 4,
      arbitrary: fc.record({
        op: fc.constantFrom(
          'completeWithdrawal' as const,
          'cancelWithdrawal' as const,
          'completeSpender' as const,
          'claim' as const,
          'look' as const,
          'restart' as const,
        ),
      }),
    },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('changeSpender' as const), to: by }) },
    {
      weight: 1,
      arbitrary: fc.record({ op: fc.constant('reorg' as const), blocks: fc.integer({ min: 1, max: 4 }) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        op: fc.constant('wait' as const),
        seconds: fc.constantFrom(1, 10, 65, 500, 650, 3700),
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record(
        {
          op: fc.constant('reserve' as const),
          ceiling: fc.bigInt(0n, 40n),
          voucher: fc.record({
            by,
            cumulative: fc.bigInt(1n, 400n),
            epochsAgo: fc.constantFrom(0n, 0n, 0n, 0n, 1n),
          }),
          key: fc.constantFrom('k', 'l'),
          lost: fc.boolean(),
        },
        { requiredKeys: ['op', 'ceiling'] },
      ),
    },
    {
      weight: 8,
      arbitrary: fc.record(
        {
          op: fc.constant('capture' as const),
          at: fc.nat(5),
          cost: fc.bigInt(0n, 60n),
          lost: fc.boolean(),
        },
        { requiredKeys: ['op', 'at', 'cost'] },
      ),
    },
    { weight: 2, arbitrary: fc.record({ op: fc.constant('release' as const), at: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('diskFails' as const), writes: fc.nat(2) }) },
  );

  test('long random histories', { timeout: 600_000 }, () => {
    let packed = 0;
    fc.assert(
      fc.property(fc.array(anyOperation, { minLength: 60, maxLength: 160, size: 'max' }), (operations) => {
        const world = play(funded, operations);
        packed += world.pieces;
      }),
      { numRuns: runs(60), seed: 20261122 },
    );
    expect(packed).toBeGreaterThan(0); // histories did outlive their tables
  });
});

const plain = (_: string, value: unknown) => (typeof value === 'bigint' ? Number(value) : value);
