import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import serialize from 'canonicalize';
import type { Hex } from 'viem';
import { parseUint } from './decimal.ts';
import { toHex } from './hex.ts';
import { ok, type Result, refuse } from './result.ts';

/** What one million tokens cost, in the asset's base units, as decimal strings: a table is JSON and is hashed. */
export type Rates = {
  readonly input: string;
  /** Input tokens served from a context cache. */
  readonly cachedInput: string;
  /** Input tokens written to a context cache. */
  readonly cacheCreation: string;
  readonly output: string;
  /** Output tokens of the chain of thought. */
  readonly thinkingOutput: string;
};

/** The rates of every token of a request whose input is at most `upToInputTokens` and above the tier before. */
export type PriceTier = Rates & { readonly upToInputTokens: number };

/** Whether a model thinks: never, only when asked, or unless told not to. */
export type Thinking = 'none' | 'off' | 'on';

export type ModelPrice = {
  /** Where the rates come from, for whoever reads a bill. */
  readonly basis: string;
  /** SPDX identifier, or `proprietary`. */
  readonly licence: string;
  readonly contextTokens: number;
  /** The longest answer, thinking not included. */
  readonly maxOutputTokens: number;
  /** The longest chain of thought; 0 where `thinking` is `none`. */
  readonly maxThinkingTokens: number;
  /** The answer's limit when a request names none, and the thinking budget then (if that is larger than this). */
  readonly defaultOutputTokens: number;
  readonly thinking: Thinking;
  /**
   * The parameter that bounds the output. `max_completion_tokens` bounds thinking and answer together; `max_tokens`
   * bounds the answer only, so that `thinking_budget` has to go with it.
   */
  readonly outputLimitParameter: 'max_completion_tokens' | 'max_tokens';
  /** What it answers: chat and responses where absent. */
  readonly serves?: 'embeddings';
  /** The most input tokens one image can be. A model without it takes no images. */
  readonly maxImageTokens?: number;
  /** In rising order of `upToInputTokens`. The last one also prices whatever is longer. */
  readonly tiers: readonly PriceTier[];
};

export type PriceTable = {
  readonly version: number;
  /** Symbol of what the rates are in. */
  readonly asset: string;
  /** The chains whose vaults this table prices; all of them where absent. */
  readonly chainIds?: readonly number[];
  readonly basis: string;
  /** What one unit of the asset is worth in USD, where the rates were converted at it. */
  readonly usdPerAsset?: string;
  readonly models: { readonly [id: string]: ModelPrice };
};

/**
 * The table's hash as every receipt carries it: SHA-256 over its RFC 8785 canonical JSON (protocol section 4,
 * `priceTable`).
 */
export function priceTableHash(table: PriceTable): Hex {
  const canonical = serialize(table);
  if (canonical === undefined) throw new TypeError('a price table is a JSON object');
  return toHex(sha256(utf8ToBytes(canonical)));
}

/** The entry of a model; `undefined` for one the table does not price. `toString` is not a model. */
export const priceOf = (table: PriceTable, model: string): ModelPrice | undefined =>
  Object.hasOwn(table.models, model) ? table.models[model] : undefined;

const rateNames = ['input', 'cachedInput', 'cacheCreation', 'output', 'thinkingOutput'] as const;

type Members = { readonly [key: string]: unknown };
const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isCount = (value: unknown, min: number): value is number =>
  Number.isSafeInteger(value) && Number(value) >= min;

/**
 * Checks a table that came from outside (configuration, an auditor's copy). The error says which member is wrong, as a
 * path. Members this version does not know are refused: they would change the hash and mean nothing.
 */
export function readPriceTable(value: unknown): Result<PriceTable, string> {
  if (!isObject(value)) return refuse('the price table is not an object');
  const stranger = unknownMember(value, ['version', 'asset', 'chainIds', 'basis', 'usdPerAsset', 'models']);
  if (stranger) return refuse(`${stranger}: unknown member`);
  if (!isCount(value['version'], 1)) return refuse('version: a whole number from 1');
  if (!isText(value['asset'])) return refuse('asset: a symbol');
  if (!isText(value['basis'])) return refuse('basis: a sentence');
  const chains = value['chainIds'];
  if (chains !== undefined && !(Array.isArray(chains) && chains.every((id) => isCount(id, 1))))
    return refuse('chainIds: a list of chain ids');
  const rate = value['usdPerAsset'];
  if (rate !== undefined && !(typeof rate === 'string' && /^\d+(\.\d{1,18})?$/.test(rate)))
    return refuse('usdPerAsset: a decimal number as a string');
  const models = value['models'];
  if (!isObject(models) || Object.keys(models).length === 0) return refuse('models: at least one');
  for (const [id, model] of Object.entries(models)) {
    const fault = modelFault(model);
    if (fault) return refuse(`models.${id}.${fault}`);
  }
  return ok(value as unknown as PriceTable);
}

const modelMembers = [
  'basis',
  'licence',
  'contextTokens',
  'maxOutputTokens',
  'maxThinkingTokens',
  'defaultOutputTokens',
  'thinking',
  'outputLimitParameter',
  'serves',
  'maxImageTokens',
  'tiers',
];

function modelFault(model: unknown): string | undefined {
  if (!isObject(model)) return 'not an object';
  const stranger = unknownMember(model, modelMembers);
  if (stranger) return `${stranger}: unknown member`;
  if (!isText(model['basis'])) return 'basis: a sentence';
  if (!isText(model['licence'])) return 'licence: an SPDX identifier or "proprietary"';
  if (!isCount(model['contextTokens'], 1)) return 'contextTokens: a whole number from 1';
  const serves = model['serves'];
  if (serves !== undefined && serves !== 'embeddings') return 'serves: "embeddings", or absent';
  // An embedding writes nothing; everything else writes at least one token.
  const least = serves === 'embeddings' ? 0 : 1;
  const longest = model['maxOutputTokens'];
  if (!isCount(longest, least)) return `maxOutputTokens: a whole number from ${least}`;
  const usual = model['defaultOutputTokens'];
  if (!isCount(usual, least) || usual > longest)
    return `defaultOutputTokens: from ${least} to maxOutputTokens`;
  const image = model['maxImageTokens'];
  if (image !== undefined && !isCount(image, 1)) return 'maxImageTokens: a whole number from 1, or absent';
  const thinking = model['thinking'];
  if (thinking !== 'none' && thinking !== 'off' && thinking !== 'on') return 'thinking: none, off or on';
  const thought = model['maxThinkingTokens'];
  if (!isCount(thought, 0) || (thinking === 'none') !== (thought === 0))
    return 'maxThinkingTokens: above 0 exactly where the model can think';
  const parameter = model['outputLimitParameter'];
  if (parameter !== 'max_completion_tokens' && parameter !== 'max_tokens')
    return 'outputLimitParameter: max_completion_tokens or max_tokens';
  const tiers = model['tiers'];
  if (!Array.isArray(tiers) || tiers.length === 0) return 'tiers: at least one';
  let below = 0;
  for (const [index, tier] of tiers.entries()) {
    if (!isObject(tier)) return `tiers[${index}]: not an object`;
    const odd = unknownMember(tier, ['upToInputTokens', ...rateNames]);
    if (odd) return `tiers[${index}].${odd}: unknown member`;
    const upTo = tier['upToInputTokens'];
    if (!isCount(upTo, below + 1)) return `tiers[${index}].upToInputTokens: above the tier before`;
    for (const name of rateNames)
      if (parseUint(tier[name]) === undefined)
        return `tiers[${index}].${name}: base units as a decimal string`;
    below = upTo;
  }
  return undefined;
}

const unknownMember = (value: Members, known: readonly string[]): string | undefined =>
  Object.keys(value).find((key) => !known.includes(key));
