// Receipts outlive their rows: full tables are packed and dropped, and GET /v1/receipts still answers every one of them.

import { globSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseEther } from 'viem';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Stack } from '../dev/stack.ts';
import { receiptDigest } from '../protocol/receipt.ts';
import { accountOf, receiptIn, receiptsOf, until } from './money.ts';
import { type RawAgent, rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

let stack: Stack;
let agent: RawAgent;
beforeAll(async () => {
  stack = await startTestStack({ agents: 1, vars: { ARCHIVE_ROWS: '4', ARCHIVE_AFTER_SECONDS: '2' } });
  const [first] = stack.agents;
  if (!first) throw new Error('the stack has an agent');
  agent = rawAgent(stack, first);
});
afterAll(() => stack?.close());

/** Rows of an account's tables, by table, in whichever file they are. */
function tables(): Record<string, number> {
  const found: Record<string, number> = {};
  for (const file of globSync(path.join(stack.stateDir, '**/*.sqlite'))) {
    // The gateway goes on writing: wait for a lock, and see one state from the list of tables to the last count.
    const db = new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
    db.exec('BEGIN');
    for (const { name } of db
      .prepare(`SELECT name FROM sqlite_master WHERE name GLOB 'requests_*' OR name = 'archives'`)
      .all()) {
      found[String(name)] = Number(db.prepare(`SELECT count(*) AS n FROM ${String(name)}`).get()?.['n']);
    }
    db.close();
  }
  return found;
}

test('eighteen calls through tables of four', { timeout: 60_000 }, async () => {
  const headers = await agent.payment(parseEther('9'));
  const digests: string[] = [];
  for (let call = 0; call < 18; call += 1) {
    const answer = await agent.chat(`Hello, ${call}.`, { headers });
    const receipt = receiptIn(answer, await answer.text());
    if (!receipt) throw new Error('no receipt');
    digests.push(receiptDigest(receipt.receipt));
  }
  const before = await accountOf(agent);
  await until(
    async () => tables(),
    (found) => (found['archives'] ?? 0) >= 4 && found['requests_4'] === undefined,
    40_000,
  );
  expect(tables()['requests_5']).toBe(2);

  const check = async () => {
    const receipts = await receiptsOf(agent);
    expect(receipts.map(({ receipt }) => receiptDigest(receipt))).toEqual(digests);
    const third = await agent.call('GET', '/v1/receipts/3');
    expect(third.status).toBe(200);
    expect(((await third.json()) as { digest: string }).digest).toBe(digests[2]);
    const tail = await agent.call('GET', '/v1/receipts?from=7');
    expect(((await tail.json()) as { receipts: { id: string }[] }).receipts.map(({ id }) => id)).toEqual(
      Array.from({ length: 12 }, (_, place) => `${place + 7}`),
    );
    const { captured, held, sequence } = await accountOf(agent);
    expect([captured, held, sequence]).toEqual([before.captured, 0n, 18n]);
  };
  await check();
  await stack.restartGateway();
  await check();
  // And the next one goes on where the last left off.
  await (await agent.chat('Hello again.')).text();
  expect((await receiptsOf(agent)).length).toBe(19);
});
