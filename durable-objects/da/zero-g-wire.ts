import { concatBytes } from '@noble/hashes/utils.js';
import type { Address, Hex } from 'viem';
import { parseHex } from '../../protocol/hex.ts';
import { ok, type Result, refuse } from '../../protocol/result.ts';
import type { FileTree, SegmentProof } from '../../protocol/zero-g/file-tree.ts';
import type { SegmentFault } from '../../protocol/zero-g/segment-check.ts';

/** The platform's `fetch`, passed in. Called as a plain function: workerd's refuses a foreign `this`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** A file to talk about. With `txSeq` it is that very submission; without, the node chooses among those of `root`. */
export interface FileRef {
  readonly root: Hex;
  /** Its position in the Flow's list of submissions. Give it where known: a stranger can submit the same root with
   * another length, and a node asked by root alone answers with whichever came first. */
  readonly txSeq?: bigint;
}

/** What a storage node knows about a submission. */
export interface StoredFile {
  readonly root: Hex;
  /** Length in bytes, as submitted. */
  readonly size: number;
  readonly txSeq: bigint;
  /** All segments are stored: the file can be downloaded. */
  readonly finalized: boolean;
  /** Segments wait in memory, not in order. */
  readonly cached: boolean;
  /** Once finalized, now deleted by the node. */
  readonly pruned: boolean;
  /** Segments stored from the beginning without a gap; if `cached`, a mere count. */
  readonly uploadedSegments: number;
}

/**
 * Why a storage node or indexer did not do what it was asked.
 * - `unreachable`: no answer: network, timeout, or an HTTP status that is not the service's own
 * - `malformed`: an answer, but not one the protocol has, or longer than it may be
 * - `refused`: the service's own error, in its words
 * - `busy`: its write limit is reached; the same request may succeed later
 * - `wrong_chain`, `wrong_flow`: it serves another network; waiting will not help
 * - `sharded`: the node keeps only a part of each file; such networks are used through an indexer
 * - `unknown_file`: it has not (yet) seen a submission of that root or number
 * - `other_file`: the submission it has under that root or number is of another root or length
 * - `not_finalized`, `pruned`: it knows the file but does not have all of it (yet, any more)
 * - `bad_segment`, `bad_file`: what it served is not (that part of) the file
 */
export type StorageRefusal =
  | { readonly reason: 'unreachable'; readonly detail: string }
  | { readonly reason: 'malformed'; readonly detail: string }
  | { readonly reason: 'refused'; readonly code: number; readonly detail: string }
  | { readonly reason: 'busy'; readonly detail: string }
  | { readonly reason: 'wrong_chain'; readonly expected: number; readonly found: number }
  | { readonly reason: 'wrong_flow'; readonly expected: Address; readonly found: Address }
  | { readonly reason: 'sharded'; readonly shards: number }
  | { readonly reason: 'unknown_file' }
  | { readonly reason: 'other_file'; readonly root: Hex; readonly size: number }
  | { readonly reason: 'not_finalized' }
  | { readonly reason: 'pruned' }
  | { readonly reason: 'bad_segment'; readonly index: number; readonly fault: SegmentFault }
  | { readonly reason: 'bad_file' };

export type StorageResult<T> = Promise<Result<T, StorageRefusal>>;

export interface UploadOutcome {
  readonly txSeq: bigint;
  /** Segments sent by this call; 0 where nothing was missing. */
  readonly uploaded: number;
  /** Whether the node already has it all for good. If not, it is still writing: ask `isFinalized` later. */
  readonly finalized: boolean;
}

/** What publishing and auditing need of 0G Storage, whether one node or an indexer answers. */
export interface ZeroGStorage {
  /** What is known about the file; `undefined` where its submission has not been seen. */
  find(file: FileRef): StorageResult<StoredFile | undefined>;
  /** Whether every segment of the file is stored. A file not yet known is not finalized. */
  isFinalized(file: FileRef): StorageResult<boolean>;
  /**
   * Uploads the segments the service does not have yet. The file's submission must be on chain and seen by the service
   * (`unknown_file` until then). Safe to call again at any point, also after a lost answer: what is there is not sent twice.
   */
  uploadFile(tree: FileTree, options?: { readonly txSeq?: bigint }): StorageResult<UploadOutcome>;
  /**
   * The file's bytes, proved against `root`. `size` is not committed to by the root (trailing zeros are free), so it
   * comes from the caller, for example from the Submit event; it also bounds what is read.
   */
  download(file: FileRef & { readonly size: number }): StorageResult<Uint8Array>;
}

/** JSON around a segment: its base64, a proof of at most some dozens of hashes, room for field names. */
export const SEGMENT_ANSWER_BYTES = 512 * 1024;
/** No other answer comes near this. */
export const SMALL_ANSWER_BYTES = 64 * 1024;

const MAX_QUOTED = 300;

/** One HTTP exchange, with a deadline over the whole of it and a bound on the answer's length. */
export async function exchange(
  fetch: Fetch,
  url: string,
  init: RequestInit,
  bounds: { readonly timeoutMs: number; readonly maxBytes: number },
): StorageResult<{ readonly status: number; readonly body: Uint8Array }> {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(bounds.timeoutMs) });
    const parts: Uint8Array[] = [];
    let length = 0;
    const reader = response.body?.getReader();
    while (reader !== undefined) {
      const { done, value } = await reader.read();
      if (done) break;
      length += value.length;
      if (length > bounds.maxBytes) {
        await reader.cancel();
        return refuse({ reason: 'malformed', detail: `answer longer than ${bounds.maxBytes} bytes` });
      }
      parts.push(value);
    }
    return ok({ status: response.status, body: concatBytes(...parts) });
  } catch (error) {
    // fetch reports refused connections, resets and timeouts by throwing; to the caller they are one outcome.
    return refuse({ reason: 'unreachable', detail: error instanceof Error ? error.message : String(error) });
  }
}

/** POSTs JSON, or GETs where there is none, and reads a JSON object back. Any HTTP status: the caller judges. */
export async function exchangeJson(
  fetch: Fetch,
  url: string,
  json: unknown,
  bounds: { readonly timeoutMs: number; readonly maxBytes: number },
): StorageResult<Record<string, unknown>> {
  const init: RequestInit =
    json === undefined
      ? { method: 'GET' }
      : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(json) };
  const answer = await exchange(fetch, url, init, bounds);
  if (!answer.ok) return answer;
  return parseAnswer(answer.value.status, answer.value.body);
}

/** The JSON object in an answer. A body that is none under an error status is a proxy's word, not the service's. */
export function parseAnswer(
  status: number,
  body: Uint8Array,
): Result<Record<string, unknown>, StorageRefusal> {
  const text = new TextDecoder().decode(body);
  try {
    const parsed: unknown = JSON.parse(text);
    if (isRecord(parsed)) return ok(parsed);
  } catch {
    // Not JSON: judged below, together with JSON that is no object.
  }
  const detail = `HTTP ${status}: ${text.slice(0, MAX_QUOTED)}`;
  return refuse({ reason: status === 200 ? 'malformed' : 'unreachable', detail });
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A number that JSON carried exactly and that counts something. */
export const parseCount = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;

/** A node's StoredFile. `undefined` where a member this project relies on is missing or of another type. */
export function parseStoredFile(value: unknown): StoredFile | undefined {
  if (!isRecord(value) || !isRecord(value['tx'])) return undefined;
  const { dataMerkleRoot, size, seq } = value['tx'];
  const { finalized, isCached, pruned, uploadedSegNum } = value;
  const root = parseHex(dataMerkleRoot, 32);
  const length = parseCount(size);
  const txSeq = parseCount(seq);
  const uploadedSegments = parseCount(uploadedSegNum);
  if (root === undefined || length === undefined || txSeq === undefined) return undefined;
  if (uploadedSegments === undefined || typeof finalized !== 'boolean') return undefined;
  return {
    root,
    size: length,
    txSeq: BigInt(txSeq),
    finalized,
    cached: isCached === true,
    pruned: pruned === true,
    uploadedSegments,
  };
}

/** A proof as JSON carries it. Only its shape is checked here; `checkSegment` judges the rest. */
export function parseProof(value: unknown): SegmentProof | undefined {
  if (!isRecord(value)) return undefined;
  const { lemma, path } = value;
  if (!Array.isArray(lemma) || !Array.isArray(path)) return undefined;
  const hashes = lemma.map((hash) => parseHex(hash, 32)).filter((hash) => hash !== undefined);
  const sides = path.filter((side) => typeof side === 'boolean');
  return hashes.length === lemma.length && sides.length === path.length
    ? { lemma: hashes, path: sides }
    : undefined;
}

/** A submission number for JSON. Beyond 2^53 a JSON number would name another submission, so that is a caller's bug. */
export function txSeqNumber(txSeq: bigint): number {
  if (txSeq < 0n || txSeq > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError(`txSeq ${txSeq}`);
  return Number(txSeq);
}
