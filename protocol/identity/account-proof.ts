import { bytesToHex } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import type { Keyid } from './keyid.ts';
import type { Policy } from './policy.ts';
import { isStrictSignature, type Recover } from './recover.ts';

/** `stranger`: an account this request has no business with, so that no chain was asked on its behalf. */
export type ChainAnswer = 'valid' | 'invalid' | 'stranger' | 'unavailable';

/**
 * What only a chain can say. Always asked on the `keyid`'s chain: on another, a contract deployed at the same address
 * would speak for the account. `unavailable` is for a chain that could not be asked, never for a revert.
 */
export type ContractAccount = {
  /** Whether code is at the address, an EIP-7702 delegation included. */
  readonly hasCode: (chainId: number, address: Hex) => Promise<boolean | 'stranger' | 'unavailable'>;
  /** ERC-1271 `isValidSignature(hash, signature)` on deployed code. */
  readonly isValidSignature: (
    chainId: number,
    address: Hex,
    hash: Hex,
    signature: Hex,
  ) => Promise<ChainAnswer>;
  /** ERC-6492: the signature still carries its wrapper. */
  readonly verify6492: (chainId: number, address: Hex, hash: Hex, signature: Hex) => Promise<ChainAnswer>;
};

export type AccountPorts = { readonly recover: Recover; readonly contractAccount?: ContractAccount };

/**
 * Who signed. `eoa`: an account known to have no code. `contract`: its code, or its ERC-6492 factory, said yes.
 * `eoa-unless-code`: the key behind the address signed, and nobody has looked whether the account has code; that is
 * no proof until somebody does (see `Policy.code`).
 */
export type ProvenAccount = 'eoa' | 'contract' | 'eoa-unless-code';

export type AccountProof =
  | { readonly ok: true; readonly account: ProvenAccount }
  | {
      readonly ok: false;
      readonly code:
        | 'bad_signature'
        | 'unsupported_account'
        | 'principal_not_allowed'
        | 'signature_verification_unavailable';
      readonly message: string;
    };

/** ERC-6492's mark: the last 32 bytes are 0x6492 again and again. */
const isWrapped = (signature: Uint8Array): boolean => {
  if (signature.length < 32) return false;
  for (let i = signature.length - 32, high = true; i < signature.length; i++, high = !high) {
    if (signature[i] !== (high ? 0x64 : 0x92)) return false;
  }
  return true;
};

const BAD_EOA =
  'the signature is not by the keyid address over this request, or not 65 bytes r || s || v with low s and v 27 or 28';

const proven = (account: ProvenAccount): AccountProof => ({ ok: true, account });

const bad = (message: string): AccountProof => ({ ok: false, code: 'bad_signature', message });

const eoaOnly = (what: string): AccountProof => ({
  ok: false,
  code: 'unsupported_account',
  message: `${what}: this route verifies externally owned accounts only`,
});

const UNAVAILABLE: AccountProof = {
  ok: false,
  code: 'signature_verification_unavailable',
  message: "the account's chain could not be asked; try again shortly",
};

const STRANGER: AccountProof = {
  ok: false,
  code: 'principal_not_allowed',
  message:
    'the signature is no ECDSA signature of the keyid address, and no contract may use this route under it',
};

/** Asks a port. One that throws has failed to ask: a provider's exception must never read as a verdict. */
export const asked = async <T>(question: () => Promise<T>): Promise<T | 'unavailable'> => {
  try {
    return await question();
  } catch {
    return 'unavailable';
  }
};

const verdict = (answer: ChainAnswer, refused: string): AccountProof => {
  switch (answer) {
    case 'valid':
      return proven('contract');
    case 'invalid':
      return bad(refused);
    case 'stranger':
      return STRANGER;
    case 'unavailable':
      return UNAVAILABLE;
  }
};

/**
 * Universal Account verification (ERC-8128 section 4.1): an ERC-6492 wrapper first; then, if there is code, ERC-1271
 * without falling back to ECDSA; strict EOA recovery only for an account without code.
 *
 * `digest` is the ERC-191 hash of the signature base. Without a `contractAccount` port code cannot be looked for: an
 * EOA signature proves `eoa-unless-code`, everything that is not 65 bytes is `unsupported_account`.
 */
export const proveAccount = async (
  keyid: Keyid,
  digest: Uint8Array,
  signature: Uint8Array,
  policy: Pick<Policy, 'accounts' | 'code'>,
  ports: AccountPorts,
): Promise<AccountProof> => {
  const { contractAccount } = ports;
  const { chainId, address } = keyid;
  const universal = policy.accounts === 'universal';
  // Only a chain wants hex, and most signatures are never shown to one.
  const signatureHex = (): Hex => `0x${bytesToHex(signature)}`;
  const hash = (): Hex => `0x${bytesToHex(digest)}`;
  const signedByKey = (): boolean =>
    isStrictSignature(signature) && ports.recover(digest, signature)?.toLowerCase() === address;

  if (isWrapped(signature)) {
    if (!universal || contractAccount === undefined) return eoaOnly('an ERC-6492 signature');
    const answer = await asked(() => contractAccount.verify6492(chainId, address, hash(), signatureHex()));
    return verdict(answer, 'the ERC-6492 signature does not verify');
  }

  if (contractAccount === undefined) {
    if (signature.length !== 65) return eoaOnly('a signature that is not 65 bytes');
    return signedByKey() ? proven('eoa-unless-code') : bad(BAD_EOA);
  }

  if (policy.code === 'deferred' && signedByKey()) return proven('eoa-unless-code');

  const code = await asked(() => contractAccount.hasCode(chainId, address));
  if (code === 'unavailable') return UNAVAILABLE;
  if (code === 'stranger') {
    // Nobody looked, so this one is judged as an EOA, and never called a plain one.
    if (signedByKey()) return proven('eoa-unless-code');
    return isStrictSignature(signature) ? bad(BAD_EOA) : STRANGER;
  }
  if (code) {
    if (!universal) return eoaOnly('an account with code');
    const answer = await asked(() =>
      contractAccount.isValidSignature(chainId, address, hash(), signatureHex()),
    );
    return verdict(answer, "the account's code does not accept the signature (ERC-1271)");
  }
  return signedByKey() ? proven('eoa') : bad(BAD_EOA);
};
