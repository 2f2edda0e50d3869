// What a TEE signed about one call, as a gateway passes it on. Pure.
import { sha256 } from '@noble/hashes/sha2.js';
import { type Address, hashMessage } from 'viem';
import { fromBase64 } from '../protocol/base64.ts';
import { recoverDigest } from '../protocol/ecdsa.ts';
import { parseAddress, parseHex, toHex } from '../protocol/hex.ts';
import type { Receipt } from '../protocol/receipt.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';

export type TeeEvidence = {
  /** The bytes the receipt's `evidence` is the hash of. Keep them with the receipt. */
  readonly bundle: Uint8Array;
  /**
   * Whose signature it is. That this key lives in a TEE, and in which, is for an attestation of that key to say: compare it
   * with one you have verified.
   */
  readonly signer: Address;
};

/**
 * Reads the base64 bundle and checks it against its receipt: it is what `evidence` is the hash of, and what is signed in it
 * are the bytes sent to the model and the bytes that came back. The error is a sentence.
 */
export function checkTeeEvidence(base64: string, receipt: Receipt): Result<TeeEvidence, string> {
  const bundle = fromBase64(base64);
  if (bundle === undefined) return refuse('the evidence is not base64');
  const hash = toHex(sha256(bundle));
  if (hash !== receipt.evidence) return refuse(`its hash is ${hash}, the receipt says ${receipt.evidence}`);
  const { text, signer: named, signature } = members(bundle);
  const signer = parseAddress(named);
  const strict = parseHex(signature, 65);
  if (typeof text !== 'string' || signer === undefined || strict === undefined) {
    return refuse('the evidence is not {text, signer, signature, …}');
  }
  const covered = text.toLowerCase().replaceAll('0x', '');
  if (covered !== `${receipt.forwardedHash.slice(2)}:${receipt.upstreamResponseHash.slice(2)}`) {
    return refuse(`what is signed is about other bytes: ${text.slice(0, 200)}`);
  }
  if (recoverDigest(hashMessage(text), strict) !== signer) {
    return refuse(`the evidence is not signed by ${signer}, as it says`);
  }
  return ok({ bundle, signer });
}

function members(bundle: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bundle));
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
