// The curve y^2 = x^3 + 7. One accumulator in Jacobian coordinates; what is added to it is affine.
import {
  add,
  and,
  const32,
  const64,
  i64,
  load32,
  load32to64,
  mul,
  shl,
  shr,
  store32,
  store32of64,
  sub,
} from './assembler.mjs';
import {
  carriedOnce,
  elementBytes,
  inLocals,
  limbsAt,
  prime,
  product,
  squareOf,
  storeLimbs,
  words,
} from './field.mjs';
import { limbsOf } from './limbs.mjs';

const primeLimbs = limbsOf(prime);

export function definePoint(module, field) {
  const element = () => const32(module.reserve(elementBytes));
  /** The accumulator: x and z of magnitude 1, y too. `infinite` is 1 while it is the point at infinity. */
  const x = element();
  const y = element();
  const z = element();
  const infinite = const32(module.reserve(4));
  /**
   * The accumulator may live on an isomorphic curve, its coordinates those of the true one times powers of this: points
   * of the true curve are then added with `true` = 1.
   */
  const scale = element();
  /** After an addition: what z was multiplied with. */
  const ratio = element();
  const [zz, u2, s2, i, hh, hhh, v, w, l] = Array.from({ length: 9 }, element);

  const limb = (pointer, k) => load32to64(pointer, 4 * k);
  const times = (k, multiple) => const64(primeLimbs[k] * BigInt(multiple));

  const double = module.define('pt_double', 0, false, (code) => {
    code.if(load32(infinite), () => code.return());
    const [x0, y0] = [limbsAt(code, x), limbsAt(code, y)];
    storeLimbs(code, z, product(code, limbsAt(code, z), y0));
    const yy = squareOf(code, y0);
    const xx = squareOf(code, x0);
    // slope = 3 x^2 / 2: made even with p, then halved. Magnitude 2.5.
    const odd = code.get(code.let(i64, sub(const64(0), and(xx[0], const64(1)))));
    const even = inLocals(
      code,
      words.map((k) => add(mul(xx[k], const64(3)), and(times(k, 1), odd))),
    );
    const slope = inLocals(
      code,
      words.map((k) => {
        const half = shr(even[k], const64(1));
        return k === 8 ? half : add(half, shl(and(even[k + 1], const64(1)), const64(28)));
      }),
    );
    const v = product(code, x0, yy);
    // x = slope^2 - 2 v
    const x1 = carriedOnce(
      code,
      squareOf(code, slope).map((limb, k) => add(limb, sub(times(k, 4), shl(v[k], const64(1))))),
    );
    storeLimbs(code, x, x1);
    // y = slope (v - x) - y^4
    const down = inLocals(
      code,
      words.map((k) => add(v[k], sub(times(k, 2), x1[k]))),
    );
    const y4 = squareOf(code, yy);
    const y1 = product(code, down, slope).map((limb, k) => add(limb, sub(times(k, 2), y4[k])));
    storeLimbs(code, y, carriedOnce(code, y1));
  });

  /** Adds (px, py), or its negative; `real` is 1 for a point of the true curve. */
  const addPoint = module.define('pt_add', 4, false, (code, px, py, negative, real) => {
    const set = (to, from) => field.copy(code, to, from);
    code.if(load32(infinite), () => {
      set(x, px);
      set(y, py);
      code.if(real, () => {
        code.emit(field.square(zz, scale), field.multiply(x, x, zz));
        code.emit(field.multiply(zz, zz, scale), field.multiply(y, y, zz));
      });
      code.if(negative, () => field.storeCarried(code, y, field.negated(y, 2)));
      for (const k of words) code.emit(store32(z, const32(k === 0 ? 1 : 0), 4 * k));
      code.emit(store32(infinite, const32(0)));
      code.return();
    });
    code.if(
      real,
      () => code.emit(field.multiply(w, z, scale), field.square(zz, w), field.multiply(s2, zz, w)),
      () => code.emit(field.square(zz, z), field.multiply(s2, zz, z)),
    );
    code.emit(field.multiply(u2, px, zz), field.multiply(s2, s2, py));
    // ratio = h = u2 - x, i = y - s2
    field.storeCarried(
      code,
      ratio,
      words.map((k) => add(limb(u2, k), sub(times(k, 2), limb(x, k)))),
    );
    code.if(
      negative,
      () =>
        field.storeCarried(
          code,
          i,
          words.map((k) => add(limb(y, k), limb(s2, k))),
        ),
      () =>
        field.storeCarried(
          code,
          i,
          words.map((k) => add(limb(y, k), sub(times(k, 2), limb(s2, k)))),
        ),
    );
    code.if(field.isZero(ratio), () => {
      code.if(
        field.isZero(i),
        () => code.emit(double()),
        () => code.emit(store32(infinite, const32(1))),
      );
      code.return();
    });
    code.emit(field.multiply(z, z, ratio));
    code.emit(
      field.square(hh, ratio),
      field.multiply(hhh, hh, ratio),
      field.multiply(v, x, hh),
      field.square(l, i),
    );
    // x = i^2 - h^3 - 2 x h^2
    field.storeCarried(
      code,
      x,
      words.map((k) => add(limb(l, k), sub(times(k, 6), add(limb(hhh, k), shl(limb(v, k), const64(1)))))),
    );
    // y = i (x - x1 h^2) - y1 h^3
    for (const k of words) code.emit(store32of64(w, add(limb(x, k), sub(times(k, 2), limb(v, k))), 4 * k));
    code.emit(field.multiply(w, w, i), field.multiply(hhh, hhh, y));
    field.storeCarried(
      code,
      y,
      words.map((k) => add(limb(w, k), sub(times(k, 2), limb(hhh, k)))),
    );
  });

  return { x, y, z, infinite, scale, ratio, double, add: addPoint };
}
