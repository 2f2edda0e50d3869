// Answers challenges to show a receipt in the log (OperatorBond): finds them in the bond's events, asks the log where the
// receipt stands, and sends the inclusion in the head that the anchor holds, until the bond itself says that it was
// answered. An answer whose head has moved on the way is made anew. docs/evidence.md says what is at stake.
import { type Address, encodeFunctionData, type Hex, type PublicClient, parseEventLogs } from 'viem';
import { operatorBondAbi } from '../../contracts-abi/generated/OperatorBond.ts';
import { receiptAnchorAbi } from '../../contracts-abi/generated/ReceiptAnchor.ts';
import type { ChainConfig, LogConfig } from '../config.ts';
import type { ChallengeRows, OpenChallenge } from './challenge-rows.ts';
import { nodeOf } from './node.ts';
import type { TransactionRows } from './transactions.ts';

/** Blocks of events asked for at once. */
const blocksPerLook = 1_000n;
/** Events this near the head are read again: their blocks may still be exchanged. */
const reorgBlocks = 64n;
/** Between two looks while the past is being read, and while an answer is under way. */
const soonMs = 500;
/** `OperatorBond.ChallengeState.Open`. */
const stateOpen = 1;

type Head = { readonly number: bigint; readonly timestamp: bigint };

/** Where a receipt stands in the log, and the proof for the tree of one size. */
export type Shown = { readonly index: number; readonly proof: readonly Hex[] };

type Ports = {
  readonly rows: ChallengeRows;
  readonly transactions: TransactionRows;
  /** Asks the log; `undefined` when a tree of that size does not hold the receipt. */
  readonly show: (digest: Hex, size: number) => Promise<Shown | undefined>;
};

export class Answerer {
  readonly #ports: Ports;
  #nextLookMs = 0;

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  /** How many challenges are known and not answered. */
  get open(): number {
    return this.#ports.rows.open().length;
  }

  /** Looks once, if it is time, and takes each challenge one step further. @returns when to be called again */
  async step(chain: ChainConfig, log: LogConfig, bond: Address, nowMs: number): Promise<number> {
    const { rows } = this.#ports;
    const node = nodeOf(chain);
    if (nowMs < this.#nextLookMs && rows.open().length === 0) return this.#nextLookMs;
    const head = await node.getBlock({ blockTag: 'latest' });
    if (nowMs >= this.#nextLookMs) {
      const isBehind = await this.#look(node, log, bond, head);
      this.#nextLookMs = nowMs + (isBehind ? soonMs : chain.watchEveryMs);
    }
    let againMs = this.#nextLookMs;
    const failures: unknown[] = [];
    for (const challenge of rows.open()) {
      // One that cannot be answered holds up no other.
      const answering = this.#answer(node, log, bond, challenge, head.timestamp);
      const isUnderWay = await answering.catch((error: unknown) => {
        failures.push(error);
        return false;
      });
      if (isUnderWay) againMs = nowMs + soonMs;
    }
    if (failures.length > 0) throw failures[0];
    return againMs;
  }

  /** @returns whether there is more to be read already */
  async #look(
    node: PublicClient,
    { logId }: LogConfig,
    bond: Address,
    { number: head, timestamp: now }: Head,
  ): Promise<boolean> {
    const { rows } = this.#ports;
    const next = rows.nextBlock ?? (await firstThatMatters(node, bond, head));
    const from = next > reorgBlocks ? next - reorgBlocks : 0n;
    const to = head - next >= blocksPerLook ? next + blocksPerLook - 1n : head;
    const logs = await node.getContractEvents({
      address: bond,
      abi: operatorBondAbi,
      eventName: 'Challenged',
      args: { logId },
      fromBlock: from,
      toBlock: to,
    });
    const open = new Set(rows.open().map(({ digest }) => digest));
    const found: { digest: Hex; deadline: bigint }[] = [];
    for (const { args } of parseEventLogs({ abi: operatorBondAbi, eventName: 'Challenged', logs })) {
      const { digest, deadline } = args;
      if (open.has(digest) || deadline < now || !(await isOpen(node, bond, digest))) continue;
      console.warn(JSON.stringify({ event: 'challenged', digest, deadline: `${deadline}` }));
      found.push({ digest, deadline });
    }
    if (found.length > 0 || rows.nextBlock === undefined || to + 1n - next >= reorgBlocks) {
      rows.found(found, to + 1n);
    }
    return to < head;
  }

  /** @returns whether something is under way that should be looked after soon */
  async #answer(
    node: PublicClient,
    { logId, anchor }: LogConfig,
    bond: Address,
    challenge: OpenChallenge,
    now: bigint,
  ): Promise<boolean> {
    const { rows, transactions, show } = this.#ports;
    const { digest, deadline, attempt } = challenge;
    const key = `answer:${bond}:${digest}:${attempt}`;
    const state = transactions.state(key);
    if (state?.state === 'pending' || (state?.state === 'mined' && !state.final)) return true;
    // What the bond says counts, whoever answered, and whatever became of ours.
    if (!(await isOpen(node, bond, digest))) {
      rows.done(digest);
      return false;
    }
    if (now > deadline) {
      console.error(JSON.stringify({ event: 'challenge_lost', digest, deadline: `${deadline}` }));
      rows.done(digest);
      return false;
    }
    if (state !== undefined) {
      // The head has moved on the way, most likely. At the next look, with another proof.
      rows.tryAgain(challenge);
      return false;
    }
    const [size] = await node.readContract({
      address: anchor,
      abi: receiptAnchorAbi,
      functionName: 'head',
      args: [logId],
    });
    const shown = await show(digest, Number(size));
    if (shown === undefined) {
      // Not appended, or not anchored yet: the pipeline has until the deadline.
      console.error(JSON.stringify({ event: 'challenge_unanswered', digest, deadline: `${deadline}` }));
      return false;
    }
    transactions.ask({
      key,
      to: bond,
      value: 0n,
      urgent: true,
      data: encodeFunctionData({
        abi: operatorBondAbi,
        functionName: 'answer',
        args: [digest, BigInt(shown.index), shown.proof],
      }),
    });
    return true;
  }
}

const isOpen = async (node: PublicClient, bond: Address, digest: Hex): Promise<boolean> => {
  const { state } = await node.readContract({
    address: bond,
    abi: operatorBondAbi,
    functionName: 'challengeOf',
    args: [digest],
  });
  return state === stateOpen;
};

/** The first block whose challenges can still be answered, by its time: older ones have run out. */
async function firstThatMatters(node: PublicClient, bond: Address, head: bigint): Promise<bigint> {
  const window = await node.readContract({
    address: bond,
    abi: operatorBondAbi,
    functionName: 'answerWindow',
  });
  const timeOf = async (blockNumber: bigint) => (await node.getBlock({ blockNumber })).timestamp;
  const since = (await timeOf(head)) - window;
  let [low, high] = [0n, head];
  while (low < high) {
    const middle = (low + high) / 2n;
    if ((await timeOf(middle)) < since) low = middle + 1n;
    else high = middle;
  }
  return low;
}
