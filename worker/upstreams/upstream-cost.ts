import type { Usage } from '../../protocol/pricing.ts';

/** What an upstream charges the operator for a million tokens, in USD. Nobody but the operator sees it. */
export type UpstreamCost = {
  readonly input: bigint;
  readonly cachedInput: bigint;
  readonly output: bigint;
};

/** USD amounts are counted in these: 10^-12 of one. */
export const usdUnits = 1_000_000_000_000n;

/** A decimal number of USD, cut to 10^-12; `undefined` for anything else. */
export function parseUsd(value: unknown): bigint | undefined {
  if (typeof value !== 'string' || !/^\d{1,9}(\.\d{1,18})?$/.test(value)) return undefined;
  const [whole = '', fraction = ''] = value.split('.');
  return BigInt(whole + fraction.slice(0, 12).padEnd(12, '0'));
}

/** What a call has cost the operator, in 10^-12 USD. Cache creation counts as input, thinking as output. */
export function upstreamCost(cost: UpstreamCost, { input, cachedInput, output }: Usage): bigint {
  const cached = cachedInput < input ? cachedInput : input;
  return ((input - cached) * cost.input + cached * cost.cachedInput + output * cost.output) / 1_000_000n;
}

/** An amount of an asset in 10^-12 USD. @param usdPerAsset as {@link parseUsd} read it */
export const usdOf = (amount: bigint, usdPerAsset: bigint, decimals: number): bigint =>
  (amount * usdPerAsset) / 10n ** BigInt(decimals);
