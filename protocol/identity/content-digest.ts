import { sha256 } from '@noble/hashes/sha2.js';
import { ok, type Result, refuse } from '../result.ts';
import { type Hashes, plainHashes } from './hashes.ts';
import { parseDictionary, serializeBareItem } from './structured-field.ts';

const ALGORITHMS = [
  ['sha-256', 'sha256', 32],
  ['sha-512', 'sha512', 64],
] as const;

const equalBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

/**
 * Checks a received `Content-Digest` against the content (ERC-8128 section 3.1.3, RFC 9530): at least one of
 * sha-256 and sha-512, and every one that is there must match; other algorithms are ignored.
 * The value is the content's SHA-256 where that was computed, so that nobody need hash the content again.
 */
export const verifyContentDigest = async (
  value: string,
  content: Uint8Array,
  hashes: Hashes = plainHashes,
): Promise<Result<{ readonly sha256: Uint8Array | undefined }, string>> => {
  const parsed = parseDictionary(value);
  if (!parsed.ok) return refuse(`Content-Digest is ${parsed.error}`);
  let matched = 0;
  let contentSha256: Uint8Array | undefined;
  for (const [name, hash, length] of ALGORITHMS) {
    const member = parsed.value.get(name);
    if (member === undefined) continue;
    if (member.kind !== 'item' || member.value.type !== 'bytes' || member.value.value.length !== length) {
      return refuse(`Content-Digest: ${name} must be a Byte Sequence of ${length} bytes`);
    }
    const digest = await hashes[hash](content);
    if (!equalBytes(digest, member.value.value)) {
      return refuse(`Content-Digest: ${name} does not match the content received`);
    }
    if (name === 'sha-256') contentSha256 = digest;
    matched++;
  }
  if (matched === 0) return refuse('Content-Digest must have a sha-256 or sha-512 member');
  return ok({ sha256: contentSha256 });
};

/** The `Content-Digest` a signer sends: SHA-256 of the exact content bytes. */
export const contentDigestOf = (content: Uint8Array): string =>
  `sha-256=${serializeBareItem({ type: 'bytes', value: sha256(content) })}`;
