// The field of 2^256 - 2^32 - 977. An element is 36 bytes: nine 32-bit words of nominally 29 bits, the last of 24.
//
// An element's magnitude m says that its words are at most m 2^29 (the last at most m 2^24), give or take a few units. A
// product's magnitude is 1. Its factors' may multiply to 7.5: the largest column, of eight full products, stays below 2^64
// then, with what is carried into it.
import {
  add,
  and,
  and32,
  const32,
  const64,
  eq32,
  eqz32,
  i32,
  i64,
  load8,
  load32,
  load32to64,
  low32,
  mul,
  or32,
  shl,
  shr,
  store8,
  store32,
  store32of64,
  sub,
  sub32,
  sum,
} from './assembler.mjs';
import { carried, limbMask, limbsOf, productColumns, repacked } from './limbs.mjs';

export const prime = 2n ** 256n - 2n ** 32n - 977n;
export const elementBytes = 36;

const mask = const64(limbMask);
const topMask = const64((1n << 24n) - 1n);
const primeLimbs = limbsOf(prime);

export const words = Array.from({ length: 9 }, (_, i) => i);
export const loadLimbs = (pointer) => words.map((i) => load32to64(pointer, 4 * i));

/** An element's bytes, for the data section. */
export const elementOf = (value) => {
  const bytes = new Uint8Array(elementBytes);
  for (const [i, limb] of limbsOf(value).entries())
    new DataView(bytes.buffer).setUint32(4 * i, Number(limb), true);
  return [...bytes];
};

/**
 * Reduces a product's 17 columns to limbs of magnitude 1. The upper columns are carried and folded into the lower ones as
 * they come: 2^261 = 32 (2^32 + 977). The carries are added last, so that the column sums need not wait for them.
 */
function reduced(code, columns) {
  const low = code.local(i64);
  const high = code.local(i64);
  const fold = code.local(i64);
  const limbs = words.map(() => code.local(i64));
  const get = (local) => code.get(local);
  code.set(high, columns[8]);
  code.set(limbs[8], and(get(high), mask));
  code.set(high, shr(get(high), const64(29)));
  for (let k = 0; k < 8; k += 1) {
    code.set(high, add(columns[9 + k], get(high)));
    code.set(fold, and(get(high), mask));
    code.set(high, shr(get(high), const64(29)));
    const column = add(columns[k], mul(get(fold), const64(32 * 977)));
    code.set(low, k === 0 ? column : add(column, get(low)));
    code.set(limbs[k], and(get(low), mask));
    code.set(low, add(shr(get(low), const64(29)), shl(get(fold), const64(8))));
  }
  // What is left above 2^256 comes back as 2^32 + 977.
  code.set(low, add(add(get(limbs[8]), mul(get(high), const64(32 * 977))), get(low)));
  code.set(limbs[8], and(get(low), topMask));
  code.set(fold, add(shr(get(low), const64(24)), shl(get(high), const64(13))));
  code.set(low, add(get(limbs[0]), mul(get(fold), const64(977))));
  code.set(limbs[0], and(get(low), mask));
  code.set(low, add(add(get(limbs[1]), shl(get(fold), const64(3))), shr(get(low), const64(29))));
  code.set(limbs[1], and(get(low), mask));
  code.set(limbs[2], add(get(limbs[2]), shr(get(low), const64(29))));
  return limbs.map(get);
}

export const inLocals = (code, limbs) => limbs.map((limb) => code.get(code.let(i64, limb)));

/** Limbs of a product, in place in the code: factors are limbs in locals. */
export const product = (code, a, b) => reduced(code, productColumns(a, b));

export const squareOf = (code, limbs) => {
  const doubled = inLocals(
    code,
    limbs.map((limb) => shl(limb, const64(1))),
  );
  const columns = Array.from({ length: 17 }, (_, k) =>
    sum(
      words.flatMap((i) => {
        const j = k - i;
        if (j < i || j > 8) return [];
        return [i === j ? mul(limbs[i], limbs[i]) : mul(doubled[i], limbs[j])];
      }),
    ),
  );
  return reduced(code, columns);
};

/** Limbs brought back to magnitude 1, each by one carry: they must be below 2^36 and not negative. */
export const carriedOnce = (code, limbs) => {
  const whole = inLocals(code, limbs);
  const fold = code.get(code.let(i64, shr(whole[8], const64(24))));
  const carry = (i) => shr(whole[i], const64(29));
  return inLocals(
    code,
    words.map((i) => {
      const kept = and(whole[i], i === 8 ? topMask : mask);
      if (i === 0) return add(kept, mul(fold, const64(977)));
      return add(kept, i === 1 ? add(shl(fold, const64(3)), carry(0)) : carry(i - 1));
    }),
  );
};

/** Limbs of `times` p - a: a negated, where a's magnitude is below `times`. */
export const negatedLimbs = (limbs, times) =>
  limbs.map((limb, i) => sub(const64(primeLimbs[i] * BigInt(times)), limb));

export const storeLimbs = (code, pointer, limbs) => {
  for (const [i, limb] of limbs.entries()) code.emit(store32of64(pointer, limb, 4 * i));
};
export const limbsAt = (code, pointer) => inLocals(code, loadLimbs(pointer));

/** Defines the field's functions. All take pointers; results may overwrite operands. */
export function defineField(module) {
  const multiply = module.define('fe_mul', 3, false, (code, result, a, b) => {
    storeLimbs(code, result, product(code, limbsAt(code, a), limbsAt(code, b)));
  });

  const square = module.define('fe_sqr', 2, false, (code, result, a) => {
    storeLimbs(code, result, squareOf(code, limbsAt(code, a)));
  });

  const squareTimes = module.define('fe_sqr_times', 3, false, (code, result, a, times) => {
    const left = code.let(i32, sub32(times, const32(1)));
    code.emit(square(result, a));
    code.doWhile(() => {
      code.emit(square(result, result));
      code.set(left, sub32(code.get(left), const32(1)));
      return code.get(left);
    });
  });

  const storeCarried = (code, pointer, limbs) => storeLimbs(code, pointer, carriedOnce(code, limbs));

  /** The same, all the way: every limb in range but for a unit in the last. */
  const storeCarriedThrough = (code, pointer, limbs) => {
    const fold = code.get(code.let(i64, shr(limbs[8], const64(24))));
    const columns = [
      add(limbs[0], mul(fold, const64(977))),
      add(limbs[1], shl(fold, const64(3))),
      ...limbs.slice(2, 8),
      and(limbs[8], topMask),
    ];
    for (const [i, limb] of carried(code, columns).entries()) code.emit(store32of64(pointer, limb, 4 * i));
  };

  const negated = (a, times) => negatedLimbs(loadLimbs(a), times);

  /** The one representation below p, in place. */
  const normalize = module.define('fe_normalize', 1, false, (code, a) => {
    // Twice, since what the first pass folds in may carry into the top again.
    storeCarriedThrough(code, a, loadLimbs(a));
    storeCarriedThrough(code, a, loadLimbs(a));
    // a >= p exactly when a + 2^32 + 977 reaches 2^256; then that sum less 2^256 is a - p.
    const limbs = loadLimbs(a);
    const raised = carried(code, [add(limbs[0], const64(977)), add(limbs[1], const64(8)), ...limbs.slice(2)]);
    code.if(low32(shr(raised[8], const64(24))), () => {
      for (const i of words) {
        code.emit(store32of64(a, i === 8 ? and(raised[8], topMask) : raised[i], 4 * i));
      }
    });
  });

  const scratch = module.reserve(elementBytes);

  /** 1 if a is zero. Of magnitude 1, carried: its value is below 2 p, so that it is 0 or p. */
  const isZero = module.define('fe_is_zero', 1, true, (code, a) => {
    const first = code.let(i32, and32(load32(a), const32(Number(limbMask))));
    code.if(eqz32(or32(eqz32(code.get(first)), eq32(code.get(first), const32(Number(primeLimbs[0]))))), () =>
      code.return(const32(0)),
    );
    for (const i of words) code.emit(store32(const32(scratch), load32(a, 4 * i), 4 * i));
    code.emit(normalize(const32(scratch)));
    const any = words.map((i) => load32(const32(scratch), 4 * i)).reduce(or32);
    code.emit(eqz32(any));
  });

  const copy = (code, to, from) => {
    for (const i of words) code.emit(store32(to, load32(from, 4 * i), 4 * i));
  };

  const [x2, x3, x6, x22, x44, t] = Array.from({ length: 6 }, () => const32(module.reserve(elementBytes)));

  /** A square root, by a^((p + 1) / 4); 0 if there is none. `result` must not be `a`. The addition chain is Bitcoin Core's. */
  const squareRoot = module.define('fe_sqrt', 2, true, (code, result, a) => {
    const times = (to, from, count, by) =>
      code.emit(squareTimes(to, from, const32(count)), multiply(to, to, by));
    code.emit(square(x2, a), multiply(x2, x2, a));
    code.emit(square(x3, x2), multiply(x3, x3, a));
    times(x6, x3, 3, x3);
    times(t, x6, 3, x3);
    times(t, t, 2, x2);
    times(x22, t, 11, t);
    times(x44, x22, 22, x22);
    times(t, x44, 44, x44);
    copy(code, result, t);
    times(t, t, 88, result);
    times(t, t, 44, x44);
    times(t, t, 3, x3);
    times(t, t, 23, x22);
    times(t, t, 6, x2);
    code.emit(squareTimes(result, t, const32(2)));
    code.emit(square(t, result));
    storeCarried(
      code,
      t,
      words.map((i) => add(load32to64(t, 4 * i), sub(const64(primeLimbs[i] * 2n), load32to64(a, 4 * i)))),
    );
    code.emit(isZero(t));
  });

  /** Reads 32 big-endian bytes. */
  const read = module.define('fe_read', 2, false, (code, result, bytes) => {
    const byte = Array.from({ length: 32 }, (_, i) => [load8(bytes, 31 - i), 0xad]);
    for (const [i, limb] of repacked(byte, 8, 29, 9).entries()) code.emit(store32of64(result, limb, 4 * i));
  });

  /** Writes 32 big-endian bytes of a normalized element. */
  const write = module.define('fe_write', 2, false, (code, bytes, a) => {
    for (const [i, byte] of repacked(loadLimbs(a), 29, 8, 32).entries()) {
      code.emit(store8(bytes, low32(byte), 31 - i));
    }
  });

  return { multiply, square, squareRoot, storeCarried, negated, normalize, isZero, copy, read, write };
}
