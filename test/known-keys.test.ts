// A remembered key changes how long an answer takes, and never the answer.
import { secp256k1 } from '@noble/curves/secp256k1.js';
import fc from 'fast-check';
import type { Hex } from 'viem';
import { expect, test } from 'vitest';
import { KnownKeys } from '../client/known-keys.ts';
import { addressOfKey, recoverDigest, signDigest } from '../protocol/ecdsa.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);
const bytes32 = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes): Hex => `0x${Buffer.from(bytes).toString('hex')}`);
const keys = [1, 2, 3, 4, 5, 6].map((n): Hex => `0x${`${n}1`.repeat(32)}`);
const order = secp256k1.Point.Fn.ORDER;
const word = (n: bigint) => n.toString(16).padStart(64, '0');

/** A signature made wrong, or right, in one of the ways that matter. */
const changed = (signature: Hex, how: number, other: Hex): Hex => {
  const [r, s, v] = [signature.slice(2, 66), signature.slice(66, 130), signature.slice(130)];
  const flipped = v === '1b' ? '1c' : '1b';
  const ways: readonly Hex[] = [
    signature,
    `0x${r}${s}${flipped}`,
    `0x${r}${word(order - BigInt(`0x${s}`))}${flipped}`, // malleated: high s
    `0x${r}${word(0n)}${v}`,
    `0x${word(0n)}${s}${v}`,
    `0x${word(order)}${s}${v}`,
    `0x${r}${other.slice(2)}${v}`,
    `0x${other.slice(2)}${s}${v}`,
    `0x${r}${s}00`,
    `0x${r}${s}`,
    `0x${r.toUpperCase()}${s}${v}`,
  ];
  return ways[how % ways.length] ?? signature;
};

const sample = (key: Hex): [Hex, Hex] => [`0x${'ee'.repeat(32)}`, signDigest(`0x${'ee'.repeat(32)}`, key)];

test('says what recovery says, of every signature', () => {
  const known = new KnownKeys();
  for (const key of keys.slice(0, 5)) for (let met = 0; met < 2; met += 1) known.signerOf(...sample(key));
  fc.assert(
    fc.property(bytes32, bytes32, fc.nat(keys.length - 1), fc.nat(10), (digest, other, which, how) => {
      const signature = changed(signDigest(digest, keys[which] as Hex), how, other);
      expect(known.signerOf(digest, signature)).toBe(recoverDigest(digest, signature));
      expect(known.signerOf(other, signature)).toBe(recoverDigest(other, signature));
    }),
    { numRuns: runs(60), seed: 0x7a11 },
  );
});

test('a key that it knows is the one it says', () => {
  const known = new KnownKeys();
  const [mine = '0x', theirs = '0x'] = keys;
  for (const digest of ['aa', 'bb', 'cc', 'dd'].map((byte): Hex => `0x${byte.repeat(32)}`)) {
    for (let met = 0; met < 2; met += 1)
      expect(known.signerOf(digest, signDigest(digest, mine))).toBe(addressOfKey(mine));
    expect(known.signerOf(digest, signDigest(digest, theirs))).toBe(addressOfKey(theirs));
  }
});
