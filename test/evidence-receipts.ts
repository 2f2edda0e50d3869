// Receipts for the tests of evidence: one that says little, and any at all.
import fc from 'fast-check';
import type { Address, Hex } from 'viem';
import { toHex, zeroHash } from '../protocol/hex.ts';
import type { Receipt } from '../protocol/receipt.ts';

export const someReceipt = (logId: Hex, sequence: bigint): Receipt => ({
  logId,
  chainId: 31_337n,
  vault: `0x${'aa'.repeat(20)}`,
  registry: `0x${'bb'.repeat(20)}`,
  agentId: 7n,
  epoch: 0n,
  sequence,
  previous: zeroHash,
  authorizationKind: 1,
  authorization: zeroHash,
  requestHash: zeroHash,
  forwardedHash: zeroHash,
  responseHash: zeroHash,
  upstreamResponseHash: zeroHash,
  upstream: 'fake',
  model: 'qwen-test',
  upstreamId: `${sequence}`,
  usage: { input: 1n, cachedInput: 0n, cacheCreation: 0n, output: 1n, thinking: 0n, estimated: false },
  priceTable: zeroHash,
  amount: 5n,
  cumulative: 5n * sequence,
  time: 1n,
  mergeBy: 2n,
  assurance: 0,
  evidence: zeroHash,
});

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(toHex);
const address = fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes) => toHex(bytes) as Address);
const uint = (bits: number) =>
  fc.oneof(fc.constantFrom(0n, (1n << BigInt(bits)) - 1n), fc.bigInt(0n, (1n << BigInt(bits)) - 1n));
const uint8 = fc.integer({ min: 0, max: 255 });
/** Whole characters of every kind: what a receipt's strings may be. */
const text = fc.string({ unit: 'binary', maxLength: 80 });

/** Any receipt that can be signed, sensible or not. */
export const anyReceipt: fc.Arbitrary<Receipt> = fc.record({
  logId: bytes32,
  chainId: uint(256),
  vault: address,
  registry: address,
  agentId: uint(256),
  epoch: uint(64),
  sequence: uint(64),
  previous: bytes32,
  authorizationKind: uint8,
  authorization: bytes32,
  requestHash: bytes32,
  forwardedHash: bytes32,
  responseHash: bytes32,
  upstreamResponseHash: bytes32,
  upstream: text,
  model: text,
  upstreamId: text,
  usage: fc.record({
    input: uint(64),
    cachedInput: uint(64),
    cacheCreation: uint(64),
    output: uint(64),
    thinking: uint(64),
    estimated: fc.boolean(),
  }),
  priceTable: bytes32,
  amount: uint(256),
  cumulative: uint(256),
  time: uint(64),
  mergeBy: uint(64),
  assurance: uint8,
  evidence: bytes32,
});
