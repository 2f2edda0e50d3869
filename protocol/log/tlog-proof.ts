/** C2SP tlog-proof@v1: one entry's place in the log as a text that verifies offline. */

import { fromBase64, toBase64 } from '../base64.ts';
import { parseUint } from '../decimal.ts';
import { ok, type Result, refuse } from '../result.ts';
import { type Checkpoint, type CheckpointRefusal, openCheckpoint, parseCheckpoint } from './checkpoint.ts';
import { HASH_BYTES, isTreeSize, leafHash, verifyInclusion } from './merkle.ts';
import type { NoteKey, NoteSignature } from './note.ts';

export type TlogProof = {
  /** Index of the entry in the log, from 0. */
  readonly index: number;
  /** The inclusion proof, from the leaf's sibling up. */
  readonly proof: readonly Uint8Array[];
  /** The signed checkpoint the proof leads to, verbatim. */
  readonly checkpoint: string;
  /** What an application adds. Nothing authenticates it. */
  readonly extra?: Uint8Array;
};

export type TlogProofRefusal =
  | CheckpointRefusal
  /** Not a tlog-proof@v1. */
  | 'not_a_proof'
  /** The proof does not lead from this entry to the checkpoint's root. */
  | 'not_included';

const HEADER = 'c2sp.org/tlog-proof@v1';
/** A tree of 2^53 leaves is 53 levels high. */
const MAX_HASHES = 53;

/**
 * The text of a proof.
 * @throws when the index is none, a hash is not 32 bytes, `extra` is there but empty, or the checkpoint is none
 */
export function formatTlogProof({ index, proof, checkpoint, extra }: TlogProof): string {
  if (!isTreeSize(index)) throw new RangeError('not an index');
  if (proof.some((hash) => hash.length !== HASH_BYTES)) throw new TypeError('a proof hash is 32 bytes');
  if (extra?.length === 0) throw new TypeError('empty extra data is left out');
  if (!parseCheckpoint(checkpoint).ok) throw new TypeError('not a signed checkpoint');
  const lines = [
    HEADER,
    ...(extra === undefined ? [] : [`extra ${toBase64(extra)}`]),
    `index ${index}`,
    ...proof.map(toBase64),
  ];
  return `${lines.join('\n')}\n\n${checkpoint}`;
}

/** Reads a proof, nothing of it verified; its checkpoint is well-formed. */
export function parseTlogProof(text: string): Result<TlogProof, 'not_a_proof'> {
  // The first empty line ends the proof: a checkpoint has one more of its own.
  const gap = text.indexOf('\n\n');
  if (gap < 0) return refuse('not_a_proof');
  const checkpoint = text.slice(gap + 2);
  const [header, ...lines] = text.slice(0, gap).split('\n');
  const extraLine = lines[0]?.startsWith('extra ') ? lines.shift() : undefined;
  const extra = extraLine === undefined ? undefined : fromBase64(extraLine.slice('extra '.length));
  const indexLine = lines.shift() ?? '';
  const index = indexLine.startsWith('index ') ? parseUint(indexLine.slice('index '.length), 53) : undefined;
  const proof =
    lines.length > MAX_HASHES ? [] : lines.map(fromBase64).filter((hash) => hash?.length === HASH_BYTES);
  const wellFormed =
    header === HEADER &&
    (extraLine === undefined || (extra !== undefined && extra.length > 0)) &&
    proof.length === lines.length &&
    parseCheckpoint(checkpoint).ok;
  if (!wellFormed || index === undefined) return refuse('not_a_proof');
  return ok({
    index: Number(index),
    proof: proof.filter((hash) => hash !== undefined),
    checkpoint,
    ...(extra === undefined ? {} : { extra }),
  });
}

/**
 * Verifies that `entry` (its bytes, for us a receipt's digest) is in a log one of `keys` signs for: tlog-proof's steps 1, 2
 * and 4. Cosignatures are verified if their keys are among `keys`; how many are enough is for the caller to say, from
 * `signedBy`.
 */
export function verifyTlogProof({
  text,
  entry,
  keys,
}: {
  readonly text: string;
  readonly entry: Uint8Array;
  readonly keys: readonly NoteKey[];
}): Result<{ index: number; checkpoint: Checkpoint; signedBy: readonly NoteSignature[] }, TlogProofRefusal> {
  const parsed = parseTlogProof(text);
  if (!parsed.ok) return parsed;
  const opened = openCheckpoint(parsed.value.checkpoint, keys);
  if (!opened.ok) return opened;
  const { checkpoint, signedBy } = opened.value;
  const { index, proof } = parsed.value;
  const { root, size } = checkpoint;
  if (!verifyInclusion({ root, size, index, leaf: leafHash(entry), proof })) return refuse('not_included');
  return ok({ index, checkpoint, signedBy });
}
