// RFC 9162 as somebody else wrote it (@transmute/rfc9162), behind the arguments our own verification takes. It shares no line
// with ours, hashes with Node's SHA-256, and makes proofs of its own from whole lists of entries.
import { RFC9162 } from '@transmute/rfc9162';

/** Whether an entry (not its leaf hash) is in the tree of this size and root. */
export const otherVerifiesInclusion = async (claim: {
  readonly entry: Uint8Array;
  readonly index: number;
  readonly size: number;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}): Promise<boolean> =>
  RFC9162.verifyInclusionProof(claim.root, await RFC9162.leaf(claim.entry), {
    log_id: '',
    tree_size: claim.size,
    leaf_index: claim.index,
    inclusion_path: [...claim.proof],
  });

/** Whether the larger tree begins with the smaller. Neither is empty, and they differ in size: the RFC has no proof for those. */
export const otherVerifiesConsistency = (claim: {
  readonly oldSize: number;
  readonly oldRoot: Uint8Array;
  readonly newSize: number;
  readonly newRoot: Uint8Array;
  readonly proof: readonly Uint8Array[];
}): Promise<boolean> => {
  // 2.1.4.2, step 2: the proof from a complete tree leaves its root out, and who verifies puts it back. The package leaves this
  // step to its caller.
  const isPowerOf2 = Number.isInteger(Math.log2(claim.oldSize));
  return RFC9162.verifyConsistencyProof(claim.oldRoot, claim.newRoot, {
    log_id: '',
    tree_size_1: claim.oldSize,
    tree_size_2: claim.newSize,
    consistency_path: isPowerOf2 ? [claim.oldRoot, ...claim.proof] : [...claim.proof],
  });
};

/** The tree's root. */
export const otherRoot = (entries: readonly Uint8Array[]): Promise<Uint8Array> =>
  RFC9162.treeHead([...entries]);

/** Its own proof for the entry at an index; entries must differ, for it looks the entry up. */
export const otherInclusionProof = async (
  entries: readonly Uint8Array[],
  index: number,
): Promise<Uint8Array[]> => RFC9162.PATH(index, [...entries]);
