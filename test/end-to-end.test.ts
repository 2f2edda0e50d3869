// One agent's call, and then everything a doubter could check about it, with tools that are not ours wherever there are any:
// the stock `openai` package, the contract's own bytecode, 0G's own SDK.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Downloader, StorageNode as SdkStorageNode } from '@0gfoundation/0g-ts-sdk';
import { type Hex, hexToBytes, parseEventLogs } from 'viem';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';
import type { Stack } from '../dev/stack.ts';
import { addressOfKey } from '../protocol/ecdsa.ts';
import { toHex } from '../protocol/hex.ts';
import { decodeFile, verifyBlob } from '../protocol/log/blob.ts';
import { headNoteKey } from '../protocol/log/checkpoint.ts';
import { leafHash, rootOf } from '../protocol/log/merkle.ts';
import { ed25519NoteKey, parseVerifierKey } from '../protocol/log/note.ts';
import { verifyTlogProof } from '../protocol/log/tlog-proof.ts';
import { receiptDigest, receiptFromJson, receiptSigner } from '../protocol/receipt.ts';
import { decodeDaReference } from '../protocol/zero-g/da-reference.ts';
import { rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startTestStack();
});
afterAll(() => stack?.close());

const until = async <T>(what: string, ask: () => Promise<T | undefined>, ms = 25_000): Promise<T> => {
  for (const end = Date.now() + ms; Date.now() < end; ) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`timed out: ${what}`);
};

test('a receipt verifies in TypeScript, in Solidity, and from the blob 0G’s own SDK downloads; the vault is paid', async () => {
  const [first] = stack.agents;
  if (!first) throw new Error('no agent');
  const agent = rawAgent(stack, first);
  const payment = await agent.payment(10n ** 18n);
  for (const prompt of ['What is 12*7?', 'A poem about rivers', 'And about tally sticks']) {
    expect((await agent.chat(prompt, { headers: payment })).status).toBe(200);
  }

  // Anchored.
  type Shown = {
    receipt: unknown;
    signature: Hex;
    log: { index: number; anchored?: { size: number; root: Hex; daReference: Hex; transaction: Hex } };
  };
  const shown = await until('an anchored receipt', async () => {
    const answer = (await (await agent.call('GET', '/v1/receipts/3')).json()) as Shown;
    return answer.log?.anchored ? answer : undefined;
  });
  const signed = receiptFromJson({ receipt: shown.receipt, signature: shown.signature });
  if (!signed.ok || !shown.log.anchored) throw new Error('not a receipt');
  const { receipt } = signed.value;
  const digest = receiptDigest(receipt);

  // TypeScript: the tlog-proof against both signatures of the checkpoint.
  const description = (await (await fetch(`${stack.gatewayUrl}/.well-known/tallystick`)).json()) as {
    log: { checkpointKey: string; headKey: Hex; receiptKey: Hex; origin: string };
  };
  const vkey = parseVerifierKey(description.log.checkpointKey);
  if (!vkey) throw new Error('no checkpoint key');
  const domain = { chainId: stack.chainId, anchor: stack.anchor, logId: stack.logId };
  const keys = [
    ed25519NoteKey(vkey.name, vkey.publicKey),
    headNoteKey(description.log.origin, domain, description.log.headKey),
  ];
  const [size, root] = await stack.reader.readContract({
    address: stack.anchor,
    abi: receiptAnchorAbi,
    functionName: 'head',
    args: [stack.logId],
  });
  const text = await (await agent.call('GET', `/v1/receipts/3/proof?size=${size}`)).text();
  const verified = verifyTlogProof({ text, entry: hexToBytes(digest), keys });
  if (!verified.ok) throw new Error(verified.error);
  expect(verified.value.signedBy).toHaveLength(2);
  expect([BigInt(verified.value.checkpoint.size), toHex(verified.value.checkpoint.root)]).toEqual([
    size,
    root,
  ]);
  expect(receiptSigner(signed.value)).toBe(description.log.receiptKey);
  expect(
    await stack.reader.readContract({
      address: stack.anchor,
      abi: receiptAnchorAbi,
      functionName: 'receiptKey',
      args: [stack.logId, description.log.receiptKey],
    }),
  ).toEqual([0n, 2n ** 64n - 1n, true]);

  // Solidity: the same proof, judged by the contract against the head it holds.
  const lines = text.split('\n\n')[0]?.split('\n').slice(2) ?? [];
  const proof = lines.map((line) => toHex(Uint8Array.from(Buffer.from(line, 'base64'))));
  const inSolidity = (entry: Hex) =>
    stack.reader.readContract({
      address: stack.anchor,
      abi: receiptAnchorAbi,
      functionName: 'verifyInclusion',
      args: [stack.logId, BigInt(verified.value.index), entry, proof],
    });
  expect(await inSolidity(digest)).toBe(true);
  expect(await inSolidity(receiptDigest({ ...receipt, amount: receipt.amount - 1n }))).toBe(false);

  // From the blobs alone: every anchored head is rebuilt from what 0G's own SDK downloads.
  const logs = await stack.reader.getContractEvents({
    address: stack.anchor,
    abi: receiptAnchorAbi,
    eventName: 'Anchored',
    fromBlock: 0n,
  });
  const leaves: Uint8Array[] = [];
  const folder = await mkdtemp(path.join(tmpdir(), 'tallystick-blobs-'));
  for (const { args } of logs) {
    const reference = decodeDaReference(args.daReference ?? '0x');
    if (!reference.ok) throw new Error(reference.error);
    for (const item of reference.value) {
      if (item.kind !== '0g-storage') throw new Error('not 0G Storage');
      expect(item.state).toBe('node-confirmed');
      const file = path.join(folder, item.root);
      const error = await new Downloader([new SdkStorageNode(stack.storageUrl)]).download(
        item.root,
        file,
        true,
      );
      expect(error).toBeNull();
      const blobs = decodeFile(new Uint8Array(await readFile(file)));
      if (!blobs.ok) throw new Error(blobs.error);
      for (const blob of blobs.value) {
        expect(blob.first).toBe(leaves.length);
        leaves.push(...blob.entries.map(leafHash));
        const checkpoint = verifyBlob(blob, keys);
        expect(checkpoint.ok && checkpoint.value.size).toBe(leaves.length);
        // The claim sheet discloses the account's last receipt of the commit: what the claim on the vault rests on.
        expect(blob.claims.length).toBeGreaterThan(0);
      }
    }
    expect(BigInt(leaves.length)).toBe(args.size);
    expect(toHex(rootOf(leaves))).toBe(args.root);
  }
  await rm(folder, { recursive: true });
  expect(leaves.map(toHex)).toContain(toHex(leafHash(hexToBytes(digest))));

  // Settled: the vault has paid exactly what the last receipt says, and the account agrees.
  await until('the claim', async () => {
    const account = await stack.reader.readContract({
      address: stack.vault,
      abi: agentVaultAbi,
      functionName: 'account',
      args: [stack.identityRegistry, BigInt(first.agentId)],
    });
    return account.claimed === receipt.cumulative ? true : undefined;
  });
  const claims = parseEventLogs({
    abi: agentVaultAbi,
    eventName: 'Claimed',
    logs: await stack.reader.getLogs({ address: stack.vault, fromBlock: 0n }),
  });
  expect(claims.at(-1)?.args).toMatchObject({
    agentId: BigInt(first.agentId),
    cumulative: receipt.cumulative,
  });
  expect(addressOfKey(first.privateKey)).toBe(agent.address);
});

test('what was streamed and what was not are receipted alike, in one unbroken sequence', async () => {
  const second = stack.agents[1];
  if (!second) throw new Error('no agent');
  const agent = rawAgent(stack, second);
  const payment = await agent.payment(10n ** 18n);
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      agent.chat(`Tell me about the number ${i}`, { headers: payment, more: { stream: i % 2 === 0 } }),
    ),
  );
  const bodies = await Promise.all(answers.map((answer) => answer.text()));
  expect(answers.map((answer) => answer.status)).toEqual(Array.from({ length: 8 }, () => 200));
  bodies.forEach((body, i) => {
    if (i % 2 === 0) expect(body).toMatch(/\n\n: tallystick-receipt [A-Za-z0-9+/=]+\n\ndata: \[DONE\]\n\n$/);
    else expect(answers[i]?.headers.get('tallystick-receipt')).toMatch(/^[A-Za-z0-9+/=]+$/);
  });

  const { receipts } = (await (await agent.call('GET', '/v1/receipts')).json()) as {
    receipts: { receipt: unknown; signature: Hex }[];
  };
  const read = receipts.map((json) => {
    const signed = receiptFromJson({ receipt: json.receipt, signature: json.signature });
    if (!signed.ok) throw new Error(signed.error);
    return signed.value.receipt;
  });
  let previous: Hex = `0x${'00'.repeat(32)}`;
  let cumulative = 0n;
  read.forEach((receipt, i) => {
    expect([receipt.sequence, receipt.previous]).toEqual([BigInt(i + 1), previous]);
    cumulative += receipt.amount;
    expect(receipt.cumulative).toBe(cumulative);
    expect(receipt.usage.estimated).toBe(false);
    previous = receiptDigest(receipt);
  });
  expect(read).toHaveLength(8);
});
