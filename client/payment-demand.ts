// Reading a 402: is it about us, and can a voucher cure it? Pure.
import type { Account } from '../protocol/account-name.ts';
import { fromBase64 } from '../protocol/base64.ts';
import { parseUint } from '../protocol/decimal.ts';
import { parseAddress } from '../protocol/hex.ts';
import { parsePaymentRequired } from '../protocol/money/x402.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';

/** What a gateway demands before it starts a call. Amounts in base units, all of them the gateway's word. */
export type PaymentDemand = {
  /** `voucher_missing`, `voucher_insufficient`, `no_deposit`, … */
  readonly reason: string;
  readonly epoch: bigint;
  /** The cumulative a voucher has to reach. */
  readonly required: bigint;
  readonly ceiling: bigint;
  readonly captured: bigint;
  readonly held: bigint;
};

/**
 * Reads `PAYMENT-REQUIRED`. `undefined` when it offers nothing of our scheme on this chain: somebody else's to answer.
 * Refused, with the sentence why, when it is of our scheme and malformed, or for another vault or agent.
 */
export function readPaymentDemand(
  header: string,
  account: Account,
): Result<PaymentDemand | undefined, string> {
  const offer = parsePaymentRequired(header, account.chainId);
  if (offer === undefined) return ok(undefined);
  const extra: Readonly<Record<string, unknown>> = isRecord(offer.extra) ? offer.extra : {};
  const vault = parseAddress(extra['vault']);
  if (vault !== account.vault || parseAddress(offer.payTo) !== account.vault) {
    return refuse(`the demand is for vault ${String(extra['vault'])}, ours is ${account.vault}`);
  }
  if (
    parseAddress(extra['registry']) !== account.registry ||
    parseUint(extra['agentId']) !== account.agentId
  ) {
    return refuse(
      `the demand is for agent ${String(extra['agentId'])} of ${String(extra['registry'])}, we are ${account.agentId} of ${account.registry}`,
    );
  }
  const required = parseUint(offer.amount);
  const epoch = parseUint(extra['epoch'], 64);
  const ceiling = parseUint(extra['ceiling']);
  const captured = parseUint(extra['captured']);
  const held = parseUint(extra['held']);
  if (
    required === undefined ||
    epoch === undefined ||
    ceiling === undefined ||
    captured === undefined ||
    held === undefined
  ) {
    return refuse('the demand lacks an amount, the epoch, or the figures it is made of');
  }
  return ok({ reason: reasonOf(header), required, epoch, ceiling, captured, held });
}

function reasonOf(header: string): string {
  const bytes = fromBase64(header);
  if (bytes === undefined) return '';
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return isRecord(json) && typeof json['error'] === 'string' ? json['error'] : '';
  } catch {
    return '';
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
