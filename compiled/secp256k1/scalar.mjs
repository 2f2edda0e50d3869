// Integers modulo the group's order, and how a scalar is taken apart for the multiplication: in two halves of 128 bits by
// the curve's endomorphism, and each half into few odd digits.
import {
  add,
  add32,
  and,
  and32,
  const32,
  const64,
  eq32,
  eqz32,
  fill,
  i32,
  i64,
  less32,
  load32,
  load32to64,
  low32,
  mul,
  mul32,
  sar,
  select,
  shl32,
  shr,
  shr32,
  store16,
  store32,
  store32of64,
  sub,
  sub32,
} from './assembler.mjs';
import { carried, limbsOf, productColumns, repacked } from './limbs.mjs';

export const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
/** The endomorphism: lambda (x, y) = (beta x, y). */
export const lambda = 0x5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72n;
export const beta = 0x7ae96a2b657c07106e64479eac3434e99cf0497512f58995c1396c28719501een;

/** A short basis of the lattice of (a, b) with a + b lambda = 0 modulo the order: (a1, b1) and (a2, b2), as in SEC 2 and GLV. */
const b1 = -0xe4437ed6010e88286f547fa90abfe4c3n;
const b2 = 0x3086d221a7d46bcde86c90e49284eb15n;
/** Rounded 2^384 b2 / n and 2^384 (-b1) / n: multiplying by them and shifting is dividing by the order, near enough. */
const rounded = (value) => ((value << 384n) + order / 2n) / order;
const g1 = rounded(b2);
const g2 = rounded(-b1);

const gap = 2n ** 256n - order;
const words = Array.from({ length: 9 }, (_, i) => i);
const constants = (value, count) => limbsOf(value, count).map((limb) => const64(limb));
const modulo = (value) => ((value % order) + order) % order;

/** Bits of a half: a sign apart, and a carry. */
export const digitCount = 129;

const addColumns = (a, b) =>
  Array.from({ length: Math.max(a.length, b.length) }, (_, k) =>
    a[k] === undefined ? b[k] : b[k] === undefined ? a[k] : add(a[k], b[k]),
  );

/** Columns modulo the order: nine limbs, the one representation below it. */
function reduced(code, columns) {
  // 2^261 is 32 times the gap, which has 134 bits: each fold takes about 127 off.
  let limbs = carried(code, [...columns, const64(0)]);
  for (let folds = 0; folds < 4; folds += 1) {
    const above = limbs.slice(9);
    const folded = addColumns(limbs.slice(0, 9), productColumns(above, constants(32n * gap, 5)));
    limbs = carried(code, folded.length < 14 && folds < 3 ? [...folded, const64(0)] : folded);
  }
  // Below 2^261 now. The bits above 2^256, twice, since the first fold may reach it again.
  const topMask = const64((1n << 24n) - 1n);
  for (let folds = 0; folds < 2; folds += 1) {
    const above = code.get(code.let(i64, shr(limbs[8], const64(24))));
    limbs = carried(
      code,
      addColumns([...limbs.slice(0, 8), and(limbs[8], topMask)], productColumns([above], constants(gap, 5))),
    );
  }
  // At least the order exactly when adding the gap reaches 2^256.
  const raised = carried(code, addColumns(limbs, constants(gap, 5)));
  const reaches = code.let(i32, low32(shr(raised[8], const64(24))));
  return limbs.map((limb, i) =>
    select(i === 8 ? and(raised[8], topMask) : raised[i], limb, code.get(reaches)),
  );
}

export function defineScalar(module) {
  const load = (code, pointer) => words.map((i) => code.get(code.let(i64, load32to64(pointer, 4 * i))));
  const store = (code, pointer, limbs) => {
    for (const [i, limb] of limbs.entries()) code.emit(store32of64(pointer, limb, 4 * i));
  };

  /** `result = a b` modulo the order; a and b are any nine limbs. */
  const multiply = module.define('sc_mul', 3, false, (code, result, a, b) => {
    store(code, result, reduced(code, productColumns(load(code, a), load(code, b))));
  });

  /** Writes limbs as five little-endian words, where digits are read from. */
  const storeWords = (code, pointer, limbs) => {
    for (const [i, word] of repacked(limbs, 29, 32, 5).entries())
      code.emit(store32of64(pointer, word, 4 * i));
  };

  /** The low and the high 128 bits of a scalar, five words each. */
  const halves = module.define('sc_halves', 3, false, (code, low, high, a) => {
    const all = repacked(load(code, a), 29, 32, 8);
    for (let i = 0; i < 4; i += 1) {
      code.emit(store32of64(low, all[i], 4 * i), store32of64(high, all[i + 4], 4 * i));
    }
    code.emit(store32(low, const32(0), 16), store32(high, const32(0), 16));
  });

  /**
   * Splits k into k1 + k2 lambda, both below 2^128 but for a sign. Their magnitudes go to `one` and `two`; the answer has
   * bit 0 set where k1 is negative and bit 1 where k2 is.
   */
  const split = module.define('sc_split', 3, true, (code, one, two, k) => {
    const limbs = load(code, k);
    /** k g / 2^384, rounded: bit 384 is bit 7 of limb 13. */
    const quotient = (g) => {
      const product = carried(code, [...productColumns(limbs, constants(g, 9)), const64(0)]);
      const half = and(shr(product[13], const64(6)), const64(1));
      const shifted = repacked(product, 29, 29, 18).slice(13);
      const down = repacked(shifted, 29, 29, 5).map((_, i) =>
        add(
          shr(product[13 + i], const64(7)),
          i === 4 ? const64(0) : mul(and(product[14 + i], const64(127)), const64(1n << 22n)),
        ),
      );
      return carried(code, [add(down[0], half), ...down.slice(1)]);
    };
    const c1 = quotient(g1);
    const c2 = quotient(g2);
    const k2 = reduced(
      code,
      addColumns(
        addColumns(
          productColumns(c1, constants(modulo(-b1), 5)),
          productColumns(c2, constants(modulo(-b2), 9)),
        ),
        Array(17).fill(const64(0)),
      ),
    ).map((limb) => code.get(code.let(i64, limb)));
    const k1 = reduced(code, addColumns(productColumns(k2, constants(modulo(-lambda), 9)), limbs)).map(
      (limb) => code.get(code.let(i64, limb)),
    );
    const sign = code.let(i32, const32(0));
    for (const [bit, pointer, value] of [
      [1, one, k1],
      [2, two, k2],
    ]) {
      // A magnitude below 2^128 leaves the top limb empty; what is negative is just below the order.
      code.if(
        eqz32(low32(value[8])),
        () => storeWords(code, pointer, value),
        () => {
          const negated = carried(
            code,
            limbsOf(order).map((limb, i) => sub(const64(limb), value[i])),
            sar,
          );
          storeWords(code, pointer, negated);
          code.set(sign, add32(code.get(sign), const32(bit)));
        },
      );
    }
    code.emit(code.get(sign));
  });

  /**
   * Windowed non-adjacent form: writes 129 digits of 16 bits, most of them zero, the others odd and below 2^(width - 1) in
   * magnitude, negated where `negative` is 1. `source` is five little-endian words below 2^128.
   */
  const digits = module.define('sc_digits', 4, false, (code, result, source, width, negative) => {
    const get = (local) => code.get(local);
    code.emit(fill(result, const32(0), const32(2 * digitCount)));
    const bit = code.let(i32, const32(0));
    const carry = code.let(i32, const32(0));
    const window = code.let(i32, const32(0));
    const taken = code.let(i32, const32(0));
    code.doWhile(() => {
      const at = add32(source, shr32(get(bit), const32(3)));
      code.set(window, shr32(load32(at), and32(get(bit), const32(7))));
      code.if(
        eq32(and32(get(window), const32(1)), get(carry)),
        () => code.set(bit, add32(get(bit), const32(1))),
        () => {
          code.set(taken, sub32(const32(digitCount), get(bit)));
          code.set(taken, select(width, get(taken), less32(width, get(taken))));
          code.set(
            window,
            add32(and32(get(window), sub32(shl32(const32(1), get(taken)), const32(1))), get(carry)),
          );
          code.set(carry, and32(shr32(get(window), sub32(width, const32(1))), const32(1)));
          code.set(window, sub32(get(window), shl32(get(carry), width)));
          code.emit(
            store16(
              add32(result, shl32(get(bit), const32(1))),
              mul32(get(window), sub32(const32(1), shl32(negative, const32(1)))),
            ),
          );
          code.set(bit, add32(get(bit), get(taken)));
        },
      );
      return less32(get(bit), const32(digitCount));
    });
  });

  return { multiply, halves, split, digits };
}
