// What the chain says about a log and about vaults: its events, in order.
import {
  type Address,
  formatLog,
  getAbiItem,
  type Hex,
  type Log,
  numberToHex,
  type PublicClient,
  parseEventLogs,
  toEventSelector,
} from 'viem';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';

/** Where an event stands on its chain. */
export type Position = { readonly block: bigint; readonly index: number };

export type AnchoredEvent = Position & {
  readonly size: number;
  readonly root: Hex;
  readonly previousSize: number;
  readonly previousRoot: Hex;
  readonly daReference: Hex;
};

/** For which entries a receipt key counts: `from <= index < to`. */
export type KeySpan = { readonly key: Address; readonly from: number; readonly to: number };

export type LogOnChain = {
  readonly opened: { readonly owner: Address; readonly origin: string } | undefined;
  /** Every head key the log ever had. */
  readonly headKeys: readonly Address[];
  readonly receiptKeys: readonly KeySpan[];
  readonly anchored: readonly AnchoredEvent[];
  readonly closed: boolean;
};

export type VaultEvent = Position &
  (
    | {
        readonly kind: 'claimed';
        readonly agent: string;
        readonly amount: bigint;
        readonly cumulative: bigint;
      }
    | { readonly kind: 'epoch'; readonly agent: string; readonly epoch: bigint }
  );

/** `registry:agentId`, how an agent is called within a vault. */
export const agentName = (registry: Address, agentId: bigint): string =>
  `${registry.toLowerCase()}:${agentId}`;

/** Reads a log's events between two blocks. */
export async function readLog(
  client: PublicClient,
  anchor: Address,
  logId: Hex,
  blocks: { readonly from: bigint; readonly to: bigint },
): Promise<LogOnChain> {
  const logs = await logsBetween(client, blocks, { address: anchor, topics: [null, logId] });
  let opened: LogOnChain['opened'];
  let closed = false;
  const headKeys: Address[] = [];
  const spans = new Map<Address, KeySpan>();
  const anchored: AnchoredEvent[] = [];
  for (const log of parseEventLogs({ abi: receiptAnchorAbi, logs })) {
    switch (log.eventName) {
      case 'LogOpened':
        opened = { owner: log.args.owner, origin: log.args.origin };
        headKeys.push(lower(log.args.headKey));
        break;
      case 'HeadKeyChanged':
        headKeys.push(lower(log.args.headKey));
        break;
      case 'ReceiptKeyAdded': {
        const key = lower(log.args.key);
        spans.set(key, { key, from: Number(log.args.fromSize), to: Number.POSITIVE_INFINITY });
        break;
      }
      case 'ReceiptKeyRetired': {
        const key = lower(log.args.key);
        spans.set(key, { key, from: spans.get(key)?.from ?? 0, to: Number(log.args.toSize) });
        break;
      }
      case 'LogClosed':
        closed = true;
        break;
      case 'Anchored': {
        const { size, root, previousSize, previousRoot, daReference } = log.args;
        anchored.push({
          block: log.blockNumber,
          index: log.logIndex,
          size: Number(size),
          root,
          previousSize: Number(previousSize),
          previousRoot,
          daReference,
        });
        break;
      }
    }
  }
  return { opened, headKeys, receiptKeys: [...spans.values()], anchored, closed };
}

/** Reads a vault's claims, and where epochs begin. */
export async function readVault(
  client: PublicClient,
  vault: Address,
  blocks: { readonly from: bigint; readonly to: bigint },
): Promise<VaultEvent[]> {
  const eventNames = ['Claimed', 'SpenderChanged', 'WithdrawalCompleted'] as const;
  const topics = eventNames.map((name) => toEventSelector(getAbiItem({ abi: agentVaultAbi, name })));
  const logs = await logsBetween(client, blocks, { address: vault, topics: [topics] });
  return parseEventLogs({ abi: agentVaultAbi, logs, eventName: [...eventNames] }).map((log) => {
    const at = { block: log.blockNumber, index: log.logIndex };
    const agent = agentName(log.args.registry, log.args.agentId);
    if (log.eventName === 'Claimed') {
      const { amount, cumulative } = log.args;
      return { ...at, kind: 'claimed', agent, amount, cumulative };
    }
    return { ...at, kind: 'epoch', agent, epoch: log.args.epoch };
  });
}

/** The chain's name, its newest block, and the log's head at a block. */
export async function readHead(client: PublicClient, anchor: Address, logId: Hex, blockNumber: bigint) {
  const [size, root] = await client.readContract({
    address: anchor,
    abi: receiptAnchorAbi,
    functionName: 'head',
    args: [logId],
    blockNumber,
  });
  return { size: Number(size), root };
}

/** Nodes limit how many blocks they search at once, each in its own words: a range that fails is halved. */
async function logsBetween(
  client: PublicClient,
  { from, to }: { readonly from: bigint; readonly to: bigint },
  filter: { readonly address: Address; readonly topics: (Hex | Hex[] | null)[] },
): Promise<Log<bigint, number, false>[]> {
  if (from > to) return [];
  try {
    const logs = await client.request({
      method: 'eth_getLogs',
      params: [{ ...filter, fromBlock: numberToHex(from), toBlock: numberToHex(to) }],
    });
    return logs.map((log) => formatLog(log) as Log<bigint, number, false>);
  } catch (error) {
    // A node that does not answer at all will not answer for less either.
    await client.getBlockNumber({ cacheTime: 0 });
    if (to - from < 8n) throw error;
    const middle = (from + to) / 2n;
    return [
      ...(await logsBetween(client, { from, to: middle }, filter)),
      ...(await logsBetween(client, { from: middle + 1n, to }, filter)),
    ];
  }
}

const lower = (address: Address): Address => address.toLowerCase() as Address;
