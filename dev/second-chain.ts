import type { Address } from 'viem';
import type { LocalAccount } from 'viem/accounts';
import { type Anvil, startAnvil } from './anvil.ts';
import { type ChainClient, readerOf, type Wallet, walletOf } from './clients.ts';
import { deployRegistry, deployVault, fund } from './contracts.ts';

/** Another chain agents may come from, with a registry and a vault of its own. */
export type SecondChain = {
  readonly chainId: number;
  readonly rpcUrl: string;
  readonly identityRegistry: Address;
  readonly vault: Address;
  readonly reader: ChainClient;
  readonly deployer: Wallet;
  readonly anvil: Anvil;
};

export async function startSecondChain(options: {
  readonly deployer: LocalAccount;
  readonly operator: Address;
  readonly payee: Address;
  readonly withdrawalDelay: bigint;
  readonly gatewayOrigin: string;
}): Promise<SecondChain> {
  const chainId = 31338;
  const anvil = await startAnvil({ chainId, hardfork: 'cancun' });
  try {
    const reader = readerOf(anvil.url, chainId);
    const deployer = walletOf(anvil.url, chainId, options.deployer);
    await fund(reader, deployer, options.operator);
    // Not the addresses of the first chain: whatever confuses the two must not go unnoticed.
    await fund(reader, deployer, options.payee, 1n);
    const identityRegistry = await deployRegistry(reader, deployer);
    const vault = await deployVault(reader, deployer, { ...options, registries: [identityRegistry] });
    return { chainId, rpcUrl: anvil.url, identityRegistry, vault, reader, deployer, anvil };
  } catch (error) {
    await anvil.close();
    throw error;
  }
}
