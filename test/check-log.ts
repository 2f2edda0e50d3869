// Proves a log again from the outside, after whatever has happened to it: from the chain's events and the published files
// alone, with a Merkle tree written down a second time from RFC 9162's own definition, and then against what the log serves.
// Every proof the log has given, to the chain or to anybody, is also put to an implementation of RFC 9162 that is not ours.
import { createHash } from 'node:crypto';
import { type Address, decodeFunctionData, type Hex, hexToBytes } from 'viem';
import { expect } from 'vitest';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';
import type { ChainClient } from '../dev/clients.ts';
import { zeroGStorageNode } from '../durable-objects/da/zero-g-storage.ts';
import { toHex } from '../protocol/hex.ts';
import { type Blob, decodeFile, verifyBlob } from '../protocol/log/blob.ts';
import { parseCheckpoint } from '../protocol/log/checkpoint.ts';
import { decodeEntries } from '../protocol/log/entry-bundle.ts';
import type { NoteKey } from '../protocol/log/note.ts';
import type { TileName } from '../protocol/log/tile-path.ts';
import { parseTlogProof, verifyTlogProof } from '../protocol/log/tlog-proof.ts';
import { type Receipt, receiptDigest, receiptSigner } from '../protocol/receipt.ts';
import { type DaReference, decodeDaReference } from '../protocol/zero-g/da-reference.ts';
import { flowAbi, parseSubmitLog, submitTopic } from '../protocol/zero-g/flow.ts';
import { otherRoot, otherVerifiesConsistency, otherVerifiesInclusion } from './other-rfc9162.ts';

/** What the log under test serves: the object itself, or its routes. */
export type ServedLog = {
  checkpoint(): Promise<string | undefined>;
  tile(name: TileName): Promise<Uint8Array | undefined>;
  proof(account: string, sequence: number): Promise<string | undefined>;
};

export type LogUnderTest = {
  readonly reader: ChainClient;
  readonly anchor: Address;
  readonly logId: Hex;
  readonly flow: Address;
  readonly vault: Address;
  /** Fetches a published file; throws when it cannot be had. */
  readonly download: (item: DaReference) => Promise<Uint8Array>;
  readonly keys: readonly NoteKey[];
  readonly receiptKey: Address;
  /** Nothing before this block is this log's. */
  readonly fromBlock: bigint;
  readonly served: ServedLog;
  /** Every receipt that was ever made, by account, in order. */
  readonly receipts: ReadonlyMap<string, readonly Receipt[]>;
};

const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};

/** MTH of RFC 9162, 2.1.1, word for word. */
function treeHash(entries: readonly Uint8Array[]): Uint8Array {
  if (entries.length === 0) return sha256();
  const [only] = entries;
  if (entries.length === 1 && only !== undefined) return sha256(Uint8Array.of(0), only);
  let k = 1;
  while (k * 2 < entries.length) k *= 2;
  return sha256(Uint8Array.of(1), treeHash(entries.slice(0, k)), treeHash(entries.slice(k)));
}

/** The same key, which computes once whether a signature is one of a text: a log's proofs all carry its checkpoint's signatures. */
function remembering(key: NoteKey): NoteKey {
  const known = new Map<string, boolean>();
  return {
    ...key,
    verify(text, signature) {
      const pair = `${text}\n${toHex(signature)}`;
      const verdict = known.get(pair) ?? key.verify(text, signature);
      known.set(pair, verdict);
      return verdict;
    },
  };
}

export async function checkLog(
  given: LogUnderTest,
): Promise<{ readonly anchors: number; readonly size: number }> {
  const log = { ...given, keys: given.keys.map(remembering) };
  const { reader, anchor, logId, fromBlock } = log;

  // The chain: every anchor begins where the one before ended.
  const events = await reader.getContractEvents({
    address: anchor,
    abi: receiptAnchorAbi,
    eventName: 'Anchored',
    args: { logId },
    fromBlock,
    strict: true,
  });
  let [size, root]: [bigint, Hex] = [0n, toHex(treeHash([]))];
  const blobs: Blob[] = [];
  for (const { args, transactionHash } of events) {
    expect([args.previousSize, args.previousRoot]).toEqual([size, root]);
    const items = decodeDaReference(args.daReference);
    if (!items.ok) throw new Error(items.error);
    for (const item of items.value) {
      expect(item.state).toBe(item.kind === '0g-storage' ? 'node-confirmed' : 'proven');
      const read = decodeFile(await log.download(item));
      if (!read.ok) throw new Error(read.error);
      blobs.push(...read.value);
    }
    const { input } = await reader.getTransaction({ hash: transactionHash });
    const call = decodeFunctionData({ abi: receiptAnchorAbi, data: input });
    if (call.functionName !== 'anchor') throw new Error(call.functionName);
    if (size > 0n) {
      const extends_ = await otherVerifiesConsistency({
        oldSize: Number(size),
        oldRoot: hexToBytes(root),
        newSize: Number(args.size),
        newRoot: hexToBytes(args.root),
        proof: call.args[3].map((hash) => hexToBytes(hash)),
      });
      expect(extends_).toBe(true);
    }
    [size, root] = [args.size, args.root];
    expect(blobs.reduce((sum, blob) => sum + blob.entries.length, 0)).toBe(Number(size));
  }
  expect(
    await reader.readContract({
      address: anchor,
      abi: receiptAnchorAbi,
      functionName: 'head',
      args: [logId],
    }),
  ).toEqual([size, root]);

  // The blobs: every commit is signed, of the tree it ends, and the anchored root is the tree's.
  const entries: Uint8Array[] = [];
  for (const blob of blobs) {
    expect(blob.first).toBe(entries.length);
    entries.push(...blob.entries);
    const checkpoint = verifyBlob(blob, log.keys);
    if (!checkpoint.ok) throw new Error(checkpoint.error);
    expect(toHex(checkpoint.value.root)).toBe(toHex(treeHash(entries)));
  }
  expect(toHex(treeHash(entries))).toBe(root);
  expect(toHex(await otherRoot(entries))).toBe(root);

  // The entries: every receipt is in the log once, in its account's order, and nothing else is.
  const logged = entries.map(toHex);
  const expected = [...log.receipts].map(([account, receipts]) => ({
    account,
    digests: receipts.map(receiptDigest),
  }));
  expect(logged.toSorted()).toEqual(expected.flatMap(({ digests }) => digests).toSorted());
  for (const { digests } of expected) {
    expect(logged.filter((digest) => digests.includes(digest))).toEqual(digests);
  }

  // The claims: each commit discloses the last receipt of each account in it, signed by the receipt key.
  for (const blob of blobs) {
    const inBlob = blob.entries.map(toHex);
    const last = expected.flatMap(
      ({ digests }) => digests.findLast((digest) => inBlob.includes(digest)) ?? [],
    );
    expect(blob.claims.map(({ signed }) => receiptDigest(signed.receipt)).toSorted()).toEqual(
      last.toSorted(),
    );
    for (const { signed } of blob.claims) expect(receiptSigner(signed)).toBe(log.receiptKey);
  }

  // The totals: the vault has paid what the last receipts say, in claims that only rise, each made once.
  for (const [, receipts] of log.receipts) {
    const last = receipts.at(-1);
    if (last === undefined) continue;
    const { registry, agentId } = last;
    const account = await reader.readContract({
      address: log.vault,
      abi: agentVaultAbi,
      functionName: 'account',
      args: [registry, agentId],
    });
    expect(account.claimed).toBe(last.cumulative);
    const claims = await reader.getContractEvents({
      address: log.vault,
      abi: agentVaultAbi,
      eventName: 'Claimed',
      args: { agentId },
      fromBlock,
      strict: true,
    });
    const [first] = receipts;
    const before = first === undefined ? 0n : first.cumulative - first.amount;
    const paid = claims.reduce((sum, { args }) => sum + args.amount, 0n);
    expect(before + paid).toBe(last.cumulative);
    const disclosed = new Set(
      blobs.flatMap(({ claims: sheet }) => sheet.map(({ signed }) => signed.receipt.cumulative)),
    );
    for (const { args } of claims) expect(disclosed).toContain(args.cumulative);
  }

  // Storage: each file was paid for once.
  const submissions = await reader.getContractEvents({
    address: log.flow,
    abi: flowAbi,
    eventName: 'Submit',
    fromBlock,
  });
  const roots = submissions.map(({ topics, data, address }) => {
    const read = parseSubmitLog(log.flow, { address, topics: [submitTopic, ...topics.slice(1)], data });
    return read.ok ? read.value.root : read.error;
  });
  expect(new Set(roots).size).toBe(roots.length);

  await checkServed(log, entries, expected);
  return { anchors: events.length, size: entries.length };
}

/** What the log serves is that tree: its checkpoint, every tile, every bundle, every receipt's proof. */
async function checkServed(
  log: LogUnderTest,
  entries: readonly Uint8Array[],
  accounts: readonly { readonly account: string; readonly digests: readonly Hex[] }[],
): Promise<void> {
  const note = await log.served.checkpoint();
  if (entries.length === 0) return expect(note).toBeUndefined();
  const parsed = parseCheckpoint(note ?? '');
  if (!parsed.ok) throw new Error(parsed.error);
  expect(parsed.value.checkpoint.size).toBe(entries.length);
  expect(toHex(parsed.value.checkpoint.root)).toBe(toHex(treeHash(entries)));

  let hashes = entries.map((entry) => sha256(Uint8Array.of(0), entry));
  for (let level = 0; hashes.length > 0; level++) {
    for (let index = 0; index * 256 < hashes.length; index++) {
      const [start, end] = [index * 256, Math.min((index + 1) * 256, hashes.length)];
      const tile = await log.served.tile({ level, index, width: end - start });
      expect(tile && toHex(tile)).toBe(toHex(Buffer.concat(hashes.slice(start, end))));
      if (level === 0) {
        const bundle = await log.served.tile({ level: 'entries', index, width: end - start });
        expect(bundle && decodeEntries(bundle)?.map(toHex)).toEqual(entries.slice(start, end).map(toHex));
      }
    }
    const span = 256 ** (level + 1);
    hashes = Array.from({ length: Math.floor(entries.length / span) }, (_, at) =>
      treeHash(entries.slice(at * span, (at + 1) * span)),
    );
  }
  for (const { account, digests } of accounts) {
    for (const [at, digest] of digests.entries()) {
      const text = (await log.served.proof(account, at + 1)) ?? '';
      const verified = verifyTlogProof({ text, entry: hexToBytes(digest), keys: log.keys });
      expect(verified.ok ? verified.value.signedBy.length : verified.error).toBe(2);
      const proof = parseTlogProof(text);
      if (!proof.ok || !verified.ok) throw new Error(text);
      const { index, checkpoint } = verified.value;
      expect(
        await otherVerifiesInclusion({
          entry: hexToBytes(digest),
          index,
          ...checkpoint,
          proof: proof.value.proof,
        }),
      ).toBe(true);
    }
  }
}

/** A file from a storage node, each segment proven. */
export async function fromStorage(url: string, item: DaReference): Promise<Uint8Array> {
  if (item.kind !== '0g-storage') throw new Error(`not in 0G Storage: ${item.kind}`);
  const node = zeroGStorageNode({ url, fetch: (to, init) => fetch(to, init) });
  const found = await node.find(item);
  if (!found.ok || found.value === undefined) throw new Error(`withheld: ${item.root}`);
  const file = await node.download({ ...item, size: found.value.size });
  if (!file.ok) throw new Error(`withheld: ${JSON.stringify(file.error)}`);
  return file.value;
}
