// GET /operator/doctor: what only the Worker itself can see of its deployment. `tallystick doctor --operator` judges it.
import { ed25519 } from '@noble/curves/ed25519.js';
import { hexToBytes } from '@noble/hashes/utils.js';
import type { Address, PublicClient } from 'viem';
import { chainName } from '../../durable-objects/chain/chain-name.ts';
import { nodesOf, reasonOf } from '../../durable-objects/chain/node.ts';
import { type ChainConfig, type Config, configOf, keyOf, keysBefore } from '../../durable-objects/config.ts';
import { countersName } from '../../durable-objects/counters/count.ts';
import { zeroGStorageNode } from '../../durable-objects/da/zero-g-storage.ts';
import type { Env } from '../../durable-objects/env.ts';
import { addressOfKey } from '../../protocol/ecdsa.ts';
import { parseAddress } from '../../protocol/hex.ts';
import { formatVerifierKey } from '../../protocol/log/note.ts';
import {
  type ChainFacts,
  type Deployed,
  type DeploymentFacts,
  type NodeFacts,
  operatorTokenMin,
  type SecretState,
  type UpstreamFacts,
} from '../../protocol/operator/deployment-facts.ts';
import { keyFor, upstreamsOf } from '../upstreams/configured.ts';
import type { Upstream } from '../upstreams/upstream.ts';

/** Longest wait for anything that is asked. */
const patienceMs = 5_000;
const keyNames = ['OPERATOR_KEY', 'RECEIPT_KEY', 'HEAD_KEY', 'CHECKPOINT_KEY'] as const;

export async function selfExamination(url: string, env: Env, nowMs: number): Promise<DeploymentFacts> {
  const secrets = secretsOf(env);
  const config = attempt(() => {
    upstreamsOf(env);
    return configOf(env);
  });
  const keysRead = keyNames.every((name) => secrets[name] === 'set');
  return {
    nowMs,
    url,
    bindings: await bindingsOf(env, config.value),
    secrets,
    configuration: config.error ?? null,
    deployed: config.value && keysRead ? await deployedOf(env, config.value) : null,
  };
}

function attempt<T>(work: () => T): { readonly value?: T; readonly error?: string } {
  try {
    return { value: work() };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

function secretsOf(env: Env): Record<string, SecretState> {
  const secrets: Record<string, SecretState> = {};
  for (const name of keyNames) {
    const key = attempt(() => addressOfKey(keyOf(env, name)));
    secrets[name] = env[name] ? (key.value === undefined ? 'malformed' : 'set') : 'missing';
  }
  if (env.RECEIPT_KEYS_BEFORE)
    secrets['RECEIPT_KEYS_BEFORE'] = attempt(() => keysBefore(env)).value ? 'set' : 'malformed';
  const { OPERATOR_TOKEN: token = '' } = env;
  secrets['OPERATOR_TOKEN'] = token.length < operatorTokenMin ? 'malformed' : 'set';
  for (const upstream of attempt(() => upstreamsOf(env)).value ?? []) {
    if (upstream.secret === undefined) continue;
    secrets[upstream.secret] = attempt(() => keyFor(env, upstream)).value ? 'set' : 'missing';
  }
  return secrets;
}

/** Whether each binding is there, and its object answers where that can be asked without an account's name. */
async function bindingsOf(env: Env, config: Config | undefined): Promise<Record<string, boolean>> {
  const answers = (ask: () => Promise<unknown>): Promise<boolean> =>
    Promise.resolve()
      .then(ask)
      .then(
        () => true,
        () => false,
      );
  const logId = config?.log.logId;
  const [log, publisher, chain, counters] = await Promise.all([
    answers(async () => logId && env.RECEIPT_LOG.getByName(logId).status()),
    answers(async () => logId && env.PUBLISHER.getByName(logId).status()),
    answers(async () => config && env.CHAIN.getByName(chainName(config.log.chainId)).status()),
    answers(async () => env.COUNTERS.getByName(countersName).read()),
  ]);
  return {
    AGENT_ACCOUNT: env.AGENT_ACCOUNT !== undefined,
    RECEIPT_LOG: env.RECEIPT_LOG !== undefined && log,
    LOG_INTAKE: env.LOG_INTAKE !== undefined,
    PUBLISHER: env.PUBLISHER !== undefined && publisher,
    CHAIN: env.CHAIN !== undefined && chain,
    COUNTERS: env.COUNTERS !== undefined && counters,
    ANALYTICS: env.ANALYTICS !== undefined,
    RECEIPT_ARCHIVE: env.RECEIPT_ARCHIVE !== undefined,
    TILES: env.TILES !== undefined,
  };
}

async function deployedOf(env: Env, config: Config): Promise<Deployed> {
  const { log, da, hold, publicOrigin } = config;
  const operator = addressOfKey(keyOf(env, 'OPERATOR_KEY'));
  const publicKey = ed25519.getPublicKey(hexToBytes(keyOf(env, 'CHECKPOINT_KEY').slice(2)));
  const [chains, daError, upstreams] = await Promise.all([
    Promise.all(config.chains.map((chain) => chainFacts(chain, operator))),
    daFault(config),
    Promise.all(upstreamsOf(env).map((upstream) => upstreamFacts(env, upstream))),
  ]);
  return {
    publicOrigin,
    holdSeconds: hold.lifetimeMs / 1000,
    operator,
    headKey: addressOfKey(keyOf(env, 'HEAD_KEY')),
    receiptKey: addressOfKey(keyOf(env, 'RECEIPT_KEY')),
    checkpointKey: formatVerifierKey(log.origin, publicKey),
    chains,
    log: {
      chainId: log.chainId,
      anchor: log.anchor,
      logId: log.logId,
      owner: parseAddress(env.LOG_OWNER.toLowerCase()) ?? `0x${'00'.repeat(20)}`,
      origin: log.origin,
      publishEverySeconds: log.publishEveryMs / 1000,
      mergeDelay: log.mergeDelay,
    },
    da: { kind: da.kind, contract: da.kind === 'zero-g-da' ? da.entrance : da.flow, error: daError },
    upstreams,
  };
}

async function chainFacts(chain: ChainConfig, operator: Address): Promise<ChainFacts> {
  const clients = nodesOf(chain);
  const nodes = await Promise.all(clients.map((node, at) => nodeFacts(node, chain.rpcUrls[at] ?? '')));
  const good = clients[nodes.findIndex(({ chainId }) => chainId === chain.chainId)];
  const [balance, gasPrice] = good
    ? await Promise.all([
        good.getBalance({ address: operator }).catch(() => undefined),
        good.getGasPrice().catch(() => undefined),
      ])
    : [];
  const { chainId, vault, registries, asset, depositDepth, terms, maxFeePerGas } = chain;
  return {
    chainId,
    vault,
    registries,
    asset,
    depositDepth,
    settleMarginSeconds: terms.settleMarginMs / 1000,
    maxFeePerGas: `${maxFeePerGas}`,
    nodes,
    operatorBalance: balance === undefined ? null : `${balance}`,
    gasPrice: gasPrice === undefined ? null : `${gasPrice}`,
  };
}

async function nodeFacts(node: PublicClient, url: string): Promise<NodeFacts> {
  const host = URL.parse(url)?.host ?? '';
  try {
    const [chainId, block] = await Promise.all([node.getChainId(), node.getBlock({ blockTag: 'latest' })]);
    return { host, chainId, blockTime: Number(block.timestamp), error: null };
  } catch (error) {
    return { host, chainId: null, blockTime: null, error: reasonOf(error) };
  }
}

/** What is wrong with where blobs go; null when it answers as it should. */
async function daFault({ da, log }: Config): Promise<string | null> {
  if (da.kind === 'zero-g-storage' && da.storage.kind === 'node') {
    const node = zeroGStorageNode({
      url: da.storage.url,
      fetch: (input, init) => fetch(input, init),
      timeoutMs: patienceMs,
      network: { chainId: log.chainId, flow: da.flow },
    });
    const checked = await node.checkNetwork();
    return checked.ok ? null : JSON.stringify(checked.error);
  }
  // An indexer answers what it has of a file nobody has; the side-car calls an empty reference a bad one.
  const url =
    da.kind === 'zero-g-storage'
      ? `${da.storage.url.replace(/\/$/, '')}/file/info/0x${'00'.repeat(32)}`
      : `${da.url.replace(/\/$/, '')}/get/0x`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(patienceMs) });
    await response.body?.cancel();
    return response.status < 500 ? null : `it answers ${response.status}`;
  } catch (error) {
    return `it cannot be reached: ${error instanceof Error ? error.name : 'error'}`;
  }
}

async function upstreamFacts(env: Env, upstream: Upstream): Promise<UpstreamFacts> {
  const { name, baseUrl } = upstream;
  try {
    const key = keyFor(env, upstream);
    const response = await fetch(`${baseUrl}/models`, {
      headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
      redirect: 'manual',
      signal: AbortSignal.timeout(patienceMs),
    });
    await response.body?.cancel();
    return { name, status: response.status, error: null };
  } catch (error) {
    const said = error instanceof Error && error.message.startsWith('configuration') ? error.message : null;
    return { name, status: null, error: said ?? 'it cannot be reached' };
  }
}
