// A hold whose alarm is lost does not keep the agent's money: the next call sets the alarm again, even one that is refused for it.
import type { Address, Hex } from 'viem';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Reservation } from '../durable-objects/account/ledger.ts';
import type { Observation } from '../durable-objects/chain/observation.ts';
import { accountName } from '../protocol/account-name.ts';
import { addressOfKey, signDigest } from '../protocol/ecdsa.ts';
import { zeroHash } from '../protocol/hex.ts';
import { voucherDigest } from '../protocol/money/voucher.ts';
import { sqliteStorage } from './sqlite-storage.ts';

type Answer = { readonly ok: boolean; readonly error?: { readonly reason: string } };
type AccountObject = {
  reserve(caller: unknown, ask: Reservation, observation?: Observation): Answer;
  alarm(): Promise<void>;
};
/** Of the platform's world, whose types Node's do not go with. */
const objectFile = '../durable-objects/account/agent-account.ts';

const key: Hex = `0x${'11'.repeat(32)}`;
const owner = addressOfKey(key);
const deposited = 1_000n;
const account = {
  chainId: 31337,
  vault: `0x${'aa'.repeat(20)}` as Address,
  registry: `0x${'bb'.repeat(20)}` as Address,
  agentId: 0n,
};
const zero = `0x${'00'.repeat(20)}`;
const env = {
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
};

const storage = sqliteStorage();
let alarmAt: number | null = null;
beforeEach(() => void vi.useFakeTimers({ now: 1_800_000_000_000 }));
afterEach(() => {
  vi.useRealTimers();
  storage.close();
});

/** The object as the platform opens it. */
async function opened(): Promise<AccountObject> {
  const { AgentAccount } = (await import(objectFile)) as {
    AgentAccount: new (ctx: unknown, env: unknown) => AccountObject;
  };
  const ctx = {
    id: { name: accountName(account) },
    storage: {
      ...storage,
      getAlarm: async () => alarmAt,
      setAlarm: async (at: number) => {
        alarmAt = at;
      },
      deleteAlarm: async () => {
        alarmAt = null;
      },
    },
    blockConcurrencyWhile: (work: () => Promise<unknown>) => work(),
  };
  const object = new AgentAccount(ctx, env);
  await Promise.resolve();
  return object;
}

function reserve(object: AccountObject, requestId: string): string {
  const nowMs = Date.now();
  const seconds = Math.floor(nowMs / 1000);
  const voucher = { registry: account.registry, agentId: 0n, epoch: 0n, cumulative: deposited };
  const observation: Observation = {
    blockNumber: BigInt(seconds),
    blockHash: zeroHash,
    blockTime: seconds,
    readAtMs: nowMs,
    owner,
    wallet: owner,
    ownerHasCode: false,
    walletHasCode: false,
    spender: owner,
    epoch: 0n,
    deposited,
    arriving: 0n,
    claimed: 0n,
    withdrawn: 0n,
    withdrawing: 0n,
    epochEndsAt: 0n,
    authorized: 0n,
  };
  const ask: Reservation = {
    requestId,
    ceiling: deposited,
    deadlineMs: nowMs + 600_000,
    priceTable: zeroHash,
    voucher: { voucher, signature: signDigest(voucherDigest(account, voucher), key) },
  };
  const caller = {
    signer: owner,
    verifiedBy: 'ecdsa',
    nonce: { value: requestId, until: seconds + 90 },
  };
  const reserved = object.reserve(caller, ask, observation);
  return reserved.ok ? 'held' : (reserved.error?.reason ?? 'refused');
}

test('a call that is refused for a hold whose alarm is lost brings that alarm back', async () => {
  expect(reserve(await opened(), 'first')).toBe('held');
  expect(alarmAt).toBe(Date.now() + 600_000);
  alarmAt = null;
  vi.advanceTimersByTime(3_600_000);

  const object = await opened();
  expect(reserve(object, 'second')).toMatch(/insufficient/);
  expect(alarmAt).not.toBeNull();
  alarmAt = null;
  await object.alarm();
  expect(reserve(object, 'third')).toBe('held');
});
