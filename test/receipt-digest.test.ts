// The receipt's digest, computed directly, against viem's general encoder.
import fc from 'fast-check';
import { hashTypedData } from 'viem';
import { expect, test } from 'vitest';
import { type Receipt, receiptDigest, receiptTypes } from '../protocol/receipt.ts';
import { anyReceipt, someReceipt } from './evidence-receipts.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);
const domain = { name: 'tallystick Receipt', version: '1' };
const general = (message: Receipt) =>
  hashTypedData({ domain, types: receiptTypes, primaryType: 'Receipt', message });

test('is what EIP-712 says, for any receipt', () => {
  fc.assert(
    fc.property(anyReceipt, (receipt) => {
      expect(receiptDigest(receipt)).toBe(general(receipt));
    }),
    { numRuns: runs(300), seed: 0x7a11 },
  );
});

test.each<[string, Partial<Record<keyof Receipt, unknown>>]>([
  ['a number that is too large', { sequence: 2n ** 64n }],
  ['one below zero', { amount: -1n }],
  ['a short hash', { requestHash: '0x12' }],
  ['a long address', { vault: `0x${'11'.repeat(21)}` }],
  ['nothing at all', { model: undefined }],
])('has none for %s', (_, wrong) => {
  const receipt = { ...someReceipt(`0x${'cc'.repeat(32)}`, 1n), ...wrong } as Receipt;
  expect(() => receiptDigest(receipt)).toThrow(RangeError);
});
