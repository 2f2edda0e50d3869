// The visitor's wallet (EIP-1193). It signs for the agent: to make a key for this page, to list keys, to revoke them.
import type { Address, Hex } from 'viem';
import { createAgentFetch } from '../client/agent-fetch.ts';
import { parseAddress, toHex } from '../protocol/hex.ts';
import type { Provider } from './browser-wallet.ts';
import { answerOf } from './gateway.ts';

/** A wallet that speaks for one agent. Each call asks its owner for one signature. */
export type SigningWallet = {
  readonly address: Address;
  readonly call: (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object) => Promise<unknown>;
};

/** Seconds that a key made for this page lives. */
const pageKeyLife = 3600;

/** Asks the wallet for its account. Rejects where its owner refuses. */
export async function connect(provider: Provider, agent: string): Promise<SigningWallet> {
  const accounts = await provider.request({ method: 'eth_requestAccounts' });
  const address = parseAddress(Array.isArray(accounts) ? String(accounts[0]).toLowerCase() : undefined);
  if (address === undefined) throw new Error('The wallet named no account.');
  const sign = async (method: string, params: readonly unknown[]): Promise<Hex> => {
    const signature = await provider.request({ method, params });
    if (typeof signature !== 'string' || !signature.startsWith('0x'))
      throw new Error('The wallet did not sign.');
    return signature as Hex;
  };
  const agentFetch = createAgentFetch({
    wallet: {
      address,
      signMessage: ({ message }) => sign('personal_sign', [toHex(message.raw), address]),
      // Nothing here pays: no voucher is ever asked for.
      signTypedData: () => Promise.reject(new Error('This page signs no vouchers.')),
    },
    agent,
    gateway: location.origin,
    limits: { perVoucher: 1n },
  });
  return {
    address,
    call: async (method, path, body) =>
      answerOf(
        await agentFetch(location.origin + path, {
          method,
          ...(body === undefined
            ? {}
            : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
        }),
      ),
  };
}

/** Makes a key for this page: good for an hour, and for one base unit, so that it can read and not spend. */
export async function pageKey(wallet: SigningWallet): Promise<string> {
  const made = await wallet.call('POST', '/v1/keys', {
    expiresAt: Math.floor(Date.now() / 1000) + pageKeyLife,
    spendCap: '1',
    label: 'console',
  });
  const { key } = (made ?? {}) as { key?: unknown };
  if (typeof key !== 'string') throw new Error('The gateway made no key.');
  return key;
}
