// What a gateway says of itself: GET /.well-known/tallystick and GET /v1/prices. Reading is strict, believing is the caller's.
import type { Address, Hex } from 'viem';
import { parseAddress, parseHex } from '../protocol/hex.ts';
import { type PriceTable, priceTableHash, readPriceTable } from '../protocol/price-table.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';

/** One deployment: the vaults it serves and the log its receipts go to. */
export type Deployment = {
  readonly publicOrigin: string;
  readonly chains: readonly {
    readonly chainId: number;
    readonly vault: Address;
    readonly registries: readonly Address[];
    /** What amounts are shown in; undefined where the gateway does not say. */
    readonly asset: { readonly symbol: string; readonly decimals: number } | undefined;
  }[];
  readonly log: {
    readonly logId: Hex;
    readonly origin: string;
    /** The anchor's chain. */
    readonly chainId: number;
    readonly anchor: Address;
    /** Seconds from a capture to `mergeBy`. */
    readonly mergeDelay: number;
    /** C2SP vkey of the Ed25519 checkpoint key. */
    readonly checkpointKey: string;
    readonly headKey: Address;
    readonly receiptKey: Address;
  };
};

export type KnownPrices = { readonly hash: Hex; readonly table: PriceTable };

/** Reads `/.well-known/tallystick`. The error names the member at fault. */
export function readDeployment(json: unknown): Result<Deployment, string> {
  if (!isRecord(json)) return refuse('not an object');
  const { publicOrigin, chains, log } = json;
  if (typeof publicOrigin !== 'string') return refuse('publicOrigin: a string');
  if (!Array.isArray(chains)) return refuse('chains: a list');
  const served: Deployment['chains'][number][] = [];
  for (const chain of chains as unknown[]) {
    if (!isRecord(chain)) return refuse('chains: objects');
    const chainId = wholeNumber(chain['chainId']);
    const vault = parseAddress(chain['vault']);
    const listed = chain['registries'];
    const registries = Array.isArray(listed) ? (listed as unknown[]).map(parseAddress) : [undefined];
    if (chainId === undefined || vault === undefined || registries.includes(undefined)) {
      return refuse('chains: {chainId, vault, registries}');
    }
    served.push({
      chainId,
      vault,
      registries: registries.filter((registry) => registry !== undefined),
      asset: readAsset(chain['asset']),
    });
  }
  if (!isRecord(log)) return refuse('log: an object');
  const { origin, checkpointKey } = log;
  const logId = parseHex(log['logId'], 32);
  const chainId = wholeNumber(log['chainId']);
  const mergeDelay = wholeNumber(log['mergeDelay']);
  const anchor = parseAddress(log['anchor']);
  const headKey = parseAddress(log['headKey']);
  const receiptKey = parseAddress(log['receiptKey']);
  if (
    typeof origin !== 'string' ||
    typeof checkpointKey !== 'string' ||
    logId === undefined ||
    chainId === undefined ||
    mergeDelay === undefined ||
    anchor === undefined ||
    headKey === undefined ||
    receiptKey === undefined
  ) {
    return refuse('log: {logId, origin, chainId, anchor, mergeDelay, checkpointKey, headKey, receiptKey}');
  }
  return ok({
    publicOrigin,
    chains: served,
    log: { logId, origin, chainId, anchor, mergeDelay, checkpointKey, headKey, receiptKey },
  });
}

/** Reads `/v1/prices`; the hash is computed here, and the one that came along has to be it. */
export function readPrices(json: unknown): Result<KnownPrices, string> {
  if (!isRecord(json)) return refuse('not an object');
  const table = readPriceTable(json['table']);
  if (!table.ok) return refuse(`table: ${table.error}`);
  const hash = priceTableHash(table.value);
  return json['hash'] === hash ? ok({ hash, table: table.value }) : refuse(`hash: the table's is ${hash}`);
}

/** For people to read, so it is kept from saying more than a symbol does. */
function readAsset(json: unknown): { symbol: string; decimals: number } | undefined {
  if (!isRecord(json)) return undefined;
  const { symbol } = json;
  const decimals = wholeNumber(json['decimals']);
  return typeof symbol === 'string' &&
    /^[\w.$-]{1,12}$/.test(symbol) &&
    decimals !== undefined &&
    decimals <= 36
    ? { symbol, decimals }
    : undefined;
}

const wholeNumber = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
