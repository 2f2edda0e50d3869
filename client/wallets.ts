// Wallets that are not a viem account, made to fit. What *is* one (privateKeyToAccount, toAccount, AgentKit's toSigner(),
// viem's smart accounts) is given to createAgentFetch as it is.
import type { Address, Hex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import type { voucherTypedData } from '../protocol/money/voucher.ts';
import type { AgentWallet } from './agent-fetch.ts';
import { readKeystore } from './keystore.ts';

type VoucherTypedData = ReturnType<typeof voucherTypedData>;

/** A raw private key. Keep it in an environment variable or a file, not in code. */
export function fromPrivateKey(key: string): AgentWallet {
  const bare = key.trim().replace(/^0x/, '');
  // The key itself must not get into a message, not even a wrong one.
  if (!/^[0-9a-fA-F]{64}$/.test(bare)) throw new TypeError('a private key is 64 hex digits');
  return privateKeyToAccount(`0x${bare.toLowerCase()}`);
}

/** A keystore file's text (version 3) and its password. Rejects with TypeError where they do not go together. */
export async function fromKeystore(text: string, password: string): Promise<AgentWallet> {
  const key = await readKeystore(text, password);
  if (!key.ok) throw new TypeError(key.error);
  return privateKeyToAccount(key.value);
}

/** As much of viem's WalletClient as is needed. */
export type WalletClientLike = {
  readonly account?: { readonly address: Address } | undefined;
  signMessage(parameters: { account: Address; message: { raw: Uint8Array } }): Promise<Hex>;
  signTypedData(parameters: VoucherTypedData & { account: Address }): Promise<Hex>;
};

/** A viem WalletClient with an account: a browser's wallet, a remote signer. It may ask its user for each signature. */
export function fromWalletClient(client: WalletClientLike): AgentWallet {
  const address = client.account?.address;
  if (address === undefined) throw new TypeError('the WalletClient has no account: create it with one');
  return {
    address,
    signMessage: ({ message }) => client.signMessage({ account: address, message }),
    signTypedData: (typed) => client.signTypedData({ ...typed, account: address }),
  };
}

/** As much of Coinbase AgentKit's EvmWalletProvider as is needed. */
export type AgentKitProviderLike = {
  getAddress(): string;
  signMessage(message: string | Uint8Array): Promise<Hex>;
  // Theirs is `any`; a method's parameters are compared both ways, so theirs fits.
  signTypedData(typedData: VoucherTypedData): Promise<Hex>;
};

/** A Coinbase AgentKit wallet provider. */
export const fromAgentKit = (provider: AgentKitProviderLike): AgentWallet => ({
  address: provider.getAddress() as Address,
  signMessage: ({ message }) => provider.signMessage(message.raw),
  signTypedData: (typed) => provider.signTypedData(typed),
});

/** As much of `@open-wallet-standard/core` as is needed. */
export type OpenWalletLike = {
  getWallet(name: string): {
    readonly accounts: readonly { readonly chainId: string; readonly address: string }[];
  };
  signMessage(
    wallet: string,
    chain: string,
    message: string,
    passphrase?: string,
    encoding?: string,
  ): { readonly signature: string };
  signTypedData(
    wallet: string,
    chain: string,
    typedDataJson: string,
    passphrase?: string,
  ): { readonly signature: string };
};

/** A wallet of the Open Wallet Standard, by its name: `fromOpenWallet(await import('@open-wallet-standard/core'), 'my-agent', passphrase)`. */
export function fromOpenWallet(ows: OpenWalletLike, name: string, passphrase?: string): AgentWallet {
  const account = ows.getWallet(name).accounts.find(({ chainId }) => chainId.startsWith('eip155:'));
  if (account === undefined) throw new TypeError(`the wallet ${name} has no account on an EVM chain`);
  return {
    address: account.address as Address,
    signMessage: async ({ message }) => {
      const hex = Array.from(message.raw, (byte) => byte.toString(16).padStart(2, '0')).join('');
      return prefixed(ows.signMessage(name, 'ethereum', hex, passphrase, 'hex').signature);
    },
    signTypedData: async (typed) =>
      prefixed(ows.signTypedData(name, 'ethereum', typedDataJson(typed), passphrase).signature),
  };
}

/** EIP-712 JSON as wallets read it: the domain's type spelled out, numbers as decimal strings. */
function typedDataJson({ domain, types, primaryType, message }: VoucherTypedData): string {
  const json = {
    domain,
    types: {
      EIP712Domain: [
        { name: 'name', type: 'string' },
        { name: 'version', type: 'string' },
        { name: 'chainId', type: 'uint256' },
        { name: 'verifyingContract', type: 'address' },
      ],
      ...types,
    },
    primaryType,
    message,
  };
  return JSON.stringify(json, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value));
}

const prefixed = (signature: string): Hex => `0x${signature.replace(/^0x/, '')}`;
