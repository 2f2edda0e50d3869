// Inverses modulo a prime by Bernstein and Yang's divsteps (https://gcd.cr.yp.to/safegcd-20190413.pdf) in the variable-time
// form with batches of 30 that Bitcoin Core describes (doc/safegcd_implementation.md): all that is inverted here is public.
// Numbers are nine signed words of 30 bits.
import {
  add,
  add32,
  and,
  and32,
  const32,
  const64,
  eqz32,
  extendSigned,
  greater32,
  i32,
  i64,
  less32,
  load32,
  load32to64,
  load32to64signed,
  mul,
  mul32,
  or32,
  sar,
  sar32,
  select,
  shl32,
  shr32,
  store32,
  store32of64,
  sub,
  sub32,
  trailingZeros32,
  xor,
} from './assembler.mjs';
import { repacked } from './limbs.mjs';

const words = Array.from({ length: 9 }, (_, i) => i);
const mask30 = (1n << 30n) - 1n;

const inverseModulo = (value, modulus) => {
  let [a, b, x, y] = [value % modulus, modulus, 1n, 0n];
  while (a !== 0n) [a, b, x, y] = [b % a, a, y - (b / a) * x, x];
  return ((y % modulus) + modulus) % modulus;
};

/** Defines `result = 1 / a` modulo a prime; both are nine words of 29 bits, `a` normalized and not zero. */
export function defineInverse(module, name, modulus) {
  const modulusWords = words.map((i) => (modulus >> (30n * BigInt(i))) & mask30);
  const modulusInverse = inverseModulo(modulus, 1n << 30n);
  const [d, e, f, g] = Array.from({ length: 4 }, () => const32(module.reserve(36)));

  return module.define(name, 2, false, (code, result, a) => {
    const get = (local) => code.get(local);
    for (const i of words) {
      code.emit(store32(d, const32(0), 4 * i));
      code.emit(store32(e, const32(i === 0 ? 1 : 0), 4 * i));
      code.emit(store32(f, const32(Number(modulusWords[i])), 4 * i));
    }
    const from = words.map((i) => load32to64(a, 4 * i));
    for (const [i, word] of repacked(from, 29, 30, 9).entries()) code.emit(store32of64(g, word, 4 * i));

    const eta = code.let(i32, const32(-1));
    const [u, v, q, r, f0, g0, left, zeros, w, limit, swap] = Array.from({ length: 11 }, () =>
      code.local(i32),
    );
    const any = code.local(i32);

    code.doWhile(() => {
      // Thirty divsteps on the low bits, gathered into the matrix (u v, q r), which is 2^30 times the transition.
      code.set(u, const32(1));
      code.set(v, const32(0));
      code.set(q, const32(0));
      code.set(r, const32(1));
      code.set(f0, load32(f));
      code.set(g0, load32(g));
      // The low words carry 30 bits each; two more are needed nowhere, since only `left` bits are looked at.
      code.set(left, const32(30));
      code.block((leave) => {
        code.doWhile(() => {
          code.set(zeros, trailingZeros32(or32(get(g0), shl32(const32(-1), get(left)))));
          code.set(g0, shr32(get(g0), get(zeros)));
          code.set(u, shl32(get(u), get(zeros)));
          code.set(v, shl32(get(v), get(zeros)));
          code.set(eta, sub32(get(eta), get(zeros)));
          code.set(left, sub32(get(left), get(zeros)));
          leave(eqz32(get(left)), 1);
          code.if(less32(get(eta), const32(0)), () => {
            code.set(eta, sub32(const32(0), get(eta)));
            for (const [one, two] of [
              [f0, g0],
              [u, q],
              [v, r],
            ]) {
              code.set(swap, get(one));
              code.set(one, get(two));
              code.set(two, sub32(const32(0), get(swap)));
            }
          });
          // Cancel as many low bits of g as eta and `left` allow, at most 8: w = -g / f modulo that power of two.
          code.set(limit, add32(get(eta), const32(1)));
          code.set(limit, select(get(left), get(limit), greater32(get(limit), get(left))));
          // Newton: f f = 1 modulo 8, so that f (2 - f f) is the inverse modulo 64, and once more modulo 2^12.
          code.set(w, mul32(get(f0), sub32(const32(2), mul32(get(f0), get(f0)))));
          code.set(w, mul32(get(w), sub32(const32(2), mul32(get(f0), get(w)))));
          code.set(
            w,
            and32(
              sub32(const32(0), mul32(get(g0), get(w))),
              and32(shr32(const32(-1), sub32(const32(32), get(limit))), const32(255)),
            ),
          );
          code.set(g0, add32(get(g0), mul32(get(f0), get(w))));
          code.set(q, add32(get(q), mul32(get(u), get(w))));
          code.set(r, add32(get(r), mul32(get(v), get(w))));
          return const32(1);
        });
      });

      const [U, V, Q, R] = [u, v, q, r].map((local) => get(code.let(i64, extendSigned(get(local)))));
      const [low, high, x, y] = Array.from({ length: 4 }, () => code.local(i64));
      const combine = (m, a, n, b) => add(mul(m, a), mul(n, b));

      // (d, e) = matrix (d, e) / 2^30 modulo the modulus: first make the low 30 bits vanish with multiples of it.
      const signOf = (pointer) => extendSigned(sar32(load32(pointer, 32), const32(31)));
      const sd = get(code.let(i64, signOf(d)));
      const se = get(code.let(i64, signOf(e)));
      const md = code.let(i64, add(and(U, sd), and(V, se)));
      const me = code.let(i64, add(and(Q, sd), and(R, se)));
      const shift = (local) => code.set(local, sar(get(local), const64(30)));
      for (const i of words) {
        code.set(x, load32to64signed(d, 4 * i));
        code.set(y, load32to64signed(e, 4 * i));
        const nextLow = combine(U, get(x), V, get(y));
        const nextHigh = combine(Q, get(x), R, get(y));
        if (i === 0) {
          code.set(low, nextLow);
          code.set(high, nextHigh);
          for (const [multiple, sum] of [
            [md, low],
            [me, high],
          ]) {
            const excess = and(add(mul(get(sum), const64(modulusInverse)), get(multiple)), const64(mask30));
            code.set(multiple, sub(get(multiple), excess));
          }
        } else {
          code.set(low, add(nextLow, get(low)));
          code.set(high, add(nextHigh, get(high)));
        }
        if (modulusWords[i] !== 0n) {
          code.set(low, add(get(low), mul(get(md), const64(modulusWords[i]))));
          code.set(high, add(get(high), mul(get(me), const64(modulusWords[i]))));
        }
        if (i > 0) {
          code.emit(store32of64(d, and(get(low), const64(mask30)), 4 * (i - 1)));
          code.emit(store32of64(e, and(get(high), const64(mask30)), 4 * (i - 1)));
        }
        shift(low);
        shift(high);
      }
      code.emit(store32of64(d, get(low), 32), store32of64(e, get(high), 32));

      // (f, g) = matrix (f, g) / 2^30, exactly.
      code.set(any, const32(0));
      for (const i of words) {
        code.set(x, load32to64signed(f, 4 * i));
        code.set(y, load32to64signed(g, 4 * i));
        const nextLow = combine(U, get(x), V, get(y));
        const nextHigh = combine(Q, get(x), R, get(y));
        code.set(low, i === 0 ? nextLow : add(nextLow, get(low)));
        code.set(high, i === 0 ? nextHigh : add(nextHigh, get(high)));
        if (i > 0) {
          code.emit(store32of64(f, and(get(low), const64(mask30)), 4 * (i - 1)));
          code.emit(store32of64(g, and(get(high), const64(mask30)), 4 * (i - 1)));
          code.set(any, or32(get(any), load32(g, 4 * (i - 1))));
        }
        shift(low);
        shift(high);
      }
      code.emit(store32of64(f, get(low), 32), store32of64(g, get(high), 32));
      code.set(any, or32(get(any), load32(g, 32)));
      return get(any);
    });

    // f is 1 or -1 now, and d its sign times the inverse, between minus twice the modulus and the modulus.
    const negative = get(code.let(i64, extendSigned(sar32(load32(f, 32), const32(31)))));
    const carry = code.local(i64);
    /** Adds a multiple of the modulus, negates under a mask, carries. */
    const settle = (adjust) => {
      for (const i of words) {
        const word = adjust(load32to64signed(d, 4 * i), modulusWords[i]);
        code.set(carry, i === 0 ? word : add(word, get(carry)));
        if (i === 8) code.emit(store32of64(d, get(carry), 32));
        else {
          code.emit(store32of64(d, and(get(carry), const64(mask30)), 4 * i));
          code.set(carry, sar(get(carry), const64(30)));
        }
      }
    };
    const addIfNegative = () => {
      const isNegative = get(code.let(i64, extendSigned(sar32(load32(d, 32), const32(31)))));
      return (word, modulusWord) => add(word, and(const64(modulusWord), isNegative));
    };
    settle(addIfNegative());
    settle((word) => sub(xor(word, negative), negative));
    settle(addIfNegative());
    const done = words.map((i) => load32to64(d, 4 * i));
    for (const [i, word] of repacked(done, 30, 29, 9).entries()) code.emit(store32of64(result, word, 4 * i));
  });
}
