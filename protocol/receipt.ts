import type { Address, Hex } from 'viem';
import { parseUint } from './decimal.ts';
import { recoverDigest, signDigest } from './ecdsa.ts';
import { parseAddress, parseHex } from './hex.ts';
import { structDigest } from './receipt-digest.ts';
import { ok, type Result, refuse } from './result.ts';

/**
 * Tokens one call used. `cachedInput` and `cacheCreation` are parts of `input`, `thinking` is part of `output`.
 * `estimated`: upstream's own figure was never seen.
 */
export type ReceiptUsage = {
  readonly input: bigint;
  readonly cachedInput: bigint;
  readonly cacheCreation: bigint;
  readonly output: bigint;
  readonly thinking: bigint;
  readonly estimated: boolean;
};

/** How the agent authorised the call: what `authorization` is the hash of. */
export const authorizationKinds = { erc8128: 1, sessionKey: 2 } as const;

/** What stands behind the answer besides the gateway's word. */
export const assurances = { gatewaySigned: 0, teeSigned: 1 } as const;

/** The record of one capture; every field is explained in docs/protocol.md, section 4. */
export type Receipt = {
  readonly logId: Hex;
  readonly chainId: bigint;
  readonly vault: Address;
  readonly registry: Address;
  readonly agentId: bigint;
  readonly epoch: bigint;
  readonly sequence: bigint;
  readonly previous: Hex;
  readonly authorizationKind: number;
  readonly authorization: Hex;
  readonly requestHash: Hex;
  readonly forwardedHash: Hex;
  readonly responseHash: Hex;
  readonly upstreamResponseHash: Hex;
  readonly upstream: string;
  readonly model: string;
  readonly upstreamId: string;
  readonly usage: ReceiptUsage;
  readonly priceTable: Hex;
  readonly amount: bigint;
  readonly cumulative: bigint;
  readonly time: bigint;
  readonly mergeBy: bigint;
  readonly assurance: number;
  readonly evidence: Hex;
};

export type SignedReceipt = { readonly receipt: Receipt; readonly signature: Hex };

/** The EIP-712 types, and the one list of fields that everything in this file is driven by. */
export const receiptTypes = {
  Receipt: [
    { name: 'logId', type: 'bytes32' },
    { name: 'chainId', type: 'uint256' },
    { name: 'vault', type: 'address' },
    { name: 'registry', type: 'address' },
    { name: 'agentId', type: 'uint256' },
    { name: 'epoch', type: 'uint64' },
    { name: 'sequence', type: 'uint64' },
    { name: 'previous', type: 'bytes32' },
    { name: 'authorizationKind', type: 'uint8' },
    { name: 'authorization', type: 'bytes32' },
    { name: 'requestHash', type: 'bytes32' },
    { name: 'forwardedHash', type: 'bytes32' },
    { name: 'responseHash', type: 'bytes32' },
    { name: 'upstreamResponseHash', type: 'bytes32' },
    { name: 'upstream', type: 'string' },
    { name: 'model', type: 'string' },
    { name: 'upstreamId', type: 'string' },
    { name: 'usage', type: 'Usage' },
    { name: 'priceTable', type: 'bytes32' },
    { name: 'amount', type: 'uint256' },
    { name: 'cumulative', type: 'uint256' },
    { name: 'time', type: 'uint64' },
    { name: 'mergeBy', type: 'uint64' },
    { name: 'assurance', type: 'uint8' },
    { name: 'evidence', type: 'bytes32' },
  ],
  Usage: [
    { name: 'input', type: 'uint64' },
    { name: 'cachedInput', type: 'uint64' },
    { name: 'cacheCreation', type: 'uint64' },
    { name: 'output', type: 'uint64' },
    { name: 'thinking', type: 'uint64' },
    { name: 'estimated', type: 'bool' },
  ],
} as const;

/** {@link receiptDigest} with a platform's own Keccak. */
export const receiptDigestWith = (
  keccak256?: (bytes: Uint8Array) => Uint8Array,
): ((receipt: Receipt) => Hex) =>
  structDigest({ name: 'tallystick Receipt', version: '1' }, receiptTypes, 'Receipt', keccak256);

/** The receipt's 32-byte digest: its name, its log entry, and what is signed. */
export const receiptDigest = receiptDigestWith();

/** Signs a receipt; the same receipt and key always give the same bytes. */
export const signReceipt = (receipt: Receipt, key: Hex): SignedReceipt => ({
  receipt,
  signature: signDigest(receiptDigest(receipt), key),
});

/** The key that signed; `undefined` when the signature is none. */
export const receiptSigner = (signed: SignedReceipt): Address | undefined =>
  recoverDigest(receiptDigest(signed.receipt), signed.signature);

/** A receipt as JSON: integers as decimal strings (uint8 as numbers), bytes and addresses as lower-case hex. */
export type ReceiptJson = Record<string, unknown>;

export function receiptToJson(signed: SignedReceipt): { receipt: ReceiptJson; signature: Hex } {
  return { receipt: structToJson('Receipt', signed.receipt), signature: signed.signature };
}

/** Reads {@link receiptToJson}'s form strictly: every field, no others, each in its one spelling. */
export function receiptFromJson(json: unknown): Result<SignedReceipt, string> {
  if (!isRecord(json)) return refuse('a receipt is a JSON object {receipt, signature}');
  const signature = parseHex(json['signature'], 65);
  if (signature === undefined) return refuse('signature: 65 bytes of lower-case 0x hex expected');
  const receipt = structFromJson('Receipt', json['receipt'], 'receipt');
  return receipt.ok ? ok({ receipt: receipt.value as Receipt, signature }) : receipt;
}

type StructName = keyof typeof receiptTypes;

function structToJson(name: StructName, struct: object): ReceiptJson {
  const values = struct as Record<string, unknown>;
  return Object.fromEntries(
    receiptTypes[name].map((field) => {
      const value = values[field.name];
      if (field.type === 'Usage') return [field.name, structToJson('Usage', value as object)];
      return [field.name, typeof value === 'bigint' ? `${value}` : value];
    }),
  );
}

function structFromJson(name: StructName, json: unknown, path: string): Result<unknown, string> {
  if (!isRecord(json)) return refuse(`${path}: an object expected`);
  const fields = receiptTypes[name];
  for (const key of Object.keys(json)) {
    if (!fields.some((field) => field.name === key)) return refuse(`${path}.${key}: no such field`);
  }
  const struct: Record<string, unknown> = {};
  for (const field of fields) {
    const at = `${path}.${field.name}`;
    const value = fieldFromJson(field.type, json[field.name], at);
    if (!value.ok) return value;
    struct[field.name] = value.value;
  }
  return ok(struct);
}

function fieldFromJson(type: string, json: unknown, path: string): Result<unknown, string> {
  const expected = (value: unknown, form: string) =>
    value === undefined ? refuse(`${path}: ${form} expected`) : ok(value);
  switch (type) {
    case 'Usage':
      return structFromJson('Usage', json, path);
    case 'bytes32':
      return expected(parseHex(json, 32), '32 bytes of lower-case 0x hex');
    case 'address':
      return expected(parseAddress(json), 'a lower-case address');
    case 'uint256':
      return expected(parseUint(json), 'a decimal string');
    case 'uint64':
      return expected(parseUint(json, 64), 'a decimal string below 2^64');
    case 'uint8':
      return expected(
        typeof json === 'number' && Number.isInteger(json) && json >= 0 && json < 256 ? json : undefined,
        'an integer from 0 to 255',
      );
    case 'bool':
      return expected(typeof json === 'boolean' ? json : undefined, 'true or false');
    case 'string':
      // A lone surrogate has no UTF-8: it would hash like U+FFFD, and two receipts would share a digest.
      return expected(
        typeof json === 'string' && json.isWellFormed() ? json : undefined,
        'a string of whole characters',
      );
    default:
      throw new Error(`receipt field of unknown type ${type}`);
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
