/** The largest value of a Solidity `uint<bits>`. */
const maxOf = (bits: number): bigint => (1n << BigInt(bits)) - 1n;

/**
 * Reads an unsigned integer from its canonical decimal form (no sign, no leading zeros), the only form amounts take on
 * the wire. `undefined` for anything else, or above `2^bits - 1`.
 */
export function parseUint(text: unknown, bits = 256): bigint | undefined {
  if (typeof text !== 'string' || !/^(0|[1-9]\d{0,77})$/.test(text)) return undefined;
  const value = BigInt(text);
  return value <= maxOf(bits) ? value : undefined;
}
