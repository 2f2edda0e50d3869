import { agentVaultAbi } from '../../contracts-abi/generated/AgentVault.ts';
import type { Account } from '../../protocol/account-name.ts';
import { ok, type Result, refuse } from '../../protocol/result.ts';
import type { ChainConfig } from '../config.ts';
import { agreedAnswer, agreedHead } from './agreement.ts';
import { lower, reasonOf } from './node.ts';
import type { Observation } from './observation.ts';

/**
 * Reads one agent's standing: identity, spender and withdrawal at the head, deposits at the configured depth, each in one
 * view call. Refuses when the chain cannot be asked, or its nodes do not agree, or none has a recent head.
 */
export async function readObservation(
  chain: ChainConfig,
  account: Pick<Account, 'registry' | 'agentId'>,
  now: () => number,
): Promise<Result<Observation, string>> {
  const agreed = await agreedHead(chain, now);
  if (!agreed.ok) return agreed;
  const { number, hash, time, nodes } = agreed.value;
  const readAt = (blockNumber: bigint) =>
    agreedAnswer(chain.chainId, nodes, (node) =>
      node
        .readContract({
          address: chain.vault,
          abi: agentVaultAbi,
          functionName: 'account',
          args: [account.registry, account.agentId],
          blockNumber,
        })
        // Before the vault existed there was nothing in it.
        .catch((error: unknown) => (isEmptyAnswer(error) ? undefined : Promise.reject(error)))
        .then((view) => view ?? null),
    );
  try {
    const depth = BigInt(chain.depositDepth);
    const [head, deep] = await Promise.all([
      readAt(number),
      depth === 0n ? undefined : readAt(number > depth ? number - depth : 0n),
    ]);
    if (!head.ok) return head;
    if (deep !== undefined && !deep.ok) return deep;
    const view = head.value;
    if (view === null) return refuse(`there is no vault at ${chain.vault}`);
    const deepDeposit = deep === undefined ? view.deposited : (deep.value?.deposited ?? 0n);
    const deposited = deepDeposit < view.deposited ? deepDeposit : view.deposited;
    return ok({
      blockNumber: number,
      blockHash: hash,
      blockTime: time,
      readAtMs: now(),
      owner: lower(view.owner),
      wallet: lower(view.wallet),
      ownerHasCode: view.ownerHasCode,
      walletHasCode: view.walletHasCode,
      spender: lower(view.spender),
      epoch: view.epoch,
      deposited,
      arriving: view.deposited - deposited,
      claimed: view.claimed,
      withdrawn: view.withdrawn,
      withdrawing: view.withdrawalAmount,
      epochEndsAt: earliest(view.pendingSpenderAt, view.withdrawalReadyAt),
      authorized: view.authorized,
    });
  } catch (error) {
    return refuse(reasonOf(error));
  }
}

/** The earlier of two times, where zero is none. */
const earliest = (a: bigint, b: bigint): bigint => (a === 0n || (b !== 0n && b < a) ? b : a);

const isEmptyAnswer = (error: unknown): boolean =>
  error instanceof Error && /returned no data/.test(error.message);
