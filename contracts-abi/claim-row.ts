import type { Hex } from 'viem';

/** A voucher and how much of it is asked for. Amounts in base units. */
export type Claim = {
  readonly agentId: bigint;
  readonly epoch: bigint;
  /** The voucher's cumulative. */
  readonly voucherCumulative: bigint;
  /** What the operator asks to have been paid in total; at most voucherCumulative. */
  readonly cumulative: bigint;
  /** 65 bytes r, s, v (27 or 28), low-s; `0x` when the spender authorised on chain. */
  readonly signature: Hex;
};

/** A row of AgentVault's `settle(registry, rows)`: the same with the signature in two words (EIP-2098). */
export type ClaimRow = {
  readonly agentId: bigint;
  readonly epoch: bigint;
  readonly voucherCumulative: bigint;
  readonly cumulative: bigint;
  readonly r: Hex;
  readonly vs: Hex;
};

const ZERO: Hex = `0x${'0'.repeat(64)}`;

/**
 * Puts a claim into the form the vault takes.
 *
 * @returns the row, or nothing if the signature is neither empty nor 65 bytes with v 27 or 28 and the top bit of s clear
 * (which low-s implies); the vault judges the rest
 */
export function claimRow(claim: Claim): ClaimRow | undefined {
  const { signature, ...terms } = claim;
  if (signature === '0x') return { ...terms, r: ZERO, vs: ZERO };
  const parts = /^0x([0-9a-f]{64})([0-7][0-9a-f]{63})(1b|1c)$/i.exec(signature);
  const [, r, s, v] = parts ?? [];
  if (r === undefined || s === undefined || v === undefined) return undefined;
  // EIP-2098: the highest bit of s, always clear, takes v - 27.
  const first = Number.parseInt(s.slice(0, 1), 16) | (v.toLowerCase() === '1c' ? 8 : 0);
  return { ...terms, r: `0x${r}`, vs: `0x${first.toString(16)}${s.slice(1)}` };
}
