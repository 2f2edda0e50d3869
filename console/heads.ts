// The log as the chain tells it: its head, and the heads it took before. Loaded when it is needed: it brings a chain client.
import { createPublicClient, http } from 'viem';
import { type Anchoring, type LogLocation, readAnchor, readAnchored } from '../client/verify.ts';
import { decodeDaReference } from '../protocol/zero-g/da-reference.ts';

/** Public nodes limit the range they search; this is what they all allow. */
const blocksSearched = 10_000n;

export type Publication = { readonly where: string; readonly state: string; readonly name: string };
export type Head = {
  readonly size: number;
  readonly previousSize: number;
  readonly root: string;
  readonly blockNumber: bigint;
  readonly publications: readonly Publication[];
};
export type ChainView = {
  readonly size: number;
  readonly block: bigint;
  /** The oldest block that was searched. */
  readonly from: bigint;
  /** Newest last. */
  readonly heads: readonly Head[];
};

/** Asks one node for everything. Rejects with AgentError `chain_unavailable` when it does not answer. */
export async function readHeads(log: LogLocation): Promise<ChainView> {
  const block = await createPublicClient({ transport: http(log.rpcUrl) }).getBlockNumber();
  const from = block > blocksSearched ? block - blocksSearched : 0n;
  const [anchor, anchorings] = await Promise.all([readAnchor(log), readAnchored(log, from)]);
  return { size: anchor.head.size, block, from, heads: anchorings.map(headOf) };
}

function headOf({ head, previousSize, blockNumber, daReference }: Anchoring): Head {
  const items = decodeDaReference(daReference);
  return {
    size: head.size,
    previousSize,
    root: head.root,
    blockNumber,
    publications: (items.ok ? items.value : []).map((item) =>
      item.kind === '0g-storage'
        ? { where: '0G Storage', state: item.state, name: item.root }
        : { where: '0G DA', state: item.state, name: item.commitment },
    ),
  };
}
