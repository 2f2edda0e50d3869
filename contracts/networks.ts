import type { Address } from 'viem';
import { erc8004Registries } from '../contracts-abi/addresses.ts';

export type Network = {
  readonly chainId: number;
  readonly rpcUrl: string;
  readonly asset: string;
  /** Identity registries whose agents the vault serves; none where `--registry` has to say. */
  readonly registries: readonly Address[];
};

/** Networks by the name `--network` and wrangler's `--env` know them by. */
export const networks = {
  galileo: {
    chainId: 16602,
    rpcUrl: 'https://evmrpc-testnet.0g.ai',
    asset: '0G',
    registries: [erc8004Registries[16602].identity],
  },
  aristotle: {
    chainId: 16661,
    rpcUrl: 'https://evmrpc.0g.ai',
    asset: '0G',
    registries: [erc8004Registries[16661].identity],
  },
  'evm-example': {
    chainId: 84532,
    rpcUrl: 'https://sepolia.base.org',
    asset: 'ETH',
    registries: [erc8004Registries[84532].identity],
  },
  local: { chainId: 31337, rpcUrl: 'http://127.0.0.1:8545', asset: '0G', registries: [] },
} as const satisfies Record<string, Network>;
