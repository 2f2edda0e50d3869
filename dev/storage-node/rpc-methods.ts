import type { Address } from 'viem';
import type { Result } from '../../protocol/result.ts';
import type { SubmitEvent } from '../../protocol/zero-g/flow.ts';
import { callFailed, NodeError } from './node-error.ts';
import { count, hash, sentSegment } from './request-fields.ts';
import type { StoredFiles } from './stored-files.ts';
import type { SyncedBlock } from './submissions.ts';

export interface NodeIdentity {
  readonly chainId: number;
  readonly flow: Address;
  /** Where this node is reached, which is what its indexer half answers with. */
  readonly url: () => string;
  readonly synced: () => SyncedBlock | undefined;
  readonly nextTxSeq: () => number;
}

type Method = (params: readonly unknown[]) => unknown;

/** The value, or the refusal thrown for the JSON-RPC layer to turn into an error object. */
function unwrap<T>(result: Result<T, NodeError>): T {
  if (!result.ok) throw result.error;
  return result.value;
}

const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** The node's `zgs_*` methods and the indexer's `indexer_*`, with the parameters and JSON shapes of the real ones. */
export function rpcMethods(
  files: StoredFiles,
  identity: NodeIdentity,
  faults: { refuseSegments: boolean },
): ReadonlyMap<string, Method> {
  const upload = (file: SubmitEvent | undefined, value: unknown): void => {
    // The answer of a real node whose write limit is reached: clients are meant to retry.
    if (faults.refuseSegments) throw callFailed('too many data writing: 16');
    unwrap(files.put(file, sentSegment(value)));
  };

  const uploadAll = (values: unknown, fileOf: (value: unknown) => SubmitEvent | undefined): null => {
    for (const value of Array.isArray(values) ? values : []) {
      try {
        upload(fileOf(value), value);
      } catch (error) {
        // A list goes on past segments that are there already.
        if (!(error instanceof NodeError && error.message.startsWith('segment has already'))) throw error;
      }
    }
    return null;
  };

  const downloadChunks = (file: SubmitEvent | undefined, start: unknown, end: unknown): string | null => {
    if (file === undefined) return null;
    const bytes = unwrap(files.chunks(file, count(start, 'start_index'), count(end, 'end_index')));
    return bytes === undefined ? null : toBase64(bytes);
  };

  const downloadWithProof = (file: SubmitEvent | undefined, index: unknown): unknown => {
    if (file === undefined) return null;
    const segment = unwrap(files.segment(file, count(index, 'index')));
    if (segment === undefined) return null;
    return {
      root: file.root,
      data: toBase64(segment.bytes),
      index: segment.index,
      proof: segment.proof,
      fileSize: Number(file.submission.length),
    };
  };

  const describe = (file: SubmitEvent | undefined): unknown =>
    file === undefined ? null : files.describe(file);
  const rootOf = (value: unknown): SubmitEvent | undefined => files.byRoot(hash(value, 'root'));
  const seqOf = (value: unknown): SubmitEvent | undefined => files.byTxSeq(count(value, 'tx_seq'));
  const segmentRootOf = (value: unknown): SubmitEvent | undefined => files.byRoot(sentSegment(value).root);
  const asLocation = () => ({
    url: identity.url(),
    config: { shardId: 0, numShard: 1 },
    latency: 0,
    since: 0,
  });

  return new Map<string, Method>([
    [
      'zgs_getStatus',
      () => ({
        connectedPeers: 0,
        logSyncHeight: Number(identity.synced()?.number ?? 0n),
        logSyncBlock: identity.synced()?.hash ?? `0x${'00'.repeat(32)}`,
        nextTxSeq: identity.nextTxSeq(),
        networkIdentity: {
          chainId: identity.chainId,
          flowAddress: identity.flow,
          p2pProtocolVersion: { major: 0, minor: 4, build: 1 },
        },
      }),
    ],
    ['zgs_getShardConfig', () => ({ shardId: 0, numShard: 1 })],
    ['zgs_getFileInfo', ([root]) => describe(rootOf(root))],
    ['zgs_getFileInfoByTxSeq', ([txSeq]) => describe(seqOf(txSeq))],
    [
      'zgs_checkFileFinalized',
      ([key]) => {
        const file = typeof key === 'number' ? seqOf(key) : rootOf(key);
        return file === undefined ? null : files.isFinalized(file);
      },
    ],
    [
      'zgs_uploadSegment',
      ([segment]) => {
        upload(segmentRootOf(segment), segment);
        return null;
      },
    ],
    [
      'zgs_uploadSegmentByTxSeq',
      ([segment, txSeq]) => {
        upload(seqOf(txSeq), segment);
        return null;
      },
    ],
    ['zgs_uploadSegments', ([segments]) => uploadAll(segments, segmentRootOf)],
    ['zgs_uploadSegmentsByTxSeq', ([segments, txSeq]) => uploadAll(segments, () => seqOf(txSeq))],
    ['zgs_downloadSegment', ([root, start, end]) => downloadChunks(rootOf(root), start, end)],
    ['zgs_downloadSegmentByTxSeq', ([txSeq, start, end]) => downloadChunks(seqOf(txSeq), start, end)],
    ['zgs_downloadSegmentWithProof', ([root, index]) => downloadWithProof(rootOf(root), index)],
    ['zgs_downloadSegmentWithProofByTxSeq', ([txSeq, index]) => downloadWithProof(seqOf(txSeq), index)],
    ['indexer_getShardedNodes', () => ({ trusted: [asLocation()], discovered: [] })],
    ['indexer_getNodeLocations', () => ({})],
    [
      'indexer_getFileLocations',
      ([root]) => {
        const file = rootOf(root);
        if (file === undefined) throw callFailed('file not found');
        return files.isFinalized(file) ? [asLocation()] : [];
      },
    ],
  ]);
}
