import { ok, type Result, refuse } from '../../protocol/result.ts';
import type { FileTree } from '../../protocol/zero-g/file-tree.ts';
import type {
  FileRef,
  StorageRefusal,
  StorageResult,
  StoredFile,
  UploadOutcome,
  ZeroGStorage,
} from './zero-g-wire.ts';

/** How a service took one segment: stored it (now or before), or had the whole file already. */
export type SegmentTaken = 'stored' | 'file_complete';

/** The service's error texts that mean "nothing to do", and the one that means "later". */
export function judgeUploadError(code: number, detail: string): Result<SegmentTaken, StorageRefusal> {
  if (detail.includes('already uploaded and finalized')) return ok('file_complete');
  if (detail.includes('segment has already been uploaded')) return ok('stored');
  if (detail.includes('too many data writing')) return refuse({ reason: 'busy', detail });
  return refuse({ reason: 'refused', code, detail });
}

/** The known submission, if it is the file that is meant and not deleted. */
export function sameFile(
  file: { readonly root: string; readonly size: number },
  found: StoredFile | undefined,
): Result<StoredFile, StorageRefusal> {
  if (found === undefined) return refuse({ reason: 'unknown_file' });
  if (found.root !== file.root || found.size !== file.size) {
    return refuse({ reason: 'other_file', root: found.root, size: found.size });
  }
  return found.pruned ? refuse({ reason: 'pruned' }) : ok(found);
}

/**
 * Sends what the service lacks, in order, and stops at the first refusal. Calling it again goes on from there: a node
 * counts stored segments from the beginning of the file, and says so in its file info.
 */
export async function uploadMissing(
  storage: Pick<ZeroGStorage, 'find'>,
  tree: FileTree,
  file: FileRef,
  put: (index: number) => StorageResult<SegmentTaken>,
): StorageResult<UploadOutcome> {
  const before = await storage.find(file);
  if (!before.ok) return before;
  const known = sameFile(tree, before.value);
  if (!known.ok) return known;
  const { txSeq, finalized, cached, uploadedSegments } = known.value;
  if (finalized) return ok({ txSeq, uploaded: 0, finalized });

  // Segments that wait in a node's memory are only counted, not named: send them all, the node skips what it has.
  const first = cached ? 0 : Math.min(uploadedSegments, tree.segments);
  let uploaded = 0;
  for (let index = first; index < tree.segments; index++) {
    const taken = await put(index);
    if (!taken.ok) return taken;
    uploaded++;
    if (taken.value === 'file_complete') return ok({ txSeq, uploaded, finalized: true });
  }

  const after = await storage.find(file);
  if (!after.ok) return after;
  return ok({ txSeq, uploaded, finalized: after.value?.finalized === true });
}
