// The parts of the recovery module against bigints, at values no signature is likely to bring: fields whose words are as large
// as they may get, inverses and scalars at their ends. The whole is held against another implementation in
// identity-workerd.test.ts.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { recoveryModule } from '../compiled/secp256k1/recover.mjs';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);
const seeded = (n: number) => ({ seed: 256, numRuns: runs(n), endOnFailure: true });

const prime = 2n ** 256n - 2n ** 32n - 977n;
const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const lambda = 0x5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72n;

type Pointers = (...pointers: number[]) => number;
const names = [
  'fe_mul',
  'fe_sqr',
  'fe_sqrt',
  'fe_normalize',
  'fe_inverse',
  'sc_inverse',
  'sc_mul',
  'sc_split',
] as const;
const { exports: curve } = new WebAssembly.Instance(new WebAssembly.Module(recoveryModule(names)), {});
const memory = new DataView((curve['memory'] as WebAssembly.Memory).buffer);
const call = (name: (typeof names)[number], ...pointers: number[]): number =>
  (curve[name] as Pointers)(...pointers);

// The end of the memory, which the module has no use for.
const [a, b, result] = [48, 96, 144].map((below) => memory.byteLength - below) as [number, number, number];
const put = (at: number, limbs: readonly bigint[]) => {
  for (const [i, limb] of limbs.entries()) memory.setUint32(at + 4 * i, Number(limb), true);
};
const limbsOf = (value: bigint) =>
  Array.from({ length: 9 }, (_, i) => (value >> BigInt(29 * i)) & (2n ** 29n - 1n));
const numberOf = (limbs: readonly bigint[]) => limbs.reduceRight((value, limb) => (value << 29n) + limb, 0n);
const get = (at: number) =>
  numberOf(Array.from({ length: 9 }, (_, i) => BigInt(memory.getUint32(at + 4 * i, true))));
const power = (base: bigint, exponent: bigint, modulus: bigint): bigint => {
  let [product, square] = [1n, base % modulus];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) product = (product * square) % modulus;
    square = (square * square) % modulus;
  }
  return product;
};

/** Nine words up to a magnitude, often at it. */
const words = (magnitude: number) => {
  const bound = (bits: number) => BigInt(Math.floor(magnitude * 2 ** bits));
  const word = (bits: number) =>
    fc.oneof(
      fc.constant(bound(bits)),
      fc.constant(0n),
      fc.bigInt(0n, bound(bits)),
      fc.constant(2n ** BigInt(bits) - 1n),
    );
  return fc.tuple(...Array.from({ length: 9 }, (_, i) => word(i === 8 ? 24 : 29)));
};
const below = (bound: bigint) =>
  fc.oneof(
    fc.bigInt(0n, bound - 1n),
    fc.bigInt(0n, 9n),
    fc.bigInt(1n, 9n).map((by) => bound - by),
    fc.bigInt(0n, 255n).map((bit) => 2n ** bit % bound),
  );

test('products of the largest words the formulas bring', () => {
  for (const [one, other] of [
    [1, 1],
    [2.5, 3],
    [3, 2.5],
    [7, 1],
    [2.7, 2.7],
  ] as const) {
    fc.assert(
      fc.property(words(one), words(other), (x, y) => {
        put(a, x);
        put(b, y);
        call('fe_mul', result, a, b);
        const raw = get(result);
        // Of magnitude 1, and nothing was lost at the top.
        expect(raw < 2n ** 256n + 2n ** 64n).toBe(true);
        expect(raw % prime).toBe((numberOf(x) * numberOf(y)) % prime);
        if (one === 2.7 || one === 1 || one === 2.5) {
          call('fe_sqr', result, a);
          expect(get(result) % prime).toBe(numberOf(x) ** 2n % prime);
        }
      }),
      seeded(400),
    );
  }
});

test('one representation below p', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        words(1),
        words(6),
        below(2n ** 256n).map(limbsOf),
        fc.bigInt(-5n, 5n).map((by) => limbsOf(prime + by)),
      ),
      (limbs) => {
        put(a, limbs);
        call('fe_normalize', a);
        expect(get(a)).toBe(numberOf(limbs) % prime);
        for (let i = 0; i < 9; i += 1) expect(memory.getUint32(a + 4 * i, true) < 2 ** 29).toBe(true);
      },
    ),
    seeded(1000),
  );
});

test('inverses, in both fields', () => {
  for (const [name, modulus] of [
    ['fe_inverse', prime],
    ['sc_inverse', order],
  ] as const) {
    fc.assert(
      fc.property(
        below(modulus).filter((value) => value !== 0n),
        (value) => {
          put(a, limbsOf(value));
          call(name, result, a);
          expect(get(result)).toBe(power(value, modulus - 2n, modulus));
        },
      ),
      seeded(500),
    );
  }
});

test('square roots, where there are any', () => {
  fc.assert(
    fc.property(below(prime), (value) => {
      put(a, limbsOf((value * value) % prime));
      expect(call('fe_sqrt', result, a)).toBe(1);
      expect([value, (prime - value) % prime]).toContain(get(result) % prime);
      if (value === 0n) return;
      // -1 is no square, so neither is this.
      put(a, limbsOf(prime - ((value * value) % prime)));
      expect(call('fe_sqrt', result, a)).toBe(0);
    }),
    seeded(200),
  );
});

test('scalars: products, and the split into halves', () => {
  const wide = fc.oneof(below(order), below(2n ** 256n), below(2n ** 261n));
  fc.assert(
    fc.property(wide, wide, (x, y) => {
      put(a, limbsOf(x));
      put(b, limbsOf(y));
      call('sc_mul', result, a, b);
      expect(get(result)).toBe((x * y) % order);
    }),
    seeded(2000),
  );
  const half = (at: number) =>
    [4, 3, 2, 1, 0].reduce((value, i) => (value << 32n) + BigInt(memory.getUint32(at + 4 * i, true)), 0n);
  fc.assert(
    fc.property(below(order), (k) => {
      put(a, limbsOf(k));
      const signs = call('sc_split', b, result, a);
      const [one, two] = [half(b), half(result)];
      expect(one < 2n ** 128n && two < 2n ** 128n).toBe(true);
      const sum = (signs & 1 ? -one : one) + (signs & 2 ? -two : two) * lambda;
      expect(((sum % order) + order) % order).toBe(k);
    }),
    seeded(2000),
  );
});
