/** C2SP tlog-checkpoint, with the two signatures our logs put under it (docs/protocol.md, section 5). */
import { hexToBytes } from '@noble/hashes/utils.js';
import type { Address, Hex } from 'viem';
import { fromBase64, toBase64 } from '../base64.ts';
import { parseUint } from '../decimal.ts';
import { addressOfKey } from '../ecdsa.ts';
import { toHex } from '../hex.ts';
import { ok, type Result, refuse } from '../result.ts';
import { headDigest, headKeyId, type LogDomain, recoverHead, signHead } from './head.ts';
import { HASH_BYTES, isTreeSize } from './merkle.ts';
import {
  formatNote,
  isKeyName,
  type NoteKey,
  type NoteRefusal,
  type NoteSignature,
  parseNote,
  signEd25519,
  verifyNote,
} from './note.ts';

export type Checkpoint = {
  readonly origin: string;
  /** Number of leaves. */
  readonly size: number;
  readonly root: Uint8Array;
};

export type CheckpointRefusal =
  | NoteRefusal
  /** A note, but its text is no checkpoint. */
  | 'not_a_checkpoint'
  /** Signed by known keys, but by none that bears the name of this origin. */
  | 'wrong_origin';

/**
 * The text a checkpoint's signatures cover: origin, size and root, a line each.
 * @throws when the origin is no key name (it is one, in the signature lines), the size no tree size, the root not 32 bytes
 */
export function formatCheckpointText({ origin, size, root }: Checkpoint): string {
  if (!isKeyName(origin)) throw new TypeError(`not an origin: ${origin}`);
  if (!isTreeSize(size) || root.length !== HASH_BYTES) throw new RangeError('not a tree head');
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

/**
 * Reads a checkpoint's text, exactly as {@link formatCheckpointText} writes it. C2SP allows more, which we refuse: extension
 * lines, because the head signature does not cover them; origins that cannot be key names, because no key could bear
 * theirs; and sizes above 2^53 - 1.
 */
export function parseCheckpointText(text: string): Result<Checkpoint, 'not_a_checkpoint'> {
  const [origin = '', decimal, base64 = '', end, ...more] = text.split('\n');
  const size = parseUint(decimal, 53);
  const root = fromBase64(base64);
  if (
    !isKeyName(origin) ||
    size === undefined ||
    root?.length !== HASH_BYTES ||
    end !== '' ||
    more.length > 0
  ) {
    return refuse('not_a_checkpoint');
  }
  return ok({ origin, size: Number(size), root });
}

/** Reads a signed checkpoint, its signatures unverified. */
export function parseCheckpoint(
  note: string,
): Result<
  { checkpoint: Checkpoint; signatures: readonly NoteSignature[] },
  'malformed' | 'not_a_checkpoint'
> {
  const parsed = parseNote(note);
  if (!parsed.ok) return parsed;
  const checkpoint = parseCheckpointText(parsed.value.text);
  return checkpoint.ok
    ? ok({ checkpoint: checkpoint.value, signatures: parsed.value.signatures })
    : checkpoint;
}

/**
 * Reads and verifies a signed checkpoint: every signature by a known key is good, and at least one is by a key that bears
 * the origin's name. Which keys signed is in `signedBy`, for callers that want more than one.
 */
export function openCheckpoint(
  note: string,
  keys: readonly NoteKey[],
): Result<{ checkpoint: Checkpoint; signedBy: readonly NoteSignature[] }, CheckpointRefusal> {
  const parsed = parseNote(note);
  if (!parsed.ok) return parsed;
  const verified = verifyNote(parsed.value, keys);
  if (!verified.ok) return verified;
  const checkpoint = parseCheckpointText(parsed.value.text);
  if (!checkpoint.ok) return checkpoint;
  const { origin } = checkpoint.value;
  if (!verified.value.some((signature) => signature.name === origin)) return refuse('wrong_origin');
  return ok({ checkpoint: checkpoint.value, signedBy: verified.value });
}

/**
 * The signed checkpoint, Ed25519 line first, and its head signature as the anchor takes it. The same input gives the same
 * bytes, so a checkpoint signed again after a crash is the one signed before it. A log must never sign two that are
 * inconsistent: whoever calls this has already made size and root durable.
 */
export function signCheckpoint(
  checkpoint: Checkpoint,
  signer: { readonly domain: LogDomain; readonly ed25519Seed: Uint8Array; readonly headKey: Hex },
): { note: string; headSignature: Hex } {
  const { origin, size, root } = checkpoint;
  const text = formatCheckpointText(checkpoint);
  const headSignature = signHead(headDigest({ ...signer.domain, size, root }), signer.headKey);
  const note = formatNote(text, [
    signEd25519(origin, text, signer.ed25519Seed),
    {
      name: origin,
      keyId: headKeyId(origin, addressOfKey(signer.headKey)),
      signature: hexToBytes(headSignature.slice(2)),
    },
  ]);
  return { note, headSignature };
}

/**
 * The key that verifies the head signature (type 0xff) of a checkpoint. It accepts only the exact text of the head that
 * was signed, origin included: EIP-712 covers the log id, not the line.
 */
export function headNoteKey(origin: string, domain: LogDomain, signer: Address): NoteKey {
  return {
    name: origin,
    keyId: headKeyId(origin, signer),
    verify: (text, signature) => {
      const parsed = parseCheckpointText(text);
      if (!parsed.ok || parsed.value.origin !== origin) return false;
      const { size, root } = parsed.value;
      return recoverHead(headDigest({ ...domain, size, root }), toHex(signature)) === signer.toLowerCase();
    },
  };
}
