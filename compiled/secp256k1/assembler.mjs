// Just enough of a WebAssembly assembler: an expression is the bytes that leave its value on the stack, so composing
// expressions is concatenating bytes. Section numbers and opcodes are those of the WebAssembly core specification, 1.0.

export const i32 = 0x7f;
export const i64 = 0x7e;

/** LEB128. */
const unsigned = (value) => {
  const bytes = [];
  let rest = value >>> 0;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return bytes;
};
const signed = (value) => {
  const bytes = [];
  let rest = BigInt(value);
  for (;;) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    const ends = (rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0);
    bytes.push(ends ? low : low | 0x80);
    if (ends) return bytes;
  }
};
const vector = (items) => [unsigned(items.length), items];
const ascii = (text) => vector([...text].map((character) => character.charCodeAt(0)));

export const const32 = (value) => [0x41, signed(value | 0)];
export const const64 = (value) => [0x42, signed(BigInt.asIntN(64, BigInt(value)))];

const binary = (opcode) => (a, b) => [a, b, opcode];
const unary = (opcode) => (a) => [a, opcode];

export const add = binary(0x7c);
export const sub = binary(0x7d);
export const mul = binary(0x7e);
export const and = binary(0x83);
export const or = binary(0x84);
export const shl = binary(0x86);
export const sar = binary(0x87);
export const shr = binary(0x88);
export const xor = binary(0x85);

export const add32 = binary(0x6a);
export const sub32 = binary(0x6b);
export const mul32 = binary(0x6c);
export const and32 = binary(0x71);
export const or32 = binary(0x72);
export const xor32 = binary(0x73);
export const shl32 = binary(0x74);
export const sar32 = binary(0x75);
export const shr32 = binary(0x76);
export const eq32 = binary(0x46);
export const less32 = binary(0x48);
export const greater32 = binary(0x4a);
export const eqz32 = unary(0x45);
export const trailingZeros32 = unary(0x68);

export const low32 = unary(0xa7);
export const extendSigned = unary(0xac);
export const extendUnsigned = unary(0xad);
export const select = (a, b, condition) => [a, b, condition, 0x1b];

const memory =
  (opcode, align) =>
  (pointer, offset = 0) => [pointer, opcode, align, unsigned(offset)];
/** Byte, 32-bit word, and 32-bit word as an i64. */
export const load8 = memory(0x2d, 0);
export const load32 = memory(0x28, 0);
export const load32to64 = memory(0x35, 0);
export const load32to64signed = memory(0x34, 0);
const storing =
  (opcode, align) =>
  (pointer, value, offset = 0) => [pointer, value, opcode, align, unsigned(offset)];
export const store8 = storing(0x3a, 0);
export const load16signed = memory(0x2e, 0);
export const store16 = storing(0x3b, 0);
export const store32 = storing(0x36, 0);
export const store32of64 = storing(0x3e, 0);

/** Fills memory with a byte. */
export const fill = (pointer, byte, length) => [pointer, byte, length, 0xfc, 0x0b, 0x00];

/** A sum as a tree, so that its terms need not wait for each other. */
export const sum = (terms) =>
  terms.length === 1
    ? terms[0]
    : add(sum(terms.slice(0, terms.length >> 1)), sum(terms.slice(terms.length >> 1)));

/** A function under construction. Statements are emitted in order; locals are numbers. */
class Code {
  constructor(parameters) {
    this.parameters = parameters;
    this.locals = [];
    this.bytes = [];
  }
  local(type) {
    this.locals.push(type);
    return this.parameters + this.locals.length - 1;
  }
  get(local) {
    return [0x20, unsigned(local)];
  }
  set(local, value) {
    this.emit([value, 0x21, unsigned(local)]);
  }
  /** A new local with a value; answers the local. */
  let(type, value) {
    const local = this.local(type);
    this.set(local, value);
    return local;
  }
  emit(...statements) {
    for (const byte of statements.flat(Number.POSITIVE_INFINITY)) this.bytes.push(byte);
  }
  if(condition, then, otherwise) {
    this.emit(condition, [0x04, 0x40]);
    then();
    if (otherwise) {
      this.emit([0x05]);
      otherwise();
    }
    this.emit([0x0b]);
  }
  /** Repeats while the condition its body answers holds. */
  doWhile(body) {
    this.emit([0x03, 0x40]);
    const condition = body();
    this.emit(condition, [0x0d, 0x00, 0x0b]);
  }
  /** `leave()` inside emits a jump to the end; give it the number of blocks, ifs and loops it is nested in. */
  block(body) {
    this.emit([0x02, 0x40]);
    body((condition, depth = 0) => this.emit(condition, [0x0d, unsigned(depth)]));
    this.emit([0x0b]);
  }
  return(...value) {
    this.emit(value, [0x0f]);
  }
}

/** A module: functions, one memory that is filled from its start, and nothing imported. */
export class Module {
  constructor() {
    this.functions = [];
    this.data = [];
    this.top = 64;
  }

  /** Memory for `length` bytes; answers the offset, which code uses as a constant. */
  reserve(length) {
    const at = this.top;
    this.top = (at + length + 15) & ~15;
    return at;
  }
  constant(bytes) {
    const at = this.reserve(bytes.length);
    this.data.push([at, bytes]);
    return at;
  }

  /** Defines a function of i32 parameters; answers how to call it. `result` is true where it leaves an i32. */
  define(name, parameters, result, body) {
    const code = new Code(parameters);
    const index = this.functions.length;
    this.functions.push({ name, parameters, result, code });
    body(code, ...Array.from({ length: parameters }, (_, i) => code.get(i)));
    return (...args) => [args, 0x10, unsigned(index)];
  }

  /** The binary, exporting `memory` and the functions named. */
  assemble(exported) {
    const { functions } = this;
    const bodies = functions.map(({ code }) => {
      const groups = [];
      for (const type of code.locals) {
        const last = groups.at(-1);
        if (last?.[1] === type) last[0] += 1;
        else groups.push([1, type]);
      }
      const head = vector(groups.map(([count, type]) => [unsigned(count), type])).flat(
        Number.POSITIVE_INFINITY,
      );
      return [unsigned(head.length + code.bytes.length + 1), head, code.bytes, 0x0b];
    });
    const exports = [
      [ascii('memory'), 0x02, 0x00],
      ...exported.map((name) => [
        ascii(name),
        0x00,
        unsigned(functions.findIndex((each) => each.name === name)),
      ]),
    ];
    const section = (id, content) => {
      const bytes = content.flat(Number.POSITIVE_INFINITY);
      return [id, unsigned(bytes.length), bytes];
    };
    return Uint8Array.from(
      [
        [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
        section(
          1,
          vector(
            functions.map(({ parameters, result }) => [
              0x60,
              vector(Array(parameters).fill(i32)),
              vector(result ? [i32] : []),
            ]),
          ),
        ),
        section(3, vector(functions.map((_, index) => unsigned(index)))),
        section(5, vector([[0x00, unsigned(Math.ceil(this.top / 65_536))]])),
        section(7, vector(exports)),
        section(10, vector(bodies)),
        section(11, vector(this.data.map(([at, bytes]) => [0x00, const32(at), 0x0b, vector([...bytes])]))),
      ].flat(Number.POSITIVE_INFINITY),
    );
  }
}
