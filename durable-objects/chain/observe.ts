import { agentVaultAbi } from '../../contracts-abi/generated/AgentVault.ts';
import type { Account } from '../../protocol/account-name.ts';
import { ok, type Result, refuse } from '../../protocol/result.ts';
import type { ChainConfig } from '../config.ts';
import { lower, nodeOf, reasonOf } from './node.ts';
import { hasRecentHead, type Observation } from './observation.ts';

/**
 * Reads one agent's standing: identity, spender and withdrawal at the head, deposits at the configured depth, each in one
 * view call. Refuses when the chain cannot be asked, or answers from a head that is not recent.
 */
export async function readObservation(
  chain: ChainConfig,
  account: Pick<Account, 'registry' | 'agentId'>,
  now: () => number,
): Promise<Result<Observation, string>> {
  try {
    const node = nodeOf(chain);
    const block = await node.getBlock({ blockTag: 'latest' });
    const readAt = (blockNumber: bigint) =>
      node.readContract({
        address: chain.vault,
        abi: agentVaultAbi,
        functionName: 'account',
        args: [account.registry, account.agentId],
        blockNumber,
      });
    const depth = BigInt(chain.depositDepth);
    const deepBlock = block.number > depth ? block.number - depth : 0n;
    const [head, deep] = await Promise.all([
      readAt(block.number),
      depth === 0n
        ? undefined
        : // Before the vault existed nothing was deposited: an empty answer there means zero.
          readAt(deepBlock).catch((error: unknown) =>
            isEmptyAnswer(error) ? { deposited: 0n } : Promise.reject(error),
          ),
    ]);
    const deepDeposit = deep?.deposited ?? head.deposited;
    const deposited = deepDeposit < head.deposited ? deepDeposit : head.deposited;
    const observation: Observation = {
      blockNumber: block.number,
      blockHash: block.hash,
      blockTime: Number(block.timestamp),
      readAtMs: now(),
      owner: lower(head.owner),
      wallet: lower(head.wallet),
      ownerHasCode: head.ownerHasCode,
      walletHasCode: head.walletHasCode,
      spender: lower(head.spender),
      epoch: head.epoch,
      deposited,
      arriving: head.deposited - deposited,
      claimed: head.claimed,
      withdrawn: head.withdrawn,
      withdrawing: head.withdrawalAmount,
      epochEndsAt: earliest(head.pendingSpenderAt, head.withdrawalReadyAt),
      authorized: head.authorized,
    };
    if (!hasRecentHead(observation)) {
      return refuse(
        `the node's head is from ${new Date(observation.blockTime * 1000).toISOString()}: it has stopped following the chain`,
      );
    }
    return ok(observation);
  } catch (error) {
    return refuse(reasonOf(error));
  }
}

/** The earlier of two times, where zero is none. */
const earliest = (a: bigint, b: bigint): bigint => (a === 0n || (b !== 0n && b < a) ? b : a);

const isEmptyAnswer = (error: unknown): boolean =>
  error instanceof Error && /returned no data/.test(error.message);
