// Whether a receipt is in the log the chain enforces. Pure: what was read from the chain and the gateway comes in.
import { hexToBytes } from '@noble/hashes/utils.js';
import type { Address, Hex } from 'viem';
import { toHex } from '../protocol/hex.ts';
import { headNoteKey, parseCheckpoint } from '../protocol/log/checkpoint.ts';
import type { LogDomain } from '../protocol/log/head.ts';
import { leafHash, sameHash, verifyConsistency, verifyInclusion } from '../protocol/log/merkle.ts';
import {
  ed25519NoteKey,
  type NoteKey,
  parseNote,
  parseVerifierKey,
  verifyNote,
} from '../protocol/log/note.ts';
import { parseTlogProof } from '../protocol/log/tlog-proof.ts';
import { receiptDigest, receiptSigner, type SignedReceipt } from '../protocol/receipt.ts';

/** One thing that was looked at. `name` is stable, `detail` is a sentence for people. */
export type Check = { readonly name: CheckName; readonly ok: boolean; readonly detail: string };

export type CheckName =
  /** The receipt has the digest it is known by. */
  | 'digest'
  /** The receipt names this log. */
  | 'log'
  /** Some key signed the receipt. */
  | 'receipt_signature'
  /** That key was registered on the anchor for receipts at this place in the log. */
  | 'receipt_key'
  /** The proof is a tlog-proof with a checkpoint. */
  | 'proof_format'
  /** The log's Ed25519 key signed the checkpoint. */
  | 'checkpoint_ed25519'
  /** The head key that the anchor knows signed the checkpoint. */
  | 'checkpoint_head'
  /** The receipt's digest is an entry of the checkpoint's tree. */
  | 'inclusion'
  /** The chain holds the checkpoint's head, or held it before a larger one. */
  | 'anchored'
  /** The published bytes are the file that the anchor's DA reference names. */
  | 'blob_file'
  /** The published bytes are a blob of this log, signed and with its claims proven. */
  | 'blob'
  /** The published entries lead to the anchored root. */
  | 'blob_root'
  /** The receipt's digest is among the published entries, at its index. */
  | 'blob_entry';

export type AnchoredHead = { readonly size: number; readonly root: Hex };

/** What the anchor contract says of a log, and of one receipt key in it. */
export type AnchorReading = {
  readonly domain: LogDomain;
  /** Size 0 and the empty root before the first; all zero for a log that was never opened. */
  readonly head: AnchoredHead;
  readonly headKey: Address;
  /** The span of indices for which the receipt's signer counts: from `fromSize`, below `toSize`. */
  readonly receiptKey: { readonly fromSize: bigint; readonly toSize: bigint; readonly known: boolean };
};

export type ReceiptEvidence = {
  readonly signed: SignedReceipt;
  /** tlog-proof@v1 text. */
  readonly proof: string;
  readonly anchor: AnchorReading;
  /** C2SP vkey of the log's Ed25519 key; its check is left out where none is given. */
  readonly checkpointKey?: string;
  /** Digest the receipt is known by, where there is one. */
  readonly digest?: Hex;
  /** An earlier head that the chain's events show, for a checkpoint older than the newest head. */
  readonly earlier?: AnchoredHead;
  /** Or the RFC 9162 consistency proof from the checkpoint to the chain's head. */
  readonly consistency?: readonly Uint8Array[];
};

/** Every check of a receipt against log and chain, in the order of the argument. True means `ok` throughout. */
export function receiptChecks(evidence: ReceiptEvidence): Check[] {
  const { signed, proof, anchor, checkpointKey, digest: known } = evidence;
  const { domain, receiptKey } = anchor;
  const checks: Check[] = [];
  const check = (name: CheckName, ok: boolean, right: string, wrong: string): boolean => {
    checks.push({ name, ok, detail: ok ? right : wrong });
    return ok;
  };

  const digest = receiptDigest(signed.receipt);
  check('digest', known === undefined || known === digest, digest, `it is ${digest}, not ${known}`);
  check(
    'log',
    signed.receipt.logId === domain.logId,
    `the receipt is for log ${domain.logId}`,
    `the receipt is for log ${signed.receipt.logId}, this is ${domain.logId}`,
  );
  const signer = receiptSigner(signed);
  check('receipt_signature', signer !== undefined, `signed by ${signer}`, 'the signature is none');

  const parsed = parseTlogProof(proof);
  const opened = parsed.ok ? parseCheckpoint(parsed.value.checkpoint) : parsed;
  if (!parsed.ok || !opened.ok) {
    check('proof_format', false, '', 'this is not a tlog-proof@v1 with a signed checkpoint');
    return checks;
  }
  const { index, proof: path, checkpoint: note } = parsed.value;
  const { origin, size, root } = opened.value.checkpoint;
  check('proof_format', true, `entry ${index} in a tree of ${size}`, '');

  const { fromSize, toSize, known: registered } = receiptKey;
  check(
    'receipt_key',
    signer !== undefined && registered && BigInt(index) >= fromSize && BigInt(index) < toSize,
    `${signer} is the anchor's receipt key for entry ${index}`,
    registered
      ? `${signer} counts for entries from ${fromSize} up to ${toSize}, this is entry ${index}`
      : `the anchor knows no receipt key ${signer ?? ''} for this log`,
  );

  if (checkpointKey !== undefined) {
    const key = parseVerifierKey(checkpointKey);
    const by = key && ed25519NoteKey(key.name, key.publicKey);
    check(
      'checkpoint_ed25519',
      by !== undefined && key?.name === origin && isSignedBy(note, by),
      `checkpoint of ${origin} signed by ${checkpointKey}`,
      `the checkpoint of ${origin} is not signed by ${checkpointKey}`,
    );
  }
  // The contract takes no head that its key of then had not signed, so a head it took needs no signature of the key of now.
  const taken = [anchor.head, evidence.earlier].some(
    (held) => held?.size === size && held.root === toHex(root),
  );
  const isSigned = isSignedBy(note, headNoteKey(origin, domain, anchor.headKey));
  check(
    'checkpoint_head',
    isSigned || taken,
    isSigned
      ? `head signed by ${anchor.headKey}, the anchor's head key`
      : `the anchor took this very head, signed by the head key of then`,
    `the head is not signed by ${anchor.headKey}, the anchor's head key`,
  );

  const leaf = leafHash(hexToBytes(digest.slice(2)));
  check(
    'inclusion',
    verifyInclusion({ root, size, index, leaf, proof: path }),
    `the digest is entry ${index} of the tree of ${size} with root ${toHex(root)}`,
    'the proof does not lead from this receipt to the checkpoint',
  );
  checks.push(anchoredCheck(evidence, size, root));
  return checks;
}

function anchoredCheck(
  { anchor, earlier, consistency }: ReceiptEvidence,
  size: number,
  root: Uint8Array,
): Check {
  const { head, domain } = anchor;
  const name = 'anchored';
  const where = `contract ${domain.anchor} on chain ${domain.chainId}`;
  const isHead = (held: AnchoredHead) => held.size === size && held.root === toHex(root);
  if (isHead(head)) return { name, ok: true, detail: `${where} holds this very head` };
  if (size > head.size) {
    return {
      name,
      ok: false,
      detail: `not anchored yet: the checkpoint is of size ${size}, ${where} holds ${head.size}`,
    };
  }
  if (size === head.size) {
    return {
      name,
      ok: false,
      detail: `${where} holds another root for size ${size}: ${head.root}, the checkpoint has ${toHex(root)}. Together with the checkpoint that is evidence against the operator: keep both`,
    };
  }
  if (earlier && isHead(earlier)) {
    return { name, ok: true, detail: `${where} took this head before its present one of size ${head.size}` };
  }
  const newRoot = hexToBytes(head.root.slice(2));
  const extended =
    consistency !== undefined &&
    verifyConsistency({ oldRoot: root, oldSize: size, newRoot, newSize: head.size, proof: consistency });
  return {
    name,
    ok: extended,
    detail: extended
      ? `${where} holds a head of size ${head.size} that extends this one`
      : `${where} holds a head of size ${head.size}, and nothing shows that it extends this one of ${size}: ask for the proof at size ${head.size}`,
  };
}

/** Whether this one key signed the note. A bad signature by it is as good as none. */
function isSignedBy(text: string, key: NoteKey): boolean {
  const note = parseNote(text);
  return note.ok && verifyNote(note.value, [key]).ok;
}

/** The verdict: something was checked, and all of it is right. */
export const isVerified = (checks: readonly Check[]): boolean =>
  checks.length > 0 && checks.every(({ ok }) => ok);

/** A head as the contract gives it. Roots are compared as text, so they have one spelling here: lower case. */
export const headOf = (size: bigint, root: Hex): AnchoredHead => ({
  size: Number(size),
  root: toHex(hexToBytes(root.slice(2))),
});

/** Whether a log entry is this receipt's digest. */
export const sameEntry = (a: Uint8Array, digest: Hex): boolean => sameHash(a, hexToBytes(digest.slice(2)));
