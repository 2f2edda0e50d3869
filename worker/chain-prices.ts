import type { Hex } from 'viem';
import type { ChainConfig } from '../durable-objects/config.ts';
import { type PriceTable, priceTableHash } from '../protocol/price-table.ts';
import { prices, usdPrices } from '../protocol/prices.ts';

/** The table an agent's calls are priced with, and its hash. */
export type ChainPrices = { readonly table: PriceTable; readonly hash: Hex };

const common: ChainPrices = { table: prices, hash: priceTableHash(prices) };
const byChain = new WeakMap<ChainConfig, ChainPrices>();

/** Each chain's asset has its prices: the list's, or the list's in USD at the rate the operator has set for the asset. */
export function pricesOf(chain: ChainConfig): ChainPrices {
  const { usdPerAsset, asset, chainId } = chain;
  if (usdPerAsset === undefined) return common;
  const known = byChain.get(chain);
  if (known) return known;
  const table = usdPrices({ asset, chainId, usdPerAsset });
  const made = { table, hash: priceTableHash(table) };
  byChain.set(chain, made);
  return made;
}
