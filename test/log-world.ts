// A chain, 0G Storage and real contracts, under the log's own objects as simulation.ts runs them. The agents' accounts are
// stand-ins that make receipts; everything behind them is the code that deploys.
import { createHash } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { hexToBytes } from '@noble/hashes/utils.js';
import { type Address, createTestClient, type Hex, http, parseEther } from 'viem';
import { mnemonicToAccount, privateKeyToAccount } from 'viem/accounts';
import { vi } from 'vitest';
import { mined } from '../contracts/deploy-contract.ts';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';
import { startAnvil } from '../dev/anvil.ts';
import { readerOf, walletOf } from '../dev/clients.ts';
import { deployAnchor, deployRegistry, deployVault, fund, fundAgent } from '../dev/contracts.ts';
import { startStorageNode } from '../dev/storage-node.ts';
import { deployZeroG } from '../dev/zero-g-contracts.ts';
import { accountName } from '../protocol/account-name.ts';
import { addressOfKey } from '../protocol/ecdsa.ts';
import { zeroHash } from '../protocol/hex.ts';
import { headNoteKey } from '../protocol/log/checkpoint.ts';
import { logIdOf } from '../protocol/log/head.ts';
import { ed25519NoteKey, formatVerifierKey } from '../protocol/log/note.ts';
import { compactSignature } from '../protocol/money/claim.ts';
import { voucherTypedData } from '../protocol/money/voucher.ts';
import { type Receipt, receiptDigest } from '../protocol/receipt.ts';
import type { DaReference } from '../protocol/zero-g/da-reference.ts';
import { checkLog, fromStorage } from './check-log.ts';
import { Simulation } from './simulation.ts';

const key = (word: string): Hex => `0x${createHash('sha256').update(`log world ${word}`).digest('hex')}`;
const keys = {
  OPERATOR_KEY: key('operator'),
  RECEIPT_KEY: key('receipt'),
  HEAD_KEY: key('head'),
  CHECKPOINT_KEY: key('checkpoint'),
};
const chainId = 31_337;
/** Blocks under a transaction until it stays. */
const depth = 2;

export type World = Awaited<ReturnType<typeof startWorld>>;
export type LogRun = Awaited<ReturnType<World['openLog']>>;

/** One chain for many logs, one after the other. */
export async function startWorld(options: { readonly agents: number } = { agents: 3 }) {
  const anvil = await startAnvil({ blockTime: 0, hardfork: 'cancun', chainId, statesKept: 64 });
  const reader = readerOf(anvil.url, chainId);
  const admin = walletOf(
    anvil.url,
    chainId,
    mnemonicToAccount('test test test test test test test test test test test junk'),
  );
  const chain = createTestClient({ mode: 'anvil', transport: http(anvil.url) });
  const operator = addressOfKey(keys.OPERATOR_KEY);
  await fund(reader, admin, operator, parseEther('1000'));
  const { flow } = await deployZeroG({ walletClient: admin, publicClient: reader });
  const registry = await deployRegistry(reader, admin);
  const vault = await deployVault(reader, admin, {
    registries: [registry],
    operator,
    payee: addressOfKey(key('payee')),
    withdrawalDelay: 3600n,
    gatewayOrigin: 'https://log.world',
  });
  const { anchor } = await deployAnchor(reader, admin, {
    origin: 'log.world/0',
    sender: operator,
    headKey: addressOfKey(keys.HEAD_KEY),
    receiptKey: addressOfKey(keys.RECEIPT_KEY),
  });
  const storage = await startStorageNode({ rpcUrl: anvil.url, flowAddress: flow, chainId, pollMs: 0 });

  const agents: { readonly account: string; readonly agentId: bigint; readonly voucher: Hex }[] = [];
  const limit = parseEther('9');
  for (let number = 0; number < options.agents; number++) {
    const owner = privateKeyToAccount(key(`agent ${number}`));
    const wallet = walletOf(anvil.url, chainId, owner);
    await fund(reader, admin, owner.address, parseEther('20'));
    const agentId = await fundAgent(reader, wallet, { registry, vault }, 'data:,', parseEther('10'));
    const voucher = { registry, agentId, epoch: 0n, cumulative: limit };
    agents.push({
      account: accountName({ chainId, vault, registry, agentId }),
      agentId,
      voucher: await owner.signTypedData(voucherTypedData({ chainId, vault }, voucher)),
    });
  }

  // The clock: ours and the chain's go forward together.
  const realNow = Date.now;
  let ahead = 0;
  vi.spyOn(Date, 'now').mockImplementation(() => realNow() + ahead);
  const advance = async (seconds: number, blocks = 1): Promise<void> => {
    ahead += seconds * blocks * 1000;
    await chain.mine({ blocks, interval: seconds });
  };
  const realFetch = globalThis.fetch;
  let simulation: Simulation | undefined;
  /** What a node that is wrong answers instead: by JSON-RPC method and its own answer. */
  const lies: {
    tell?: (method: string, result: unknown, params: unknown) => unknown;
    /** Answers instead of whoever is asked, when it pleases; `undefined` lets an exchange pass. */
    answer?: (url: string, init: RequestInit | undefined) => Promise<Response | undefined> | undefined;
  } = {};
  const lying = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const { tell } = lies;
    const response = (await lies.answer?.(String(input), init)) ?? (await realFetch(input, init));
    if (tell === undefined || typeof init?.body !== 'string' || !String(input).startsWith(anvil.url)) {
      return response;
    }
    const { method, params } = JSON.parse(init.body) as { method: string; params: unknown };
    const answer = (await response.json()) as { result: unknown };
    return Response.json(
      'result' in answer ? { ...answer, result: tell(method, answer.result, params) } : answer,
    );
  };
  vi.stubGlobal('fetch', (input: RequestInfo | URL, init?: RequestInit) =>
    simulation?.isInObject ? simulation.fetchWith(lying)(input, init) : realFetch(input, init),
  );

  let opened = 0;
  async function openLog(
    vars: Readonly<Record<string, string>> = {},
    chainConfig: Readonly<Record<string, unknown>> = {},
  ) {
    opened += 1;
    const origin = `log.world/${opened}`;
    const headKey = addressOfKey(keys.HEAD_KEY);
    const receiptKey = addressOfKey(keys.RECEIPT_KEY);
    await mined(
      reader,
      await admin.writeContract({
        address: anchor,
        abi: receiptAnchorAbi,
        functionName: 'openLog',
        args: [origin, operator, headKey, receiptKey],
      }),
    );
    const owner = admin.account.address.toLowerCase() as Address;
    const logId = logIdOf({ chainId, anchor, owner, origin });
    const fromBlock = await reader.getBlockNumber({ cacheTime: 0 });
    const receipts = new Map<string, Receipt[]>(agents.map(({ account }) => [account, []]));
    const claimedBefore = new Map<string, bigint>();
    for (const { account, agentId } of agents) claimedBefore.set(account, await claimed(agentId));

    const sim = new Simulation({
      ...keys,
      PUBLIC_ORIGIN: 'https://log.world',
      CHAINS: JSON.stringify([
        {
          chainId,
          rpcUrls: [anvil.url],
          vault,
          registries: [registry],
          depositDepth: depth,
          asset: { symbol: '0G', decimals: 18 },
          settlement: { everySeconds: 1, at: '1000000000000000000', least: '1' },
          ...chainConfig,
        },
      ]),
      HOME_CHAIN_ID: `${chainId}`,
      ANCHOR: anchor,
      LOG_OWNER: owner,
      LOG_ORIGIN: origin,
      SEAL_EVERY_SECONDS: '1',
      SEAL_AT_ENTRIES: '4096',
      PUBLISH_EVERY_SECONDS: '0',
      MERGE_DELAY_SECONDS: '3600',
      DA: 'zero-g-storage',
      ZERO_G_STORAGE_KIND: 'node',
      ZERO_G_STORAGE_URL: storage.url,
      ZERO_G_FLOW: flow,
      UPSTREAMS:
        '[{"name":"none","kind":"openai","baseUrl":"https://none.example","keySecret":"QWEN_API_KEY"}]',
      ...vars,
    });
    simulation = sim;
    for (const [binding, file, name] of [
      ['RECEIPT_LOG', '../durable-objects/log/receipt-log.ts', 'ReceiptLog'],
      ['PUBLISHER', '../durable-objects/publisher/publisher.ts', 'Publisher'],
      ['CHAIN', '../durable-objects/chain/chain.ts', 'Chain'],
    ] as const) {
      sim.bind(binding, ((await import(file)) as Record<string, never>)[name] as never);
    }
    sim.bind('AGENT_ACCOUNT', standInAccount({ logId, agents, limit, receipts }) as never);

    const log = sim.stub('RECEIPT_LOG', logId);
    /** One more call by an agent: it is captured, and its receipt is on its way. */
    const capture = (number: number, amount: bigint): void => {
      const agent = agents[number % agents.length];
      if (agent === undefined) throw new Error('no agents');
      const made = receipts.get(agent.account) ?? [];
      const last = made.at(-1);
      const time = BigInt(Math.floor(Date.now() / 1000));
      made.push({
        ...blankReceipt,
        logId,
        chainId: BigInt(chainId),
        vault,
        registry,
        agentId: agent.agentId,
        sequence: BigInt(made.length + 1),
        previous: last === undefined ? zeroHash : receiptDigest(last),
        amount,
        cumulative: (last?.cumulative ?? claimedBefore.get(agent.account) ?? 0n) + amount,
        time,
        mergeBy: time + 3600n,
      });
      sim.disk('AGENT_ACCOUNT', agent.account).alarm ??= Date.now();
    };

    const isDone = async (): Promise<boolean> => {
      const total = [...receipts.values()].reduce((sum, made) => sum + made.length, 0);
      // What costs nothing to ask first.
      const status = (await log['status']?.()) as { anchored: number };
      if (status.anchored !== total) return false;
      for (const { account, agentId } of agents) {
        const last = receipts.get(account)?.at(-1);
        if (last !== undefined && (await claimed(agentId)) !== last.cumulative) return false;
      }
      const [size] = await reader.readContract({
        address: anchor,
        abi: receiptAnchorAbi,
        functionName: 'head',
        args: [logId],
      });
      return Number(size) === total;
    };

    /** Rings whatever wants to ring, once, and lets time go on. */
    const round = async (seconds = 1, blocks = 1): Promise<void> => {
      for (const { binding, name } of sim.alarms()) await sim.ring(binding, name);
      await sim.settled();
      await advance(seconds, blocks);
    };
    /** Such rounds until everything is where it belongs. With more blocks to a round it takes fewer. */
    const run = async ({ rounds = 150, blocks = 1 } = {}): Promise<void> => {
      for (let past = 0; past < rounds; past++) {
        await round(past < 60 ? 1 : 31, blocks);
        if (await isDone()) return;
      }
      throw new Error(`not done after ${rounds} rounds: ${JSON.stringify(await log['status']?.(), bigints)}`);
    };

    const check = (download?: (item: DaReference) => Promise<Uint8Array>) =>
      checkLog({
        reader,
        anchor,
        logId,
        flow,
        vault,
        download: download ?? ((item) => fromStorage(storage.url, item)),
        keys: [
          ed25519NoteKey(origin, ed25519.getPublicKey(hexToBytes(keys.CHECKPOINT_KEY.slice(2)))),
          headNoteKey(origin, { chainId, anchor, logId }, headKey),
        ],
        receiptKey,
        fromBlock,
        receipts,
        served: {
          checkpoint: async () => (await log['checkpoint']?.()) as string | undefined,
          tile: async (name) => (await log['tile']?.(name)) as Uint8Array | undefined,
          proof: async (account, sequence) => (await log['proof']?.(account, sequence)) as string | undefined,
        },
      });
    const status = async () =>
      (await log['status']?.()) as {
        readonly sealed: number;
        readonly anchored: number;
        readonly appended: number;
      };
    const chainObject = sim.stub('CHAIN', `eip155:${chainId}`);
    const checkpointKey = formatVerifierKey(
      origin,
      ed25519.getPublicKey(hexToBytes(keys.CHECKPOINT_KEY.slice(2))),
    );
    return {
      checkpointKey,
      sim,
      logId,
      log,
      chainObject,
      capture,
      round,
      run,
      check,
      status,
      isDone,
      receipts,
      fromBlock,
    };
  }

  /** What an operator with the key can do beside the gateway: claim whatever the voucher allows. */
  async function settleByHand(at: number, cumulative: bigint): Promise<void> {
    const agent = agents[at];
    if (agent === undefined) throw new Error('no such agent');
    const wallet = walletOf(anvil.url, chainId, privateKeyToAccount(keys.OPERATOR_KEY));
    const { agentId, voucher } = agent;
    const row = { agentId, epoch: 0n, voucherCumulative: limit, cumulative, ...compactSignature(voucher) };
    await mined(
      reader,
      await wallet.writeContract({
        address: vault,
        abi: agentVaultAbi,
        functionName: 'settle',
        args: [registry, [row]],
      }),
    );
  }

  async function claimed(agentId: bigint): Promise<bigint> {
    const account = await reader.readContract({
      address: vault,
      abi: agentVaultAbi,
      functionName: 'account',
      args: [registry, agentId],
    });
    return account.claimed;
  }

  return {
    anvil,
    chain,
    reader,
    admin,
    storage,
    operator,
    operatorKey: keys.OPERATOR_KEY,
    receiptKey: keys.RECEIPT_KEY,
    settleByHand,
    lies,
    vault,
    anchor,
    flow,
    agents,
    advance,
    openLog,
    claimed,
    async close() {
      vi.unstubAllGlobals();
      vi.restoreAllMocks();
      await storage.close();
      await anvil.close();
    },
  };
}

export const blankReceipt: Receipt = {
  logId: zeroHash,
  chainId: 0n,
  vault: '0x',
  registry: '0x',
  agentId: 0n,
  epoch: 0n,
  sequence: 0n,
  previous: zeroHash,
  authorizationKind: 1,
  authorization: zeroHash,
  requestHash: zeroHash,
  forwardedHash: zeroHash,
  responseHash: zeroHash,
  upstreamResponseHash: zeroHash,
  upstream: 'none',
  model: 'qwen-plus',
  upstreamId: 'chatcmpl-0',
  usage: { input: 1n, cachedInput: 0n, cacheCreation: 0n, output: 1n, thinking: 0n, estimated: false },
  priceTable: zeroHash,
  amount: 0n,
  cumulative: 0n,
  time: 0n,
  mergeBy: 0n,
  assurance: 0,
  evidence: zeroHash,
};

/** An agent's account as far as the log knows it: an outbox, and a voucher that covers everything. */
function standInAccount(world: {
  readonly logId: Hex;
  readonly agents: readonly { readonly account: string; readonly agentId: bigint; readonly voucher: Hex }[];
  readonly limit: bigint;
  readonly receipts: ReadonlyMap<string, readonly Receipt[]>;
}) {
  type Context = {
    readonly id: { readonly name: string };
    readonly storage: {
      readonly kv: { get(key: string): unknown; put(key: string, value: unknown): void };
      setAlarm(atMs: number): Promise<void>;
    };
  };
  type Env = {
    readonly RECEIPT_LOG: {
      getByName(name: string): { append(batch: unknown): Promise<number> };
    };
  };
  return class {
    readonly #context: Context;
    readonly #env: Env;

    constructor(context: Context, env: Env) {
      this.#context = context;
      this.#env = env;
    }

    async alarm(): Promise<void> {
      const { id, storage } = this.#context;
      const made = world.receipts.get(id.name) ?? [];
      const acknowledged = Number(storage.kv.get('acknowledged') ?? 0);
      const batch = made.slice(acknowledged, acknowledged + 50);
      const last = batch.at(-1);
      if (last === undefined) return;
      await storage.setAlarm(Date.now());
      const taken = await this.#env.RECEIPT_LOG.getByName(world.logId).append({
        account: id.name,
        firstSequence: acknowledged + 1,
        digests: batch.map(receiptDigest),
        lastReceipt: last,
        mergeBy: Number(batch[0]?.mergeBy),
      });
      storage.kv.put('acknowledged', taken);
    }

    observe(): void {}

    claimable(cumulative: bigint) {
      const agent = world.agents.find(({ account }) => account === this.#context.id.name);
      const last = world.receipts.get(this.#context.id.name)?.at(-1);
      if (agent === undefined || last === undefined) return undefined;
      return {
        registry: last.registry,
        agentId: agent.agentId,
        epoch: 0n,
        voucherCumulative: world.limit,
        cumulative: cumulative < world.limit ? cumulative : world.limit,
        signature: agent.voucher,
      };
    }
  };
}

const bigints = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value);
