// Evidence from file to slash: files judged against a real chain, and the transactions that the bond acts on.
import { hexToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { type Address, type Hex, keccak256, parseEther, toBytes, toFunctionSelector } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  answerOf,
  type Call,
  collectionOf,
  conclusionOf,
  headKeyNoteOf,
  readBond,
  refundOf,
  submissionOf,
  verifyEvidence,
} from '../client/evidence.ts';
import { mined } from '../contracts/deploy-contract.ts';
import { operatorBondBytecode } from '../contracts-abi/generated/OperatorBond.bytecode.ts';
import { operatorBondAbi } from '../contracts-abi/generated/OperatorBond.ts';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';
import { type Anvil, startAnvil } from '../dev/anvil.ts';
import { readerOf, type Wallet, walletOf } from '../dev/clients.ts';
import { deployAnchor, deployRegistry, fund, registerAgent } from '../dev/contracts.ts';
import { addressOfKey } from '../protocol/ecdsa.ts';
import { type Evidence, formatEvidence, type SignedHead } from '../protocol/evidence/evidence.ts';
import { evidenceOfOverdue } from '../protocol/evidence/overdue-receipt.ts';
import { evidenceOfHeads } from '../protocol/evidence/two-heads.ts';
import { evidenceOfReceipts } from '../protocol/evidence/two-receipts.ts';
import { toHex } from '../protocol/hex.ts';
import { headDigest, type LogDomain, signHead } from '../protocol/log/head.ts';
import {
  consistencyProof,
  inclusionProof,
  leafHash,
  type NodeSource,
  rootOf,
} from '../protocol/log/merkle.ts';
import { type Receipt, receiptDigest, type SignedReceipt, signReceipt } from '../protocol/receipt.ts';
import type { Result } from '../protocol/result.ts';
import { anyReceipt, someReceipt } from './evidence-receipts.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);
const chainId = 31_337;
// Anvil's own accounts, and everybody's.
const operatorAccount = privateKeyToAccount(
  '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
);
const agentAccount = privateKeyToAccount(keccak256(toBytes('the agent’s owner')));
const receiptKey: Hex = `0x${'11'.repeat(32)}`;
const headKey: Hex = `0x${'41'.repeat(32)}`;
const nextHeadKey: Hex = `0x${'42'.repeat(32)}`;
const fork: Hex = `0x${'f0'.repeat(32)}`;

const penalty = parseEther('2');
const challengeBond = parseEther('0.5');
const [mergeDelay, grace, answerWindow] = [3_600, 600, 86_400];
const deposit = parseEther('20');

let anvil: Anvil;
let reader: ReturnType<typeof readerOf>;
let operator: Wallet;
let owner: Wallet;
let bond: Address;
let registry: Address;
let agentId: bigint;
let log: LogDomain;
const leaves: Uint8Array[] = [];

function value<T>(result: Result<T, string>): T {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}
const tree: NodeSource = (level, index) => {
  const part = leaves.slice(index * 2 ** level, (index + 1) * 2 ** level);
  return part.length === 2 ** level ? rootOf(part) : undefined;
};
const signedHead = (size: number, root: Hex, key = headKey): SignedHead => ({
  size,
  root,
  signature: signHead(headDigest({ ...log, size, root: hexToBytes(root.slice(2)) }), key),
});
const rootAt = (size: number): Hex => toHex(rootOf(leaves.slice(0, size)));
const receipt = (sequence: bigint, more: Partial<Receipt> = {}): Receipt => ({
  ...someReceipt(log.logId, sequence),
  registry,
  agentId,
  ...more,
});
const signed = (sequence: bigint, more: Partial<Receipt> = {}): SignedReceipt =>
  signReceipt(receipt(sequence, more), receiptKey);

const send = async (wallet: Wallet, call: Call) => mined(reader, await wallet.sendTransaction(call));
const judged = async (evidence: Evidence) =>
  value(await verifyEvidence(formatEvidence(evidence), { rpcUrl: anvil.url, bond }));
const held = async () => readBond(anvil.url, { bond, anchor: log.anchor, logId: log.logId });
const due = () =>
  reader.readContract({
    address: bond,
    abi: operatorBondAbi,
    functionName: 'compensationOf',
    args: [registry, agentId],
  });
const act = (evidence: Evidence) => send(owner, submissionOf(evidence, bond, { challengeBond }));

/** That a transaction was refused with this error of the contract. */
async function refused(sending: Promise<unknown>, name: string): Promise<void> {
  const item = operatorBondAbi.find((entry) => entry.type === 'error' && entry.name === name);
  if (item?.type !== 'error') throw new Error(`the contract has no error ${name}`);
  await expect(sending).rejects.toThrow(
    `custom error ${toFunctionSelector(`${name}(${item.inputs.map(({ type }) => type).join(',')})`)}`,
  );
}

async function pass(seconds: number): Promise<void> {
  for (const [method, params] of [
    ['evm_increaseTime', [seconds]],
    ['evm_mine', []],
  ] as const) {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    const response = await fetch(anvil.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    expect(await response.json()).not.toHaveProperty('error');
  }
}
const now = async () => (await reader.getBlock()).timestamp;

/** Anchors every leaf there is. */
async function anchorAll(key = headKey): Promise<void> {
  const [size] = await reader.readContract({
    address: log.anchor,
    abi: receiptAnchorAbi,
    functionName: 'head',
    args: [log.logId],
  });
  const head = signedHead(leaves.length, rootAt(leaves.length), key);
  const proof = consistencyProof(tree, Number(size), leaves.length);
  if (!proof.ok) throw new Error('no proof');
  const hash = await operator.writeContract({
    address: log.anchor,
    abi: receiptAnchorAbi,
    functionName: 'anchor',
    args: [log.logId, BigInt(head.size), head.root, proof.value.map(toHex), head.signature, '0x'],
  });
  await mined(reader, hash);
}

beforeAll(async () => {
  anvil = await startAnvil({ chainId, hardfork: 'cancun', blockTime: 0 });
  reader = readerOf(anvil.url, chainId);
  operator = walletOf(anvil.url, chainId, operatorAccount);
  owner = walletOf(anvil.url, chainId, agentAccount);
  await fund(reader, operator, owner.account.address);
  registry = await deployRegistry(reader, operator);
  agentId = await registerAgent(reader, owner, registry, 'ipfs://agent');
  const opened = await deployAnchor(reader, operator, {
    origin: 'log.test/evidence',
    sender: operator.account.address,
    headKey: addressOfKey(headKey),
    receiptKey: addressOfKey(receiptKey),
  });
  log = { chainId, ...opened };
  const deployed = await mined(
    reader,
    await operator.deployContract({
      abi: operatorBondAbi,
      bytecode: operatorBondBytecode,
      args: [log.anchor, penalty, challengeBond, mergeDelay, grace, answerWindow],
    }),
  );
  bond = (deployed.contractAddress ?? '0x').toLowerCase() as Address;
  const hash = await operator.writeContract({
    address: bond,
    abi: operatorBondAbi,
    functionName: 'bond',
    args: [log.logId],
    value: deposit,
  });
  await mined(reader, hash);
  for (let i = 0; i < 6; i++) leaves.push(leafHash(new Uint8Array(32).fill(i)));
  await anchorAll();
});
afterAll(() => anvil?.close());

it('the contract and this code give any receipt the same digest', async () => {
  await fc.assert(
    fc.asyncProperty(anyReceipt, async (any) => {
      const digest = await reader.readContract({
        address: bond,
        abi: operatorBondAbi,
        functionName: 'receiptDigest',
        args: [any],
      });
      expect(digest).toBe(receiptDigest(any));
    }),
    { numRuns: runs(100), seed: 0x7a11 },
  );
});

it('the terms are read', async () => {
  expect(await held()).toEqual({
    amount: deposit,
    openChallenges: 0n,
    withdrawal: undefined,
    penalty,
    challengeBond,
    mergeDelay: BigInt(mergeDelay),
    grace: BigInt(grace),
    answerWindow: BigInt(answerWindow),
    withdrawalDelay: BigInt(mergeDelay + grace + 2 * answerWindow),
  });
  await expect(readBond(anvil.url, { bond, anchor: registry, logId: log.logId })).rejects.toMatchObject({
    code: 'chain_unavailable',
  });
});

describe('from file to slash', () => {
  it('two receipts: proven, and the agent’s owner has half of the penalty', async () => {
    const evidence = value(evidenceOfReceipts(log, signed(7n), signed(7n, { amount: 6n })));
    const report = await judged(evidence);
    expect(report).toMatchObject({
      verdict: 'proven',
      summary: `The operator signed two different receipts with number 7 of agent ${agentId}.`,
    });
    const before = await held();
    await act(evidence);
    expect((await held()).amount).toBe(before.amount - penalty);
    expect(await due()).toBe(penalty / 2n);
    await refused(act(evidence), 'AlreadyPunished');

    const recipient: Address = `0x${'5e'.repeat(20)}`;
    await send(owner, collectionOf(bond, { registry, agentId }, recipient));
    expect(await reader.getBalance({ address: recipient })).toBe(penalty / 2n);
    expect(await due()).toBe(0n);
  });

  it('two receipts by somebody else: no evidence, and refused', async () => {
    const key: Hex = `0x${'13'.repeat(32)}`;
    const forged = signReceipt(receipt(8n, { amount: 6n }), key);
    const evidence = value(evidenceOfReceipts(log, signed(8n), forged));
    expect(await judged(evidence)).toMatchObject({
      verdict: 'no-evidence',
      summary: `This is no evidence: ${addressOfKey(key)} is not a receipt key of the log, and was none.`,
    });
    await refused(act(evidence), 'NotAReceiptKey');
  });

  it('two heads of one size', async () => {
    const evidence = value(evidenceOfHeads(log, signedHead(4, fork), signedHead(4, rootAt(4))));
    expect((await judged(evidence)).verdict).toBe('proven');
    const before = await held();
    await act(evidence);
    expect((await held()).amount).toBe(before.amount - penalty);
    expect(await due()).toBe(0n);
  });

  it('a head of a size that was never anchored, against the anchored one', async () => {
    const proof = consistencyProof(tree, 3, 6);
    if (!proof.ok) throw new Error('no proof');
    const begins = { root: rootAt(3), proof: proof.value.map(toHex) };
    const anchored = { size: 6, root: rootAt(6), signature: null };
    const evidence = value(evidenceOfHeads(log, signedHead(3, fork), anchored, begins));
    expect((await judged(evidence)).verdict).toBe('proven');
    const before = await held();
    await act(evidence);
    expect((await held()).amount).toBe(before.amount - penalty);
  });

  it('a head by a key that was exchanged since', async () => {
    const evidence = value(evidenceOfHeads(log, signedHead(5, fork), signedHead(5, rootAt(5))));
    const hash = await operator.writeContract({
      address: log.anchor,
      abi: receiptAnchorAbi,
      functionName: 'setHeadKey',
      args: [log.logId, addressOfKey(nextHeadKey)],
    });
    await mined(reader, hash);
    await send(owner, headKeyNoteOf(bond, log.logId));
    expect((await judged(evidence)).verdict).toBe('proven');
    // without the bond the anchor's events say so
    const alone = await verifyEvidence(formatEvidence(evidence), { rpcUrl: anvil.url });
    expect(value(alone).verdict).toBe('proven');
    const before = await held();
    await act(evidence);
    expect((await held()).amount).toBe(before.amount - penalty);

    const forged = value(
      evidenceOfHeads(log, signedHead(6, fork, `0x${'13'.repeat(32)}`), signedHead(6, rootAt(6))),
    );
    expect((await judged(forged)).verdict).toBe('no-evidence');
  });

  it('an overdue receipt that is shown, late as it is, costs the challenger', async () => {
    const mergeBy = (await now()) + 60n;
    const overdue = signed(20n, { mergeBy });
    const digest = receiptDigest(overdue.receipt);
    const evidence = value(evidenceOfOverdue(log, overdue));
    expect((await judged(evidence)).verdict).toBe('no-evidence'); // not due yet
    await refused(act(evidence), 'NotDue');
    await pass(60 + grace + 2);
    expect((await judged(evidence)).verdict).toBe('challengeable');
    const before = await held();
    await act(evidence);
    expect((await held()).openChallenges).toBe(1n);

    leaves.push(leafHash(hexToBytes(digest.slice(2))));
    await anchorAll(nextHeadKey);
    const proof = inclusionProof(tree, leaves.length, leaves.length - 1);
    if (!proof.ok) throw new Error('no proof');
    await send(operator, answerOf(bond, { digest, index: leaves.length - 1, proof: proof.value.map(toHex) }));
    expect(await held()).toMatchObject({ amount: before.amount + challengeBond, openChallenges: 0n });
    await refused(act(evidence), 'AlreadyChallenged');
  });

  it('an overdue receipt that is not shown costs the operator', async () => {
    const overdue = signed(21n, { mergeBy: (await now()) - BigInt(grace) - 1n });
    const digest = receiptDigest(overdue.receipt);
    const evidence = value(evidenceOfOverdue(log, overdue));
    expect(await judged(evidence)).toMatchObject({ verdict: 'challengeable' });
    const before = await held();
    await act(evidence);
    await refused(send(owner, conclusionOf(bond, digest)), 'StillOpen');
    await pass(answerWindow + 1);
    await send(owner, conclusionOf(bond, digest));
    expect(await held()).toMatchObject({ amount: before.amount - penalty, openChallenges: 0n });
    expect(await due()).toBe(penalty / 2n);
    const recipient: Address = `0x${'5f'.repeat(20)}`;
    await send(owner, refundOf(bond, recipient));
    expect(await reader.getBalance({ address: recipient })).toBe(challengeBond);
  });

  it('a retired key lapses: what it signed was evidence, and is none any more', async () => {
    const evidence = value(evidenceOfReceipts(log, signed(30n), signed(30n, { amount: 6n })));
    const key = addressOfKey(receiptKey);
    const retire = await operator.writeContract({
      address: log.anchor,
      abi: receiptAnchorAbi,
      functionName: 'retireReceiptKey',
      args: [log.logId, key],
    });
    await mined(reader, retire);
    expect((await judged(evidence)).verdict).toBe('proven');
    const note = await owner.writeContract({
      address: bond,
      abi: operatorBondAbi,
      functionName: 'noteRetiredReceiptKey',
      args: [log.logId, key],
    });
    await mined(reader, note);
    await pass(mergeDelay + grace + 2 * answerWindow + 1);
    expect(await judged(evidence)).toMatchObject({
      verdict: 'no-evidence',
      summary: `This is no evidence: ${key} was a receipt key of the log, and the bond does not take its word any more.`,
    });
    await refused(act(evidence), 'NotAReceiptKey');
  });
});

it('says when the node cannot be asked, or serves another chain', async () => {
  const evidence = value(evidenceOfReceipts(log, signed(7n), signed(7n, { amount: 6n })));
  const file = formatEvidence(evidence);
  await expect(verifyEvidence(file, { rpcUrl: 'http://127.0.0.1:9' })).rejects.toMatchObject({
    code: 'chain_unavailable',
  });
  const elsewhere = formatEvidence({ ...evidence, log: { ...log, chainId: 1 } });
  await expect(verifyEvidence(elsewhere, { rpcUrl: anvil.url })).rejects.toThrow(
    'the evidence is about a log on 1',
  );
});
