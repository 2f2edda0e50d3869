// What anyone may read: models, prices, the log, the deployment's own description, health.
import { ed25519 } from '@noble/curves/ed25519.js';
import { hexToBytes } from '@noble/hashes/utils.js';
import { chainOf, keyOf, receiptKeyAt } from '../durable-objects/config.ts';
import { bucketFirst, type TileReader } from '../durable-objects/log/tile-bucket.ts';
import { addressOfKey } from '../protocol/ecdsa.ts';
import { discoveryDocument } from '../protocol/identity/discovery.ts';
import { formatVerifierKey } from '../protocol/log/note.ts';
import { parseTilePath } from '../protocol/log/tile-path.ts';
import type { Call } from './call.ts';
import { pricesOf } from './chain-prices.ts';
import { json } from './json-response.ts';
import { problemResponse } from './problem.ts';
import { chainAsked } from './quote.ts';
import { routePolicy } from './route-policy.ts';

/** When the price table was made: the OpenAI shape wants a creation time for each model. */
const pricesSince = 1_767_225_600;

export function models(call: Call): Response {
  const chain = chainAsked(call);
  if (!chain.ok) return problemResponse(chain.error, call.id, true);
  const { table, hash } = pricesOf(chain.value);
  return json(call, {
    object: 'list',
    data: Object.entries(table.models).map(([id, model]) => ({
      id,
      object: 'model',
      created: pricesSince,
      owned_by: 'qwen',
      licence: model.licence,
      context_tokens: model.contextTokens,
      max_output_tokens: model.maxOutputTokens,
      max_image_tokens: model.maxImageTokens ?? null,
      serves: model.serves ?? 'chat',
      price: { asset: table.asset, per_tokens: 1_000_000, tiers: model.tiers },
    })),
    price_table: hash,
  });
}

/** The table of one chain's asset: `?chainId=`, else the home chain's. */
export function priceList(call: Call): Response {
  const chain = chainAsked(call);
  return chain.ok ? json(call, pricesOf(chain.value)) : problemResponse(chain.error, call.id, true);
}

/** What a client needs to verify everything else; each key can be checked against the anchor contract. */
export function deployment(call: Call): Response {
  const { chains, log, publicOrigin } = call.config;
  const now = BigInt(Math.floor(call.now() / 1000));
  const publicKey = ed25519.getPublicKey(hexToBytes(keyOf(call.env, 'CHECKPOINT_KEY').slice(2)));
  return json(call, {
    publicOrigin,
    priceTable: pricesOf(homeChain(call)).hash,
    chains: chains.map((chain) => {
      const { chainId, vault, registries, asset, publicRpcUrls } = chain;
      return { chainId, vault, registries, asset, publicRpcUrls, priceTable: pricesOf(chain).hash };
    }),
    log: {
      logId: log.logId,
      origin: log.origin,
      chainId: log.chainId,
      anchor: log.anchor,
      ...(log.bond === undefined ? {} : { bond: log.bond }),
      mergeDelay: log.mergeDelay,
      checkpointKey: formatVerifierKey(log.origin, publicKey),
      headKey: addressOfKey(keyOf(call.env, 'HEAD_KEY')),
      receiptKey: addressOfKey(receiptKeyAt(call.env, now)),
    },
  });
}

export function erc8128(call: Call): Response {
  return json(
    call,
    discoveryDocument({
      policy: routePolicy(call.config, 'spends'),
      name: 'tallystick',
      paymentChallenges: true,
      // An HTTPS URL by the draft: a local gateway on plain HTTP does not advertise it.
      ...(call.config.publicOrigin.startsWith('https:')
        ? { invalidationEndpoint: `${call.config.publicOrigin}/v1/signatures/invalidate` }
        : {}),
      routes: {
        '/v1/account': [{ methods: ['GET'], policy: routePolicy(call.config, 'reads') }],
        '/v1/keys': [
          { methods: ['GET'], policy: routePolicy(call.config, 'reads') },
          { methods: ['POST'], policy: routePolicy(call.config, 'spends') },
        ],
        '/v1/receipts': [{ methods: ['GET'], policy: routePolicy(call.config, 'reads') }],
        '/v1/receipts/*': [{ methods: ['GET'], policy: routePolicy(call.config, 'reads') }],
      },
    }),
    { 'cache-control': 'public, max-age=300' },
  );
}

export async function checkpoint(call: Call): Promise<Response> {
  const note = await logOf(call).checkpoint();
  if (note === undefined) {
    return problemResponse(
      { status: 404, code: 'log_empty', detail: 'Nothing has been sealed yet: the log has no checkpoint.' },
      call.id,
      false,
    );
  }
  return new Response(note, {
    headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' },
  });
}

/** C2SP tlog-tiles: a tile never changes once it can be fetched, so it is cached for ever. */
export async function tile(call: Call, path: string): Promise<Response> {
  const name = parseTilePath(path);
  const bytes = name && (await tilesOf(call).tile(name));
  if (!bytes) {
    return problemResponse(
      {
        status: 404,
        code: 'no_such_tile',
        detail: 'No such tile: see C2SP tlog-tiles, and /log/checkpoint for the size.',
      },
      call.id,
      false,
    );
  }
  return new Response(bytes.slice().buffer, {
    headers: {
      'content-type': 'application/octet-stream',
      'cache-control': 'public, max-age=31536000, immutable',
    },
  });
}

/**
 * Up, and keeping its promises? `sealing` is false when entries have waited for a seal too long; `merging` when a receipt's
 * `mergeBy` has passed and it is in no anchored head. Receipts that have not reached the log are not seen here.
 */
export async function health(call: Call): Promise<Response> {
  const { log } = call.config;
  const status = await logOf(call).status();
  const waitingMs = status.waitingSinceMs === undefined ? 0 : call.now() - status.waitingSinceMs;
  const sealing = waitingMs <= 2 * log.sealEveryMs + 5_000;
  const merging = status.mergeBy === undefined || call.now() <= status.mergeBy * 1000;
  const ok = sealing && merging;
  return new Response(JSON.stringify({ ok, log: { ...status, waitingMs, sealing, merging } }), {
    status: ok ? 200 : 503,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
  });
}

function homeChain({ config }: Call) {
  const chain = chainOf(config, config.log.chainId);
  if (chain === undefined) throw new Error('the home chain is configured, or nothing starts');
  return chain;
}

function tilesOf(call: Call): TileReader {
  const { TILES: bucket } = call.env;
  return bucket === undefined ? logOf(call) : bucketFirst(bucket, call.config.log.logId, logOf(call));
}

const logOf = (call: Call) => call.env.RECEIPT_LOG.getByName(call.config.log.logId);
