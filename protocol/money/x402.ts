// x402 v2 headers (coinbase/x402, specs/transports-v2/http.md) with our scheme, `agent-vault`: docs/protocol.md, section 3.
import type { Address, Hex } from 'viem';
import { fromBase64, toBase64 } from '../base64.ts';
import { type SignedVoucher, voucherFromJson, voucherToJson } from './voucher.ts';

export const paymentRequiredHeader = 'PAYMENT-REQUIRED';
export const paymentSignatureHeader = 'PAYMENT-SIGNATURE';
export const paymentResponseHeader = 'PAYMENT-RESPONSE';
export const scheme = 'agent-vault';

/** The account's figures, as a payment refusal shows them; base units in decimal. */
export type PaymentTerms = {
  readonly chainId: number;
  readonly vault: Address;
  readonly registry: Address;
  readonly agentId: bigint;
  readonly epoch: bigint;
  /** What the voucher's cumulative must reach for this request to start. */
  readonly required: bigint;
  readonly ceiling: bigint;
  readonly available: bigint;
  readonly captured: bigint;
  readonly held: bigint;
  readonly deposited: bigint;
};

export type PaymentRequirements = {
  readonly scheme: string;
  readonly network: string;
  readonly amount: string;
  readonly asset: Hex;
  readonly payTo: Address;
  readonly maxTimeoutSeconds: number;
  readonly extra: Readonly<Record<string, unknown>>;
};

const nativeAsset: Address = `0x${'00'.repeat(20)}`;

export function requirementsOf(terms: PaymentTerms): PaymentRequirements {
  return {
    scheme,
    network: `eip155:${terms.chainId}`,
    amount: `${terms.required}`,
    asset: nativeAsset,
    payTo: terms.vault,
    maxTimeoutSeconds: 600,
    extra: {
      vault: terms.vault,
      registry: terms.registry,
      agentId: `${terms.agentId}`,
      epoch: `${terms.epoch}`,
      ceiling: `${terms.ceiling}`,
      available: `${terms.available}`,
      captured: `${terms.captured}`,
      held: `${terms.held}`,
      deposited: `${terms.deposited}`,
      eip712: { name: 'tallystick AgentVault', version: '1', primaryType: 'Voucher' },
    },
  };
}

/** The value of `PAYMENT-REQUIRED`. */
export function formatPaymentRequired(error: string, url: string, requirements: PaymentRequirements): string {
  return encode({
    x402Version: 2,
    error,
    resource: { url, description: 'Qwen inference, paid per token', mimeType: 'application/json' },
    accepts: [requirements],
  });
}

/** The value of `PAYMENT-SIGNATURE`: a signed voucher, with what was accepted if it answers a refusal. */
export function formatPaymentSignature(chainId: number, signed: SignedVoucher): string {
  return encode({
    x402Version: 2,
    accepted: { scheme, network: `eip155:${chainId}` },
    payload: voucherToJson(signed),
  });
}

/**
 * The value of `PAYMENT-RESPONSE`: what was charged, once that is known (a stream's headers leave before it is). There is no
 * transaction yet: captures are claimed together, later.
 */
export const formatPaymentResponse = (network: string, payer: Address, amount: bigint | undefined): string =>
  encode({
    success: true,
    transaction: '',
    network,
    payer,
    ...(amount === undefined ? {} : { amount: `${amount}` }),
    extra: { scheme },
  });

/**
 * Reads `PAYMENT-SIGNATURE`. `undefined` for anything that is not one of our scheme on this chain; the voucher's signature
 * is not checked here.
 */
export function parsePaymentSignature(header: string, chainId: number): SignedVoucher | undefined {
  const json = decode(header);
  if (!isRecord(json) || json['x402Version'] !== 2 || !isRecord(json['accepted'])) return undefined;
  const { scheme: offered, network } = json['accepted'];
  if (offered !== scheme || network !== `eip155:${chainId}`) return undefined;
  return voucherFromJson(json['payload']);
}

/** Reads `PAYMENT-REQUIRED`: the requirements of our scheme on this chain, if it offers them. */
export function parsePaymentRequired(header: string, chainId: number): PaymentRequirements | undefined {
  const json = decode(header);
  if (!isRecord(json) || !Array.isArray(json['accepts'])) return undefined;
  const offers = json['accepts'].filter(isRecord) as PaymentRequirements[];
  return offers.find((offer) => offer.scheme === scheme && offer.network === `eip155:${chainId}`);
}

const encode = (json: unknown): string => toBase64(new TextEncoder().encode(JSON.stringify(json)));

function decode(header: string): unknown {
  const bytes = header.length <= 16_384 ? fromBase64(header) : undefined;
  if (bytes === undefined) return undefined;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
