import type { Hex } from 'viem';

/** An Ethereum account as a `keyid` names it (ERC-8128 section 3.3.1). */
export type Keyid = {
  /** Canonical CAIP-10 text, the only form to use as a cache or replay key. */
  readonly text: string;
  /** EIP-155 chain id. `Infinity` when it is canonical but beyond 2^53: no verifier here serves such a chain. */
  readonly chainId: number;
  /** 20 bytes of lower-case hex. */
  readonly address: Hex;
};

// CAIP-2 bounds a chain reference at 32 characters.
const PATTERN = /^eip155:(0|[1-9][0-9]{0,31}):(0x[0-9a-f]{40})$/;

/** Reads a canonical CAIP-10 account; `undefined` is the draft's `invalid_keyid`. */
export const parseKeyid = (text: string): Keyid | undefined => {
  const [, chain, address] = PATTERN.exec(text) ?? [];
  if (chain === undefined || address === undefined) return undefined;
  const chainId = Number(chain);
  return {
    text,
    chainId: Number.isSafeInteger(chainId) ? chainId : Number.POSITIVE_INFINITY,
    address: address as Hex,
  };
};

/** Writes the canonical `keyid` of an account; the address may be checksummed. */
export const formatKeyid = (account: { readonly chainId: number; readonly address: Hex }): string =>
  `eip155:${account.chainId}:${account.address.toLowerCase()}`;
