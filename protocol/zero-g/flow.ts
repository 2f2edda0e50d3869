import { keccak_256 } from '@noble/hashes/sha3.js';
import { concatBytes, hexToBytes } from '@noble/hashes/utils.js';
import { type Address, decodeEventLog, encodeFunctionData, type Hex, toEventSelector } from 'viem';
import { parseAddress, toHex } from '../hex.ts';
import { ok, type Result, refuse } from '../result.ts';
import type { SubmissionData, SubmissionNode } from './file-tree.ts';

const submissionData = [
  { name: 'length', type: 'uint256' },
  { name: 'tags', type: 'bytes' },
  {
    name: 'nodes',
    type: 'tuple[]',
    components: [
      { name: 'root', type: 'bytes32' },
      { name: 'height', type: 'uint256' },
    ],
  },
] as const;

/** The part of 0G's Flow contract that publishing a file needs, in its current shape (`submit` is 0xbc8c11f8). */
export const flowAbi = [
  {
    type: 'function',
    name: 'submit',
    stateMutability: 'payable',
    inputs: [
      {
        name: 'submission',
        type: 'tuple',
        components: [
          { name: 'data', type: 'tuple', components: submissionData },
          { name: 'submitter', type: 'address' },
        ],
      },
    ],
    outputs: [
      { name: 'index', type: 'uint256' },
      { name: 'digest', type: 'bytes32' },
      { name: 'startIndex', type: 'uint256' },
      { name: 'length', type: 'uint256' },
    ],
  },
  {
    type: 'function',
    name: 'market',
    stateMutability: 'view',
    inputs: [],
    outputs: [{ name: '', type: 'address' }],
  },
  {
    type: 'function',
    name: 'numSubmissions',
    stateMutability: 'view',
    inputs: [],
    outputs: [{ name: '', type: 'uint256' }],
  },
  {
    type: 'function',
    name: 'getFlowRootByTxSeq',
    stateMutability: 'view',
    inputs: [{ name: 'txSeq', type: 'uint256' }],
    outputs: [{ name: '', type: 'bytes32' }],
  },
  {
    type: 'event',
    name: 'Submit',
    inputs: [
      { name: 'sender', type: 'address', indexed: true },
      { name: 'identity', type: 'bytes32', indexed: true },
      { name: 'submissionIndex', type: 'uint256', indexed: false },
      { name: 'startPos', type: 'uint256', indexed: false },
      { name: 'length', type: 'uint256', indexed: false },
      { name: 'submission', type: 'tuple', indexed: false, components: submissionData },
    ],
  },
  {
    type: 'error',
    name: 'NotEnoughFee',
    inputs: [
      { name: 'price', type: 'uint256' },
      { name: 'amount', type: 'uint256' },
      { name: 'paid', type: 'uint256' },
    ],
  },
  { type: 'error', name: 'EnforcedPause', inputs: [] },
] as const;

/** Topic 0 of `Submit`. */
export const submitTopic: Hex = toEventSelector(
  'Submit(address,bytes32,uint256,uint256,uint256,(uint256,bytes,(bytes32,uint256)[]))',
);

/** The part of 0G's fixed-price Market that pricing a submission needs. */
export const marketAbi = [
  {
    type: 'function',
    name: 'pricePerSector',
    stateMutability: 'view',
    inputs: [],
    outputs: [{ name: '', type: 'uint256' }],
  },
] as const;

/**
 * Fee of a submission in wei: its padded sectors (256 bytes each) times the market's `pricePerSector`. Send exactly this:
 * less reverts `NotEnoughFee`, and the Flow contract keeps whatever is above it.
 */
export function storageFee(submission: Pick<SubmissionData, 'nodes'>, pricePerSector: bigint): bigint {
  return submission.nodes.reduce((sectors, node) => sectors + (1n << node.height), 0n) * pricePerSector;
}

/** The `identity` of a submission, indexed in its `Submit` event: keccak256 of its node roots side by side. */
export function identityOf(submission: Pick<SubmissionData, 'nodes'>): Hex {
  return toHex(keccak_256(concatBytes(...submission.nodes.map((node) => hexToBytes(node.root.slice(2))))));
}

/** The file root that a submission's nodes stand for: folded together from the right. RangeError without nodes. */
export function fileRootOf(submission: Pick<SubmissionData, 'nodes'>): Hex {
  const [last, ...rest] = submission.nodes.map((node) => hexToBytes(node.root.slice(2))).toReversed();
  if (last === undefined) throw new RangeError('submission without nodes');
  return toHex(rest.reduce((right, left) => keccak_256(concatBytes(left, right)), last));
}

/**
 * Calldata of `Flow.submit`. `submitter` must not be the zero address (the contract refuses it); it becomes the
 * event's sender and need not be the account that sends the transaction.
 */
export function submitCalldata(submission: SubmissionData, submitter: Address): Hex {
  return encodeFunctionData({
    abi: flowAbi,
    functionName: 'submit',
    args: [{ data: submission, submitter }],
  });
}

/** A file as the chain knows it: one `Submit` event. */
export interface SubmitEvent {
  /** Position in the Flow's list of submissions: the number a DA reference carries. */
  readonly txSeq: bigint;
  readonly identity: Hex;
  /** File root folded from the submission's nodes, comparable with `FileTree.root`. */
  readonly root: Hex;
  readonly submitter: Address;
  /** First sector (256 bytes) in the Flow, and how many the file takes, padding included. */
  readonly startSector: bigint;
  readonly sectors: bigint;
  readonly submission: SubmissionData;
}

export interface RawLog {
  readonly address: Address;
  readonly topics: readonly Hex[];
  readonly data: Hex;
}

/**
 * Reads a `Submit` event. Refuses logs of another contract than `flow` (anyone can emit the same topic), other events,
 * and events whose identity is not that of their nodes.
 */
export function parseSubmitLog(
  flow: Address,
  log: RawLog,
): Result<SubmitEvent, 'other_contract' | 'other_event' | 'malformed'> {
  if (log.address.toLowerCase() !== flow.toLowerCase()) return refuse('other_contract');
  const [signature, ...rest] = log.topics;
  if (signature !== submitTopic) return refuse('other_event');
  try {
    const { args } = decodeEventLog({
      abi: flowAbi,
      eventName: 'Submit',
      topics: [signature, ...rest],
      data: log.data,
    });
    const nodes: readonly SubmissionNode[] = args.submission.nodes;
    const submitter = parseAddress(args.sender.toLowerCase());
    if (submitter === undefined || nodes.length === 0) return refuse('malformed');
    if (identityOf({ nodes }) !== args.identity) return refuse('malformed');
    return ok({
      txSeq: args.submissionIndex,
      identity: args.identity,
      root: fileRootOf({ nodes }),
      submitter,
      startSector: args.startPos,
      sectors: args.length,
      submission: args.submission,
    });
  } catch {
    // The log is a stranger's bytes, and the decoder's only way to say no is to throw.
    return refuse('malformed');
  }
}
