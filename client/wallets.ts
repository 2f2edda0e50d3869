// Wallets that are not a viem account, made to fit. What *is* one (privateKeyToAccount, toAccount, viem's smart
// accounts) is given to createAgentFetch as it is.
import { type Account, type Address, type Hex, hashMessage, recoverMessageAddress } from 'viem';
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
  readonly account?: Account | undefined;
  signMessage(parameters: { account: Account; message: { raw: Uint8Array } }): Promise<Hex>;
  signTypedData(parameters: VoucherTypedData & { account: Account }): Promise<Hex>;
};

/** A viem WalletClient with an account: a browser's wallet, a remote signer. It may ask its user for each signature. */
export function fromWalletClient(client: WalletClientLike): AgentWallet {
  const { account } = client;
  if (account === undefined) throw new TypeError('the WalletClient has no account: create it with one');
  return {
    address: account.address,
    // The account itself: by its address alone a key that the client holds would be looked for at the node.
    signMessage: ({ message }) => client.signMessage({ account, message }),
    signTypedData: (typed) => client.signTypedData({ ...typed, account }),
  };
}

/** As much of Coinbase AgentKit's EvmWalletProvider as is needed. */
export type AgentKitProviderLike = {
  getAddress(): string;
  /** Of a hash, as it is. */
  sign(hash: Hex): Promise<Hex>;
  signMessage(message: string | Uint8Array): Promise<Hex>;
  // Theirs is `any`; a method's parameters are compared both ways, so theirs fits.
  signTypedData(typedData: VoucherTypedData): Promise<Hex>;
};

/**
 * A Coinbase AgentKit wallet provider with a key. Its providers disagree on what bytes they take as a message (and their
 * `toSigner()` hands viem's form to all of them), so the first signature is looked at, and the way that gave a right one is kept.
 * A provider whose address is a contract signs neither way: give its owner's key, or a smart account.
 */
export function fromAgentKit(provider: AgentKitProviderLike): AgentWallet {
  const address = provider.getAddress() as Address;
  const ways: ((raw: Uint8Array) => Promise<Hex>)[] = [
    (raw) => provider.signMessage(raw),
    (raw) => provider.sign(hashMessage({ raw })),
  ];
  let found: (typeof ways)[number] | undefined;
  return {
    address,
    async signMessage({ message }) {
      if (found) return found(message.raw);
      for (const way of ways) {
        const signature = await way(message.raw).catch(() => undefined);
        if (signature === undefined || !(await isBy(address, message, signature))) continue;
        found = way;
        return signature;
      }
      throw new TypeError(
        `the AgentKit provider of ${address} made no signature of a message that is its own`,
      );
    },
    signTypedData: (typed) => provider.signTypedData(typed),
  };
}

async function isBy(address: Address, message: { raw: Uint8Array }, signature: Hex): Promise<boolean> {
  try {
    return (await recoverMessageAddress({ message, signature })).toLowerCase() === address.toLowerCase();
  } catch {
    return false;
  }
}

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
