import {
  type Account,
  type Chain,
  createPublicClient,
  createWalletClient,
  defineChain,
  http,
  type PublicClient,
  type Transport,
  type WalletClient,
} from 'viem';

export type ChainClient = PublicClient<Transport, Chain>;
export type Wallet = WalletClient<Transport, Chain, Account>;

/** The local chain as viem sees it. */
const localChain = (rpcUrl: string, chainId: number): Chain =>
  defineChain({
    id: chainId,
    name: 'local',
    nativeCurrency: { name: '0G', symbol: '0G', decimals: 18 },
    rpcUrls: { default: { http: [rpcUrl] } },
  });

export const readerOf = (rpcUrl: string, chainId: number): ChainClient =>
  createPublicClient({ chain: localChain(rpcUrl, chainId), transport: http(rpcUrl), pollingInterval: 50 });

export const walletOf = (rpcUrl: string, chainId: number, account: Account): Wallet =>
  createWalletClient({
    account,
    chain: localChain(rpcUrl, chainId),
    transport: http(rpcUrl),
    pollingInterval: 50,
  });
