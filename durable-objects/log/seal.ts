import type { Hex } from 'viem';
import { toHex } from '../../protocol/hex.ts';
import { append as appendToTree } from '../../protocol/log/append.ts';
import { type Claim, encodeBlob } from '../../protocol/log/blob.ts';
import { signCheckpoint } from '../../protocol/log/checkpoint.ts';
import type { LogDomain } from '../../protocol/log/head.ts';
import { inclusionProof, leafHash } from '../../protocol/log/merkle.ts';
import { nodesOnce, type TileBytes, type TileSource } from '../../protocol/log/tiles.ts';
import { type Receipt, signReceipt } from '../../protocol/receipt.ts';
import type { Append } from './log-rows.ts';

export type LogKeys = {
  /** Of a receipt's time. */
  readonly receiptKey: (time: bigint) => Hex;
  readonly headKey: Hex;
  readonly ed25519Seed: Uint8Array;
};

/** Everything a seal makes durable at once: after it the batch is committed, before it nothing has happened. */
export type Sealed = {
  readonly changedTiles: readonly TileBytes[];
  readonly size: number;
  readonly root: Hex;
  readonly checkpoint: string;
  readonly headSignature: Hex;
  readonly blob: Uint8Array;
};

/**
 * Builds a batch from appends that follow on the tree of `size` leaves. Pure, and deterministic: built again after a crash
 * it gives the same bytes, so a checkpoint can never be signed twice with different contents.
 */
export function seal(
  origin: string,
  domain: LogDomain,
  keys: LogKeys,
  tiles: TileSource,
  size: number,
  appends: readonly Append[],
  lastReceipt: (append: Append) => Receipt,
): Sealed {
  const entries = appends.flatMap((append) => append.entries);
  const grown = appendToTree(tiles, size, entries.map(leafHash));
  if (!grown.ok) throw new Error(`the log's own tiles do not hold: ${JSON.stringify(grown.error)}`);
  const { changedTiles, root } = grown.value;
  const changed = new Map(changedTiles.map((tile) => [`${tile.level}/${tile.index}`, tile.bytes]));
  const after: TileSource = (level, index) => changed.get(`${level}/${index}`) ?? tiles(level, index);

  const { note, headSignature } = signCheckpoint(
    { origin, size: grown.value.size, root },
    { domain, ...keys },
  );
  return {
    changedTiles,
    size: grown.value.size,
    root: toHex(root),
    checkpoint: note,
    headSignature,
    blob: encodeBlob({
      logId: domain.logId,
      first: size,
      entries,
      checkpoint: note,
      claims: claimSheet(appends, lastReceipt, after, grown.value.size, keys.receiptKey),
    }),
  };
}

/** Each account's last receipt among the appends, disclosed and proven: what its next claim on the vault rests on. */
function claimSheet(
  appends: readonly Append[],
  lastReceipt: (append: Append) => Receipt,
  tiles: TileSource,
  size: number,
  receiptKey: LogKeys['receiptKey'],
): Claim[] {
  const nodes = nodesOnce(tiles);
  const last = new Map(appends.map((append) => [append.account, append]));
  return [...last.values()].map((append) => {
    const index = append.firstIndex + append.entries.length - 1;
    const proof = inclusionProof(nodes, size, index);
    if (!proof.ok) throw new Error(`no proof for entry ${index} of ${size}: ${JSON.stringify(proof.error)}`);
    const receipt = lastReceipt(append);
    return { signed: signReceipt(receipt, receiptKey(receipt.time)), index, proof: proof.value };
  });
}
