// Asking the chain, and the gateway for a proof; the judging is in receipt-evidence.ts and blob-evidence.ts.
import { type Address, createPublicClient, type Hex, http, type PublicClient } from 'viem';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';
import { parseCheckpoint } from '../protocol/log/checkpoint.ts';
import { parseTlogProof } from '../protocol/log/tlog-proof.ts';
import { receiptSigner, type SignedReceipt } from '../protocol/receipt.ts';
import { AgentError } from './agent-error.ts';
import type { AgentFetch } from './agent-fetch.ts';
import { readProblem } from './problem-detail.ts';
import {
  type AnchoredHead,
  type AnchorReading,
  type Check,
  headOf,
  receiptChecks,
} from './receipt-evidence.ts';

/** A log as the chain knows it. */
export type LogLocation = {
  /** A node of the anchor's chain. */
  readonly rpcUrl: string;
  readonly anchor: Address;
  readonly logId: Hex;
};

export type VerifyReceiptOptions = LogLocation & {
  readonly signed: SignedReceipt;
  /** tlog-proof@v1 text, from {@link fetchProofFor} or kept since. */
  readonly proof: string;
  /** C2SP vkey, if the log's Ed25519 signature is to be checked, too. The chain does not know it: pin it. */
  readonly checkpointKey?: string;
  readonly digest?: Hex;
  /** Where to begin looking for older heads in the anchor's events; default the chain's beginning. */
  readonly fromBlock?: bigint;
};

/**
 * Verifies a receipt with nothing but a proof and the chain. No gateway is asked: it may be gone, or lying.
 * Rejects with AgentError `chain_unavailable` when the node cannot be asked; everything else is a check's `ok`.
 */
export async function verifyReceipt(options: VerifyReceiptOptions): Promise<Check[]> {
  const { signed, proof, checkpointKey, digest } = options;
  const anchor = await readAnchor(options, receiptSigner(signed));
  const parsed = parseTlogProof(proof);
  const opened = parsed.ok ? parseCheckpoint(parsed.value.checkpoint) : parsed;
  const older =
    opened.ok && opened.value.checkpoint.size < anchor.head.size ? opened.value.checkpoint : undefined;
  // A node that will not search its events is no reason to give up: a proof at the chain's head needs none.
  const events = older && (await readAnchored(options, options.fromBlock).catch(() => undefined));
  const earlier = events?.find(({ head }) => head.size === older?.size)?.head;
  return receiptChecks({
    signed,
    proof,
    anchor,
    ...(checkpointKey === undefined ? {} : { checkpointKey }),
    ...(digest === undefined ? {} : { digest }),
    ...(earlier === undefined ? {} : { earlier }),
  });
}

const zeroAddress: Address = `0x${'00'.repeat(20)}`;

/** What the anchor says of a log now, and of one receipt key in it. */
export function readAnchor(location: LogLocation, receiptKey?: Address): Promise<AnchorReading> {
  const { anchor, logId } = location;
  return asking(location, async (client) => {
    const contract = { address: anchor, abi: receiptAnchorAbi } as const;
    const [chainId, [size, root], log, [fromSize, toSize, known]] = await Promise.all([
      client.getChainId(),
      client.readContract({ ...contract, functionName: 'head', args: [logId] }),
      client.readContract({ ...contract, functionName: 'logOf', args: [logId] }),
      client.readContract({
        ...contract,
        functionName: 'receiptKey',
        args: [logId, receiptKey ?? zeroAddress],
      }),
    ]);
    return {
      domain: { chainId, anchor, logId },
      head: headOf(size, root),
      headKey: log.headKey.toLowerCase() as Address,
      receiptKey: { fromSize, toSize, known },
    };
  });
}

/** The chain's clock, Unix seconds: what counts for whether something is due. */
export const readChainTime = (location: LogLocation): Promise<bigint> =>
  asking(location, async (client) => (await client.getBlock()).timestamp);

/** One anchoring, as the anchor's event tells it. */
export type Anchoring = {
  readonly head: AnchoredHead;
  readonly previousSize: number;
  /** Where the entries can be had (protocol, section 7). */
  readonly daReference: Hex;
  readonly blockNumber: bigint;
};

/** All heads the anchor ever took for a log, oldest first. Nodes limit the range they search: give `fromBlock` where known. */
export function readAnchored(location: LogLocation, fromBlock = 0n): Promise<Anchoring[]> {
  const { anchor, logId } = location;
  return asking(location, async (client) => {
    const events = await client.getContractEvents({
      address: anchor,
      abi: receiptAnchorAbi,
      eventName: 'Anchored',
      args: { logId },
      fromBlock,
      strict: true,
    });
    return events.map(({ args, blockNumber }) => ({
      head: headOf(args.size, args.root),
      previousSize: Number(args.previousSize),
      daReference: args.daReference,
      blockNumber,
    }));
  });
}

export type FetchProofOptions = {
  /** Of the checkpoint the proof should lead to. Otherwise the chain's head, where `log` says how to ask; else the gateway's choice. */
  readonly size?: number;
  readonly log?: LogLocation;
  /** How long to wait for the receipt to be sealed and anchored; default 0, one try. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
};

const pollMs = 500;

/**
 * Asks the gateway for a receipt's proof: at the chain's head, so that the chain can confirm it directly. The head may move
 * while it is asked for, and the receipt may not be under it yet; then it is tried again, as long as `timeoutMs` allows.
 *
 * Rejects with AgentError `gateway_unusable` when there is no proof in time, or the gateway refuses.
 */
export async function fetchProofFor(
  agentFetch: AgentFetch,
  sequence: bigint | number,
  options: FetchProofOptions = {},
): Promise<string> {
  const { log, timeoutMs = 0, signal } = options;
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const size = options.size ?? (log && (await readAnchor(log)).head.size);
    // An empty log has no proofs: nothing to ask the gateway yet.
    const response = size === 0 ? undefined : await ask(agentFetch, sequence, size, signal);
    if (response?.ok) return response.text();
    if (response && response.status !== 404) {
      throw new AgentError(
        'gateway_unusable',
        `The proof of receipt ${sequence}: ${(await readProblem(response)).detail}`,
      );
    }
    if (Date.now() + pollMs > deadline) {
      const why = response ? (await readProblem(response)).detail : 'nothing is anchored yet';
      throw new AgentError('gateway_unusable', `There is no proof of receipt ${sequence} yet: ${why}`);
    }
    await response?.body?.cancel();
    await delay(pollMs, signal);
  }
}

function ask(
  agentFetch: AgentFetch,
  sequence: bigint | number,
  size: number | undefined,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const query = size === undefined ? '' : `?size=${size}`;
  const url = `${agentFetch.gateway}/v1/receipts/${sequence}/proof${query}`;
  return agentFetch(url, signal ? { signal } : {});
}

function delay(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    if (signal?.aborted) return stop();
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

async function asking<T>(
  { rpcUrl, anchor }: LogLocation,
  work: (client: PublicClient) => Promise<T>,
): Promise<T> {
  try {
    return await work(createPublicClient({ transport: http(rpcUrl) }));
  } catch (error) {
    throw new AgentError(
      'chain_unavailable',
      `Anchor ${anchor} could not be read at ${rpcUrl}: is this a node of its chain?`,
      { cause: error },
    );
  }
}
