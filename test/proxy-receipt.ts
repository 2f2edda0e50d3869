import { receiptFromJson } from '../protocol/receipt.ts';

/** A receipt as it travels: decimal strings. */
export type ReceiptJson = {
  readonly sequence: string;
  readonly amount: string;
  readonly upstream: string;
  readonly model: string;
  readonly upstreamId: string;
  readonly requestHash: string;
  readonly forwardedHash: string;
  readonly responseHash: string;
  readonly upstreamResponseHash: string;
  readonly assurance: number;
  readonly evidence: string;
  readonly usage: {
    readonly input: string;
    readonly cachedInput: string;
    readonly cacheCreation: string;
    readonly output: string;
    readonly thinking: string;
    readonly estimated: boolean;
  };
};

const fromBase64 = (base64: string): ReceiptJson => {
  const json = JSON.parse(Buffer.from(base64, 'base64').toString('utf8'));
  // It has to be one, not only look like one.
  if (!receiptFromJson(json).ok) throw new Error('not a receipt');
  return json.receipt as ReceiptJson;
};

/** The receipt in a stream's comment, if it has come. */
export function receiptIn(stream: string): ReceiptJson | undefined {
  const base64 = /^: tallystick-receipt (\S+)$/m.exec(stream)?.[1];
  return base64 === undefined ? undefined : fromBase64(base64);
}

/** The receipt in a response's header. */
export function receiptOf(headers: Headers): ReceiptJson | undefined {
  const base64 = headers.get('tallystick-receipt');
  return base64 === null ? undefined : fromBase64(base64);
}
