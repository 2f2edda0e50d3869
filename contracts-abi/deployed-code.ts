import { type Hex, hexToBytes, keccak256 } from 'viem';

/** What a contract's deployed code has to be: `generated/*.runtime.ts`. */
export type Runtime = {
  readonly bytes: number;
  /** Start and length of each place the constructor writes to. */
  readonly immutables: readonly (readonly [start: number, length: number])[];
  /** keccak-256 of the code with those places zeroed. */
  readonly maskedHash: Hex;
};

/** Why code at an address is not the contract that `runtime` describes; `undefined` when it is. Immutables are not judged. */
export function codeFault(code: Hex | undefined, runtime: Runtime): string | undefined {
  if (code === undefined || code === '0x') return 'there is no code';
  const bytes = hexToBytes(code);
  if (bytes.length !== runtime.bytes) return `its code has ${bytes.length} bytes, not ${runtime.bytes}`;
  for (const [start, length] of runtime.immutables) bytes.fill(0, start, start + length);
  return keccak256(bytes) === runtime.maskedHash ? undefined : 'its code is another';
}
