// Whether what was published is what was anchored: the log rebuilt from the DA layer, no gateway asked. Pure.

import type { Hex } from 'viem';
import { toHex } from '../protocol/hex.ts';
import { type Blob, decodeFile, verifyBlob } from '../protocol/log/blob.ts';
import { headNoteKey, parseCheckpoint } from '../protocol/log/checkpoint.ts';
import { leafHash, rootOf } from '../protocol/log/merkle.ts';
import { ed25519NoteKey, type NoteKey, parseVerifierKey } from '../protocol/log/note.ts';
import { decodeCommitment, decodeDaReference } from '../protocol/zero-g/da-reference.ts';
import { fileTree } from '../protocol/zero-g/file-tree.ts';
import {
  type AnchoredHead,
  type AnchorReading,
  type Check,
  type CheckName,
  sameEntry,
} from './receipt-evidence.ts';

export type BlobEvidence = {
  /** What the DA layer gave for each file that the reference names, in its order. */
  readonly files: readonly Uint8Array[];
  /** From the anchor's event for `head`. */
  readonly daReference: Hex;
  /** The head that this event anchored. */
  readonly head: AnchoredHead;
  readonly anchor: Pick<AnchorReading, 'domain' | 'headKey'>;
  readonly checkpointKey?: string;
  /** All entries before the first one published here, from the events before. Needed unless that is entry 0. */
  readonly entriesBefore?: readonly Uint8Array[];
  /** A receipt that should be in it. */
  readonly entry?: { readonly index: number; readonly digest: Hex };
};

/** Recomputes the files' roots and the log's root from the published bytes, and compares them with the chain. */
export function verifyBlobRoot(evidence: BlobEvidence): Check[] {
  const { files, head, entriesBefore = [], entry } = evidence;
  const checks: Check[] = [filesCheck(evidence)];
  const check = (name: CheckName, ok: boolean, detail: string) => checks.push({ name, ok, detail });

  const blobs: Blob[] = [];
  for (const bytes of files) {
    const read = decodeFile(bytes);
    if (!read.ok) {
      check('blob', false, `not a file of blobs: ${read.error}`);
      return checks;
    }
    blobs.push(...read.value);
  }
  check('blob', ...blobsVerdict(evidence, blobs));

  const first = blobs[0]?.first ?? 0;
  const entries = blobs.flatMap((blob) => blob.entries);
  if (entriesBefore.length !== first) {
    check('blob_root', false, `it begins at entry ${first}: give the ${first} entries before it`);
  } else {
    const root = toHex(rootOf([...entriesBefore, ...entries].map(leafHash)));
    const same = root === head.root && first + entries.length === head.size;
    check(
      'blob_root',
      same,
      same
        ? `the entries lead to the anchored root ${root}`
        : `${first + entries.length} entries with root ${root}, anchored are ${head.size} with ${head.root}`,
    );
  }
  if (entry) {
    const published = entries[entry.index - first];
    const there = published !== undefined && sameEntry(published, entry.digest);
    check(
      'blob_entry',
      there,
      there ? `entry ${entry.index} is ${entry.digest}` : `entry ${entry.index} is not ${entry.digest} there`,
    );
  }
  return checks;
}

function filesCheck({ files, daReference }: BlobEvidence): Check {
  const name = 'blob_file';
  const wrong = (detail: string): Check => ({ name, ok: false, detail });
  const references = decodeDaReference(daReference);
  if (!references.ok) return wrong(`the DA reference cannot be read: ${references.error}`);
  if (references.value.length !== files.length) {
    return wrong(`the DA reference names ${references.value.length} files, here are ${files.length}`);
  }
  for (const [at, reference] of references.value.entries()) {
    const expected =
      reference.kind === '0g-storage' ? reference.root : decodeCommitment(reference.commitment)?.root;
    // A root over padded chunks does not commit to the length; the blobs' own lengths do.
    const bytes = files[at] ?? new Uint8Array();
    const root = bytes.length === 0 ? 'that of no file' : fileTree(bytes).root;
    if (root !== expected) return wrong(`file ${at} has root ${root}, the anchor's event names ${expected}`);
  }
  const named = references.value.map((reference) =>
    reference.kind === '0g-storage'
      ? `${reference.root}, transaction ${reference.txSeq} of 0G Storage (${reference.state})`
      : `commitment ${reference.commitment} of 0G DA (${reference.state})`,
  );
  return { name, ok: true, detail: `file ${named.join('; file ')}` };
}

function blobsVerdict(evidence: BlobEvidence, blobs: readonly Blob[]): [ok: boolean, detail: string] {
  const { logId } = evidence.anchor.domain;
  let next = blobs[0]?.first ?? 0;
  let claims = 0;
  for (const blob of blobs) {
    if (blob.logId !== logId) return [false, `it is of log ${blob.logId}`];
    if (blob.first !== next)
      return [false, `a blob begins at entry ${blob.first}, the one before ends at ${next}`];
    const verified = verifyBlob(blob, keysOf(evidence, blob.checkpoint));
    if (!verified.ok) return [false, `its checkpoint or claims do not hold: ${verified.error}`];
    next += blob.entries.length;
    claims += blob.claims.length;
  }
  return [
    true,
    `entries ${blobs[0]?.first ?? 0} to ${next - 1}, ${claims} claims, each disclosed and proven`,
  ];
}

function keysOf({ anchor, checkpointKey }: BlobEvidence, note: string): NoteKey[] {
  const checkpoint = parseCheckpoint(note);
  if (!checkpoint.ok) return [];
  const ed25519 = checkpointKey === undefined ? undefined : parseVerifierKey(checkpointKey);
  return [
    headNoteKey(checkpoint.value.checkpoint.origin, anchor.domain, anchor.headKey),
    ...(ed25519 ? [ed25519NoteKey(ed25519.name, ed25519.publicKey)] : []),
  ];
}
