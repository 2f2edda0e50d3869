import { type Address, type Hex, hashTypedData } from 'viem';
import { parseUint } from '../decimal.ts';
import { recoverDigest } from '../ecdsa.ts';
import { parseAddress } from '../hex.ts';

/**
 * "The operator may have taken up to `cumulative` in total from this agent, while the account's epoch is `epoch`"
 * (docs/protocol.md, section 3). Amounts in the asset's base unit.
 */
export type Voucher = {
  readonly registry: Address;
  readonly agentId: bigint;
  readonly epoch: bigint;
  readonly cumulative: bigint;
};

export type SignedVoucher = { readonly voucher: Voucher; readonly signature: Hex };

/** Which vault a voucher is for: its EIP-712 domain. */
export type VaultDomain = { readonly chainId: number; readonly vault: Address };

export const voucherTypes = {
  Voucher: [
    { name: 'registry', type: 'address' },
    { name: 'agentId', type: 'uint256' },
    { name: 'epoch', type: 'uint64' },
    { name: 'cumulative', type: 'uint256' },
  ],
} as const;

/** EIP-712 typed data, as any wallet's `signTypedData` takes it. */
export function voucherTypedData(domain: VaultDomain, voucher: Voucher) {
  return {
    domain: {
      name: 'tallystick AgentVault',
      version: '1',
      chainId: domain.chainId,
      verifyingContract: domain.vault,
    },
    types: voucherTypes,
    primaryType: 'Voucher',
    message: voucher,
  } as const;
}

export const voucherDigest = (domain: VaultDomain, voucher: Voucher): Hex =>
  hashTypedData(voucherTypedData(domain, voucher));

/** The EOA that signed this voucher for this vault; `undefined` when the signature is none. */
export const voucherSigner = (domain: VaultDomain, signed: SignedVoucher): Address | undefined =>
  recoverDigest(voucherDigest(domain, signed.voucher), signed.signature);

/** JSON form: the `payload` of an x402 `PAYMENT-SIGNATURE`. */
export function voucherToJson(signed: SignedVoucher) {
  const { registry, agentId, epoch, cumulative } = signed.voucher;
  return {
    voucher: { registry, agentId: `${agentId}`, epoch: `${epoch}`, cumulative: `${cumulative}` },
    signature: signed.signature,
  };
}

/** Reads {@link voucherToJson}'s form strictly; `undefined` for anything else. The signature is not checked here. */
export function voucherFromJson(json: unknown): SignedVoucher | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  const { voucher, signature } = json as { voucher?: unknown; signature?: unknown };
  if (typeof voucher !== 'object' || voucher === null) return undefined;
  if (typeof signature !== 'string' || !/^0x([0-9a-fA-F]{2}){0,65}$/.test(signature)) return undefined;
  const fields = voucher as Record<string, unknown>;
  const registry = parseAddress(fields['registry']);
  const agentId = parseUint(fields['agentId']);
  const epoch = parseUint(fields['epoch'], 64);
  const cumulative = parseUint(fields['cumulative']);
  if (registry === undefined || agentId === undefined || epoch === undefined || cumulative === undefined) {
    return undefined;
  }
  return {
    voucher: { registry, agentId, epoch, cumulative },
    signature: signature.toLowerCase() as Hex,
  };
}
