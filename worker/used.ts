import type { Hex } from 'viem';
import type { Usage } from '../protocol/pricing.ts';

/** What is known when upstream has ended: what a capture is made of. */
export type Used = {
  readonly usage: Usage;
  /** The configured name of the upstream that answered. */
  readonly upstream: string;
  readonly upstreamId: string;
  readonly forwardedHash: Hex;
  readonly responseHash: Hex;
  readonly upstreamResponseHash: Hex;
  /** Hash of a TEE's checked evidence; the gateway's word alone where absent. */
  readonly evidence?: Hex;
};
