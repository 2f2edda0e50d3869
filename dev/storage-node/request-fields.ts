import type { Hex } from 'viem';
import { parseHex } from '../../protocol/hex.ts';
import { invalidParams } from './node-error.ts';
import type { SentSegment } from './stored-files.ts';

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A count or index; throws the node's error for anything else, as its deserializer does. */
export function count(value: unknown, name: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw invalidParams(name, 'not an unsigned integer');
}

export function hash(value: unknown, name: string): Hex {
  const parsed = parseHex(typeof value === 'string' ? value.toLowerCase() : value, 32);
  if (parsed === undefined) throw invalidParams(name, 'not a 32-byte hash');
  return parsed;
}

/** `{lemma, path}` with hashes and booleans in it. */
export function proof(value: unknown): SentSegment['proof'] {
  const { lemma, path } = isRecord(value) ? value : {};
  if (!Array.isArray(lemma) || !Array.isArray(path)) throw invalidParams('proof', 'invalid proof');
  if (path.some((side) => typeof side !== 'boolean')) throw invalidParams('proof', 'invalid proof');
  return { lemma: lemma.map((item) => hash(item, 'proof')), path };
}

export function base64(value: unknown): Uint8Array {
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(value)) {
    throw invalidParams('data', 'invalid base64');
  }
  return new Uint8Array(Buffer.from(value, 'base64'));
}

/** A SegmentWithProof. */
export function sentSegment(value: unknown): SentSegment {
  if (!isRecord(value)) throw invalidParams('segment', 'not an object');
  return {
    root: hash(value['root'], 'root'),
    index: count(value['index'], 'index'),
    fileSize: count(value['fileSize'], 'file_size'),
    bytes: base64(value['data']),
    proof: proof(value['proof']),
  };
}
