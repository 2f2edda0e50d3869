// The memory of nonces, over the account alone and with a clock: long enough, over evictions, and no longer.
import type { Address } from 'viem';
import { expect, test } from 'vitest';
import { AccountBook } from '../durable-objects/account/account-book.ts';
import { applyNonce, type Caller, emptyLedger } from '../durable-objects/account/ledger.ts';
import type { Observation } from '../durable-objects/chain/observation.ts';
import { zeroHash } from '../protocol/hex.ts';
import { sqliteStorage } from './sqlite-storage.ts';

const owner: Address = `0x${'0a'.repeat(20)}`;
const start = 1_800_000_000_000;
/** A request made at the start, good for 60 s and the skew: as `nonceExpiry` has it. */
const until = start / 1000 + 90;
const caller = (value: string, last = until): Caller => ({
  signer: owner,
  verifiedBy: 'ecdsa',
  nonce: { value, until: last },
});

const observed = (nowMs: number): Observation => ({
  blockNumber: BigInt(nowMs),
  blockHash: zeroHash,
  blockTime: Math.floor(nowMs / 1000),
  readAtMs: nowMs,
  owner,
  wallet: owner,
  ownerHasCode: false,
  walletHasCode: false,
  spender: owner,
  epoch: 0n,
  deposited: 0n,
  arriving: 0n,
  claimed: 0n,
  withdrawn: 0n,
  withdrawing: 0n,
  epochEndsAt: 0n,
  authorized: 0n,
});

test('a nonce is remembered while its request could be accepted, over evictions, and then forgotten', () => {
  const storage = sqliteStorage();
  const account = {
    chainId: 31337,
    vault: `0x${'aa'.repeat(20)}`,
    registry: `0x${'bb'.repeat(20)}`,
    agentId: 0n,
  } as const;
  const log = { logId: zeroHash, mergeDelay: 3600 };
  const open = (nowMs: number) =>
    new AccountBook(storage, account, { unfinalCreditMax: 0n, settleMarginMs: 0 }, log, nowMs);
  const ask = (book: AccountBook, nonce: string, nowMs: number): string => {
    const answer = book.admit(caller(nonce), observed(nowMs), nowMs);
    return answer.ok ? 'ok' : answer.error.reason;
  };
  let book = open(start);
  book.observe(observed(start), start);
  expect(ask(book, 'a', start)).toBe('ok');
  expect(ask(book, 'a', start)).toBe('nonce_reused');
  for (const nowMs of [start + 1, start + 59_000, start + 89_999, until * 1000]) {
    book.observe(observed(nowMs), nowMs);
    expect([nowMs, ask(book, 'a', nowMs)]).toEqual([nowMs, 'nonce_reused']);
    book = open(nowMs);
    book.observe(observed(nowMs), nowMs);
    expect([nowMs, ask(book, 'a', nowMs)]).toEqual([nowMs, 'nonce_reused']);
  }
  // What could have been forgotten is refused for its age, not looked for.
  const late = until * 1000 + 1;
  book.observe(observed(late), late);
  book.expire(late);
  expect(ask(book, 'a', late)).toBe('nonce_expired');
  storage.close();
});

test('what is remembered is what is live, however many came before', () => {
  const ledger = emptyLedger();
  let most = 0;
  for (let i = 0; i < 50_000; i += 1) {
    // A hundred a second, each to be remembered for 90 s.
    const nowMs = start + i * 10;
    applyNonce(ledger, caller(`${i}`, Math.floor(nowMs / 1000) + 90), nowMs);
    most = Math.max(most, ledger.nonces.size);
  }
  expect(most).toBeGreaterThan(9_000);
  expect(most).toBeLessThan(9_000 + 100 + 256 + 1);
});
