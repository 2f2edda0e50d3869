// Evidence against an operator, from the side of whoever holds it: judging a file, and the transactions that act on it.
// The judging itself is in protocol/evidence/.
import {
  type Abi,
  type Address,
  createPublicClient,
  encodeFunctionData,
  type Hex,
  http,
  type PublicClient,
} from 'viem';
import { operatorBondAbi } from '../contracts-abi/generated/OperatorBond.ts';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';
import type { ChainReading, KeyStanding } from '../protocol/evidence/chain-reading.ts';
import {
  type Evidence,
  evidenceFromJson,
  parseEvidence,
  type SignedHead,
  type TwoHeads,
} from '../protocol/evidence/evidence.ts';
import { type Judgement, judge, signersOf } from '../protocol/evidence/judgement.ts';
import { ok, type Result } from '../protocol/result.ts';
import { AgentError } from './agent-error.ts';
import { headOf } from './receipt-evidence.ts';

export type VerifyEvidenceOptions = {
  /** A node of the anchor's chain. Without one the file is judged by itself. */
  readonly rpcUrl?: string;
  /** The OperatorBond, if what it would say is asked for: then a key counts if it counts there. */
  readonly bond?: Address;
  /** Where to begin looking for older head keys in the anchor's events; default the chain's beginning. */
  readonly fromBlock?: bigint;
};

/** A judged piece of evidence. */
export type EvidenceReport = Judgement & { readonly evidence: Evidence };

/**
 * Judges an evidence file: its text, or the JSON in it. Refused with a reason when it is no evidence file; everything else
 * is a verdict. Without `rpcUrl` nothing is asked of anybody, and the best verdict is `unconfirmed`.
 *
 * Rejects with AgentError `chain_unavailable` when the node cannot be asked, or serves another chain.
 */
export async function verifyEvidence(
  file: unknown,
  options: VerifyEvidenceOptions = {},
): Promise<Result<EvidenceReport, string>> {
  const read = typeof file === 'string' ? parseEvidence(file) : evidenceFromJson(file);
  if (!read.ok) return read;
  const evidence = read.value;
  const { rpcUrl } = options;
  const chain = rpcUrl === undefined ? undefined : await readChain(evidence, { ...options, rpcUrl });
  return ok({ evidence, ...judge(evidence, chain) });
}

/** What an OperatorBond holds for a log, and on which terms. Amounts in base units, durations in seconds. */
export type BondReading = {
  readonly amount: bigint;
  readonly openChallenges: bigint;
  /** What the log's owner has asked for, from when it can be had; `undefined` when nothing. Do not count on it. */
  readonly withdrawal: { readonly amount: bigint; readonly readyAt: bigint } | undefined;
  readonly penalty: bigint;
  readonly challengeBond: bigint;
  readonly mergeDelay: bigint;
  readonly grace: bigint;
  readonly answerWindow: bigint;
  readonly withdrawalDelay: bigint;
};

/** Asks a bond. Rejects with AgentError `chain_unavailable` when it cannot be asked, or is another anchor's. */
export function readBond(
  rpcUrl: string,
  where: { readonly bond: Address; readonly anchor: Address; readonly logId: Hex },
): Promise<BondReading> {
  const { bond: address, anchor, logId } = where;
  return asking(rpcUrl, address, async (client) => {
    const contract = { address, abi: operatorBondAbi } as const;
    const [bond, penalty, challengeBond, mergeDelay, grace, answerWindow, withdrawalDelay] =
      await Promise.all([
        client.readContract({ ...contract, functionName: 'bondOf', args: [logId] }),
        client.readContract({ ...contract, functionName: 'penalty' }),
        client.readContract({ ...contract, functionName: 'challengeBond' }),
        client.readContract({ ...contract, functionName: 'mergeDelay' }),
        client.readContract({ ...contract, functionName: 'grace' }),
        client.readContract({ ...contract, functionName: 'answerWindow' }),
        client.readContract({ ...contract, functionName: 'withdrawalDelay' }),
        checkAnchor(client, address, anchor),
      ]);
    const { amount, openChallenges, withdrawal, readyAt } = bond;
    return {
      amount,
      openChallenges,
      withdrawal: readyAt === 0n ? undefined : { amount: withdrawal, readyAt },
      penalty,
      challengeBond,
      mergeDelay,
      grace,
      answerWindow,
      withdrawalDelay,
    };
  });
}

/** A transaction to be sent by anybody's wallet. */
export type Call = { readonly to: Address; readonly data: Hex; readonly value: bigint };

const callOf = (abi: Abi, to: Address, functionName: string, args: readonly unknown[], value = 0n): Call => ({
  to,
  data: encodeFunctionData({ abi, functionName, args }),
  value,
});

const bondCall = (bond: Address, functionName: string, args: readonly unknown[], value = 0n): Call =>
  callOf(operatorBondAbi, bond, functionName, args, value);

/**
 * The transaction that has a bond act on a piece of evidence: a slash, or for an overdue receipt a challenge.
 * @param terms.challengeBond what a challenge puts up, base units, from {@link readBond}
 */
export function submissionOf(
  evidence: Evidence,
  bond: Address,
  terms: { readonly challengeBond: bigint },
): Call {
  switch (evidence.type) {
    case 'two-receipts':
      return bondCall(bond, 'proveTwoReceipts', evidence.receipts);
    case 'two-heads':
      return headsCall(evidence, bond);
    case 'overdue-receipt':
      return bondCall(bond, 'challenge', [evidence.overdue], terms.challengeBond);
  }
}

function headsCall({ log, earlier, later, begins }: TwoHeads, bond: Address): Call {
  const { signature } = later;
  return signature === null
    ? bondCall(bond, 'proveAgainstAnchor', [log.logId, headArgument(earlier), begins.root, begins.proof])
    : bondCall(bond, 'proveTwoHeads', [
        log.logId,
        headArgument(earlier),
        headArgument({ ...later, signature }),
        begins.root,
        begins.proof,
      ]);
}

const headArgument = ({ size, root, signature }: SignedHead) => ({ size: BigInt(size), root, signature });

/** The operator's answer to a challenge, or anybody's: the receipt's place in the head that the anchor holds. */
export const answerOf = (
  bond: Address,
  shown: { readonly digest: Hex; readonly index: number; readonly proof: readonly Hex[] },
): Call => bondCall(bond, 'answer', [shown.digest, BigInt(shown.index), shown.proof]);

/** Ends a challenge that was not answered in time. */
export const conclusionOf = (bond: Address, digest: Hex): Call => bondCall(bond, 'conclude', [digest]);

/** Takes what an agent is due; for the agent's owner. */
export const collectionOf = (
  bond: Address,
  agent: { readonly registry: Address; readonly agentId: bigint },
  recipient: Address,
): Call => bondCall(bond, 'collect', [agent.registry, agent.agentId, recipient]);

/** Takes back the bonds of the challenges one won. */
export const refundOf = (bond: Address, recipient: Address): Call =>
  bondCall(bond, 'takeRefund', [recipient]);

/** Has the bond remember the log's present head key: worth sending whenever the anchor tells of a new one. */
export const headKeyNoteOf = (bond: Address, logId: Hex): Call => bondCall(bond, 'noteHeadKey', [logId]);

/** What the chain says of a piece of evidence. */
function readChain(
  evidence: Evidence,
  options: VerifyEvidenceOptions & { readonly rpcUrl: string },
): Promise<ChainReading> {
  const { chainId, anchor, logId } = evidence.log;
  const { rpcUrl, bond } = options;
  return asking(rpcUrl, anchor, async (client) => {
    const contract = { address: anchor, abi: receiptAnchorAbi } as const;
    const [seenChainId, block, [size, root], log] = await Promise.all([
      client.getChainId(),
      client.getBlock(),
      client.readContract({ ...contract, functionName: 'head', args: [logId] }),
      client.readContract({ ...contract, functionName: 'logOf', args: [logId] }),
      bond === undefined ? undefined : checkAnchor(client, bond, anchor),
    ]);
    if (seenChainId !== chainId) {
      throw new AgentError(
        'chain_unavailable',
        `${rpcUrl} serves chain ${seenChainId}, the evidence is about a log on ${chainId}`,
      );
    }
    const signers = signersOf(evidence);
    const grace =
      bond === undefined
        ? 0n
        : await client.readContract({ address: bond, abi: operatorBondAbi, functionName: 'grace' });
    const receiptKeys = new Map<Address, KeyStanding>();
    for (const key of signers.receiptKeys) {
      receiptKeys.set(key, await receiptKeyStanding(client, { anchor, logId, bond }, key));
    }
    const headKeys = new Map<Address, KeyStanding>();
    for (const key of signers.headKeys) {
      const current = log.headKey.toLowerCase() === key;
      const standing = current
        ? 'counts'
        : await oldHeadKeyStanding(client, { anchor, logId, bond, fromBlock: options.fromBlock ?? 0n }, key);
      if (standing !== undefined) headKeys.set(key, standing);
    }
    return { time: block.timestamp, head: headOf(size, root), receiptKeys, headKeys, grace };
  });
}

type Place = { readonly anchor: Address; readonly logId: Hex; readonly bond: Address | undefined };

async function receiptKeyStanding(
  client: PublicClient,
  { anchor, logId, bond }: Place,
  key: Address,
): Promise<KeyStanding> {
  const args = [logId, key] as const;
  const [, , known] = await client.readContract({
    address: anchor,
    abi: receiptAnchorAbi,
    functionName: 'receiptKey',
    args,
  });
  if (!known) return 'unknown';
  if (bond === undefined) return 'counts';
  const counts = await client.readContract({
    address: bond,
    abi: operatorBondAbi,
    functionName: 'receiptKeyCounts',
    args,
  });
  return counts ? 'counts' : 'lapsed';
}

/** A key that is not the log's head key now. `undefined` when the node will not search its events. */
async function oldHeadKeyStanding(
  client: PublicClient,
  { anchor, logId, bond, fromBlock }: Place & { readonly fromBlock: bigint },
  key: Address,
): Promise<KeyStanding | undefined> {
  const counts =
    bond !== undefined &&
    (await client.readContract({
      address: bond,
      abi: operatorBondAbi,
      functionName: 'headKeyCounts',
      args: [logId, key],
    }));
  if (counts) return 'counts';
  const search = { address: anchor, abi: receiptAnchorAbi, fromBlock, strict: true } as const;
  try {
    const [opened, changed] = await Promise.all([
      client.getContractEvents({ ...search, eventName: 'LogOpened', args: { logId } }),
      client.getContractEvents({ ...search, eventName: 'HeadKeyChanged', args: { logId, headKey: key } }),
    ]);
    const first = opened.some(({ args }) => args.headKey.toLowerCase() === key);
    if (!first && changed.length === 0) return 'unknown';
    return bond === undefined ? 'counts' : 'lapsed';
  } catch {
    return undefined;
  }
}

async function checkAnchor(client: PublicClient, bond: Address, anchor: Address): Promise<void> {
  const its = await client.readContract({ address: bond, abi: operatorBondAbi, functionName: 'anchor' });
  if (its.toLowerCase() === anchor.toLowerCase()) return;
  throw new AgentError(
    'chain_unavailable',
    `bond ${bond} is for the logs of anchor ${its}, not of ${anchor}`,
  );
}

async function asking<T>(
  rpcUrl: string,
  contract: Address,
  work: (client: PublicClient) => Promise<T>,
): Promise<T> {
  try {
    return await work(createPublicClient({ transport: http(rpcUrl) }));
  } catch (error) {
    if (error instanceof AgentError) throw error;
    throw new AgentError(
      'chain_unavailable',
      `Contract ${contract} could not be read at ${rpcUrl}: is this a node of its chain?`,
      { cause: error },
    );
  }
}
