// node dev/record-storage.ts <folder>: makes an agent's account on a local stack, with captures, a released hold and one in flight,
// and writes what its object and the chain's have stored as SQL. Done once for each schema, before it is changed:
// test/schema.test.ts starts from what is recorded.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { privateKeyToAccount } from 'viem/accounts';
import { createAgentFetch } from '../client/agent-fetch.ts';
import { accountSchema } from '../durable-objects/account/account-schema.ts';
import { chainSchema } from '../durable-objects/chain/chain-schema.ts';
import { formatAgentId } from '../protocol/identity/agent-id.ts';
import { startStack } from './stack.ts';

const [folder = 'test/fixtures'] = process.argv.slice(2);

/** A database as SQL: its tables, then its rows, byte for byte. */
function dump(file: string): string {
  const db = new DatabaseSync(file, { readOnly: true });
  const objects = db
    .prepare(`SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_*'`)
    .all() as { name: string; type: string; sql: string }[];
  const lines = objects.map(({ sql }) => `${sql.replace(/\s+/g, ' ')};`);
  for (const { name } of objects.filter(({ type }) => type === 'table')) {
    const columns = (db.prepare(`PRAGMA table_info("${name}")`).all() as { name: string }[]).map(
      (column) => column.name,
    );
    const quoted = columns.map((column) => `quote("${column}") AS "${column}"`).join(', ');
    const rows = db.prepare(`SELECT ${quoted} FROM "${name}"`).all() as Record<string, string>[];
    for (const row of rows)
      lines.push(`INSERT INTO "${name}" VALUES (${columns.map((column) => row[column]).join(', ')});`);
  }
  db.close();
  return `${lines.join('\n')}\n`;
}

const stack = await startStack({
  localDir: path.resolve('.local/record'),
  agents: 1,
  vars: { HOLD_SECONDS: '60' },
});
try {
  const [first] = stack.agents;
  if (!first) throw new Error('no agent');
  const agentFetch = createAgentFetch({
    wallet: privateKeyToAccount(first.privateKey),
    agent: formatAgentId({ ...stack, registry: stack.identityRegistry, agentId: BigInt(first.agentId) }),
    gateway: stack.gatewayUrl,
    rpcUrl: stack.rpcUrl,
  });
  const ask = async (prompt: string, stream = false): Promise<void> => {
    const messages = [{ role: 'user', content: prompt }];
    const response = await agentFetch(`${stack.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'qwen-plus', max_tokens: 200, messages, stream }),
    });
    await response.text();
  };
  for (const prompt of ['one', 'two', 'three']) await ask(prompt);
  stack.qwen?.faults.next('400');
  await ask('refused');
  stack.qwen?.gate.shut();
  const inFlight = ask('in flight', true).catch(() => undefined);
  while ((stack.qwen?.gate.waiting ?? 0) === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  // Until the receipts are anchored and the vault has paid.
  await new Promise((resolve) => setTimeout(resolve, 12_000));
  await stack.gateway.close();
  void inFlight;
  mkdirSync(folder, { recursive: true });
  for (const [kind, name, { length: schema }] of [
    ['AgentAccount', 'account', accountSchema],
    ['Chain', 'chain', chainSchema],
  ] as const) {
    const below = readdirSync(stack.stateDir).find((entry) => entry.endsWith(kind)) ?? '';
    const [file] = readdirSync(path.join(stack.stateDir, below)).filter(
      (entry) => entry.endsWith('.sqlite') && entry !== 'metadata.sqlite',
    );
    writeFileSync(
      path.join(folder, `${name}-schema-${schema}.sql`),
      dump(path.join(stack.stateDir, below, file ?? '')),
    );
  }
} finally {
  await stack.close();
}
process.exit();
