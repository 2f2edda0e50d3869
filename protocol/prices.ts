import type { ModelPrice, PriceTable, PriceTier, Rates } from './price-table.ts';

/**
 * The prices. Changing anything here changes the table's hash, and so what every later receipt commits to: raise
 * `version` with it. Models of Alibaba Cloud's list are written down in USD, as the list has them, and converted.
 */

/** 0G's own listing has qwen3.6-plus at 0.80 / 4.80 0G where Alibaba's has 0.50 / 3.00 USD: 0.625 USD to the 0G. */
export const usdPer0g = '0.625';

/** A decimal number as base units (18 decimals). Throws on anything it would have to round. */
function baseUnits(decimal: string): bigint {
  const [whole = '', fraction = ''] = decimal.split('.');
  if (!/^\d+$/.test(whole + fraction) || fraction.length > 18)
    throw new RangeError(`not a price: ${decimal}`);
  return BigInt(whole + fraction) * 10n ** BigInt(18 - fraction.length);
}

const from0g = (og: string): string => baseUnits(og).toString();

/** What an asset is worth. */
type Rate = { readonly usdPerAsset: string; readonly decimals: number };

/** USD in an asset's base units, rounded up: the operator is never short of a fraction. */
function fromUsd(usd: string, { usdPerAsset, decimals }: Rate): string {
  const rate = baseUnits(usdPerAsset);
  if (rate === 0n) throw new RangeError('an asset that is worth nothing buys nothing');
  return ((baseUnits(usd) * 10n ** BigInt(decimals) + rate - 1n) / rate).toString();
}

type ListedTier = Omit<Rates, 'thinkingOutput'> & { upTo: number; thinkingOutput?: string };

/** A tier in USD per million tokens. Where the list has no thinking rate, thinking costs what output costs. */
const usdAt =
  (rate: Rate) =>
  (listed: ListedTier): PriceTier => ({
    upToInputTokens: listed.upTo,
    input: fromUsd(listed.input, rate),
    cachedInput: fromUsd(listed.cachedInput, rate),
    cacheCreation: fromUsd(listed.cacheCreation, rate),
    output: fromUsd(listed.output, rate),
    thinkingOutput: fromUsd(listed.thinkingOutput ?? listed.output, rate),
  });

// The list's K is 1,024 (its "<= 252K" is qwen3-max's 258,048 tokens of input); its 1M is 1,000,000.
const K = 1_024;
const M = 1_000_000;

const typicalCache = 'cache hit 20% and creation 125% of input, the typical fractions';

type Models = { readonly [id: string]: ModelPrice };

/** The models of Alibaba Cloud's list, in an asset at a rate. */
function listedModels(rate: Rate, symbol: string): Models {
  const usd = usdAt(rate);
  const list = `Alibaba Cloud Model Studio international list, USD, at ${rate.usdPerAsset} USD to the ${symbol}`;
  const listed = `${list}; ${typicalCache}`;
  return {
    'qwen3.6-plus': {
      basis: `${list}; cache read and creation as listed`,
      licence: 'proprietary',
      contextTokens: M,
      maxOutputTokens: 65_536,
      maxThinkingTokens: 81_920,
      defaultOutputTokens: 8_192,
      thinking: 'on',
      outputLimitParameter: 'max_completion_tokens',
      tiers: [
        usd({ upTo: 256 * K, input: '0.50', cachedInput: '0.05', cacheCreation: '0.625', output: '3.00' }),
        usd({ upTo: M, input: '2.00', cachedInput: '0.20', cacheCreation: '2.50', output: '6.00' }),
      ],
    },
    'qwen3.6-flash': {
      basis: listed,
      licence: 'proprietary',
      contextTokens: M,
      maxOutputTokens: 65_536,
      maxThinkingTokens: 81_920,
      defaultOutputTokens: 8_192,
      thinking: 'on',
      outputLimitParameter: 'max_completion_tokens',
      tiers: [
        usd({ upTo: 256 * K, input: '0.25', cachedInput: '0.05', cacheCreation: '0.3125', output: '1.50' }),
        usd({ upTo: M, input: '1.00', cachedInput: '0.20', cacheCreation: '1.25', output: '4.00' }),
      ],
    },
    'qwen3.5-plus': {
      basis: listed,
      licence: 'proprietary',
      contextTokens: M,
      maxOutputTokens: 65_536,
      maxThinkingTokens: 81_920,
      defaultOutputTokens: 8_192,
      thinking: 'on',
      outputLimitParameter: 'max_completion_tokens',
      tiers: [
        usd({ upTo: 256 * K, input: '0.40', cachedInput: '0.08', cacheCreation: '0.50', output: '2.40' }),
        usd({ upTo: M, input: '0.50', cachedInput: '0.10', cacheCreation: '0.625', output: '3.00' }),
      ],
    },
    'qwen3-max': {
      basis: listed,
      licence: 'proprietary',
      contextTokens: 256 * K,
      maxOutputTokens: 65_536,
      maxThinkingTokens: 81_920,
      defaultOutputTokens: 8_192,
      thinking: 'off',
      outputLimitParameter: 'max_tokens',
      tiers: [
        usd({ upTo: 32 * K, input: '1.20', cachedInput: '0.24', cacheCreation: '1.50', output: '6.00' }),
        usd({ upTo: 128 * K, input: '2.40', cachedInput: '0.48', cacheCreation: '3.00', output: '12.00' }),
        usd({ upTo: 252 * K, input: '3.00', cachedInput: '0.60', cacheCreation: '3.75', output: '15.00' }),
      ],
    },
    'qwen-plus': {
      basis: listed,
      licence: 'proprietary',
      contextTokens: M,
      maxOutputTokens: 32_768,
      maxThinkingTokens: 81_920,
      defaultOutputTokens: 8_192,
      thinking: 'off',
      outputLimitParameter: 'max_tokens',
      tiers: [
        usd({
          upTo: 256 * K,
          input: '0.40',
          cachedInput: '0.08',
          cacheCreation: '0.50',
          output: '1.20',
          thinkingOutput: '4.00',
        }),
        usd({
          upTo: M,
          input: '1.20',
          cachedInput: '0.24',
          cacheCreation: '1.50',
          output: '3.60',
          thinkingOutput: '12.00',
        }),
      ],
    },
    'qwen-flash': {
      basis: listed,
      licence: 'proprietary',
      contextTokens: M,
      maxOutputTokens: 32_768,
      maxThinkingTokens: 81_920,
      defaultOutputTokens: 8_192,
      thinking: 'off',
      outputLimitParameter: 'max_tokens',
      tiers: [
        usd({ upTo: 256 * K, input: '0.05', cachedInput: '0.01', cacheCreation: '0.0625', output: '0.40' }),
        usd({ upTo: M, input: '0.25', cachedInput: '0.05', cacheCreation: '0.3125', output: '2.00' }),
      ],
    },
    'qwen3-coder-plus': {
      basis: listed,
      licence: 'proprietary',
      contextTokens: M,
      maxOutputTokens: 65_536,
      maxThinkingTokens: 0,
      defaultOutputTokens: 8_192,
      thinking: 'none',
      outputLimitParameter: 'max_tokens',
      tiers: [
        usd({ upTo: 32 * K, input: '1.00', cachedInput: '0.20', cacheCreation: '1.25', output: '5.00' }),
        usd({ upTo: 128 * K, input: '1.80', cachedInput: '0.36', cacheCreation: '2.25', output: '9.00' }),
        usd({ upTo: 256 * K, input: '3.00', cachedInput: '0.60', cacheCreation: '3.75', output: '15.00' }),
        usd({ upTo: M, input: '6.00', cachedInput: '1.20', cacheCreation: '7.50', output: '60.00' }),
      ],
    },
    'qwen3-vl-plus': {
      basis: listed,
      licence: 'proprietary',
      contextTokens: 256 * K,
      maxOutputTokens: 32_768,
      maxThinkingTokens: 81_920,
      defaultOutputTokens: 4_096,
      thinking: 'off',
      outputLimitParameter: 'max_tokens',
      // Model Studio, "Visual understanding": one token per 32 x 32 pixels, at most 16,384 of them whatever the picture, and two
      // tokens around them.
      maxImageTokens: 16_386,
      tiers: [
        usd({ upTo: 32 * K, input: '0.20', cachedInput: '0.04', cacheCreation: '0.25', output: '1.60' }),
        usd({ upTo: 128 * K, input: '0.30', cachedInput: '0.06', cacheCreation: '0.375', output: '2.40' }),
        usd({ upTo: 256 * K, input: '0.60', cachedInput: '0.12', cacheCreation: '0.75', output: '4.80' }),
      ],
    },
    'text-embedding-v4': {
      basis: `${list}; no context cache, so its tokens cost what input costs`,
      licence: 'unverified',
      contextTokens: 8_192,
      maxOutputTokens: 0,
      maxThinkingTokens: 0,
      defaultOutputTokens: 0,
      thinking: 'none',
      outputLimitParameter: 'max_tokens',
      serves: 'embeddings',
      tiers: [
        usd({ upTo: 10 * 8_192, input: '0.07', cachedInput: '0.07', cacheCreation: '0.07', output: '0' }),
      ],
    },
  };
}

const models: Models = {
  ...listedModels({ usdPerAsset: usdPer0g, decimals: 18 }, '0G'),
  'qwen-2.5-7b-instruct': {
    basis: "0G's testnet price, 0.05 / 0.10 0G; no context cache, so its tokens cost what input costs",
    licence: 'Apache-2.0',
    contextTokens: 32 * K,
    maxOutputTokens: 8_192,
    maxThinkingTokens: 0,
    defaultOutputTokens: 2_048,
    thinking: 'none',
    outputLimitParameter: 'max_tokens',
    tiers: [
      {
        upToInputTokens: 32 * K,
        input: from0g('0.05'),
        cachedInput: from0g('0.05'),
        cacheCreation: from0g('0.05'),
        output: from0g('0.10'),
        thinkingOutput: from0g('0.10'),
      },
    ],
  },
};

export const prices: PriceTable = {
  version: 2,
  asset: '0G',
  basis:
    'Base units (18 decimals) per million tokens. List-priced Qwen models are converted at 1 0G = 0.625 USD, the rate of ' +
    "0G's own listing of qwen3.6-plus (0.80 / 4.80 0G against 0.50 / 3.00 USD).",
  models,
};

/** An asset, and what the operator says it is worth: one whole unit of it in USD, as a decimal number. */
export type AssetRate = {
  readonly chainId: number;
  readonly asset: { readonly symbol: string; readonly decimals: number };
  readonly usdPerAsset: string;
};

/**
 * The list in another asset, or at another rate. The rate is a member of the table, so it is in the hash that every receipt and
 * quote carries. Models that are not priced in USD are not in it. Throws for a rate that is none.
 */
export const usdPrices = ({ chainId, asset, usdPerAsset }: AssetRate): PriceTable => ({
  version: prices.version,
  asset: asset.symbol,
  chainIds: [chainId],
  usdPerAsset,
  basis: `Base units (${asset.decimals} decimals) per million tokens, from Alibaba Cloud's list in USD at ${usdPerAsset} USD to the ${asset.symbol}, a rate the operator sets. Rounded up.`,
  models: listedModels({ usdPerAsset, decimals: asset.decimals }, asset.symbol),
});
