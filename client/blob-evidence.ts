// Whether what was published is what was anchored: the log rebuilt from the DA layer, no gateway asked. Pure.

import type { Hex } from 'viem';
import { toHex } from '../protocol/hex.ts';
import { decodeBlob, verifyBlob } from '../protocol/log/blob.ts';
import { headNoteKey, parseCheckpoint } from '../protocol/log/checkpoint.ts';
import { leafHash, rootOf } from '../protocol/log/merkle.ts';
import { ed25519NoteKey, type NoteKey, parseVerifierKey } from '../protocol/log/note.ts';
import { decodeDaReference } from '../protocol/zero-g/da-reference.ts';
import { fileTree } from '../protocol/zero-g/file-tree.ts';
import {
  type AnchoredHead,
  type AnchorReading,
  type Check,
  type CheckName,
  sameEntry,
} from './receipt-evidence.ts';

export type BlobEvidence = {
  /** What the DA layer gave. */
  readonly bytes: Uint8Array;
  /** From the anchor's event for `head`. */
  readonly daReference: Hex;
  /** The head that this event anchored. */
  readonly head: AnchoredHead;
  readonly anchor: Pick<AnchorReading, 'domain' | 'headKey'>;
  readonly checkpointKey?: string;
  /** All entries before the blob's first, from the blobs before it. Needed unless it begins at 0. */
  readonly entriesBefore?: readonly Uint8Array[];
  /** A receipt that should be in it. */
  readonly entry?: { readonly index: number; readonly digest: Hex };
};

/** Recomputes the file's root and the log's root from the published bytes, and compares both with the chain. */
export function verifyBlobRoot(evidence: BlobEvidence): Check[] {
  const { bytes, head, anchor, entriesBefore = [], entry } = evidence;
  const checks: Check[] = [];
  const check = (name: CheckName, ok: boolean, detail: string) => checks.push({ name, ok, detail });

  const references = decodeDaReference(evidence.daReference);
  const stored = references.ok ? references.value.find((item) => item.kind === '0g-storage') : undefined;
  if (stored === undefined) {
    const why = references.ok ? 'it names no 0G Storage file' : `it cannot be read: ${references.error}`;
    check('blob_file', false, `the DA reference does not say which bytes these are: ${why}`);
  } else {
    // A root over padded chunks does not commit to the length; the blob's own lengths, checked below, do.
    const root = bytes.length === 0 ? 'that of no file' : fileTree(bytes).root;
    const same = root === stored.root;
    check(
      'blob_file',
      same,
      same
        ? `file ${root}, transaction ${stored.txSeq} of 0G Storage (${stored.state})`
        : `the file's root is ${root}, the anchor's event names ${stored.root}`,
    );
  }

  const blob = decodeBlob(bytes);
  if (!blob.ok) {
    check('blob', false, `not a blob: ${blob.error}`);
    return checks;
  }
  const { first, entries, logId, claims } = blob.value;
  const verified = verifyBlob(blob.value, keysOf(evidence, blob.value.checkpoint));
  const ours = logId === anchor.domain.logId;
  check(
    'blob',
    verified.ok && ours,
    !ours
      ? `it is of log ${logId}`
      : verified.ok
        ? `entries ${first} to ${first + entries.length - 1}, ${claims.length} claims, each disclosed and proven`
        : `its checkpoint or claims do not hold: ${verified.error}`,
  );

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

function keysOf({ anchor, checkpointKey }: BlobEvidence, note: string): NoteKey[] {
  const checkpoint = parseCheckpoint(note);
  if (!checkpoint.ok) return [];
  const ed25519 = checkpointKey === undefined ? undefined : parseVerifierKey(checkpointKey);
  return [
    headNoteKey(checkpoint.value.checkpoint.origin, anchor.domain, anchor.headKey),
    ...(ed25519 ? [ed25519NoteKey(ed25519.name, ed25519.publicKey)] : []),
  ];
}
