// Receipts that do not leave their account: found from outside, and sent although the alarm that was to send them is lost.
import { globSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseEther } from 'viem';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Outboxes } from '../durable-objects/chain/outboxes.ts';
import { accountOf, until } from './money.ts';
import { rawAgent } from './raw-agent.ts';
import { type SqliteStorage, sqliteStorage } from './sqlite-storage.ts';
import { startTestStack } from './test-stack.ts';

const minute = 60_000;
/** As many accounts as are asked in one look, and more. */
const names = Array.from({ length: 45 }, (_, number) => `account ${`${number}`.padStart(2, '0')}`);

let storage: SqliteStorage;
let nowMs: number;
/** Since when each account's oldest receipt waits; `null`: it does not answer. */
let waiting: Map<string, number | null>;
let asked: string[];
beforeEach(() => {
  storage = sqliteStorage();
  nowMs = 1_800_000_000_000;
  waiting = new Map();
  asked = [];
  for (const level of ['warn', 'error'] as const)
    vi.spyOn(console, level).mockImplementation(() => undefined);
});
afterEach(() => {
  storage.close();
  vi.restoreAllMocks();
});

const opened = (known: readonly string[] = names): Outboxes =>
  new Outboxes(storage, {
    accountsAfter: (account, limit) => known.filter((name) => name > account).slice(0, limit),
    accountOf: (name) => ({
      async unsentSinceMs() {
        asked.push(name);
        const sinceMs = waiting.get(name);
        if (sinceMs === null) throw new Error('it does not start');
        return sinceMs;
      },
    }),
  });

/** One look, and the time until the next. */
async function look(outboxes: Outboxes): Promise<void> {
  expect(await outboxes.step(15_000, nowMs)).toBe(nowMs + 15_000);
  nowMs += 15_000;
}

test('every account is asked in its turn, whether or not the object stays in memory, and too early is not a turn', async () => {
  expect(await opened([]).step(15_000, nowMs)).toBeUndefined();
  const outboxes = opened();
  for (let looks = 0; looks < 3; looks++) await look(outboxes);
  expect(await outboxes.step(15_000, nowMs - 1)).toBe(nowMs);
  expect(asked).toEqual(names);
  asked = [];
  for (let looks = 0; looks < 3; looks++) await look(opened());
  expect(asked).toEqual(names);
});

test('what waits for more than a minute is found, kept over a restart, and struck off when it is gone', async () => {
  const [, , late = '', young = ''] = names;
  waiting.set(late, nowMs - 5 * minute).set(young, nowMs - 1_000);
  await look(opened());
  expect(opened().totals()).toEqual({ unsent: 1, unsentSinceMs: waiting.get(late) });

  // Asked again in each look, not only when its turn comes.
  waiting.delete(late);
  const again = opened();
  await look(again);
  expect(again.totals()).toEqual({ unsent: 0, unsentSinceMs: undefined });
});

test('more late ones than a look has room for are all found, and all struck off', async () => {
  for (const [number, name] of names.entries()) waiting.set(name, nowMs - minute - number);
  const outboxes = opened();
  for (let looks = 0; looks < 3; looks++) await look(outboxes);
  expect(outboxes.totals().unsent).toBe(names.length);
  waiting.clear();
  for (let looks = 0; looks < 3; looks++) await look(outboxes);
  expect(outboxes.totals().unsent).toBe(0);
});

test('an account that does not answer holds something until it says otherwise, and holds up no other', async () => {
  const [first = '', second = ''] = names;
  waiting.set(first, null).set(second, nowMs - 5 * minute);
  const outboxes = opened();
  await look(outboxes);
  const { unsent } = outboxes.totals();
  expect(unsent).toBe(2);
  waiting.delete(second);
  await look(outboxes);
  expect(outboxes.totals()).toEqual({ unsent: 1, unsentSinceMs: nowMs - 15_000 - 15_000 - minute });
  waiting.delete(first);
  await look(outboxes);
  expect(outboxes.totals().unsent).toBe(0);
});

test('a round that finds nothing new writes nothing but where it stands', async () => {
  const few = names.slice(0, 3);
  await look(opened(few));
  expect(storage.rowsWritten).toBe(0);
});

test('receipts whose alarm is lost reach the log although the agent never calls again', {
  timeout: 60_000,
}, async () => {
  const stack = await startTestStack({ agents: 1 });
  try {
    const [first] = stack.agents;
    if (!first) throw new Error('no agent');
    const agent = rawAgent(stack, first);
    const headers = await agent.payment(parseEther('5'));
    expect((await agent.chat('hello', { headers })).status).toBe(200);
    await until(
      () => accountOf(agent),
      ({ held }) => held === 0n,
    );
    type Summary = { chains: { claimed: string; due: string; exposure: { unsent: number }[] }[] };
    const chain = async (): Promise<Summary['chains'][0] | undefined> => {
      const response = await fetch(`${stack.gatewayUrl}/operator/summary`, {
        headers: { authorization: `Bearer ${stack.operatorToken}` },
      });
      return ((await response.json()) as Summary).chains[0];
    };
    const unsent = async () => (await chain())?.exposure[0]?.unsent;
    // Anchored and paid: then nothing is left that would call on Chain by itself.
    await until(chain, (seen) => seen !== undefined && seen.claimed !== '0' && seen.due === '0');
    expect(await unsent()).toBe(0);
    const files = globSync(path.join(stack.stateDir, '*{AgentAccount,Chain}', '*.sqlite')).filter(
      (name) => !name.endsWith('metadata.sqlite'),
    );
    expect(files).toHaveLength(2);
    await stack.restartGateway({}, () => {
      for (const file of files) {
        const db = new DatabaseSync(file);
        // As far as the account knows, the log has taken nothing yet.
        const { changes } = db.prepare(`DELETE FROM "_cf_KV" WHERE key = 'acknowledged'`).run();
        expect(changes).toBe(file.includes('AgentAccount') ? 1 : 0);
        // Nor will an alarm say so, and the one that would look into it is lost as well.
        expect(db.prepare('DELETE FROM "_cf_METADATA"').run().changes).toBe(1);
        db.close();
      }
    });
    await until(unsent, (receipts) => receipts === 0);
  } finally {
    await stack.close();
  }
});
