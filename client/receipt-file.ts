// A receipt to keep or to hand on: all that is needed to verify it, but for one reading of the chain. Pure but for that.
import type { Address, Hex } from 'viem';
import { parseAddress, parseHex } from '../protocol/hex.ts';
import { receiptDigest, receiptFromJson, receiptToJson, type SignedReceipt } from '../protocol/receipt.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import type { Check } from './receipt-evidence.ts';
import { verifyReceipt } from './verify.ts';

/** Receipt, signature, proof, and where on which chain the head is that the proof leads to. */
export type ReceiptFile = {
  readonly signed: SignedReceipt;
  /** tlog-proof@v1 text. */
  readonly proof: string;
  readonly anchor: {
    readonly chainId: number;
    readonly address: Address;
    readonly logId: Hex;
  };
  /** C2SP vkey of the log's Ed25519 key, as the gateway named it when the file was made. */
  readonly checkpointKey?: string;
};

const format = 'tallystick-receipt@v1';

/** The file's text: JSON, one member per line where people look. */
export function formatReceiptFile({ signed, proof, anchor, checkpointKey }: ReceiptFile): string {
  const json = {
    format,
    digest: receiptDigest(signed.receipt),
    ...receiptToJson(signed),
    proof,
    anchor,
    ...(checkpointKey === undefined ? {} : { checkpointKey }),
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

/** Reads {@link formatReceiptFile}'s text. The error is a sentence; nothing is verified here. */
export function parseReceiptFile(text: string): Result<ReceiptFile, string> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return refuse('the file is not JSON');
  }
  if (!isRecord(json) || json['format'] !== format) return refuse(`the file does not say format ${format}`);
  const signed = receiptFromJson({ receipt: json['receipt'], signature: json['signature'] });
  if (!signed.ok) return refuse(`the receipt: ${signed.error}`);
  if (json['digest'] !== receiptDigest(signed.value.receipt)) {
    return refuse(`the receipt's digest is ${receiptDigest(signed.value.receipt)}, the file says another`);
  }
  const { proof, anchor, checkpointKey } = json;
  const address = isRecord(anchor) ? parseAddress(anchor['address']) : undefined;
  const logId = isRecord(anchor) ? parseHex(anchor['logId'], 32) : undefined;
  const chainId = isRecord(anchor) ? anchor['chainId'] : undefined;
  if (typeof proof !== 'string' || !address || !logId || !Number.isSafeInteger(chainId)) {
    return refuse('the file lacks {proof, anchor: {chainId, address, logId}}');
  }
  return ok({
    signed: signed.value,
    proof,
    anchor: { chainId: chainId as number, address, logId },
    ...(typeof checkpointKey === 'string' ? { checkpointKey } : {}),
  });
}

/**
 * Verifies a file against the chain. The anchor named in it is where it *says* to look: pass `anchor` and `logId` that you
 * know from elsewhere, or the file proves no more than that some log has it.
 *
 * Rejects with AgentError `chain_unavailable` when the node cannot be asked.
 */
export function verifyReceiptFile(
  file: ReceiptFile,
  options: { readonly rpcUrl: string; readonly anchor?: Address; readonly logId?: Hex },
): Promise<Check[]> {
  const { signed, proof, checkpointKey } = file;
  return verifyReceipt({
    rpcUrl: options.rpcUrl,
    anchor: options.anchor ?? file.anchor.address,
    logId: options.logId ?? file.anchor.logId,
    signed,
    proof,
    ...(checkpointKey === undefined ? {} : { checkpointKey }),
  });
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
