// What the chain says of an account: the one source the gateway cannot colour.
import { type Address, createPublicClient, http } from 'viem';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import type { Account } from '../protocol/account-name.ts';
import { AgentError } from './agent-error.ts';

/** An account in its vault, at the latest block. Amounts in base units. */
export type VaultReading = {
  readonly epoch: bigint;
  readonly claimed: bigint;
  readonly deposited: bigint;
  readonly withdrawn: bigint;
  /** Whose vouchers the vault pays; the zero address for nobody's. */
  readonly spender: Address;
  /** The one gateway this vault belongs to. */
  readonly gatewayOrigin: string;
};

/** Asks the vault. Throws AgentError `chain_unavailable` when the node cannot be asked or serves another chain. */
export async function readVault(rpcUrl: string, account: Account): Promise<VaultReading> {
  const client = createPublicClient({ transport: http(rpcUrl) });
  const vault = { address: account.vault, abi: agentVaultAbi } as const;
  try {
    const [chainId, view, gatewayOrigin] = await Promise.all([
      client.getChainId(),
      client.readContract({ ...vault, functionName: 'account', args: [account.registry, account.agentId] }),
      client.readContract({ ...vault, functionName: 'gatewayOrigin' }),
    ]);
    if (chainId !== account.chainId) {
      throw new AgentError(
        'chain_unavailable',
        `${rpcUrl} serves chain ${chainId}, the agent is on ${account.chainId}`,
      );
    }
    const { epoch, claimed, deposited, withdrawn } = view;
    return {
      epoch,
      claimed,
      deposited,
      withdrawn,
      spender: view.spender.toLowerCase() as Address,
      gatewayOrigin,
    };
  } catch (error) {
    if (error instanceof AgentError) throw error;
    throw new AgentError(
      'chain_unavailable',
      `vault ${account.vault} could not be read at ${rpcUrl}. Nothing was signed. Check rpcUrl, then try again.`,
      { cause: error },
    );
  }
}
