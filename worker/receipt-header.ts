import { toBase64 } from '../protocol/base64.ts';
import { receiptToJson, type SignedReceipt } from '../protocol/receipt.ts';

/** The response header a receipt comes in, where it is not in the stream. */
export const receiptHeader = 'Tallystick-Receipt';

const encoder = new TextEncoder();

export const formatReceipt = (signed: SignedReceipt): string =>
  toBase64(encoder.encode(JSON.stringify(receiptToJson(signed))));

/** The SSE comment a stream ends with, just before `[DONE]`. Every client's parser skips comments. */
export const receiptComment = (signed: SignedReceipt): Uint8Array =>
  encoder.encode(`: tallystick-receipt ${formatReceipt(signed)}\n\n`);
