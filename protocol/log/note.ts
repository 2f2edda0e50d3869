/** C2SP signed-note: a text, an empty line, and signature lines. */
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { fromBase64, toBase64 } from '../base64.ts';
import { ok, type Result, refuse } from '../result.ts';

/** One signature line. `keyId` is the uint32 that with the name identifies key and algorithm. */
export type NoteSignature = {
  readonly name: string;
  readonly keyId: number;
  readonly signature: Uint8Array;
};

/** A parsed note, nothing of it verified. `text` includes its final newline. */
export type Note = { readonly text: string; readonly signatures: readonly NoteSignature[] };

/** A key a reader trusts. `verify` must answer false, never throw, for any signature bytes. */
export type NoteKey = {
  readonly name: string;
  readonly keyId: number;
  readonly verify: (text: string, signature: Uint8Array) => boolean;
};

export type NoteRefusal =
  /** Not a signed note. */
  | 'malformed'
  /** Two of the keys given share the name and id of a signature. */
  | 'ambiguous_key'
  /** A signature by a known key does not verify: the whole note is rejected. */
  | 'bad_signature'
  /** No known key signed. */
  | 'unsigned';

/** Signature type of Ed25519 notes. */
const ED25519 = 0x01;
const SIGNATURE_PREFIX = '— ';
/** The specification asks for at least 16 to be accepted, and for a limit. */
const MAX_SIGNATURES = 100;

/** Reads a signed note without verifying it: refuses whatever C2SP says it must not contain. */
export function parseNote(note: string): Result<Note, 'malformed'> {
  const gap = note.lastIndexOf('\n\n');
  if (gap < 0 || !note.endsWith('\n') || !isNoteText(note)) return refuse('malformed');
  const lines = note
    .slice(gap + 2)
    .split('\n')
    .slice(0, -1);
  if (lines.length === 0 || lines.length > MAX_SIGNATURES) return refuse('malformed');
  const signatures: NoteSignature[] = [];
  for (const line of lines) {
    const signature = parseSignatureLine(line);
    if (signature === undefined) return refuse('malformed');
    signatures.push(signature);
  }
  return ok({ text: note.slice(0, gap + 1), signatures });
}

/**
 * The note of a text and its signatures.
 * @throws when the text does not end in a newline or has control characters, a key name is none, or nothing signs
 */
export function formatNote(text: string, signatures: readonly NoteSignature[]): string {
  if (!text.endsWith('\n') || !isNoteText(text)) throw new TypeError('not the text of a note');
  if (signatures.length === 0 || signatures.length > MAX_SIGNATURES)
    throw new RangeError('1 to 100 signatures');
  const lines = signatures.map(({ name, keyId, signature }) => {
    if (!isKeyName(name)) throw new TypeError(`not a key name: ${name}`);
    if (signature.length === 0) throw new TypeError('empty signature');
    return `${SIGNATURE_PREFIX}${name} ${toBase64(concatBytes(uint32(keyId), signature))}\n`;
  });
  return `${text}\n${lines.join('')}`;
}

/**
 * The signatures of a note made by known keys, each verified. Signatures by unknown keys are ignored, one bad signature by
 * a known key rejects the note, and so does the lack of any good one (signed-note, "Signatures").
 */
export function verifyNote(
  note: Note,
  keys: readonly NoteKey[],
): Result<NoteSignature[], Exclude<NoteRefusal, 'malformed'>> {
  const verified: NoteSignature[] = [];
  for (const signature of note.signatures) {
    const [key, another] = keys.filter((k) => k.name === signature.name && k.keyId === signature.keyId);
    if (key === undefined) continue;
    if (another !== undefined) return refuse('ambiguous_key');
    if (!key.verify(note.text, signature.signature)) return refuse('bad_signature');
    verified.push(signature);
  }
  return verified.length === 0 ? refuse('unsigned') : ok(verified);
}

/**
 * `SHA-256(name || 0x0a || type || public key)[0:4]` as a uint32 (signed-note, "Signatures").
 * @param typedKey the signature type byte and what follows it
 */
export function keyIdOf(name: string, typedKey: Uint8Array): number {
  const hash = sha256(concatBytes(utf8ToBytes(`${name}\n`), typedKey));
  return new DataView(hash.buffer, hash.byteOffset, 4).getUint32(0);
}

/** Key names are not empty and have no Unicode spaces, control characters or `+`. */
export const isKeyName = (name: string): boolean =>
  name !== '' && isNoteText(name) && !/[\p{White_Space}+]/u.test(name);

/** The key that verifies Ed25519 notes (RFC 8032, its strict reading) by a 32-byte public key. */
export const ed25519NoteKey = (name: string, publicKey: Uint8Array): NoteKey => ({
  name,
  keyId: keyIdOf(name, typedEd25519(publicKey)),
  verify: (text, signature) =>
    signature.length === 64 && ed25519.verify(signature, utf8ToBytes(text), publicKey, { zip215: false }),
});

/** Signs a note's text (final newline included) with a 32-byte Ed25519 seed. The same input gives the same bytes. */
export const signEd25519 = (name: string, text: string, seed: Uint8Array): NoteSignature => ({
  name,
  keyId: keyIdOf(name, typedEd25519(ed25519.getPublicKey(seed))),
  signature: ed25519.sign(utf8ToBytes(text), seed),
});

/**
 * The vkey string `<name>+<hex key id>+<base64(0x01 || public key)>` of an Ed25519 key.
 * @throws for a name or key that is none
 */
export function formatVerifierKey(name: string, publicKey: Uint8Array): string {
  if (!isKeyName(name)) throw new TypeError(`not a key name: ${name}`);
  const typedKey = typedEd25519(publicKey);
  return `${name}+${hexKeyId(keyIdOf(name, typedKey))}+${toBase64(typedKey)}`;
}

/** Reads an Ed25519 vkey; `undefined` for anything else, other signature types and a wrong key id included. */
export function parseVerifierKey(vkey: string): { name: string; publicKey: Uint8Array } | undefined {
  const match = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(vkey);
  if (match === null) return undefined;
  const [, name = '', id, base64 = ''] = match;
  const typedKey = fromBase64(base64);
  if (typedKey === undefined || typedKey.length !== 33 || typedKey[0] !== ED25519) return undefined;
  if (!isKeyName(name) || hexKeyId(keyIdOf(name, typedKey)) !== id) return undefined;
  return { name, publicKey: typedKey.slice(1) };
}

function parseSignatureLine(line: string): NoteSignature | undefined {
  if (!line.startsWith(SIGNATURE_PREFIX)) return undefined;
  const [name = '', base64 = '', ...more] = line.slice(SIGNATURE_PREFIX.length).split(' ');
  const bytes = fromBase64(base64);
  if (!isKeyName(name) || more.length > 0 || bytes === undefined || bytes.length < 5) return undefined;
  return { name, keyId: new DataView(bytes.buffer).getUint32(0), signature: bytes.slice(4) };
}

/** Valid UTF-8 without control characters other than newline. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const isNoteText = (text: string): boolean => text.isWellFormed() && !/[\x00-\x09\x0b-\x1f]/.test(text);

function typedEd25519(publicKey: Uint8Array): Uint8Array {
  if (publicKey.length !== 32) throw new TypeError('an Ed25519 public key is 32 bytes');
  return concatBytes(Uint8Array.of(ED25519), publicKey);
}

function uint32(n: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, n);
  return bytes;
}

const hexKeyId = (keyId: number): string => keyId.toString(16).padStart(8, '0');
