/** A signed head that a later one, or the anchored one, contradicts (docs/protocol.md, section 10.2). */
import { hexToBytes } from '@noble/hashes/utils.js';
import type { Address, Hex } from 'viem';
import { toHex } from '../hex.ts';
import { parseCheckpoint } from '../log/checkpoint.ts';
import { headDigest, headKeyId, type LogDomain, recoverHead } from '../log/head.ts';
import { consistencyProof, type NodeSource, rootFrom, verifyConsistency } from '../log/merkle.ts';
import { ok, type Result, refuse } from '../result.ts';
import { type ChainReading, keyFinding } from './chain-reading.ts';
import type { LaterHead, SignedHead, TwoHeads } from './evidence.ts';
import { type Finding, finding, unchecked } from './finding.ts';

/**
 * The head that a checkpoint states, with the head key's signature: the line under it whose key id is that of the address
 * the signature recovers to. Checkpoints are found in proofs, in published blobs, and at `/log/checkpoint`.
 */
export function headOfCheckpoint(note: string, log: LogDomain): Result<SignedHead, string> {
  const parsed = parseCheckpoint(note);
  if (!parsed.ok) return refuse('this is not a signed checkpoint');
  const { origin, size, root } = parsed.value.checkpoint;
  const digest = headDigest({ ...log, size, root });
  for (const { name, keyId, signature } of parsed.value.signatures) {
    if (name !== origin) continue;
    const signer = recoverHead(digest, toHex(signature));
    if (signer !== undefined && headKeyId(origin, signer) === keyId) {
      return ok({ size, root: toHex(root), signature: toHex(signature) });
    }
  }
  return refuse(`the checkpoint of ${origin} has no head signature for log ${log.logId}`);
}

/**
 * What the tree of `laterSize` begins with at `size`, from the tree itself: whoever has the published entries can say.
 * Refused when the source lacks a node.
 */
export function beginningOf(
  tree: NodeSource,
  size: number,
  laterSize: number,
): Result<TwoHeads['begins'], string> {
  const root = rootFrom(tree, size);
  if (!root.ok) return refuse('the tree has not all entries up to the earlier head');
  if (size === 0 || size === laterSize) return ok({ root: toHex(root.value), proof: [] });
  const proof = consistencyProof(tree, size, laterSize);
  if (!proof.ok) return refuse('the tree has not all entries up to the later head');
  return ok({ root: toHex(root.value), proof: proof.value.map(toHex) });
}

/**
 * Evidence from two heads in either order, where they are any.
 * @param other the second head; its signature is `null` when it is the one that the anchor holds
 * @param begins for heads of different sizes: see {@link beginningOf}
 */
export function evidenceOfHeads(
  log: LogDomain,
  one: SignedHead,
  other: LaterHead,
  begins?: TwoHeads['begins'],
): Result<TwoHeads, string> {
  const swapped = other.size < one.size;
  const earlier = swapped ? other : one;
  const later = swapped ? one : other;
  if (!isSigned(earlier)) return refuse('a head that the anchor holds is contradicted by smaller ones only');
  if (begins === undefined && earlier.size !== later.size) {
    return refuse(
      'heads of different sizes contradict each other only with a proof of what the later begins with',
    );
  }
  const evidence: TwoHeads = {
    type: 'two-heads',
    log,
    earlier,
    later,
    begins: begins ?? { root: later.root, proof: [] },
  };
  const wrong = twoHeadsFindings(evidence).find(({ state }) => state === 'fails');
  return wrong === undefined ? ok(evidence) : refuse(wrong.detail);
}

/** Everything that makes two heads evidence, in the order of the argument. */
export function twoHeadsFindings({ log, earlier, later, begins }: TwoHeads, chain?: ChainReading): Finding[] {
  const signer = signerOf(log, earlier);
  const findings = [
    finding(
      'order',
      earlier.size <= later.size,
      `heads of size ${earlier.size} and ${later.size}`,
      `the later head is the smaller: ${later.size} after ${earlier.size}`,
    ),
    finding(
      'begins',
      beginsWith(later, earlier.size, begins),
      `the tree of ${later.size} begins with one of ${earlier.size} and root ${begins.root}`,
      'the proof does not lead to the later head',
    ),
    finding(
      'contradiction',
      begins.root !== earlier.root,
      `but ${earlier.root} was signed for size ${earlier.size}`,
      'that is the root that was signed: the heads agree',
    ),
    finding(
      'earlier_signature',
      signer !== undefined,
      `${signer} signed the earlier head`,
      'the earlier head is signed by nobody',
    ),
    keyFinding('earlier_key', 'head', signer, chain),
  ];
  if (!isSigned(later)) return [...findings, anchoredFinding(later, chain)];
  const laterSigner = signerOf(log, later);
  return [
    ...findings,
    finding(
      'later_signature',
      laterSigner !== undefined,
      `${laterSigner} signed the later head`,
      'the later head is signed by nobody',
    ),
    keyFinding('later_key', 'head', laterSigner, chain),
  ];
}

/** Who signed the heads; `undefined` where nobody did. */
export const headSigners = ({ log, earlier, later }: TwoHeads): (Address | undefined)[] =>
  [earlier, later].filter(isSigned).map((head) => signerOf(log, head));

function anchoredFinding({ size, root }: LaterHead, chain: ChainReading | undefined): Finding {
  if (chain === undefined) {
    return unchecked('later_anchored', 'only the anchor can say whether it holds the later head');
  }
  return finding(
    'later_anchored',
    chain.head.size === size && chain.head.root === root,
    `the anchor holds the later head, of size ${size}`,
    `the anchor holds a head of size ${chain.head.size} with root ${chain.head.root}: take the proof to that one`,
  );
}

const isSigned = (head: LaterHead): head is SignedHead => head.signature !== null;

const signerOf = (log: LogDomain, { size, root, signature }: SignedHead) =>
  recoverHead(headDigest({ ...log, size, root: bytesOf(root) }), signature);

const beginsWith = (later: LaterHead, size: number, { root, proof }: TwoHeads['begins']): boolean =>
  size <= later.size &&
  verifyConsistency({
    oldSize: size,
    oldRoot: bytesOf(root),
    newSize: later.size,
    newRoot: bytesOf(later.root),
    proof: proof.map(bytesOf),
  });

const bytesOf = (hex: Hex): Uint8Array => hexToBytes(hex.slice(2));
