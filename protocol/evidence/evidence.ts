/** Evidence against an operator, as a file that anybody can check (docs/protocol.md, section 10). */
import type { Hex } from 'viem';
import { parseUint } from '../decimal.ts';
import { parseAddress, parseHex } from '../hex.ts';
import type { LogDomain } from '../log/head.ts';
import { receiptFromJson, receiptToJson, type SignedReceipt } from '../receipt.ts';
import { ok, type Result, refuse } from '../result.ts';

/** The first field of every evidence file. */
export const evidenceFormat = 'tallystick-evidence@v1';

/** A head and its 65-byte signature. `null` for the head that the anchor holds: the contract vouches for that one. */
export type SignedHead = { readonly size: number; readonly root: Hex; readonly signature: Hex };
export type LaterHead = Omit<SignedHead, 'signature'> & { readonly signature: Hex | null };

/** Two different receipts for one place. */
export type TwoReceipts = {
  readonly type: 'two-receipts';
  readonly log: LogDomain;
  readonly receipts: readonly [SignedReceipt, SignedReceipt];
};

/**
 * A signed head that a later one contradicts. `begins` shows how: the root that the later tree's first `earlier.size`
 * entries have, with the RFC 9162 consistency proof from it. For two heads of one size that is the later one's root, and
 * the proof is empty.
 */
export type TwoHeads = {
  readonly type: 'two-heads';
  readonly log: LogDomain;
  readonly earlier: SignedHead;
  readonly later: LaterHead;
  readonly begins: { readonly root: Hex; readonly proof: readonly Hex[] };
};

/** A receipt whose `mergeBy` is over, to be shown in the anchored log by whoever can. */
export type OverdueReceipt = {
  readonly type: 'overdue-receipt';
  readonly log: LogDomain;
  readonly overdue: SignedReceipt;
};

export type Evidence = TwoReceipts | TwoHeads | OverdueReceipt;

/** No path in a tree of 2^53 leaves is longer, consistency proofs included. */
const proofLengthMax = 54;

/** The file's JSON. */
export function evidenceToJson(evidence: Evidence): Record<string, unknown> {
  const { type, log } = evidence;
  const head = { format: evidenceFormat, type, log };
  switch (type) {
    case 'two-receipts':
      return { ...head, receipts: evidence.receipts.map(receiptToJson) };
    case 'two-heads':
      return {
        ...head,
        earlier: { ...evidence.earlier, size: `${evidence.earlier.size}` },
        later: { ...evidence.later, size: `${evidence.later.size}` },
        begins: evidence.begins,
      };
    case 'overdue-receipt':
      return { ...head, overdue: receiptToJson(evidence.overdue) };
  }
}

/** Reads {@link evidenceToJson}'s form strictly: every field, no others, each in its one spelling. Judges nothing. */
export function evidenceFromJson(json: unknown): Result<Evidence, string> {
  if (!isRecord(json)) return refuse('an evidence file is a JSON object');
  if (json['format'] !== evidenceFormat) return refuse(`format: ${evidenceFormat} expected`);
  const log = logFromJson(json['log']);
  if (!log.ok) return log;
  switch (json['type']) {
    case 'two-receipts':
      return twoReceiptsFromJson(json, log.value);
    case 'two-heads':
      return twoHeadsFromJson(json, log.value);
    case 'overdue-receipt':
      return overdueFromJson(json, log.value);
    default:
      return refuse('type: two-receipts, two-heads or overdue-receipt expected');
  }
}

/** Reads a file's text. */
export function parseEvidence(text: string): Result<Evidence, string> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return refuse('not JSON');
  }
  return evidenceFromJson(json);
}

/** The file's text: indented, because people read it. */
export const formatEvidence = (evidence: Evidence): string =>
  `${JSON.stringify(evidenceToJson(evidence), undefined, 2)}\n`;

const fileFields = ['format', 'type', 'log'];

function twoReceiptsFromJson(json: Record<string, unknown>, log: LogDomain): Result<TwoReceipts, string> {
  const extra = unexpected(json, [...fileFields, 'receipts']);
  if (extra !== undefined) return refuse(`${extra}: no such field`);
  const list = json['receipts'];
  if (!Array.isArray(list) || list.length !== 2) return refuse('receipts: a list of two expected');
  const first = signedReceiptFromJson(list[0], 'receipts[0]');
  if (!first.ok) return first;
  const second = signedReceiptFromJson(list[1], 'receipts[1]');
  return second.ok ? ok({ type: 'two-receipts', log, receipts: [first.value, second.value] }) : second;
}

function twoHeadsFromJson(json: Record<string, unknown>, log: LogDomain): Result<TwoHeads, string> {
  const extra = unexpected(json, [...fileFields, 'earlier', 'later', 'begins']);
  if (extra !== undefined) return refuse(`${extra}: no such field`);
  const earlier = headFromJson(json['earlier'], 'earlier');
  if (!earlier.ok) return earlier;
  const { signature, ...unsigned } = earlier.value;
  if (signature === null) return refuse('earlier.signature: 65 bytes of lower-case 0x hex expected');
  const later = headFromJson(json['later'], 'later');
  if (!later.ok) return later;
  const begins = json['begins'];
  if (!isRecord(begins) || unexpected(begins, ['root', 'proof']) !== undefined) {
    return refuse('begins: an object {root, proof} expected');
  }
  const root = parseHex(begins['root'], 32);
  if (root === undefined) return refuse('begins.root: 32 bytes of lower-case 0x hex expected');
  const proof = proofFromJson(begins['proof']);
  if (proof === undefined) return refuse(`begins.proof: at most ${proofLengthMax} hashes expected`);
  return ok({
    type: 'two-heads',
    log,
    earlier: { ...unsigned, signature },
    later: later.value,
    begins: { root, proof },
  });
}

function overdueFromJson(json: Record<string, unknown>, log: LogDomain): Result<OverdueReceipt, string> {
  const extra = unexpected(json, [...fileFields, 'overdue']);
  if (extra !== undefined) return refuse(`${extra}: no such field`);
  const overdue = signedReceiptFromJson(json['overdue'], 'overdue');
  return overdue.ok ? ok({ type: 'overdue-receipt', log, overdue: overdue.value }) : overdue;
}

function logFromJson(json: unknown): Result<LogDomain, string> {
  if (!isRecord(json) || unexpected(json, ['chainId', 'anchor', 'logId']) !== undefined) {
    return refuse('log: an object {chainId, anchor, logId} expected');
  }
  const { chainId, anchor: anchorText, logId: logIdText } = json;
  if (typeof chainId !== 'number' || !Number.isSafeInteger(chainId) || chainId <= 0) {
    return refuse('log.chainId: a positive integer expected');
  }
  const anchor = parseAddress(anchorText);
  if (anchor === undefined) return refuse('log.anchor: a lower-case address expected');
  const logId = parseHex(logIdText, 32);
  if (logId === undefined) return refuse('log.logId: 32 bytes of lower-case 0x hex expected');
  return ok({ chainId, anchor, logId });
}

function signedReceiptFromJson(json: unknown, path: string): Result<SignedReceipt, string> {
  // A receipt that travels may have neighbours in its JSON; one that is evidence has none.
  if (isRecord(json)) {
    const extra = unexpected(json, ['receipt', 'signature']);
    if (extra !== undefined) return refuse(`${path}.${extra}: no such field`);
  }
  const read = receiptFromJson(json);
  return read.ok ? read : refuse(`${path}: ${read.error}`);
}

function headFromJson(json: unknown, path: string): Result<LaterHead, string> {
  if (!isRecord(json) || unexpected(json, ['size', 'root', 'signature']) !== undefined) {
    return refuse(`${path}: an object {size, root, signature} expected`);
  }
  const size = parseUint(json['size'], 53);
  if (size === undefined) return refuse(`${path}.size: a decimal string below 2^53 expected`);
  const root = parseHex(json['root'], 32);
  if (root === undefined) return refuse(`${path}.root: 32 bytes of lower-case 0x hex expected`);
  const signature = json['signature'] === null ? null : parseHex(json['signature'], 65);
  if (signature === undefined) return refuse(`${path}.signature: 65 bytes of lower-case 0x hex expected`);
  return ok({ size: Number(size), root, signature });
}

function proofFromJson(json: unknown): Hex[] | undefined {
  if (!Array.isArray(json) || json.length > proofLengthMax) return undefined;
  const proof: Hex[] = [];
  for (const item of json) {
    const hash = parseHex(item, 32);
    if (hash === undefined) return undefined;
    proof.push(hash);
  }
  return proof;
}

const unexpected = (json: Record<string, unknown>, fields: readonly string[]): string | undefined =>
  Object.keys(json).find((key) => !fields.includes(key));

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
