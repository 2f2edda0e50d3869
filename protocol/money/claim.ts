import type { Hex } from 'viem';
import { zeroHash } from '../hex.ts';

/** One row of `AgentVault.settle`: what the operator asks for, and the voucher it rests on. Base units. */
export type ClaimRow = {
  readonly agentId: bigint;
  readonly epoch: bigint;
  readonly voucherCumulative: bigint;
  /** What is claimed in total, at most `voucherCumulative`. */
  readonly cumulative: bigint;
  readonly r: Hex;
  /** EIP-2098: s, with `v - 27` in the highest bit. */
  readonly vs: Hex;
};

/**
 * A 65-byte signature as the vault takes it (EIP-2098); the empty signature, of what a contract spender authorised on
 * chain, becomes zeros.
 */
export function compactSignature(signature: Hex): { readonly r: Hex; readonly vs: Hex } {
  if (signature === '0x') return { r: zeroHash, vs: zeroHash };
  if (!/^0x[0-9a-f]{128}(1b|1c)$/.test(signature)) throw new TypeError('not a strict 65-byte signature');
  const s = BigInt(`0x${signature.slice(66, 130)}`);
  const parity = signature.endsWith('1c') ? 1n << 255n : 0n;
  return { r: signature.slice(0, 66) as Hex, vs: `0x${(s | parity).toString(16).padStart(64, '0')}` };
}
