// The whole of tallystick on one machine: chain, contracts, storage node, Qwen stand-in, the Worker in workerd, and agents.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { type Address, formatEther, type Hex, parseEther } from 'viem';
import { mnemonicToAccount, privateKeyToAccount } from 'viem/accounts';
import { addressOfKey } from '../protocol/ecdsa.ts';
import { type Anvil, startAnvil } from './anvil.ts';
import { type ChainClient, readerOf, type Wallet, walletOf } from './clients.ts';
import {
  bondLog,
  deployAnchor,
  deployBond,
  deployRegistry,
  deployVault,
  fund,
  fundAgent,
} from './contracts.ts';
import { buildWorker, type Gateway, startGateway } from './gateway.ts';
import { leftoversIn } from './leftovers.ts';
import { type QwenStandIn, startQwenStandIn } from './qwen-stand-in.ts';
import { type SecondChain, startSecondChain } from './second-chain.ts';
import { type StorageNode, startStorageNode } from './storage-node.ts';
import { deployZeroG } from './zero-g-contracts.ts';

const root = path.resolve(import.meta.dirname, '..');

/** The chain's own rich account: anvil's first, whose key everybody knows. It deploys, and pays for the agents' start. */
const deployer = mnemonicToAccount('test test test test test test test test test test test junk');

/** Secrets of a local stack: made from a word, so that a test can know them. Never used anywhere else. */
const localKey = (word: string): Hex =>
  `0x${createHash('sha256').update(`tallystick local ${word}`).digest('hex')}`;

export type LocalAgent = {
  readonly agentId: string;
  readonly address: Address;
  readonly privateKey: Hex;
};

/** What `.local/stack.json` says: how to reach everything from another terminal. */
export type StackDescription = {
  readonly gatewayUrl: string;
  readonly rpcUrl: string;
  readonly chainId: number;
  readonly identityRegistry: Address;
  readonly vault: Address;
  readonly anchor: Address;
  /** The log's OperatorBond, with 10 0G in it. */
  readonly bond: Address;
  readonly logId: Hex;
  readonly flow: Address;
  readonly storageUrl: string;
  readonly qwenUrl: string;
  readonly operator: Address;
  readonly payee: Address;
  /** Opens /metrics and /operator/doctor. */
  readonly operatorToken: string;
  readonly agents: readonly LocalAgent[];
};

export type Stack = StackDescription & {
  readonly reader: ChainClient;
  readonly deployer: Wallet;
  readonly anvil: Anvil;
  readonly gateway: Gateway;
  readonly storageNode: StorageNode;
  /** `undefined` when the real Qwen answers. */
  readonly qwen: QwenStandIn | undefined;
  /** Where it was asked for. */
  readonly secondChain: SecondChain | undefined;
  /** Where the objects' SQLite files are. */
  readonly stateDir: string;
  /** The entries of CHAINS, home chain first. */
  readonly chains: readonly ChainEntry[];
  /** Starts another Worker over the same state, as a redeploy or a new machine would; `between` is done while none runs. */
  restartGateway(vars?: Readonly<Record<string, string>>, between?: () => void): Promise<void>;
  close(): Promise<void>;
};

/** An entry of CHAINS, as wrangler.toml spells it. */
export type ChainEntry = {
  readonly chainId: number;
  readonly rpcUrls: readonly string[];
  readonly [member: string]: unknown;
};

export type StackOptions = {
  /** Where processes are remembered and state is kept; throw-away. */
  readonly localDir?: string;
  readonly port?: number;
  readonly agents?: number;
  /** Each agent's deposit. */
  readonly deposit?: bigint;
  /** Variables over the stack's own. */
  readonly vars?: Readonly<Record<string, string>>;
  /** A Worker bundle built before; made when not given. */
  readonly bundleDir?: string;
  readonly withdrawalDelay?: bigint;
  /** See {@link startGateway}. */
  readonly console?: boolean;
  /** See {@link startGateway}: for benches. */
  readonly direct?: boolean;
  /** See {@link startGateway}. */
  readonly inspect?: boolean;
  /** Members of the chains' entries in CHAINS over the stack's own. */
  readonly chain?: Readonly<Record<string, unknown>>;
  /** Members of the upstream's entry in UPSTREAMS over the stack's own. */
  readonly upstream?: Readonly<Record<string, unknown>>;
  /** A second chain that agents may come from. */
  readonly secondChain?: boolean;
  readonly qwenApiKey?: string | undefined;
  readonly qwenBaseUrl?: string | undefined;
  /** Told what the Worker writes to its log. */
  readonly log?: (text: string) => void;
  /** Told what is being done, for whoever is watching. */
  readonly progress?: (line: string) => void;
};

const chainId = 31337;
const logOrigin = 'tallystick.local/log';
const mergeDelaySeconds = 120;
/** Short, so that a challenge can be watched from beginning to end. */
const bondTerms = {
  penalty: parseEther('1'),
  challengeBond: parseEther('0.1'),
  mergeDelay: mergeDelaySeconds,
  grace: 30,
  answerWindow: 300,
};

export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const { progress = () => undefined, agents: agentCount = 3, deposit = parseEther('10') } = options;
  const localDir = options.localDir ?? path.join(root, '.local');
  mkdirSync(localDir, { recursive: true });
  const leftovers = leftoversIn(path.join(localDir, 'processes.json'));
  const reaped = leftovers.reap();
  if (reaped > 0) progress(`ended ${reaped} processes an earlier stack left behind`);
  for (const name of readdirSync(localDir)) {
    if (name.startsWith('state-')) rmSync(path.join(localDir, name), { recursive: true, force: true });
  }
  const stateDir = mkdtempSync(path.join(localDir, 'state-'));

  const descriptionFile = path.join(localDir, 'stack.json');
  const cleanUp = (): void => {
    leftovers.clear();
    rmSync(descriptionFile, { force: true });
    rmSync(stateDir, { recursive: true, force: true });
  };
  // miniflare ends the process itself on Ctrl-C, so what must not stay behind is removed as it exits.
  process.once('exit', cleanUp);
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const end of closers.splice(0).reverse()) await end().catch(() => undefined);
    process.removeListener('exit', cleanUp);
    cleanUp();
  };

  try {
    const anvil = await startAnvil({ chainId, hardfork: 'cancun' });
    closers.push(() => anvil.close());
    leftovers.remember();
    const reader = readerOf(anvil.url, chainId);
    const admin = walletOf(anvil.url, chainId, deployer);
    progress(`chain ${chainId} at ${anvil.url}`);

    const port = options.port ?? (await freePort());
    const gatewayUrl = `http://127.0.0.1:${port}`;
    const keys = {
      OPERATOR_KEY: localKey('operator'),
      RECEIPT_KEY: localKey('receipt key'),
      HEAD_KEY: localKey('head key'),
      CHECKPOINT_KEY: localKey('checkpoint key'),
      OPERATOR_TOKEN: localKey('operator token'),
    };
    const operator = addressOfKey(keys.OPERATOR_KEY);
    const payee = addressOfKey(localKey('payee'));
    await fund(reader, admin, operator);

    const withdrawalDelay = options.withdrawalDelay ?? 3600n;
    const { flow } = await deployZeroG({ walletClient: admin, publicClient: reader });
    const identityRegistry = await deployRegistry(reader, admin);
    const vault = await deployVault(reader, admin, {
      registries: [identityRegistry],
      operator,
      payee,
      withdrawalDelay,
      gatewayOrigin: gatewayUrl,
    });
    const secondChain = options.secondChain
      ? await startSecondChain({ deployer, operator, payee, withdrawalDelay, gatewayOrigin: gatewayUrl })
      : undefined;
    if (secondChain) closers.push(() => secondChain.anvil.close());
    const { anchor, logId } = await deployAnchor(reader, admin, {
      origin: logOrigin,
      sender: operator,
      headKey: addressOfKey(keys.HEAD_KEY),
      receiptKey: addressOfKey(keys.RECEIPT_KEY),
    });
    const bond = await deployBond(reader, admin, { ...bondTerms, anchor });
    await bondLog(reader, admin, bond, logId, parseEther('10'));
    progress(
      `contracts: vault ${vault}, anchor ${anchor}, bond ${bond}, registry ${identityRegistry}, 0G Flow ${flow}`,
    );

    const storageNode = await startStorageNode({
      rpcUrl: anvil.url,
      flowAddress: flow,
      chainId,
      pollMs: 200,
    });
    closers.push(() => storageNode.close());
    progress(`0G storage node (stand-in) at ${storageNode.url}`);

    const real = options.qwenApiKey !== undefined && options.qwenApiKey !== '';
    const qwen = real ? undefined : await startQwenStandIn({ apiKey: 'local-qwen-key' });
    if (qwen) closers.push(() => qwen.close());
    const qwenUrl =
      qwen?.url ?? options.qwenBaseUrl ?? 'https://dashscope-intl.aliyuncs.com/compatible-mode/v1';
    progress(real ? `Qwen at ${qwenUrl}` : `Qwen (stand-in) at ${qwenUrl}`);

    const agents: LocalAgent[] = [];
    for (let number = 0; number < agentCount; number += 1) {
      const privateKey = localKey(`agent ${number}`);
      const owner = walletOf(anvil.url, chainId, privateKeyToAccount(privateKey));
      await fund(reader, admin, owner.account.address, deposit + parseEther('1'));
      const uri = `data:application/json,${encodeURIComponent(JSON.stringify({ name: `agent ${number}` }))}`;
      const agentId = await fundAgent(reader, owner, { registry: identityRegistry, vault }, uri, deposit);
      agents.push({
        agentId: `${agentId}`,
        address: owner.account.address.toLowerCase() as Address,
        privateKey,
      });
    }
    progress(`${agentCount} agents registered, each with ${formatEther(deposit)} 0G deposited`);

    const bundleDir = options.bundleDir ?? (await buildWorker(path.join(stateDir, 'bundle')));
    const homeChain = { chainId, rpcUrl: anvil.url, vault, identityRegistry };
    const chains: ChainEntry[] = [homeChain, ...(secondChain ? [secondChain] : [])].map((entry) => ({
      chainId: entry.chainId,
      rpcUrls: [entry.rpcUrl],
      publicRpcUrls: [entry.rpcUrl],
      vault: entry.vault,
      registries: [entry.identityRegistry],
      depositDepth: 0,
      watchEverySeconds: 1,
      // One agent may be a whole load test here.
      tiers: [
        { name: 'local', requestsPerMinute: 1_000_000, tokensPerMinute: 1_000_000_000, concurrent: 1024 },
      ],
      asset: { symbol: '0G', decimals: 18 },
      settlement: { everySeconds: 2, at: '1000000000000000000', least: '1' },
      ...options.chain,
    }));
    const vars = {
      ...keys,
      PUBLIC_ORIGIN: gatewayUrl,
      CHAINS: JSON.stringify(chains),
      HOME_CHAIN_ID: `${chainId}`,
      ANCHOR: anchor,
      BOND: bond,
      LOG_OWNER: deployer.address,
      LOG_ORIGIN: logOrigin,
      SEAL_EVERY_SECONDS: '2',
      SEAL_AT_ENTRIES: '4096',
      PUBLISH_EVERY_SECONDS: '1',
      MERGE_DELAY_SECONDS: `${mergeDelaySeconds}`,
      DA: 'zero-g-storage',
      ZERO_G_STORAGE_KIND: 'node',
      ZERO_G_STORAGE_URL: storageNode.url,
      ZERO_G_FLOW: flow,
      UPSTREAMS: JSON.stringify([
        {
          name: real ? 'dashscope' : 'qwen-stand-in',
          dialect: 'dashscope',
          baseUrl: qwenUrl,
          secret: 'QWEN_API_KEY',
          ...options.upstream,
        },
      ]),
      QWEN_API_KEY: options.qwenApiKey ?? 'local-qwen-key',
      ...options.vars,
    };
    const start = (over: Readonly<Record<string, string>> = {}) =>
      startGateway({
        bundleDir,
        stateDir: path.join(stateDir, 'objects'),
        port,
        vars: { ...vars, ...over },
        ...(options.console === undefined ? {} : { console: options.console }),
        ...(options.direct ? { direct: true } : {}),
        ...(options.inspect ? { inspect: true } : {}),
        ...(options.log ? { log: options.log } : {}),
      });
    let gateway = await start();
    closers.push(() => gateway.close());
    leftovers.remember();
    progress(`gateway (workerd) at ${gatewayUrl}`);

    const description: StackDescription = {
      gatewayUrl,
      rpcUrl: anvil.url,
      chainId,
      identityRegistry,
      vault,
      anchor,
      bond,
      logId,
      flow,
      storageUrl: storageNode.url,
      qwenUrl,
      operator,
      payee,
      operatorToken: keys.OPERATOR_TOKEN,
      agents,
    };
    writeFileSync(descriptionFile, `${JSON.stringify(description, null, 2)}\n`);

    return {
      ...description,
      reader,
      deployer: admin,
      anvil,
      storageNode,
      qwen,
      secondChain,
      stateDir: path.join(stateDir, 'objects'),
      chains,
      get gateway() {
        return gateway;
      },
      async restartGateway(over, between) {
        await gateway.close();
        between?.();
        gateway = await start(over);
        leftovers.remember();
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A port nothing listens on now. The gateway's has to be known before it starts: it is part of what agents sign. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
