// Yesterday's storage under today's code: what dev/record-storage.ts wrote down before the schema changed, opened as an object
// that is upgraded on the way, with holds that were in flight, and then used hard.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseEther } from 'viem';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Stack } from '../dev/stack.ts';
import { isCurrent, type Step, upgrade } from '../durable-objects/schema.ts';
import { accountName } from '../protocol/account-name.ts';
import { receiptDigest } from '../protocol/receipt.ts';
import { accountOf, receiptIn, receiptsOf, until, vaultAccount } from './money.ts';
import { type RawAgent, rawAgent } from './raw-agent.ts';
import { sqliteStorage } from './sqlite-storage.ts';
import { startTestStack } from './test-stack.ts';

const recorded = (name: string): string =>
  readFileSync(path.join(import.meta.dirname, 'fixtures', `${name}-schema-0.sql`), 'utf8');

let stack: Stack;
let agent: RawAgent;
beforeAll(async () => {
  stack = await startTestStack({ agents: 1, deposit: parseEther('10'), vars: { HOLD_SECONDS: '6' } });
  const [first] = stack.agents;
  if (!first) throw new Error('no agent');
  agent = rawAgent(stack, first);
});
afterAll(() => stack?.close());

/** Puts recorded storage where the agent's account has its own. */
async function plant(): Promise<() => void> {
  const { chainId, vault, identityRegistry: registry } = stack;
  const name = accountName({ chainId, vault, registry, agentId: 0n });
  const objects = await stack.gateway.miniflare.getDurableObjectNamespace('AGENT_ACCOUNT');
  const id = objects.idFromName(name).toString();
  await accountOf(agent); // makes the file
  return () => {
    const below = readdirSync(stack.stateDir).find((entry) => entry.endsWith('AgentAccount')) ?? '';
    const file = path.join(stack.stateDir, below, `${id}.sqlite`);
    for (const tail of ['', '-wal', '-shm']) rmSync(file + tail, { force: true });
    const db = new DatabaseSync(file);
    db.exec(recorded('account'));
    // The log of this stack is empty: an account whose outbox has not been sent.
    db.exec(`DELETE FROM "_cf_KV" WHERE key IN ('acknowledged', 'watched')`);
    // Nor does this workerd know of the alarm that was set: the account's next hold sets one.
    db.exec('DELETE FROM "_cf_METADATA"');
    db.close();
  };
}

test('an account recorded under the old schema is upgraded, keeps every receipt, and works under load', {
  timeout: 60_000,
}, async () => {
  expect(recorded('account'), 'recorded on a stack whose addresses were these').toContain(stack.vault);
  await stack.restartGateway({}, await plant());

  const before = await receiptsOf(agent);
  expect(before.map(({ receipt }) => receipt.sequence)).toEqual([1n, 2n, 3n]);
  const stored = [...recorded('account').matchAll(/'(0x[0-9a-f]{64})', '\{"logId/g)].map(
    ([, digest]) => digest,
  );
  expect(before.map(({ receipt }) => receiptDigest(receipt))).toEqual(stored);
  const opened = await accountOf(agent);
  expect(opened.captured).toBe(before.at(-1)?.receipt.cumulative);
  expect(opened.held).toBeGreaterThan(0n); // what was in flight when it was recorded

  // Under load, streams in flight, deployed once more in the middle.
  const headers = await agent.payment(parseEther('9'));
  const acknowledged: string[] = [];
  let running = true;
  const client = async (number: number): Promise<void> => {
    for (let turn = 0; running; turn += 1) {
      try {
        const response = await agent.chat(`[[slow:10]] ${number}.${turn}`, {
          headers,
          more: { stream: turn % 2 === 0, max_tokens: 30 },
        });
        const receipt = receiptIn(response, await response.text());
        if (receipt) acknowledged.push(receiptDigest(receipt.receipt));
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  };
  const clients = Array.from({ length: 4 }, (_, number) => client(number));
  await until(
    async () => acknowledged.length,
    (length) => length > 8,
  );
  await stack.restartGateway();
  const already = acknowledged.length;
  await until(
    async () => acknowledged.length,
    (length) => length > already + 8,
  );
  running = false;
  await Promise.all(clients);

  // All that was in flight has ended: what was recorded as well, which is given back and not charged.
  const settled = await until(
    () => accountOf(agent),
    ({ held }) => held === 0n,
    15_000,
  );
  const receipts = await receiptsOf(agent);
  const digests: string[] = receipts.map(({ receipt }) => receiptDigest(receipt));
  expect(acknowledged.filter((digest) => !digests.includes(digest))).toEqual([]);
  expect(new Set(receipts.map(({ receipt }) => receipt.upstreamId)).size).toBe(receipts.length);
  expect(settled.captured).toBe(receipts.reduce((sum, { receipt }) => sum + receipt.amount, 0n));
  const paid = await until(
    () => vaultAccount(stack, 0n),
    ({ claimed }) => claimed >= settled.captured,
  );
  expect(paid.claimed).toBe(settled.captured);
});

/** Of the platform's world, whose types Node's do not go with. */
type Rows = {
  adopt(operator: string): void;
  nextNonce(sender: string): number | undefined;
  state(key: string): unknown;
};
const transactionRows = '../durable-objects/chain/transactions.ts';

test('the chain object’s transactions get a sender, and their nonces go on where they were', async () => {
  const { TransactionRows } = (await import(transactionRows)) as {
    TransactionRows: new (storage: unknown) => Rows;
  };
  const storage = sqliteStorage();
  const plain = recorded('chain')
    .split('\n')
    .filter((line) => !/_cf_/.test(line))
    .join('\n');
  for (const statement of plain.split(/;\n/)) if (statement.trim() !== '') storage.sql.exec(statement);
  storage.kv.put('nextNonce', 3);
  const rows = new TransactionRows(storage);
  const [operator, next] = [`0x${'11'.repeat(20)}`, `0x${'22'.repeat(20)}`] as const;
  rows.adopt(operator);
  expect(rows.nextNonce(operator)).toBe(3);
  expect(rows.nextNonce(next)).toBeUndefined();
  expect(rows.state('settle:1')).toMatchObject({ state: 'mined', success: true });
  const senders = storage.sql.exec<{ sender: string | null }>('SELECT sender FROM transactions').toArray();
  expect(senders.map(({ sender }) => sender)).toEqual([operator, operator, operator]);
  // Once: opened again, nothing is taken a second time.
  new TransactionRows(storage).adopt(next);
  expect(rows.nextNonce(next)).toBeUndefined();
  storage.close();
});

test('a step is taken once or not at all; a fresh object takes none; an older version does not start', () => {
  const storage = sqliteStorage();
  const steps: Step[] = [
    (sql) => {
      sql.exec('ALTER TABLE things ADD COLUMN a TEXT');
    },
    (sql) => {
      sql.exec('ALTER TABLE things ADD COLUMN b TEXT');
      sql.exec('UPDATE things SET b = id');
    },
  ];
  upgrade(storage, steps); // nothing there: nothing written
  expect(storage.kv.get('schema')).toBeUndefined();
  storage.sql.exec('CREATE TABLE things (id INTEGER PRIMARY KEY)');
  storage.sql.exec('INSERT INTO things VALUES (7)');
  // The disk fails in the middle of the second step.
  storage.failAfter(3);
  expect(() => upgrade(storage, steps)).toThrow('the disk failed');
  storage.failAfter(Number.POSITIVE_INFINITY);
  expect(storage.kv.get('schema')).toBe(1);
  upgrade(storage, steps);
  upgrade(storage, steps);
  expect(storage.sql.exec('SELECT id, a, b FROM things').one()).toEqual({ id: 7, a: null, b: '7' });
  expect(() => upgrade(storage, steps.slice(0, 1))).toThrow(/schema 2, this code knows 1/);

  const fresh = sqliteStorage();
  fresh.sql.exec('CREATE TABLE things (id INTEGER PRIMARY KEY, a TEXT, b TEXT)');
  isCurrent(fresh, steps);
  upgrade(fresh, steps);
  expect(fresh.kv.get('schema')).toBe(2);
  storage.close();
  fresh.close();
});
