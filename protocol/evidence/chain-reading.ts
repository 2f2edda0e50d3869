/** What the chain has to say about a piece of evidence, once somebody has asked it. */
import type { Address, Hex } from 'viem';
import { type Finding, type FindingName, finding, unchecked } from './finding.ts';

/** `lapsed`: it was one of the log's keys, but the bond no longer takes its word. */
export type KeyStanding = 'counts' | 'lapsed' | 'unknown';

/** Keys that are missing from the maps could not be asked about. */
export type ChainReading = {
  /** Time of the block that was read, Unix seconds. */
  readonly time: bigint;
  /** The head that the anchor holds. */
  readonly head: { readonly size: number; readonly root: Hex };
  readonly receiptKeys: ReadonlyMap<Address, KeyStanding>;
  readonly headKeys: ReadonlyMap<Address, KeyStanding>;
  /** How long after `mergeBy` a challenge becomes possible, seconds; 0 where no bond was asked. */
  readonly grace: bigint;
};

/** Whether a signer is one of the log's keys. */
export function keyFinding(
  name: FindingName,
  what: 'receipt' | 'head',
  signer: Address | undefined,
  chain: ChainReading | undefined,
): Finding {
  if (signer === undefined) return finding(name, false, '', 'nobody signed, so no key did');
  const keys = what === 'receipt' ? chain?.receiptKeys : chain?.headKeys;
  const standing = keys?.get(signer);
  switch (standing) {
    case 'counts':
      return finding(name, true, `${signer} is a ${what} key of the log`, '');
    case 'lapsed':
      return finding(
        name,
        false,
        '',
        `${signer} was a ${what} key of the log, and the bond does not take its word any more`,
      );
    case 'unknown':
      return finding(name, false, '', `${signer} is not a ${what} key of the log, and was none`);
    case undefined:
      return unchecked(name, `only the anchor can say whether ${signer} is a ${what} key of the log`);
  }
}
