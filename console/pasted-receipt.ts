// A receipt in whatever form it was kept: a file of `tallystick receipts save`, the JSON of GET /v1/receipts/:sequence, the
// header's base64, or the comment a stream ends with. Read, not judged: a changed one has to get as far as the checks.
import { fromBase64 } from '../protocol/base64.ts';
import { parseHex } from '../protocol/hex.ts';
import { receiptFromJson, type SignedReceipt } from '../protocol/receipt.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';

export type Pasted = {
  readonly signed: SignedReceipt;
  /** The digest it came with, if it did. */
  readonly digest?: `0x${string}`;
  /** tlog-proof@v1 text; without one the proof is made from the log's public tiles. */
  readonly proof?: string;
  readonly checkpointKey?: string;
};

const bytesMax = 1_000_000;

/** The error is a sentence for whoever pasted it. */
export function readPasted(text: string): Result<Pasted, string> {
  if (text.length > bytesMax) return refuse('That is too long to be a receipt.');
  const bare = text.trim().replace(/^:?\s*tallystick-receipt:?\s+/i, '');
  if (bare === '') return refuse('There is nothing to verify yet.');
  const json = parseJson(bare.startsWith('{') ? bare : decoded(bare));
  if (!isRecord(json)) return refuse('That is neither a receipt’s JSON nor the base64 of one.');
  const signed = receiptFromJson({ receipt: json['receipt'], signature: json['signature'] });
  if (!signed.ok) return refuse(`That is not a receipt: ${signed.error}.`);
  const digest = parseHex(json['digest'], 32);
  const { proof, checkpointKey } = json;
  return ok({
    signed: signed.value,
    ...(digest === undefined ? {} : { digest }),
    ...(typeof proof === 'string' ? { proof } : {}),
    ...(typeof checkpointKey === 'string' ? { checkpointKey } : {}),
  });
}

function decoded(base64: string): string {
  const bytes = fromBase64(base64.replace(/\s/g, ''));
  return bytes === undefined ? '' : new TextDecoder().decode(bytes);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
