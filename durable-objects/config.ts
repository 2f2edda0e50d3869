import type { Address, Hex } from 'viem';
import { parseUint } from '../protocol/decimal.ts';
import { parseAddress, parseHex } from '../protocol/hex.ts';
import { logIdOf } from '../protocol/log/head.ts';
import { holdsMax, type Terms } from './account/ledger.ts';
import type { RateTier, RegistrationTerms } from './account/rates.ts';
import { type ArchiveTerms, defaultArchiveTerms } from './account/receipt-archive.ts';
import type { Env } from './env.ts';

/** One chain agents may come from: its registries, its vault, how to reach it. */
export type ChainConfig = {
  readonly chainId: number;
  readonly rpcUrls: readonly string[];
  /** Nodes that anybody may be sent to: browsers verify with them. They are shown, so no secret is in them. */
  readonly publicRpcUrls: readonly string[];
  readonly vault: Address;
  readonly registries: readonly Address[];
  /** Deposits count when they are this many blocks deep. */
  readonly depositDepth: number;
  /** Between two looks at what happened to accounts. */
  readonly watchEveryMs: number;
  readonly asset: { readonly symbol: string; readonly decimals: number };
  /** One unit of the asset in USD, as a decimal number: the price list is converted at it. Without it prices are in 0G. */
  readonly usdPerAsset?: string;
  /** No transaction is sent for more than this, wei per gas: above it everything waits, and says so. */
  readonly maxFeePerGas: bigint;
  readonly settlement: SettlementPolicy;
  /** What the operator risks with one agent of this chain. */
  readonly terms: Terms;
};

/** When claims are worth their gas. Amounts in base units of the chain's asset. */
export type SettlementPolicy = {
  /** Everything that is due is claimed together, at most this often. */
  readonly everyMs: number;
  /** An account that owes this much is claimed at once. */
  readonly at: bigint;
  /** Less than this is left until more is owed. */
  readonly least: bigint;
};

/** Where blobs are published. */
export type DaConfig =
  | {
      readonly kind: 'zero-g-storage';
      /** A single node by JSON-RPC, or a sharded network by its indexer. */
      readonly storage: { readonly kind: 'node' | 'indexer'; readonly url: string };
      readonly flow: Address;
    }
  | {
      readonly kind: 'zero-g-da';
      /** The HTTP side-car. */
      readonly url: string;
      /** DAEntrance, on the home chain. */
      readonly entrance: Address;
    };

/** The log's home: the chain its heads are anchored on, and what its promises are. */
export type LogConfig = {
  readonly logId: Hex;
  readonly origin: string;
  readonly chainId: number;
  readonly anchor: Address;
  /** Its OperatorBond, where there is one: challenges there are answered. */
  readonly bond?: Address;
  /** A seal is due this long after the first entry that waits for one. */
  readonly sealEveryMs: number;
  /** And at once when this many wait. */
  readonly sealAtEntries: number;
  /** Objects between accounts and the log; 0: none. */
  readonly intakes: number;
  /** Commits wait this long for others to share a file and an anchor with. */
  readonly publishEveryMs: number;
  /** Seconds from a capture to its receipt's `mergeBy`. */
  readonly mergeDelay: number;
};

export type Config = {
  readonly publicOrigin: string;
  /** Whether contract accounts may sign (ERC-1271, ERC-6492, EIP-7702), or only keys. */
  readonly accounts: 'universal' | 'eoa-only';
  /** Origin of an IPFS gateway, for registration files; absent: `ipfs:` is not followed. */
  readonly ipfsGateway?: string;
  readonly chains: readonly ChainConfig[];
  readonly log: LogConfig;
  /** A hold lives this long; upstream is ended `marginMs` before, so that the capture is never late. */
  readonly hold: { readonly lifetimeMs: number; readonly marginMs: number };
  /** When an account's receipts are packed. */
  readonly archive: ArchiveTerms;
  readonly da: DaConfig;
};

/** The chain with this id, if it is served. */
export const chainOf = (config: Config, chainId: number): ChainConfig | undefined =>
  config.chains.find((chain) => chain.chainId === chainId);

let parsed: { readonly env: Env; readonly config: Config } | undefined;

/**
 * The deployment's settings, read once per isolate. Throws, naming the variable, when one is missing or malformed: a
 * gateway that is half configured must not start.
 */
export function configOf(env: Env): Config {
  if (parsed?.env !== env) parsed = { env, config: readConfig(env) };
  return parsed.config;
}

function readConfig(env: Env): Config {
  const chains = readChains(env.CHAINS);
  const home = positiveInteger('HOME_CHAIN_ID', env.HOME_CHAIN_ID);
  if (!chains.some((chain) => chain.chainId === home)) throw bad('HOME_CHAIN_ID', 'a chainId of CHAINS');
  const anchor = address('ANCHOR', env.ANCHOR);
  const owner = address('LOG_OWNER', env.LOG_OWNER);
  const origin = text('LOG_ORIGIN', env.LOG_ORIGIN);
  const lifetimeMs = positiveInteger('HOLD_SECONDS', env.HOLD_SECONDS ?? '600') * 1000;
  const log: LogConfig = {
    logId: logIdOf({ chainId: home, anchor, owner, origin }),
    origin,
    chainId: home,
    anchor,
    ...(env.BOND === undefined ? {} : { bond: address('BOND', env.BOND) }),
    sealEveryMs: positiveInteger('SEAL_EVERY_SECONDS', env.SEAL_EVERY_SECONDS) * 1000,
    sealAtEntries: positiveInteger('SEAL_AT_ENTRIES', env.SEAL_AT_ENTRIES),
    intakes: positiveInteger('LOG_INTAKES', env.LOG_INTAKES ?? '0', 0),
    publishEveryMs: positiveInteger('PUBLISH_EVERY_SECONDS', env.PUBLISH_EVERY_SECONDS, 0) * 1000,
    mergeDelay: positiveInteger('MERGE_DELAY_SECONDS', env.MERGE_DELAY_SECONDS),
  };
  if (2 * (log.sealEveryMs + log.publishEveryMs) > 1000 * log.mergeDelay) {
    throw bad('MERGE_DELAY_SECONDS', 'at least twice SEAL_EVERY_SECONDS and PUBLISH_EVERY_SECONDS together');
  }
  return {
    archive: {
      rows: positiveInteger('ARCHIVE_ROWS', env.ARCHIVE_ROWS ?? `${defaultArchiveTerms.rows}`),
      afterMs:
        1000 *
        positiveInteger(
          'ARCHIVE_AFTER_SECONDS',
          env.ARCHIVE_AFTER_SECONDS ?? `${defaultArchiveTerms.afterMs / 1000}`,
        ),
    },
    hold: { lifetimeMs, marginMs: Math.min(30_000, lifetimeMs / 4) },
    publicOrigin: url('PUBLIC_ORIGIN', env.PUBLIC_ORIGIN).origin,
    accounts: accountVerification(env.ACCOUNT_VERIFICATION ?? 'universal'),
    ...(env.IPFS_GATEWAY === undefined ? {} : { ipfsGateway: url('IPFS_GATEWAY', env.IPFS_GATEWAY).origin }),
    chains,
    log,
    da: readDa(env),
  };
}

function accountVerification(value: string): Config['accounts'] {
  if (value === 'universal' || value === 'eoa-only') return value;
  throw bad('ACCOUNT_VERIFICATION', '"universal" or "eoa-only"');
}

function readDa(env: Env): DaConfig {
  switch (env.DA) {
    case 'zero-g-storage': {
      const kind = env.ZERO_G_STORAGE_KIND;
      if (kind !== 'node' && kind !== 'indexer') throw bad('ZERO_G_STORAGE_KIND', '"node" or "indexer"');
      return {
        kind: env.DA,
        storage: { kind, url: url('ZERO_G_STORAGE_URL', env.ZERO_G_STORAGE_URL).href },
        flow: address('ZERO_G_FLOW', env.ZERO_G_FLOW),
      };
    }
    case 'zero-g-da':
      return {
        kind: env.DA,
        url: url('ZERO_G_DA_URL', env.ZERO_G_DA_URL).href,
        entrance: address('ZERO_G_DA_ENTRANCE', env.ZERO_G_DA_ENTRANCE),
      };
    default:
      throw bad('DA', '"zero-g-storage" or "zero-g-da"');
  }
}

/** A secret that is a 32-byte private key. */
export function keyOf(env: Env, name: 'OPERATOR_KEY' | 'RECEIPT_KEY' | 'HEAD_KEY' | 'CHECKPOINT_KEY'): Hex {
  const key = parseHex(env[name], 32);
  // The value is never part of the message: it may be a mistyped secret.
  if (key === undefined) throw bad(name, '32 bytes of 0x hex, set with `wrangler secret put`');
  return key;
}

/**
 * The key a receipt of a time is signed with, now and whenever it is shown again: an exchange of keys is an entry of
 * RECEIPT_KEYS_BEFORE that says until when (Unix seconds) the one before signs. So all isolates change over at one moment,
 * and no receipt ever has two signatures that count for different entries of the log.
 */
export function receiptKeyAt(env: Env, time: bigint): Hex {
  const before = keysBefore(env).find(({ until }) => time < BigInt(until));
  return before?.key ?? keyOf(env, 'RECEIPT_KEY');
}

/** Throws when what receipts are signed with is missing or malformed: for whoever is about to charge for one. */
export function checkReceiptKeys(env: Env): void {
  keyOf(env, 'RECEIPT_KEY');
  keysBefore(env);
}

let keysRead: { readonly json: string; readonly keys: readonly { until: number; key: Hex }[] } | undefined;

/** RECEIPT_KEYS_BEFORE, the oldest first. Throws when it is malformed. */
export function keysBefore(env: Env): readonly { readonly until: number; readonly key: Hex }[] {
  const json = env.RECEIPT_KEYS_BEFORE;
  if (json === undefined || json === '') return [];
  if (keysRead?.json === json) return keysRead.keys;
  const wrong = () =>
    bad('RECEIPT_KEYS_BEFORE', 'a JSON list of {"until": Unix seconds, "key": 32 bytes of hex}, rising');
  let list: unknown;
  try {
    list = JSON.parse(json);
  } catch {
    throw wrong();
  }
  if (!Array.isArray(list)) throw wrong();
  let last = 0;
  const keys = list.map((entry: { until?: unknown; key?: unknown } | null) => {
    const key = parseHex(entry?.key, 32);
    const until = Number(entry?.until);
    if (key === undefined || !Number.isSafeInteger(until) || until <= last) throw wrong();
    last = until;
    return { until, key };
  });
  keysRead = { json, keys };
  return keys;
}

function readChains(json: string | undefined): ChainConfig[] {
  let list: unknown;
  try {
    list = JSON.parse(text('CHAINS', json));
  } catch {
    throw bad('CHAINS', 'a JSON array');
  }
  if (!Array.isArray(list) || list.length === 0) throw bad('CHAINS', 'a JSON array with at least one chain');
  return list.map((entry: Record<string, unknown>, index) => {
    const name = (field: string) => `CHAINS[${index}].${field}`;
    const asset = (entry['asset'] ?? {}) as Record<string, unknown>;
    return {
      chainId: positiveInteger(name('chainId'), String(entry['chainId'])),
      rpcUrls: urls(name('rpcUrls'), list1(name('rpcUrls'), entry['rpcUrls'])),
      publicRpcUrls: urls(name('publicRpcUrls'), entry['publicRpcUrls'] ?? []),
      vault: address(name('vault'), entry['vault']),
      registries: list1(name('registries'), entry['registries']).map((item) =>
        address(name('registries'), item),
      ),
      depositDepth: positiveInteger(name('depositDepth'), String(entry['depositDepth'] ?? 0), 0),
      watchEveryMs:
        1000 * positiveInteger(name('watchEverySeconds'), String(entry['watchEverySeconds'] ?? 15)),
      asset: {
        symbol: text(name('asset.symbol'), asset['symbol']),
        decimals: positiveInteger(name('asset.decimals'), String(asset['decimals'])),
      },
      ...readRate(name('usdPerAsset'), entry['usdPerAsset'], asset),
      maxFeePerGas: amount(name('maxFeePerGas'), entry['maxFeePerGas'] ?? '500000000000'),
      settlement: readSettlement(name('settlement'), entry['settlement']),
      terms: {
        unfinalCreditMax: amount(name('unfinalCreditMax'), entry['unfinalCreditMax'] ?? '0'),
        ...(entry['unclaimedMax'] === undefined
          ? {}
          : { unclaimedMax: amount(name('unclaimedMax'), entry['unclaimedMax']) }),
        settleMarginMs:
          1000 * positiveInteger(name('settleMarginSeconds'), String(entry['settleMarginSeconds'] ?? 900)),
        tiers: readTiers(name('tiers'), entry['tiers'] ?? []),
      },
    };
  });
}

/** Twice a day together, and at once what is worth a thousand claims' gas at 0G's prices. */
function readSettlement(name: string, json: unknown): SettlementPolicy {
  const entry = (json ?? {}) as Record<string, unknown>;
  return {
    everyMs: positiveInteger(`${name}.everySeconds`, String(entry['everySeconds'] ?? 43_200)) * 1000,
    at: amount(`${name}.at`, entry['at'] ?? '1000000000000000000'),
    least: amount(`${name}.least`, entry['least'] ?? '1000000000000000'),
  };
}

const bad = (name: string, expected: string): Error =>
  new Error(`configuration: ${name} must be ${expected}`);

function text(name: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') throw bad(name, 'a non-empty string');
  return value;
}

function url(name: string, value: unknown): URL {
  const parsedUrl = URL.parse(text(name, value));
  if (parsedUrl === null) throw bad(name, 'an absolute URL');
  return parsedUrl;
}

function urls(name: string, list: unknown): string[] {
  if (!Array.isArray(list)) throw bad(name, 'an array');
  return list.map((item) => url(name, item).href);
}

function address(name: string, value: unknown): Address {
  const parsedAddress = parseAddress(typeof value === 'string' ? value.toLowerCase() : undefined);
  if (parsedAddress === undefined) throw bad(name, 'an address');
  return parsedAddress;
}

function positiveInteger(name: string, value: string | undefined, least = 1): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < least) throw bad(name, `an integer of at least ${least}`);
  return number;
}

/** An asset without a rate has the prices that are listed in 0G, so it has to be 0G, or a token worth as much. */
function readRate(
  name: string,
  rate: unknown,
  asset: Readonly<Record<string, unknown>>,
): { readonly usdPerAsset?: string } {
  if (rate === undefined) {
    if (asset['decimals'] === 18) return {};
    throw bad(name, 'given for an asset that does not have the 18 decimals of 0G');
  }
  if (typeof rate === 'string' && /^\d+(\.\d{1,18})?$/.test(rate) && Number(rate) > 0) {
    return { usdPerAsset: rate };
  }
  throw bad(name, 'what one unit of the asset is worth in USD, as a decimal string');
}

/** The deployment's tiers for agents of one chain; whoever is in none of them is in the default tier. */
function readTiers(name: string, list: unknown): RateTier[] {
  if (!Array.isArray(list)) throw bad(name, 'an array');
  return list.map((entry: Record<string, unknown>, index): RateTier => {
    const at = (field: string) => `${name}[${index}].${field}`;
    const count = (field: string) => positiveInteger(at(field), String(entry[field]));
    const { minDeposited, minClaimed, accounts, registration } = entry;
    return {
      name: text(at('name'), entry['name']),
      requestsPerMinute: count('requestsPerMinute'),
      tokensPerMinute: count('tokensPerMinute'),
      concurrent: Math.min(holdsMax, count('concurrent')),
      ...(minDeposited === undefined ? {} : { minDeposited: amount(at('minDeposited'), minDeposited) }),
      ...(minClaimed === undefined ? {} : { minClaimed: amount(at('minClaimed'), minClaimed) }),
      ...(accounts === undefined
        ? {}
        : { accounts: list1(at('accounts'), accounts).map((item) => text(at('accounts'), item)) }),
      ...(registration === undefined
        ? {}
        : { registration: readRegistrationTerms(at('registration'), registration) }),
    };
  });
}

function readRegistrationTerms(name: string, json: unknown): RegistrationTerms {
  const { active, namesThisAgent, trust, services, ...others } = (json ?? {}) as Record<string, unknown>;
  const [unknown] = Object.keys(others);
  // A condition that is misspelt would hold for everybody.
  if (unknown !== undefined) throw bad(`${name}.${unknown}`, 'left out: there is no such condition');
  const flag = (field: string, value: unknown): boolean => {
    if (typeof value !== 'boolean') throw bad(`${name}.${field}`, 'true or false');
    return value;
  };
  const texts = (field: string, value: unknown): string[] =>
    list1(`${name}.${field}`, value).map((item) => text(`${name}.${field}`, item));
  return {
    ...(active === undefined ? {} : { active: flag('active', active) }),
    ...(namesThisAgent === undefined ? {} : { namesThisAgent: flag('namesThisAgent', namesThisAgent) }),
    ...(trust === undefined ? {} : { trust: texts('trust', trust) }),
    ...(services === undefined ? {} : { services: texts('services', services) }),
  };
}

function amount(name: string, value: unknown): bigint {
  const units = parseUint(value);
  if (units === undefined) throw bad(name, 'base units of the asset, as a decimal string');
  return units;
}

function list1(name: string, value: unknown): unknown[] {
  if (!Array.isArray(value) || value.length === 0) throw bad(name, 'a non-empty array');
  return value;
}
