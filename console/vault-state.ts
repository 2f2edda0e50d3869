// The account in its vault, by the chain's word. Loaded when it is shown: it brings a chain client.
import { type Address, createPublicClient, http } from 'viem';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import type { AgentId } from '../protocol/identity/agent-id.ts';

export type VaultState = {
  readonly deposited: bigint;
  readonly claimed: bigint;
  readonly withdrawn: bigint;
  readonly spender: Address;
  readonly blockNumber: bigint;
  /** The chain's clock, Unix seconds. */
  readonly time: number;
  /** Seconds a withdrawal takes at least. */
  readonly delay: number;
  readonly withdrawal:
    | { readonly amount: bigint; readonly recipient: Address; readonly readyAt: number }
    | undefined;
};

/** Rejects with what the node said where it cannot be asked. */
export async function readVaultState(rpcUrl: string, vault: Address, agent: AgentId): Promise<VaultState> {
  const client = createPublicClient({ transport: http(rpcUrl) });
  const contract = { address: vault, abi: agentVaultAbi } as const;
  const [view, delay] = await Promise.all([
    client.readContract({ ...contract, functionName: 'account', args: [agent.registry, agent.agentId] }),
    client.readContract({ ...contract, functionName: 'withdrawalDelay' }),
  ]);
  const { deposited, claimed, withdrawn, spender, blockNumber } = view;
  return {
    deposited,
    claimed,
    withdrawn,
    spender,
    blockNumber,
    time: Number(view.blockTime),
    delay: Number(delay),
    withdrawal:
      view.withdrawalReadyAt === 0n
        ? undefined
        : {
            amount: view.withdrawalAmount,
            recipient: view.withdrawalRecipient,
            readyAt: Number(view.withdrawalReadyAt),
          },
  };
}
