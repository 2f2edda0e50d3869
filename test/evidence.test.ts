// Evidence files: what is one, what only looks like one, and how each reads.
import { hexToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import type { Address, Hex } from 'viem';
import { describe, expect, it } from 'vitest';
import { verifyEvidence } from '../client/evidence.ts';
import { addressOfKey } from '../protocol/ecdsa.ts';
import type { ChainReading, KeyStanding } from '../protocol/evidence/chain-reading.ts';
import {
  type Evidence,
  evidenceFormat,
  evidenceFromJson,
  evidenceToJson,
  formatEvidence,
  parseEvidence,
  type SignedHead,
} from '../protocol/evidence/evidence.ts';
import { judge, signersOf } from '../protocol/evidence/judgement.ts';
import { evidenceOfOverdue } from '../protocol/evidence/overdue-receipt.ts';
import { beginningOf, evidenceOfHeads, headOfCheckpoint } from '../protocol/evidence/two-heads.ts';
import { evidenceOfReceipts } from '../protocol/evidence/two-receipts.ts';
import { toHex } from '../protocol/hex.ts';
import { signCheckpoint } from '../protocol/log/checkpoint.ts';
import { headDigest, type LogDomain, signHead } from '../protocol/log/head.ts';
import { leafHash, type NodeSource, rootOf } from '../protocol/log/merkle.ts';
import { type Receipt, receiptDigest, type SignedReceipt, signReceipt } from '../protocol/receipt.ts';
import type { Result } from '../protocol/result.ts';
import { someReceipt } from './evidence-receipts.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);
const log: LogDomain = { chainId: 31_337, anchor: `0x${'a1'.repeat(20)}`, logId: `0x${'cc'.repeat(32)}` };
const receiptKey: Hex = `0x${'11'.repeat(32)}`;
const otherKey: Hex = `0x${'12'.repeat(32)}`;
const headKey: Hex = `0x${'41'.repeat(32)}`;
const origin = 'log.test/evidence';

const receipt = (sequence: bigint, more: Partial<Receipt> = {}): Receipt => ({
  ...someReceipt(log.logId, sequence),
  ...more,
});
const signed = (sequence: bigint, more: Partial<Receipt> = {}, key = receiptKey): SignedReceipt =>
  signReceipt(receipt(sequence, more), key);

const entries = Array.from({ length: 40 }, (_, i) => leafHash(new Uint8Array(32).fill(i)));
/** Every node of the tree of these leaves, by RFC 9162's definition. */
const treeOf =
  (leaves: readonly Uint8Array[]): NodeSource =>
  (level, index) => {
    const width = 2 ** level;
    const part = leaves.slice(index * width, (index + 1) * width);
    return part.length === width ? rootOf(part) : undefined;
  };
const rootAt = (size: number): Hex => toHex(rootOf(entries.slice(0, size)));
const head = (size: number, root = rootAt(size), key = headKey): SignedHead => ({
  size,
  root,
  signature: signHead(headDigest({ ...log, size, root: hexToBytes(root.slice(2)) }), key),
});
const fork: Hex = `0x${'f0'.repeat(32)}`;

/** The value of an outcome that has to be good. */
function value<T>(result: Result<T, string>): T {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}
const error = (result: Result<unknown, string>): string => (result.ok ? '(good)' : result.error);
const begins = (size: number, later: number) => value(beginningOf(treeOf(entries), size, later));

const chain = (more: Partial<ChainReading> = {}): ChainReading => ({
  time: 1_000_000n,
  head: { size: 40, root: rootAt(40) },
  receiptKeys: new Map([[addressOfKey(receiptKey), 'counts']]),
  headKeys: new Map([[addressOfKey(headKey), 'counts']]),
  grace: 0n,
  ...more,
});

/** A chain that answers about whoever signed. */
function chainFor(evidence: Evidence): ChainReading {
  const { receiptKeys, headKeys } = signersOf(evidence);
  const standing = (signers: readonly Address[], key: Hex) =>
    new Map<Address, KeyStanding>(
      signers.map((signer) => [signer, signer === addressOfKey(key) ? 'counts' : 'unknown']),
    );
  return chain({ receiptKeys: standing(receiptKeys, receiptKey), headKeys: standing(headKeys, headKey) });
}

const samples: Record<string, Evidence> = {
  'two receipts': value(evidenceOfReceipts(log, signed(7n), signed(7n, { amount: 6n }))),
  'two heads of one size': value(evidenceOfHeads(log, head(9), head(9, fork))),
  'a head that a later one contradicts': value(evidenceOfHeads(log, head(9, fork), head(23), begins(9, 23))),
  'a head that the anchored one contradicts': value(
    evidenceOfHeads(log, head(9, fork), { ...head(40), signature: null }, begins(9, 40)),
  ),
  'an overdue receipt': value(evidenceOfOverdue(log, signed(1n))),
};

describe.each(Object.entries(samples))('%s', (_name, evidence) => {
  it('is read back as it was written, and from its text', () => {
    expect(value(evidenceFromJson(JSON.parse(JSON.stringify(evidenceToJson(evidence)))))).toEqual(evidence);
    expect(value(parseEvidence(formatEvidence(evidence)))).toEqual(evidence);
  });

  it('is unconfirmed by itself, and final with the chain', () => {
    expect(judge(evidence).verdict).toBe('unconfirmed');
    const judged = judge(evidence, chain());
    expect(judged.findings.filter(({ state }) => state !== 'holds')).toEqual([]);
    expect(judged.verdict).toBe(evidence.type === 'overdue-receipt' ? 'challengeable' : 'proven');
  });

  it('is none when the keys are nobody’s, or have lapsed', () => {
    for (const standing of ['unknown', 'lapsed'] as const) {
      const { receiptKeys, headKeys } = signersOf(evidence);
      const of = (keys: readonly Address[]) => new Map(keys.map((key) => [key, standing]));
      const judged = judge(evidence, chain({ receiptKeys: of(receiptKeys), headKeys: of(headKeys) }));
      expect(judged.verdict).toBe('no-evidence');
    }
  });

  it('stays unconfirmed when the chain could not say whose keys they are', () => {
    const judged = judge(evidence, chain({ receiptKeys: new Map(), headKeys: new Map() }));
    expect(judged.verdict).toBe('unconfirmed');
  });

  it('has every field, and no other', () => {
    const json = evidenceToJson(evidence);
    for (const field of Object.keys(json)) {
      const { [field]: _, ...rest } = json;
      expect(evidenceFromJson(rest).ok).toBe(false);
    }
    expect(error(evidenceFromJson({ ...json, more: 1 }))).toBe('more: no such field');
    expect(evidenceFromJson({ ...json, format: 'tallystick-evidence@v2' }).ok).toBe(false);
    expect(evidenceFromJson({ ...json, type: 'three-receipts' }).ok).toBe(false);
    for (const other of [null, [], 'x', 7]) expect(evidenceFromJson(other).ok).toBe(false);
  });

  it('is none with any one leaf of its JSON changed', async () => {
    // Every string or number in the file is signed, proven, or says which log it is about.
    const before = JSON.stringify(evidenceToJson(evidence));
    let changed = 0;
    for (const path of leaves(JSON.parse(before))) {
      const json: unknown = JSON.parse(before);
      change(json, path);
      const report = await verifyEvidence(json);
      if (!report.ok) continue;
      const verdict = judge(report.value.evidence, chainFor(report.value.evidence)).verdict;
      // A changed log id or anchor of a head makes another digest, so another signer; of a receipt, another log.
      if (path.join('.') === 'log.chainId' || path.join('.') === 'log.anchor') {
        if (evidence.type !== 'two-heads') continue; // a receipt does not name the anchor: who is asked does
      }
      expect([path.join('.'), verdict]).toEqual([path.join('.'), 'no-evidence']);
      changed++;
    }
    expect(changed).toBeGreaterThan(2);
  });
});

/** The paths to everything in a JSON value that is not an object or a list. */
function leaves(json: unknown, at: readonly string[] = []): string[][] {
  if (typeof json !== 'object' || json === null) return [[...at]];
  return Object.entries(json).flatMap(([key, inner]) => leaves(inner, [...at, key]));
}

/** Changes one leaf for another of its form. */
function change(json: unknown, path: readonly string[]): void {
  const [last = '', ...up] = [...path].reverse();
  const parent = up.reverse().reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], json);
  const leaf = (parent as Record<string, unknown>)[last];
  (parent as Record<string, unknown>)[last] = otherOf(leaf);
}

function otherOf(leaf: unknown): unknown {
  if (typeof leaf === 'number') return leaf + 1;
  if (typeof leaf === 'boolean') return !leaf;
  if (leaf === null) return `0x${'00'.repeat(65)}`;
  const text = leaf as string;
  if (!text.startsWith('0x')) return /^\d+$/.test(text) ? `${BigInt(text) + 1n}` : `${text}!`;
  const middle = 20;
  return `${text.slice(0, middle)}${text[middle] === '0' ? '1' : '0'}${text.slice(middle + 1)}`;
}

describe('two receipts that are none', () => {
  it.each<[string, SignedReceipt, SignedReceipt, string]>([
    ['one, twice', signed(7n), signed(7n), 'one and the same'],
    ['one, signed by two keys', signed(7n), signed(7n, {}, otherKey), 'one and the same'],
    ['neighbours', signed(7n), signed(8n), 'sequence differ'],
    ['of two epochs in a row', signed(7n), signed(8n, { epoch: 1n }), 'sequence differ'],
    ['of two agents', signed(7n), signed(7n, { agentId: 8n }), 'agentId differ'],
    ['of two vaults', signed(7n), signed(7n, { vault: `0x${'ab'.repeat(20)}` }), 'vault differ'],
    ['of two logs', signed(7n), signed(7n, { logId: fork }), 'not both for log'],
    ['of another log', signed(7n, { logId: fork }), signed(7n, { logId: fork, amount: 6n }), 'not both'],
    [
      'one unsigned',
      signed(7n),
      { ...signed(7n, { amount: 6n }), signature: `0x${'00'.repeat(65)}` },
      'nobody',
    ],
  ])('%s', (_name, a, b, why) => {
    expect(error(evidenceOfReceipts(log, a, b))).toContain(why);
    const made = { type: 'two-receipts', log, receipts: [a, b] } as const;
    expect(judge(made, chain()).verdict).toBe('no-evidence');
    expect(judge(made).summary).toContain(why);
  });

  it('are two when only the epoch differs: the sequence goes on through epochs', () => {
    const evidence = value(evidenceOfReceipts(log, signed(7n), signed(7n, { epoch: 1n })));
    expect(judge(evidence, chain()).verdict).toBe('proven');
  });
});

describe('two heads that are none', () => {
  it('are those of an honest log, whatever the sizes and the proof', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.nat(40), fc.nat(40), (m, n, other) => {
        const [small, large] = m < n ? [m, n] : [n, m];
        const proof = begins(small, large);
        expect(evidenceOfHeads(log, head(small), head(large), proof).ok).toBe(false);
        expect(evidenceOfHeads(log, head(large), head(small), proof).ok).toBe(false);
        // a proof for other sizes, or of another root
        const wrong = begins(Math.min(other, large), large);
        expect(evidenceOfHeads(log, head(small), head(large), wrong).ok).toBe(false);
        expect(evidenceOfHeads(log, head(small), head(large), { ...proof, root: fork }).ok).toBe(false);
      }),
      { numRuns: runs(60), seed: 7 },
    );
  });

  it('and a fork is evidence at every size up to the later head', () => {
    for (let size = 0; size <= 40; size++) {
      const evidence = value(evidenceOfHeads(log, head(size, fork), head(40), begins(size, 40)));
      expect(judge(evidence, chain()).verdict).toBe('proven');
    }
  });

  it('need a proof when their sizes differ, and a signature on the earlier', () => {
    expect(error(evidenceOfHeads(log, head(9, fork), head(23)))).toContain('only with a proof');
    expect(error(evidenceOfHeads(log, head(23), { ...head(9), signature: null }, begins(9, 23)))).toContain(
      'smaller ones only',
    );
    expect(error(beginningOf(treeOf(entries.slice(0, 20)), 9, 23))).toContain('later head');
    expect(error(beginningOf(treeOf(entries.slice(0, 5)), 9, 23))).toContain('earlier head');
  });

  it('are none against an anchored head that has moved on', () => {
    const evidence = samples['a head that the anchored one contradicts'] as Evidence;
    const judged = judge(evidence, chain({ head: { size: 41, root: fork } }));
    expect(judged.verdict).toBe('no-evidence');
    expect(judged.summary).toContain('take the proof to that one');
  });

  it('are read from checkpoints as they are published', () => {
    const root = rootOf(entries.slice(0, 9));
    const signer = { domain: log, ed25519Seed: new Uint8Array(32).fill(1), headKey };
    const { note, headSignature } = signCheckpoint({ origin, size: 9, root }, signer);
    expect(value(headOfCheckpoint(note, log))).toEqual({
      size: 9,
      root: toHex(root),
      signature: headSignature,
    });
    expect(error(headOfCheckpoint(note, { ...log, logId: fork }))).toContain('no head signature');
    expect(error(headOfCheckpoint('none', log))).toContain('not a signed checkpoint');
  });
});

describe('an overdue receipt', () => {
  const evidence = samples['an overdue receipt'] as Evidence;
  const mergeBy = receipt(1n).mergeBy;

  it('is challengeable from the second after mergeBy and grace', () => {
    const at = (time: bigint, grace: bigint) => judge(evidence, chain({ time, grace })).verdict;
    expect(at(mergeBy, 0n)).toBe('no-evidence');
    expect(at(mergeBy + 1n, 0n)).toBe('challengeable');
    expect(at(mergeBy + 600n, 600n)).toBe('no-evidence');
    expect(at(mergeBy + 601n, 600n)).toBe('challengeable');
  });

  it('is told apart from one that is never due', () => {
    const never = value(evidenceOfOverdue(log, signed(1n, { mergeBy: 2n ** 64n - 1n })));
    expect(judge(never, chain()).summary).toContain('second 18446744073709551615');
  });

  it('is none of another log', () => {
    expect(error(evidenceOfOverdue(log, signed(1n, { logId: fork })))).toContain('this is');
  });
});

it('a file is judged with nobody asked, and says in a sentence what it shows', async () => {
  const file = formatEvidence(samples['two receipts'] as Evidence);
  expect(JSON.parse(file)).toMatchObject({ format: evidenceFormat, type: 'two-receipts', log });
  const report = value(await verifyEvidence(file));
  expect(report.verdict).toBe('unconfirmed');
  expect(report.summary).toBe(
    `The operator signed two different receipts with number 7 of agent 7, if it holds what only the chain can say: only the anchor can say whether ${addressOfKey(receiptKey)} is a receipt key of the log.`,
  );
  expect(report.findings.map(({ name, state }) => `${name}: ${state}`)).toEqual([
    'log: holds',
    'same_place: holds',
    'different: holds',
    'first_signature: holds',
    'second_signature: holds',
    'first_key: unchecked',
    'second_key: unchecked',
  ]);
  expect(receiptDigest(receipt(7n))).not.toBe(receiptDigest(receipt(7n, { amount: 6n })));
  expect(await verifyEvidence('{')).toEqual({ ok: false, error: 'not JSON' });
});
