import { type Address, type Hex, hashTypedData } from 'viem';
import { parseUint } from '../decimal.ts';
import { recoverDigest, signDigest } from '../ecdsa.ts';
import { parseAddress, parseHex } from '../hex.ts';

/**
 * What a gateway says a request will cost at most, and until when it stands by that (docs/protocol.md, section 9). A receipt
 * for the same body made before `validUntil`, for more than `ceiling` or by another table, contradicts it.
 */
export type Quote = {
  readonly chainId: bigint;
  readonly vault: Address;
  /** SHA-256 of the body, byte for byte. */
  readonly requestHash: Hex;
  readonly model: string;
  /** Hash of the price table. */
  readonly priceTable: Hex;
  /** Base units of the vault's asset. */
  readonly ceiling: bigint;
  /** Unix seconds. */
  readonly validUntil: bigint;
};

export type SignedQuote = { readonly quote: Quote; readonly signature: Hex };

const quoteTypes = {
  Quote: [
    { name: 'chainId', type: 'uint256' },
    { name: 'vault', type: 'address' },
    { name: 'requestHash', type: 'bytes32' },
    { name: 'model', type: 'string' },
    { name: 'priceTable', type: 'bytes32' },
    { name: 'ceiling', type: 'uint256' },
    { name: 'validUntil', type: 'uint64' },
  ],
} as const;

const quoteDigest = (quote: Quote): Hex =>
  hashTypedData({
    domain: { name: 'tallystick Quote', version: '1' },
    types: quoteTypes,
    primaryType: 'Quote',
    message: quote,
  });

/** Signed with the receipt key. */
export const signQuote = (quote: Quote, key: Hex): SignedQuote => ({
  quote,
  signature: signDigest(quoteDigest(quote), key),
});

/** The key that signed; `undefined` when the signature is none. */
export const quoteSigner = ({ quote, signature }: SignedQuote): Address | undefined =>
  recoverDigest(quoteDigest(quote), signature);

export function quoteToJson({ quote, signature }: SignedQuote) {
  const { chainId, ceiling, validUntil } = quote;
  return {
    quote: { ...quote, chainId: `${chainId}`, ceiling: `${ceiling}`, validUntil: `${validUntil}` },
    signature,
  };
}

/** Reads {@link quoteToJson}'s form; `undefined` for anything else. The signature is not checked here. */
export function quoteFromJson(json: unknown): SignedQuote | undefined {
  const { quote, signature } = (json ?? {}) as { quote?: Record<string, unknown>; signature?: unknown };
  const chainId = parseUint(quote?.['chainId']);
  const vault = parseAddress(quote?.['vault']);
  const requestHash = parseHex(quote?.['requestHash'], 32);
  const model = quote?.['model'];
  const priceTable = parseHex(quote?.['priceTable'], 32);
  const ceiling = parseUint(quote?.['ceiling']);
  const validUntil = parseUint(quote?.['validUntil'], 64);
  const signed = parseHex(signature, 65);
  if (
    chainId === undefined ||
    vault === undefined ||
    requestHash === undefined ||
    typeof model !== 'string' ||
    priceTable === undefined ||
    ceiling === undefined ||
    validUntil === undefined ||
    signed === undefined
  ) {
    return undefined;
  }
  return {
    quote: { chainId, vault, requestHash, model, priceTable, ceiling, validUntil },
    signature: signed,
  };
}
