// Public key recovery on secp256k1 as a WebAssembly module, put together here instruction by instruction.
//
// Why not a library's: recovery is most of what authenticating a request costs, and the fastest module to be had takes a
// third longer over it (bench/identity.ts runs both). This one uses words of 29 bits (81 products where 26 bits take 100),
// keeps carries off the critical path, and has a larger table of the generator's multiples. Everything it sees is public, so
// that nothing has to take the same time for different values; it must never be given a private key. And what it answers is
// compared with the account that the request names: an arithmetic mistake here would shut somebody out, and to let somebody
// in it would have to err to that very account.
//
// The algorithm is that of SEC 1, 4.1.6, the way Bitcoin Core's libsecp256k1 arranges it: the endomorphism halves the
// doublings (Gallant, Lambert, Vanstone 2001), both scalars are multiplied in one pass (Strauss), the table of R's multiples
// shares one z coordinate. test/identity-workerd.test.ts holds it against another implementation, value by value.
import {
  add,
  add32,
  and32,
  const32,
  eqz32,
  greater32,
  i32,
  less32,
  load16signed,
  load32,
  load32to64,
  Module,
  mul32,
  sar32,
  shr32,
  store32,
  sub32,
  xor32,
} from './assembler.mjs';
import { defineField, elementBytes, elementOf, prime, words } from './field.mjs';
import { defineInverse } from './inverse.mjs';
import { definePoint } from './point.mjs';
import { beta, defineScalar, digitCount, order } from './scalar.mjs';

const generator = [
  0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
  0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
];

/** Window of the generator's digits, whose table comes with the module, and of R's, whose table is made each time. */
const generatorWidth = 10;
const widthOfR = 5;
const tableOfR = 1 << (widthOfR - 2);
const pointBytes = 2 * elementBytes;

// Affine arithmetic on bigints, for the table alone.
const modulo = (value) => ((value % prime) + prime) % prime;
const invert = (value) => {
  let [a, b, x, y] = [modulo(value), prime, 1n, 0n];
  while (a !== 0n) [a, b, x, y] = [b % a, a, y - (b / a) * x, x];
  return modulo(y);
};
const along = ([x1, y1], [x2], slope) => {
  const x = modulo(slope * slope - x1 - x2);
  return [x, modulo(slope * (x1 - x) - y1)];
};
const twice = (p) => along(p, p, modulo(3n * p[0] * p[0] * invert(2n * p[1])));
const plus = (p, q) => along(p, q, modulo((q[1] - p[1]) * invert(q[0] - p[0])));

/** The odd multiples 1, 3, 5, ... of a point. */
const oddMultiples = (point, count) => {
  const double = twice(point);
  const multiples = [point];
  while (multiples.length < count) multiples.push(plus(multiples.at(-1), double));
  return multiples.flatMap(([x, y]) => [...elementOf(x), ...elementOf(y)]);
};

/** The module's bytes. It exports `memory`, `recover` and `workspace`, and what a test names besides. */
export function recoveryModule(alsoExported = []) {
  const module = new Module();
  let shifted = generator;
  for (let i = 0; i < 128; i += 1) shifted = twice(shifted);
  const tableOfG = module.constant(oddMultiples(generator, 1 << (generatorWidth - 2)));
  const tableOfShiftedG = module.constant(oddMultiples(shifted, 1 << (generatorWidth - 2)));
  const betaAt = const32(module.constant(elementOf(beta)));
  const seven = const32(module.constant(elementOf(7n)));

  const field = defineField(module);
  const scalar = defineScalar(module);
  const point = definePoint(module, field);
  const inverse = defineInverse(module, 'fe_inverse', prime);
  const scalarInverse = defineInverse(module, 'sc_inverse', order);

  const element = () => const32(module.reserve(elementBytes));
  const io = module.reserve(160);
  const [r, s, z, y, u1, u2, t, stretch, doubleZ, doubleX, doubleY] = Array.from({ length: 11 }, element);
  const halvesAt = Array.from({ length: 4 }, () => const32(module.reserve(20 + 4)));
  const digitsAt = Array.from({ length: 4 }, () => module.reserve(2 * digitCount));
  const table = module.reserve(tableOfR * pointBytes);
  const turned = module.reserve(tableOfR * elementBytes);
  const ratios = module.reserve(tableOfR * elementBytes);
  const entry = (i) => [const32(table + i * pointBytes), const32(table + i * pointBytes + elementBytes)];

  /** Fills the table with the odd multiples of R = (r, y), as affine points of an isomorphic curve; sets its scale. */
  const makeTable = module.define('make_table', 0, false, (code) => {
    const { x: ax, y: ay, z: az, ratio } = point;
    const copy = (to, from) => field.copy(code, to, from);
    const one = (to) => {
      for (let k = 0; k < 9; k += 1) code.emit(store32(to, const32(k === 0 ? 1 : 0), 4 * k));
    };
    copy(ax, r);
    copy(ay, y);
    one(az);
    code.emit(store32(point.infinite, const32(0)), point.double());
    copy(doubleX, ax);
    copy(doubleY, ay);
    copy(doubleZ, az);
    // R where its double is (doubleX, doubleY, 1).
    code.emit(
      field.square(t, doubleZ),
      field.multiply(ax, r, t),
      field.multiply(t, t, doubleZ),
      field.multiply(ay, y, t),
    );
    one(az);
    for (let i = 0; i < tableOfR; i += 1) {
      if (i > 0) {
        code.emit(point.add(doubleX, doubleY, const32(0), const32(0)));
        copy(const32(ratios + i * elementBytes), ratio);
      }
      const [x, yy] = entry(i);
      copy(x, ax);
      copy(yy, ay);
    }
    // The last entry's z becomes everyone's.
    copy(stretch, const32(ratios + (tableOfR - 1) * elementBytes));
    for (let i = tableOfR - 2; i >= 0; i -= 1) {
      if (i < tableOfR - 2)
        code.emit(field.multiply(stretch, stretch, const32(ratios + (i + 1) * elementBytes)));
      const [x, yy] = entry(i);
      code.emit(field.square(t, stretch), field.multiply(x, x, t));
      code.emit(field.multiply(t, t, stretch), field.multiply(yy, yy, t));
    }
    for (let i = 0; i < tableOfR; i += 1) {
      code.emit(field.multiply(const32(turned + i * elementBytes), entry(i)[0], betaAt));
    }
    code.emit(field.multiply(point.scale, az, doubleZ));
  });

  module.define('workspace', 0, true, (code) => code.emit(const32(io)));

  /**
   * Recovers the public key of a signature at the workspace: r, s and the digest, 32 big-endian bytes each, r and s in range.
   * `odd` is the parity of R's y. 1, and the key's coordinates behind them; 0 if there is none.
   */
  module.define('recover', 1, true, (code, odd) => {
    const get = (local) => code.get(local);
    code.emit(field.read(r, const32(io)), field.read(s, const32(io + 32)), field.read(z, const32(io + 64)));

    // R = (r, y) with y^2 = r^3 + 7.
    code.emit(field.square(t, r), field.multiply(t, t, r));
    field.storeCarried(
      code,
      t,
      words.map((k) => add(load32to64(t, 4 * k), load32to64(seven, 4 * k))),
    );
    code.if(eqz32(field.squareRoot(y, t)), () => code.return(const32(0)));
    code.emit(field.normalize(y));
    code.if(xor32(and32(load32(y), const32(1)), odd), () => field.storeCarried(code, y, field.negated(y, 2)));

    // Q = s / r R - z / r G. The generator's digits are negated instead of its scalar.
    code.emit(scalarInverse(t, r), scalar.multiply(u1, z, t), scalar.multiply(u2, s, t));
    const [g0, g1, r0, r1] = halvesAt;
    code.emit(scalar.halves(g0, g1, u1));
    const signs = code.let(i32, scalar.split(r0, r1, u2));
    const digits = [
      [g0, generatorWidth, const32(1)],
      [g1, generatorWidth, const32(1)],
      [r0, widthOfR, and32(get(signs), const32(1))],
      [r1, widthOfR, shr32(get(signs), const32(1))],
    ];
    for (const [i, [half, width, negative]] of digits.entries()) {
      code.emit(scalar.digits(const32(digitsAt[i]), half, const32(width), negative));
    }
    code.emit(makeTable());

    code.emit(store32(point.infinite, const32(1)));
    const at = code.let(i32, const32(2 * (digitCount - 1)));
    const digit = code.local(i32);
    const sign = code.local(i32);
    const index = code.local(i32);
    code.doWhile(() => {
      code.emit(point.double());
      for (const [i, [xs, ys, xStep, yStep, real]] of [
        [tableOfG, tableOfG + elementBytes, pointBytes, pointBytes, 1],
        [tableOfShiftedG, tableOfShiftedG + elementBytes, pointBytes, pointBytes, 1],
        [table, table + elementBytes, pointBytes, pointBytes, 0],
        [turned, table + elementBytes, elementBytes, pointBytes, 0],
      ].entries()) {
        code.set(digit, load16signed(get(at), digitsAt[i]));
        code.if(get(digit), () => {
          // |digit| is odd: its entry is half of it, rounded down.
          code.set(sign, less32(get(digit), const32(0)));
          code.set(
            index,
            sar32(
              sub32(xor32(get(digit), sub32(const32(0), get(sign))), sub32(const32(0), get(sign))),
              const32(1),
            ),
          );
          const x = add32(const32(xs), mul32(get(index), const32(xStep)));
          const yy = add32(const32(ys), mul32(get(index), const32(yStep)));
          code.emit(point.add(x, yy, get(sign), const32(real)));
        });
      }
      code.set(at, sub32(get(at), const32(2)));
      return greater32(get(at), const32(-1));
    });
    code.if(load32(point.infinite), () => code.return(const32(0)));

    // Affine, and of the true curve.
    code.emit(field.multiply(t, point.z, point.scale), field.normalize(t), inverse(t, t));
    code.emit(field.square(u1, t), field.multiply(u2, u1, t));
    code.emit(field.multiply(point.x, point.x, u1), field.normalize(point.x));
    code.emit(field.multiply(point.y, point.y, u2), field.normalize(point.y));
    code.emit(field.write(const32(io + 96), point.x), field.write(const32(io + 128), point.y));
    code.emit(const32(1));
  });

  return module.assemble(['workspace', 'recover', ...alsoExported]);
}
