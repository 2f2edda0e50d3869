// The chain enforces the log: what a lying operator might try to anchor, and what our own protocol/ code says is right,
// judged by the contract's bytecode on a real anvil.
import { BaseError, ContractFunctionRevertedError, type Hex } from 'viem';
import { mnemonicToAccount, privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mined } from '../contracts/deploy-contract.ts';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';
import { type Anvil, startAnvil } from '../dev/anvil.ts';
import { type ChainClient, readerOf, walletOf } from '../dev/clients.ts';
import { deployAnchor } from '../dev/contracts.ts';
import { addressOfKey } from '../protocol/ecdsa.ts';
import { toHex } from '../protocol/hex.ts';
import { append } from '../protocol/log/append.ts';
import { headDigest, logIdOf, signHead } from '../protocol/log/head.ts';
import { leafHash } from '../protocol/log/merkle.ts';
import {
  consistencyProofFrom,
  inclusionProofFrom,
  type TileSource,
  tileSourceOf,
} from '../protocol/log/tiles.ts';

const chainId = 31337;
const headKey: Hex = `0x${'11'.repeat(32)}`;
const strangersKey: Hex = `0x${'22'.repeat(32)}`;
const owner = mnemonicToAccount('test test test test test test test test test test test junk');
const stranger = mnemonicToAccount('test test test test test test test test test test test junk', {
  addressIndex: 1,
});
const origin = 'anchor.test/log';

let anvil: Anvil;
let reader: ChainClient;
let anchor: Hex;
let logId: Hex;

beforeAll(async () => {
  anvil = await startAnvil({ chainId });
  reader = readerOf(anvil.url, chainId);
  ({ anchor, logId } = await deployAnchor(reader, walletOf(anvil.url, chainId, owner), {
    origin,
    sender: owner.address,
    headKey: addressOfKey(headKey),
    receiptKey: addressOfKey(strangersKey),
  }));
});
afterAll(() => anvil?.close());

/** A log of so many entries; `word` decides what they are. */
function logOf(size: number, word = 'honest') {
  const entries = Array.from({ length: size }, (_, i) => {
    const entry = new Uint8Array(32);
    entry.set(new TextEncoder().encode(`${word} ${i}`));
    return entry;
  });
  const grown = append(() => undefined, 0, entries.map(leafHash));
  if (!grown.ok) throw new Error(JSON.stringify(grown.error));
  const tiles: TileSource = tileSourceOf(grown.value.changedTiles);
  return { size, entries, tiles, root: grown.value.root };
}
type Log = ReturnType<typeof logOf>;

const proofBetween = (oldSize: number, log: Log): Hex[] => {
  const proof = consistencyProofFrom(log.tiles, oldSize, log.size);
  if (!proof.ok) throw new Error(JSON.stringify(proof.error));
  return proof.value.map(toHex);
};

const headSignature = (log: Log, key = headKey): Hex =>
  signHead(headDigest({ chainId, anchor, logId, size: log.size, root: log.root }), key);

async function anchorHead(log: Log, proof: Hex[], signature: Hex, account = owner): Promise<void> {
  const { request } = await reader.simulateContract({
    account,
    address: anchor,
    abi: receiptAnchorAbi,
    functionName: 'anchor',
    args: [logId, BigInt(log.size), toHex(log.root), proof, signature, '0x01'],
  });
  await mined(reader, await walletOf(anvil.url, chainId, account).writeContract(request));
}

/** The name of the contract's own error. */
async function refused(attempt: Promise<unknown>): Promise<string> {
  const error = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  const revert =
    error instanceof BaseError
      ? error.walk((cause) => cause instanceof ContractFunctionRevertedError)
      : undefined;
  return revert instanceof ContractFunctionRevertedError
    ? (revert.data?.errorName ?? 'no name')
    : `not refused: ${error}`;
}

const head = () =>
  reader.readContract({ address: anchor, abi: receiptAnchorAbi, functionName: 'head', args: [logId] });

test('the log id is the one both sides compute', () => {
  expect(logId).toBe(logIdOf({ chainId, anchor, owner: owner.address, origin }));
});

test('an honest log grows; everything else is refused', async () => {
  const first = logOf(300);
  await anchorHead(first, [], headSignature(first));
  expect(await head()).toEqual([300n, toHex(first.root)]);

  const grown = logOf(700);
  const proof = proofBetween(300, grown);

  // A fork: it signs properly, and its proof is of its own history.
  const fork = logOf(700, 'forked');
  expect(await refused(anchorHead(fork, proofBetween(300, fork), headSignature(fork)))).toBe('NotConsistent');
  // The same size with another root, a smaller tree, a proof that is cut or changed.
  const rewritten = logOf(300, 'rewritten');
  expect(await refused(anchorHead(rewritten, [], headSignature(rewritten)))).toBe('NotConsistent');
  const smaller = logOf(299);
  expect(await refused(anchorHead(smaller, [], headSignature(smaller)))).toBe('HeadWouldShrink');
  expect(await refused(anchorHead(grown, proof.slice(1), headSignature(grown)))).toBe('NotConsistent');
  const bent = [...proof.slice(0, -1), toHex(first.root)];
  expect(await refused(anchorHead(grown, bent, headSignature(grown)))).toBe('NotConsistent');

  // No head signature, a stranger's, one for another head; a stranger's transaction.
  expect(await refused(anchorHead(grown, proof, '0x'))).toBe('BadHeadSignature');
  expect(await refused(anchorHead(grown, proof, headSignature(grown, strangersKey)))).toBe(
    'BadHeadSignature',
  );
  expect(await refused(anchorHead(grown, proof, headSignature(first)))).toBe('BadHeadSignature');
  expect(await refused(anchorHead(grown, proof, headSignature(grown), stranger))).toBe('NotSender');
  expect(await head()).toEqual([300n, toHex(first.root)]);

  await anchorHead(grown, proof, headSignature(grown));
  expect(await head()).toEqual([700n, toHex(grown.root)]);
  // The same head again is a no-op, not an error: a lost answer may be repeated.
  await anchorHead(grown, [], headSignature(grown));
  expect(await head()).toEqual([700n, toHex(grown.root)]);

  // Inclusion against the head held, for every shape of path; a changed entry, index or proof is not in it.
  const includes = async (index: number, entry: Uint8Array, path: Hex[]) =>
    reader.readContract({
      address: anchor,
      abi: receiptAnchorAbi,
      functionName: 'verifyInclusion',
      args: [logId, BigInt(index), toHex(entry), path],
    });
  for (const index of [0, 1, 255, 256, 511, 512, 698, 699]) {
    const path = inclusionProofFrom(grown.tiles, 700, index);
    const entry = grown.entries[index];
    if (!path.ok || !entry) throw new Error('no proof');
    const hexes = path.value.map(toHex);
    expect(await includes(index, entry, hexes)).toBe(true);
    expect(await includes(index, leafHash(entry), hexes)).toBe(false);
    expect(await includes(index ^ 1, entry, hexes)).toBe(false);
    expect(await includes(index, entry, hexes.slice(1))).toBe(false);
  }
});

test('a head key is not a sender: its own transaction is refused', async () => {
  const log = logOf(701);
  expect(
    await refused(
      anchorHead(log, proofBetween(700, log), headSignature(log), privateKeyToAccount(headKey) as never),
    ),
  ).toBe('NotSender');
});
