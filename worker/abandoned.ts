import { sha256 } from '@noble/hashes/sha2.js';
import { toHex } from '../protocol/hex.ts';
import type { PricedRequest } from './priced-request.ts';
import type { Abandoned } from './upstreams/attempt.ts';
import { estimateUsage } from './usage.ts';
import type { Used } from './used.ts';

/** Bytes a model at work is taken to write in a second where nobody saw what it wrote: some 50 tokens. */
const unseenBytesPerSecond = 150;

/**
 * The client left and the answer did not come in time. Upstream charges for what it had generated, which nobody will ever
 * know: an estimate by the time it worked, marked as one, never free and never above the hold.
 */
export function usedWhenAbandoned(
  priced: PricedRequest,
  { upstream, forwardedHash, bytes, workedMs }: Abandoned,
): Used {
  const nothing = toHex(sha256(new Uint8Array()));
  const writes = priced.outputBound > 0n;
  const unseen = writes ? Math.max(bytes, Math.ceil((workedMs / 1000) * unseenBytesPerSecond)) : 0;
  return {
    usage: estimateUsage(
      { reported: undefined, since: { thinkingBytes: 0, answerBytes: unseen, frames: 0 } },
      priced,
    ),
    upstream: upstream.name,
    upstreamId: '',
    forwardedHash,
    responseHash: nothing,
    upstreamResponseHash: nothing,
  };
}
