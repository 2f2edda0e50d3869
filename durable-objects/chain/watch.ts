// What happened on a chain to accounts we know. Reads event logs in small steps; what it reads is only ever a reason to read
// the account itself, so an event seen twice, late, or on a branch that is gone does no harm.
import {
  type Address,
  type Hex,
  keccak256,
  type Log,
  type PublicClient,
  stringToHex,
  toEventSelector,
} from 'viem';
import { agentVaultAbi } from '../../contracts-abi/generated/AgentVault.ts';
import { accountName } from '../../protocol/account-name.ts';
import { ok, type Result, refuse } from '../../protocol/result.ts';
import type { ChainConfig } from '../config.ts';
import { agreedHead } from './agreement.ts';
import { reasonOf } from './node.ts';

/** Blocks of logs asked for at once: more would make one step long. Far behind, a step a look catches up. */
const blocksPerLook = 1_000n;
/** A reorg deeper than this is found out only when accounts are next read for a request. */
const reorgBlocks = 64n;

/** Events that change what an account may do; each names registry and agent in its first two indexed members. */
const vaultEvents = [
  'Deposited',
  'SpenderChangeStarted',
  'SpenderChangeCancelled',
  'SpenderChanged',
  'Authorized',
  'WithdrawalStarted',
  'WithdrawalCompleted',
  'WithdrawalCancelled',
  'WithdrawalVoided',
];

const vaultTopics: readonly Hex[] = agentVaultAbi.flatMap((item) =>
  item.type === 'event' && vaultEvents.includes(item.name) ? [toEventSelector(item)] : [],
);
const transferTopic = toEventSelector('Transfer(address,address,uint256)');
const metadataTopic = toEventSelector('MetadataSet(uint256,string,string,bytes)');
/** ERC-8004 2.0.0 keeps the wallet as metadata. */
const walletKey = keccak256(stringToHex('agentWallet'));
const depositedTopic = toEventSelector('Deposited(address,uint256,address,uint256,uint256)');

export type Seen = {
  /** The block up to which everything has been seen. */
  readonly block: bigint;
  readonly hash: Hex;
};

export type Look = {
  readonly seen: Seen;
  /** Names of accounts that something may have happened to, known or not. */
  readonly touched: ReadonlySet<string>;
  /** Blocks that were seen before are gone. */
  readonly reorged: boolean;
  /** There is more to see already. */
  readonly behind: boolean;
};

/** One chain's watch, in memory: what was touched lately, so that it can be touched again when a branch is gone. */
export class Watch {
  readonly #chain: ChainConfig;
  #seen: Seen | undefined;
  /** Accounts and the blocks they were touched in; `matures` when a deposit made there will count. */
  #recent: { readonly account: string; readonly block: bigint; readonly matures: bigint }[] = [];

  /** @param seen where a watch before this one had got to; it looks again at what a reorg could have changed since */
  constructor(chain: ChainConfig, seen: bigint | undefined) {
    this.#chain = chain;
    if (seen !== undefined) this.#seen = { block: seen > reorgBlocks ? seen - reorgBlocks : 0n, hash: '0x' };
  }

  /** Looks once. Refuses when the chain cannot be asked or its nodes disagree: the next look sees the same. */
  async look(now: () => number): Promise<Result<Look, string>> {
    const head = await agreedHead(this.#chain, now);
    if (!head.ok) return head;
    const { number, hash, nodes } = head.value;
    const [node] = nodes;
    try {
      const before = this.#seen;
      if (before === undefined) {
        // Nobody is known from before: what matters begins now.
        this.#seen = { block: number, hash };
        return ok({ seen: this.#seen, touched: new Set(), reorged: false, behind: false });
      }
      const touched = new Set<string>();
      const reorged = await this.#isGone(node, before, number);
      if (reorged) for (const { account } of this.#recent) touched.add(account);
      const from = reorged
        ? before.block > reorgBlocks
          ? before.block - reorgBlocks
          : 0n
        : before.block + 1n;
      const to = number - from >= blocksPerLook ? from + blocksPerLook - 1n : number;
      if (to >= from) {
        for (const log of await this.#logs(node, from, to)) {
          const account = accountTouched(this.#chain, log);
          if (account === undefined || log.blockNumber === null) continue;
          touched.add(account);
          const isDeposit = log.topics[0] === depositedTopic;
          const matures = isDeposit ? log.blockNumber + BigInt(this.#chain.depositDepth) : 0n;
          this.#recent.push({ account, block: log.blockNumber, matures });
        }
      }
      // A deposit counts once it is deep enough, which no event tells.
      for (const { account, matures } of this.#recent) {
        if (matures > before.block && matures <= to) touched.add(account);
      }
      const seen = to === number ? { block: number, hash } : { block: to, hash: await hashOf(node, to) };
      this.#seen = seen;
      const horizon = seen.block - reorgBlocks - BigInt(this.#chain.depositDepth);
      this.#recent = this.#recent.filter(({ block }) => block > horizon);
      return ok({ seen, touched, reorged, behind: to < number });
    } catch (error) {
      return refuse(reasonOf(error));
    }
  }

  async #isGone(node: PublicClient, before: Seen, head: bigint): Promise<boolean> {
    if (before.hash === '0x') return false; // from storage: it looks back anyway
    if (before.block > head) return true;
    return (await hashOf(node, before.block)) !== before.hash;
  }

  #logs(node: PublicClient, from: bigint, to: bigint): Promise<Log[]> {
    return node
      .request({
        method: 'eth_getLogs',
        params: [
          {
            address: [this.#chain.vault, ...this.#chain.registries],
            topics: [[...vaultTopics, transferTopic, metadataTopic]],
            fromBlock: `0x${from.toString(16)}`,
            toBlock: `0x${to.toString(16)}`,
          },
        ],
      })
      .then((logs) =>
        logs.map((log) => ({ ...log, blockNumber: BigInt(log.blockNumber ?? 0) }) as unknown as Log),
      );
  }
}

const hashOf = async (node: PublicClient, blockNumber: bigint): Promise<Hex> =>
  (await node.getBlock({ blockNumber })).hash;

/** The account an event is about; `undefined` for one that changes nothing of an account. */
export function accountTouched(
  chain: Pick<ChainConfig, 'chainId' | 'vault' | 'registries'>,
  log: Pick<Log, 'address' | 'topics'>,
): string | undefined {
  const [event, first, second, third] = log.topics;
  const { chainId, vault } = chain;
  const of = (registry: Address, agentId: Hex | undefined) =>
    agentId && accountName({ chainId, vault, registry, agentId: BigInt(agentId) });
  const address = log.address.toLowerCase() as Address;
  if (address === vault) {
    return event && vaultTopics.includes(event) && first ? of(`0x${first.slice(26)}`, second) : undefined;
  }
  if (!chain.registries.includes(address)) return undefined;
  if (event === transferTopic) return of(address, third);
  return event === metadataTopic && second === walletKey ? of(address, first) : undefined;
}
