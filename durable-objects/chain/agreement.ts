import type { Hex, PublicClient } from 'viem';
import { ok, type Result, refuse } from '../../protocol/result.ts';
import type { ChainConfig } from '../config.ts';
import { nodesOf, reasonOf } from './node.ts';
import { headMaxSkewMs } from './observation.ts';

/** A block that every node that can be asked has, with the same hash; and those nodes. */
export type AgreedHead = {
  readonly number: bigint;
  readonly hash: Hex;
  /** Unix seconds. */
  readonly time: number;
  readonly nodes: readonly [PublicClient, ...PublicClient[]];
};

/**
 * The newest block that all of a chain's nodes have in common. A node that is down or has stopped following the chain is
 * left out. Two that follow it and have different blocks at one height are a disagreement, which nobody here can judge:
 * it is refused and reported, and asked again by whoever needs it. (For a moment it may be an ordinary short fork.)
 */
export async function agreedHead(
  chain: Pick<ChainConfig, 'chainId' | 'rpcUrls'>,
  now: () => number,
): Promise<Result<AgreedHead, string>> {
  const heads = await Promise.all(
    nodesOf(chain).map(async (node) => {
      try {
        const block = await node.getBlock({ blockTag: 'latest' });
        const skewMs = Math.abs(now() - Number(block.timestamp) * 1000);
        return skewMs <= headMaxSkewMs
          ? ok({ node, block })
          : refuse(
              `the node's head is from ${new Date(Number(block.timestamp) * 1000).toISOString()}: it has stopped following the chain`,
            );
      } catch (error) {
        return refuse(reasonOf(error));
      }
    }),
  );
  const [first, ...others] = heads.flatMap((head) => (head.ok ? [head.value] : []));
  if (first === undefined) {
    return refuse(heads.map((head) => (head.ok ? '' : head.error)).join('; '));
  }
  const number = others.reduce(
    (least, { block }) => (block.number < least ? block.number : least),
    first.block.number,
  );
  try {
    const [block, ...same] = await Promise.all(
      [first, ...others].map(({ node, block }) =>
        block.number === number ? block : node.getBlock({ blockNumber: number }),
      ),
    );
    if (block === undefined) throw new Error('one node at least was asked');
    if (same.some(({ hash }) => hash !== block.hash)) {
      return disagreement(chain.chainId, `the nodes have different blocks at height ${number}`);
    }
    const nodes = [first.node, ...others.map(({ node }) => node)] as const;
    return ok({ number, hash: block.hash, time: Number(block.timestamp), nodes });
  } catch (error) {
    return refuse(reasonOf(error));
  }
}

/**
 * What all nodes answer to one question about an agreed block. The block's hash commits to the state, but a node that lies
 * about the state can quote the right hash.
 */
export async function agreedAnswer<T>(
  chainId: number,
  nodes: AgreedHead['nodes'],
  question: (node: PublicClient) => Promise<T>,
): Promise<Result<T, string>> {
  const [answer, ...others] = await Promise.all(nodes.map(question));
  if (answer === undefined) throw new Error('one node at least was asked');
  const text = plain(answer);
  return others.every((other) => plain(other) === text)
    ? ok(answer)
    : disagreement(chainId, 'the nodes answer differently about the same block');
}

function disagreement(chainId: number, what: string): { readonly ok: false; readonly error: string } {
  console.error(JSON.stringify({ event: 'rpc_disagreement', chainId, what }));
  return refuse(what);
}

const plain = (value: unknown): string =>
  JSON.stringify(value, (_, member) => (typeof member === 'bigint' ? `${member}` : member));
