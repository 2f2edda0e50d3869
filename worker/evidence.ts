import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import serialize from 'canonicalize';
import { type Hex, hashMessage } from 'viem';
import { toBase64 } from '../protocol/base64.ts';
import { recoverDigest } from '../protocol/ecdsa.ts';
import { parseHex, toHex } from '../protocol/hex.ts';
import { parsed } from './meter.ts';
import type { Opened } from './upstreams/attempt.ts';
import { keyFor } from './upstreams/configured.ts';
import type { EvidenceSource } from './upstreams/upstream.ts';
import type { UpstreamCall } from './upstreams/upstream-call.ts';
import { members } from './usage.ts';

/** The response header evidence comes in, where it is not in the stream. */
export const evidenceHeader = 'Tallystick-Evidence';

/** A TEE's signature over exactly the bytes of this call. `hash` is SHA-256 of `bundle`, and goes into the receipt. */
export type Evidence = { readonly bundle: Uint8Array; readonly hash: Hex };

export const formatEvidence = ({ bundle }: Evidence): string => toBase64(bundle);

export const evidenceComment = (evidence: Evidence): Uint8Array =>
  utf8ToBytes(`: tallystick-evidence ${formatEvidence(evidence)}\n\n`);

/** What a signature service answers, bounded. */
const answerBytesMax = 16 * 1024;

/**
 * Fetches and checks what the upstream's TEE signed: the text is `sha256(request):sha256(response)` in hex, signed as a personal
 * message (EIP-191) by the expected key. It has to cover our bytes, not just be well signed. Anything else, or no answer in
 * time, is no evidence: the receipt then says gateway-signed.
 *
 * 0G's brokers keep signatures for 20 minutes and name them in `ZG-Res-Key`; Phala and NEAR go by the response's id.
 */
export async function evidenceOf(
  call: UpstreamCall,
  { upstream, forwardedHash, evidenceKey }: Opened,
  model: string,
  upstreamId: string | undefined,
  responseHash: Hex,
): Promise<Evidence | undefined> {
  const source = upstream.evidence;
  const key = evidenceKey ?? upstreamId;
  if (source === undefined || key === undefined) return undefined;
  try {
    const named = upstream.models?.get(model) ?? model;
    const query = source.kind === '0g' ? '' : '&signing_algo=ecdsa';
    const url = `${source.url}/${encodeURIComponent(key)}?model=${encodeURIComponent(named)}${query}`;
    const bearer = keyFor(call.env, upstream);
    const response = await fetch(url, {
      headers: {
        accept: 'application/json',
        'x-request-id': call.id,
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      },
      redirect: 'manual',
      signal: AbortSignal.timeout(source.timeoutMs),
    });
    if (response.status !== 200) return undefined;
    const text = (await response.text()).slice(0, answerBytesMax);
    const checked = checkEvidence(source, parsed(text), forwardedHash, responseHash);
    if (checked === undefined)
      console.warn(
        JSON.stringify({ event: 'evidence_refused', requestId: call.id, upstream: upstream.name }),
      );
    return checked && bundleOf(upstream.name, key, source, checked);
  } catch (error) {
    console.warn(
      JSON.stringify({
        event: 'evidence_missing',
        requestId: call.id,
        upstream: upstream.name,
        error: String(error),
      }),
    );
    return undefined;
  }
}

type SignedText = { readonly text: string; readonly signature: Hex };

/** The signed text, if it is about these bytes and from this signer. Pure. */
export function checkEvidence(
  source: Pick<EvidenceSource, 'signer'>,
  answer: unknown,
  forwardedHash: Hex,
  responseHash: Hex,
): SignedText | undefined {
  const said = members(answer);
  const text = said?.['text'];
  const signature = signatureOf(said?.['signature']);
  const algorithm = said?.['signing_algo'] ?? 'ecdsa';
  if (typeof text !== 'string' || signature === undefined || algorithm !== 'ecdsa') return undefined;
  const expected = `${forwardedHash.slice(2)}:${responseHash.slice(2)}`;
  if (text.toLowerCase().replaceAll('0x', '') !== expected) return undefined;
  // The key is taken from the signature itself: what the answer says of its signer is no proof.
  const signer = recoverDigest(hashMessage(text), signature);
  return signer === source.signer ? { text, signature } : undefined;
}

/** RFC 8785 canonical JSON: what `evidence` in a receipt is the hash of. */
function bundleOf(upstream: string, key: string, source: EvidenceSource, signed: SignedText): Evidence {
  const json = serialize({
    format: 'tallystick evidence v1',
    kind: source.kind,
    upstream,
    key,
    signer: source.signer,
    text: signed.text,
    signature: signed.signature,
  });
  const bundle = utf8ToBytes(json ?? '');
  return { bundle, hash: toHex(sha256(bundle)) };
}

/** 65 bytes with v 27 or 28; brokers written in Go leave it at 0 or 1, or leave the 0x out. */
function signatureOf(value: unknown): Hex | undefined {
  const hex = parseHex(`0x${String(value).toLowerCase().replace(/^0x/, '')}`, 65);
  if (hex === undefined) return undefined;
  const recovery = Number.parseInt(hex.slice(-2), 16);
  return recovery > 1 ? hex : `0x${hex.slice(2, -2)}${(recovery + 27).toString(16)}`;
}
