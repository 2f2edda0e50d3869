// Big integers in code: an integer is an array of expressions or locals of 29 bits each, least significant first. Nine of
// them hold 261 bits, and the sum of nine products of two 29-bit limbs fits in 64.
import { add, and, const64, i64, mul, shl, shr, sum } from './assembler.mjs';

export const limbBits = 29n;
export const limbMask = (1n << limbBits) - 1n;
export const limbCount = 9;

/** The limbs of a constant. */
export const limbsOf = (value, count = limbCount) =>
  Array.from({ length: count }, (_, i) => (value >> (limbBits * BigInt(i))) & limbMask);

/** Column sums of a product: column k gathers what has weight 2^(29 k). */
export const productColumns = (a, b) =>
  Array.from({ length: a.length + b.length - 1 }, (_, k) =>
    sum(a.flatMap((limb, i) => (k - i >= 0 && k - i < b.length ? [mul(limb, b[k - i])] : []))),
  );

/**
 * Carries columns into limbs; answers their locals as expressions. The last limb takes what is left, unmasked. `shift` is
 * `sar` where columns may be negative.
 */
export function carried(code, columns, shift = shr) {
  const carry = code.local(i64);
  return columns.map((column, k) => {
    const whole = code.let(i64, k === 0 ? column : add(column, code.get(carry)));
    if (k === columns.length - 1) return code.get(whole);
    code.set(carry, shift(code.get(whole), const64(limbBits)));
    return code.get(code.let(i64, and(code.get(whole), const64(limbMask))));
  });
}

/** The same integer in limbs of another width. `limbs` must be carried, all of them in range. */
export const repacked = (limbs, fromBits, toBits, count) =>
  Array.from({ length: count }, (_, k) => {
    const parts = limbs.flatMap((limb, i) => {
      const by = i * fromBits - k * toBits;
      if (by >= toBits || by <= -fromBits) return [];
      return [by >= 0 ? shl(limb, const64(by)) : shr(limb, const64(-by))];
    });
    return parts.length === 0 ? const64(0) : and(sum(parts), const64((1n << BigInt(toBits)) - 1n));
  });
