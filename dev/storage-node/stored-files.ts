import type { Hex } from 'viem';
import { ok, type Result, refuse } from '../../protocol/result.ts';
import { CHUNK_BYTES, fileShape, SEGMENT_BYTES, SEGMENT_CHUNKS } from '../../protocol/zero-g/file-tree.ts';
import type { SubmitEvent } from '../../protocol/zero-g/flow.ts';
import { checkSegment, type Segment, type SegmentFault } from '../../protocol/zero-g/segment-check.ts';
import { callFailed, internalError, invalidParams, type NodeError } from './node-error.ts';
import type { SegmentStore } from './segment-store.ts';

/** A segment as a client sends it: it names the file it belongs to. */
export interface SentSegment extends Segment {
  readonly root: Hex;
  readonly fileSize: number;
}

/** A switch tests can flip: files stay "not finalized" while it is on. */
export interface FinalizeFault {
  neverFinalize: boolean;
}

/** The real node's words for each fault of a segment, in `SegmentWithProof::validate` and `FileProof::validate`. */
function faultError(fault: SegmentFault): NodeError {
  switch (fault) {
    case 'index':
      return invalidParams('index', 'index out of bound');
    case 'length':
      return invalidParams('data', 'invalid data length');
    case 'proof_shape':
      return invalidParams('proof', 'invalid proof');
    case 'position':
      return callFailed('wrong position');
    case 'broken_proof':
      return invalidParams('proof', 'validation failed');
    case 'root':
      return callFailed('root mismatch');
    case 'content':
      return callFailed('data hash mismatch');
    case 'padding':
      return invalidParams('proof', 'invalid proof node value in the padding range');
  }
}

/** The files of a node: submissions read from the chain, joined with the segments stored for them. */
export interface StoredFiles {
  byTxSeq(txSeq: number): SubmitEvent | undefined;
  /** Of all submissions of one root a finalized one, else the first. */
  byRoot(root: Hex): SubmitEvent | undefined;
  isFinalized(file: SubmitEvent): boolean;
  /** The node's FileInfo, as JSON. */
  describe(file: SubmitEvent): unknown;
  /** Stores a segment, or says in the real node's words why not. */
  put(file: SubmitEvent | undefined, segment: SentSegment): Result<undefined, NodeError>;
  /** A segment, without the Flow's padding; `undefined` while it is missing. */
  segment(file: SubmitEvent, index: number): Result<Segment | undefined, NodeError>;
  /** Chunks `[start, end)` of the file; `undefined` while any of them is missing. */
  chunks(file: SubmitEvent, start: number, end: number): Result<Uint8Array | undefined, NodeError>;
  /** The whole file; `undefined` unless finalized. */
  content(file: SubmitEvent): Uint8Array | undefined;
}

const sizeOf = (file: SubmitEvent): number => Number(file.submission.length);
const idOf = (file: SubmitEvent) => ({ root: file.root, size: sizeOf(file) });

export function storedFiles(
  submissions: () => readonly SubmitEvent[],
  store: SegmentStore,
  faults: FinalizeFault,
): StoredFiles {
  /** Segments stored from the beginning without a gap, which is what the real node counts. */
  function storedInARow(file: SubmitEvent): number {
    const { segments } = fileShape(sizeOf(file));
    let index = 0;
    while (index < segments && store.get(idOf(file), index) !== undefined) index++;
    return index;
  }

  const files: StoredFiles = {
    byTxSeq: (txSeq) => submissions().find((file) => file.txSeq === BigInt(txSeq)),

    byRoot(root) {
      const same = submissions().filter((file) => file.root === root);
      return same.find(files.isFinalized) ?? same[0];
    },

    isFinalized: (file) => !faults.neverFinalize && storedInARow(file) === fileShape(sizeOf(file)).segments,

    describe: (file) => ({
      tx: {
        streamIds: [],
        data: [],
        dataMerkleRoot: file.root,
        // The real node counts a subtree's depth in nodes, one more than the height on chain.
        merkleNodes: file.submission.nodes.map((node) => [Number(node.height) + 1, node.root]),
        startEntryIndex: Number(file.startSector),
        size: sizeOf(file),
        seq: Number(file.txSeq),
      },
      finalized: files.isFinalized(file),
      isCached: false,
      uploadedSegNum: storedInARow(file),
      pruned: false,
    }),

    put(file, segment) {
      if (segment.bytes.length === 0) return refuse(callFailed('data is empty'));
      if (segment.bytes.length % CHUNK_BYTES !== 0) return refuse(callFailed('invalid data length'));
      if (file === undefined) {
        const why = 'caching of large file when tx is unavailable is not supported';
        return refuse(invalidParams('file_size', why));
      }
      if (file.root !== segment.root) return refuse(internalError('data root and tx seq not match'));
      if (sizeOf(file) !== segment.fileSize) {
        return refuse(invalidParams('file_size', 'segment file size not matched with tx file size'));
      }
      if (files.isFinalized(file)) return refuse(invalidParams('root', 'already uploaded and finalized'));
      const checked = checkSegment(idOf(file), segment);
      if (!checked.ok) return refuse(faultError(checked.error));
      if (store.get(idOf(file), segment.index) !== undefined) {
        return refuse(callFailed('segment has already been uploaded or is being uploaded'));
      }
      store.put(idOf(file), segment);
      return ok(undefined);
    },

    segment(file, index) {
      if (index >= fileShape(sizeOf(file)).segments) {
        return refuse(invalidParams('index', 'index out of bound'));
      }
      return ok(store.get(idOf(file), index));
    },

    chunks(file, start, end) {
      if (start >= end) return refuse(invalidParams('end_index', 'invalid chunk index'));
      if (end - start > SEGMENT_CHUNKS) {
        return refuse(invalidParams('end_index', `exceeds maximum chunks ${SEGMENT_CHUNKS}`));
      }
      if (end > fileShape(sizeOf(file)).chunks) {
        const why = `end entry index exceeds tx size: end=${start} tx size=${sizeOf(file)}`;
        return refuse(callFailed(why));
      }
      const bytes = new Uint8Array((end - start) * CHUNK_BYTES);
      for (let chunk = start; chunk < end; chunk++) {
        const segment = store.get(idOf(file), Math.floor(chunk / SEGMENT_CHUNKS));
        if (segment === undefined) return ok(undefined);
        const at = (chunk % SEGMENT_CHUNKS) * CHUNK_BYTES;
        bytes.set(segment.bytes.subarray(at, at + CHUNK_BYTES), (chunk - start) * CHUNK_BYTES);
      }
      return ok(bytes);
    },

    content(file) {
      if (!files.isFinalized(file)) return undefined;
      const bytes = new Uint8Array(fileShape(sizeOf(file)).chunks * CHUNK_BYTES);
      for (let index = 0; index < fileShape(sizeOf(file)).segments; index++) {
        const segment = store.get(idOf(file), index);
        if (segment === undefined) return undefined;
        bytes.set(segment.bytes, index * SEGMENT_BYTES);
      }
      return bytes.subarray(0, sizeOf(file));
    },
  };
  return files;
}
