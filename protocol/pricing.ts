import type { ModelPrice, PriceTier } from './price-table.ts';

/**
 * What one call used, in tokens (protocol section 4, `usage`). `cachedInput` and `cacheCreation` are parts of `input`,
 * `thinking` is part of `output`. `estimated` when upstream's figure was never seen.
 */
export type Usage = {
  readonly input: bigint;
  readonly cachedInput: bigint;
  readonly cacheCreation: bigint;
  readonly output: bigint;
  readonly thinking: bigint;
  readonly estimated: boolean;
};

/** The most a request may use, in tokens. */
export type UsageBound = {
  readonly inputBound: bigint;
  readonly outputBound: bigint;
  /** False only where no output token can be charged as thinking. */
  readonly thinkingPossible: boolean;
};

const tokensPerRate = 1_000_000n;

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);

function max(first: bigint, ...others: readonly bigint[]): bigint {
  let most = first;
  for (const value of others) if (value > most) most = value;
  return most;
}

/** One rounding for the whole bill, up: the operator is never short of a fraction of a base unit. */
const perMillion = (total: bigint): bigint => (total + tokensPerRate - 1n) / tokensPerRate;

/**
 * What a call costs, in base units. The tier is chosen by the length of the whole input, and prices every token.
 * Parts larger than their whole are cut to it (cached first), so that no count can make a price negative.
 */
export function cost(model: ModelPrice, usage: Usage): bigint {
  const tier = tierOf(model, usage.input);
  const cached = min(usage.cachedInput, usage.input);
  const created = min(usage.cacheCreation, usage.input - cached);
  const thought = min(usage.thinking, usage.output);
  return perMillion(
    (usage.input - cached - created) * BigInt(tier.input) +
      cached * BigInt(tier.cachedInput) +
      created * BigInt(tier.cacheCreation) +
      (usage.output - thought) * BigInt(tier.output) +
      thought * BigInt(tier.thinkingOutput),
  );
}

/**
 * The most a call within `bound` can cost, in base units: for every usage with `input <= inputBound`,
 * `output <= outputBound` and (unless `thinkingPossible`) no thinking, `cost(model, usage) <= ceilingCost(model, bound)`.
 *
 * Proof. The usage falls into one tier, whose floor is below `inputBound`. Every input token there costs at most the
 * dearest of the tier's three input rates and there are at most `min(inputBound, upTo)` of them; output likewise. The
 * ceiling is the maximum of that over all reachable tiers, and rounding up is monotone.
 */
export function ceilingCost(model: ModelPrice, bound: UsageBound): bigint {
  const { inputBound, outputBound, thinkingPossible } = bound;
  let worst = 0n;
  let floor = -1n;
  for (const [index, tier] of model.tiers.entries()) {
    if (floor >= inputBound) break;
    const isLast = index === model.tiers.length - 1;
    const upTo = BigInt(tier.upToInputTokens);
    const input = isLast ? inputBound : min(inputBound, upTo);
    const inputRate = max(BigInt(tier.input), BigInt(tier.cachedInput), BigInt(tier.cacheCreation));
    const outputRate = thinkingPossible
      ? max(BigInt(tier.output), BigInt(tier.thinkingOutput))
      : BigInt(tier.output);
    worst = max(worst, input * inputRate + outputBound * outputRate);
    floor = upTo;
  }
  return perMillion(worst);
}

/** The tier of an input length; beyond the last limit, the last tier. */
function tierOf(model: ModelPrice, input: bigint): PriceTier {
  const tier =
    model.tiers.find((candidate) => input <= BigInt(candidate.upToInputTokens)) ?? model.tiers.at(-1);
  if (!tier) throw new TypeError('a priced model has at least one tier');
  return tier;
}
