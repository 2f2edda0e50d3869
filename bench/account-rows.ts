// How many rows a request writes in its agent's account, everything included: hold, capture, voucher, alarms, the outbox, new
// tables, packing and pruning. Row writes are what this system costs on the platform.
//
// The account's real object runs here over Node's SQLite, with its writes counted as Cloudflare bills them: one for each row
// inserted, changed or deleted, one for each key of the key-value store, one for each alarm that is set or deleted, none for a
// dropped table; one is counted for each CREATE TABLE. The clock is the bench's own, so a month takes seconds.
import type { Address, Hex } from 'viem';
import type { Outcome, Reservation } from '../durable-objects/account/ledger.ts';
import type { Observation } from '../durable-objects/chain/observation.ts';
import { accountName } from '../protocol/account-name.ts';
import { addressOfKey, signDigest } from '../protocol/ecdsa.ts';
import { zeroHash } from '../protocol/hex.ts';
import { voucherDigest } from '../protocol/money/voucher.ts';
import { sqliteStorage } from '../test/sqlite-storage.ts';
import './cloudflare-workers.ts';

type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };
type AccountObject = {
  reserve(caller: unknown, ask: Reservation, observation?: Observation): Answer<{ holdId: number }>;
  capture(holdId: number, outcome: Outcome): Answer<unknown>;
  alarm(): Promise<void>;
};
type AccountClass = new (ctx: unknown, env: unknown) => AccountObject;
const objectFile = '../durable-objects/account/agent-account.ts';
const { AgentAccount } = (await import(objectFile)) as { AgentAccount: AccountClass };

const key: Hex = `0x${'11'.repeat(32)}`;
const owner = addressOfKey(key);
const account = {
  chainId: 31337,
  vault: `0x${'aa'.repeat(20)}` as Address,
  registry: `0x${'bb'.repeat(20)}` as Address,
  agentId: 0n,
};
const name = accountName(account);

/** Calls of one agent: `perFlush` of them, then nothing for `pauseMs`. */
export type Load = {
  readonly requests: number;
  readonly perFlush: number;
  readonly pauseMs: number;
};

export type Written = {
  /** Rows, alarms included, a request. */
  readonly rows: number;
  /** Of them alarms. */
  readonly alarms: number;
  /** The database's size, bytes a request, when everything old is packed. */
  readonly bytes: number;
};

/** What a load makes the account write, a request. */
export async function rowsWritten({ requests, perFlush, pauseMs }: Load): Promise<Written> {
  let nowMs = 1_800_000_000_000;
  Date.now = () => nowMs;
  const storage = sqliteStorage();
  let alarms = 0;
  let alarmAt: number | null = null;
  const ctx = {
    id: { name },
    storage: {
      sql: storage.sql,
      kv: storage.kv,
      transactionSync: storage.transactionSync,
      getAlarm: async () => alarmAt,
      setAlarm: async (at: number) => {
        alarmAt = at;
        alarms += 1;
      },
      deleteAlarm: async () => {
        alarmAt = null;
        alarms += 1;
      },
    },
    blockConcurrencyWhile: (work: () => Promise<unknown>) => work(),
    abort(why: string) {
      throw new Error(why);
    },
  };
  const object = new AgentAccount(ctx, environment());
  await Promise.resolve();

  const pass = async (ms: number): Promise<void> => {
    const until = nowMs + ms;
    while (alarmAt !== null && alarmAt <= until) {
      nowMs = Math.max(nowMs, alarmAt);
      alarmAt = null;
      await object.alarm();
    }
    nowMs = until;
  };
  for (let number = 1; number <= requests; number += 1) {
    call(object, number, nowMs);
    if (number % perFlush === 0) await pass(pauseMs);
  }
  // Whatever is still to be packed.
  await pass(4 * 60 * 60_000);
  const rows = storage.rowsWritten + alarms;
  const bytes = storage.bytes();
  storage.close();
  return { rows: rows / requests, alarms: alarms / requests, bytes: bytes / requests };
}

/** One call: its hold, and its capture. */
function call(object: AccountObject, number: number, nowMs: number): void {
  const requestId = crypto.randomUUID();
  const caller = {
    signer: owner,
    verifiedBy: 'ecdsa',
    nonce: { value: requestId, until: Math.floor(nowMs / 1000) + 90 },
  };
  const voucher = { registry: account.registry, agentId: account.agentId, epoch: 0n, cumulative: 10n ** 20n };
  const ask: Reservation = {
    requestId,
    ceiling: 1_000n,
    deadlineMs: nowMs + 600_000,
    priceTable: zeroHash,
    ...(number === 1
      ? { voucher: { voucher, signature: signDigest(voucherDigest(account, voucher), key) } }
      : {}),
  };
  let held = object.reserve(caller, ask);
  if (!held.ok) held = object.reserve(caller, ask, observed(nowMs));
  if (!held.ok)
    throw new Error(
      JSON.stringify(held.error, (_, value) => (typeof value === 'bigint' ? `${value}` : value)),
    );
  const captured = object.capture(held.value.holdId, {
    requestId,
    cost: 500n,
    usage: { input: 100n, cachedInput: 0n, cacheCreation: 0n, output: 200n, thinking: 0n, estimated: false },
    authorizationKind: 1,
    authorization: random32(),
    requestHash: random32(),
    forwardedHash: random32(),
    responseHash: random32(),
    upstreamResponseHash: random32(),
    upstream: 'dashscope-intl',
    model: 'qwen-plus',
    upstreamId: `chatcmpl-${crypto.randomUUID()}`,
    assurance: 0,
    evidence: zeroHash,
  });
  if (!captured.ok) throw new Error(String(captured.error));
}

const random32 = (): Hex => `0x${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('hex')}`;

const observed = (nowMs: number): Observation => ({
  blockNumber: BigInt(Math.floor(nowMs / 1000)),
  blockHash: zeroHash,
  blockTime: Math.floor(nowMs / 1000),
  readAtMs: nowMs,
  owner,
  wallet: owner,
  ownerHasCode: false,
  walletHasCode: false,
  spender: owner,
  epoch: 0n,
  deposited: 10n ** 20n,
  arriving: 0n,
  claimed: 0n,
  withdrawn: 0n,
  withdrawing: 0n,
  epochEndsAt: 0n,
  authorized: 0n,
});

function environment() {
  const zero = `0x${'00'.repeat(20)}`;
  const append = async (batch: { firstSequence: number; digests: readonly string[] }) =>
    batch.firstSequence + batch.digests.length - 1;
  return {
    PUBLIC_ORIGIN: 'https://example.com',
    CHAINS: JSON.stringify([
      {
        chainId: account.chainId,
        rpcUrls: ['http://127.0.0.1:1'],
        vault: account.vault,
        registries: [account.registry],
        asset: { symbol: '0G', decimals: 18 },
      },
    ]),
    HOME_CHAIN_ID: `${account.chainId}`,
    ANCHOR: zero,
    LOG_OWNER: zero,
    LOG_ORIGIN: 'example.com/log',
    SEAL_EVERY_SECONDS: '30',
    SEAL_AT_ENTRIES: '4096',
    PUBLISH_EVERY_SECONDS: '600',
    MERGE_DELAY_SECONDS: '3600',
    DA: 'zero-g-storage',
    ZERO_G_STORAGE_KIND: 'node',
    ZERO_G_STORAGE_URL: 'http://127.0.0.1:1',
    ZERO_G_FLOW: zero,
    UPSTREAMS: '[]',
    RECEIPT_LOG: { getByName: () => ({ append }) },
    CHAIN: { getByName: () => ({ watch: async () => undefined }) },
  };
}
