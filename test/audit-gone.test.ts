// The gateway is gone with everything it stored. Whoever has a chain and a storage node can still audit its past, with the
// command; and 0G's own SDK finds every file that the chain names.
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { Downloader, StorageNode as SdkStorageNode } from '@0gfoundation/0g-ts-sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';
import type { Stack } from '../dev/stack.ts';
import { decodeFile } from '../protocol/log/blob.ts';
import { decodeDaReference } from '../protocol/zero-g/da-reference.ts';
import { fileTree } from '../protocol/zero-g/file-tree.ts';
import { rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

const root = path.resolve(import.meta.dirname, '..');
let stack: Stack;
let folder: string;
beforeAll(async () => {
  mkdirSync(path.join(root, '.local'), { recursive: true });
  folder = mkdtempSync(path.join(root, '.local', 'audit-'));
  stack = await startTestStack({ agents: 2, localDir: folder });
});
afterAll(async () => {
  await stack?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

type Page = { receipts: { receipt: { sequence: string; amount: string }; signature: string }[] };
type Health = { log: { appended: number; anchored: number } };

function auditCommand(...more: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const args = [
    '--rpc',
    stack.rpcUrl,
    '--anchor',
    stack.anchor,
    '--log',
    stack.logId,
    '--da',
    stack.storageUrl,
  ];
  const command = [path.join(root, 'client/audit-cli.ts'), ...args, ...more];
  return new Promise((resolve) => {
    execFile(process.execPath, command, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

test('calls, and then no gateway and none of its storage: the command still verifies all of it', async () => {
  const agents = stack.agents.map((agent) => rawAgent(stack, agent));
  const [first, second] = agents;
  if (first === undefined || second === undefined) throw new Error('no agents');
  for (const agent of agents) {
    const headers = await agent.payment(10n ** 18n);
    for (const prompt of ['One', 'Two', 'Three']) {
      expect((await agent.chat(prompt, { headers })).status).toBe(200);
    }
  }
  const health = async (): Promise<Health> =>
    (await (await fetch(`${stack.gatewayUrl}/healthz`)).json()) as Health;
  await expect
    .poll(async () => (await health()).log, { timeout: 25_000 })
    .toMatchObject({ appended: 6, anchored: 6 });
  const page = (await (await first.call('GET', '/v1/receipts')).json()) as Page;
  expect(page.receipts).toHaveLength(3);
  const file = path.join(folder, 'receipts.json');
  writeFileSync(file, JSON.stringify(page.receipts));
  const total = page.receipts.reduce((sum, { receipt }) => sum + BigInt(receipt.amount), 0n);
  const live = await auditCommand('--json', '--receipts', file, '--gateway', stack.gatewayUrl);
  expect([live.status, live.stderr]).toEqual([0, '']);
  expect(JSON.parse(live.stdout).counts.tiles).toBeGreaterThan(0);

  await stack.gateway.close();
  const objects = readdirSync(folder)
    .filter((name) => name.startsWith('state-'))
    .map((name) => path.join(folder, name, 'objects'));
  expect(objects.filter((name) => existsSync(name))).toHaveLength(1);
  for (const name of objects) rmSync(name, { recursive: true });
  await expect(fetch(`${stack.gatewayUrl}/healthz`)).rejects.toThrow();

  const state = path.join(folder, 'state.json');
  const gone = await auditCommand('--json', '--receipts', file, '--state', state);
  expect([gone.status, gone.stderr]).toEqual([0, '']);
  const result = JSON.parse(gone.stdout);
  expect(result).toMatchObject({ ok: true, findings: [], through: { size: 6 }, counts: { entries: 6 } });
  expect(result.bills).toMatchObject([{ receipts: 3, logged: 3, total: `${total}`, exact: true }]);
  // Again from where it was, and for people.
  const again = await auditCommand('--receipts', file, '--state', state);
  expect(again.status).toBe(0);
  expect(again.stdout).toContain('No doubt.');
  expect(again.stdout).toContain(`is exactly its 3 receipts: ${total} in all`);
  expect(JSON.parse(readFileSync(state, 'utf8')).tree.size).toBe(6);

  // Doubts have an exit status: one receipt altered, the gateway gone, storage gone, the chain gone.
  const [altered, ...others] = page.receipts;
  const wrong = path.join(folder, 'wrong.json');
  writeFileSync(
    wrong,
    JSON.stringify([{ ...altered, receipt: { ...altered?.receipt, amount: '1' } }, ...others]),
  );
  const tampered = await auditCommand('--receipts', wrong);
  expect(tampered.status).toBe(1);
  expect(tampered.stdout).toMatch(/WRONG receipt_signer: eip155:\S+ sequence 1: /);
  expect((await auditCommand('--gateway', stack.gatewayUrl)).status).toBe(2);
  stack.storageNode.faults.down = true;
  const withheld = await auditCommand();
  stack.storageNode.faults.down = false;
  expect(withheld.stdout).toMatch(/WITHHELD file_withheld: file 0x[0-9a-f]{64} \(entries 0 to \d+\)/);
  expect((await auditCommand('--rpc', 'http://127.0.0.1:1')).status).toBe(0); // the first is asked
  expect((await auditCommand('--log', '0x12')).status).toBe(3);
}, 60_000);

test("0G's own SDK downloads every file that the chain names, and its root is the one named", async () => {
  const logs = await stack.reader.getContractEvents({
    address: stack.anchor,
    abi: receiptAnchorAbi,
    eventName: 'Anchored',
    fromBlock: 0n,
    strict: true,
  });
  expect(logs.length).toBeGreaterThan(0);
  let files = 0;
  for (const { args } of logs) {
    const items = decodeDaReference(args.daReference);
    if (!items.ok) throw new Error(items.error);
    for (const item of items.value) {
      if (item.kind !== '0g-storage') throw new Error(item.kind);
      const to = path.join(folder, item.root);
      const node = new SdkStorageNode(stack.storageUrl);
      expect(await new Downloader([node]).download(item.root, to, true)).toBeNull();
      const bytes = new Uint8Array(readFileSync(to));
      expect(fileTree(bytes).root).toBe(item.root);
      expect(decodeFile(bytes).ok).toBe(true);
      files += 1;
    }
  }
  expect(files).toBeGreaterThan(0);
});
