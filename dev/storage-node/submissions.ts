import { type Address, createPublicClient, type Hex, http } from 'viem';
import { parseSubmitLog, type SubmitEvent, submitTopic } from '../../protocol/zero-g/flow.ts';

/** The block up to which submissions were read. */
export interface SyncedBlock {
  readonly number: bigint;
  readonly hash: Hex;
}

export interface Submissions {
  /** Newest state of the chain that was read, in order of txSeq. */
  readonly all: () => readonly SubmitEvent[];
  readonly synced: () => SyncedBlock | undefined;
  /** Reads what is new now. A chain that does not answer is waited for, as a real node does. */
  catchUp(): Promise<void>;
  stop(): void;
}

/**
 * Follows the Flow's `Submit` events by polling, from block 0. Each round first checks that the last block read is still
 * part of the chain; if it is not, everything is read again, so a reorganisation takes submissions back as it should.
 */
export function followSubmissions(options: {
  readonly rpcUrl: string;
  readonly flow: Address;
  /** 0: only when told to {@link Submissions.catchUp}. */
  readonly pollMs: number;
}): Submissions {
  const client = createPublicClient({ transport: http(options.rpcUrl, { retryCount: 0 }) });
  let all: readonly SubmitEvent[] = [];
  let synced: SyncedBlock | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  async function stillThere(block: SyncedBlock, head: bigint): Promise<boolean> {
    if (block.number > head) return false;
    return (await client.getBlock({ blockNumber: block.number })).hash === block.hash;
  }

  async function read(): Promise<void> {
    const head = await client.getBlock({ blockTag: 'latest' });
    if (head.hash === synced?.hash) return;
    const goOn = synced !== undefined && (await stillThere(synced, head.number)) ? synced : undefined;
    const fromBlock = goOn === undefined ? 0n : goOn.number + 1n;
    const logs = await client.request({
      method: 'eth_getLogs',
      params: [
        {
          address: options.flow,
          topics: [submitTopic],
          fromBlock: `0x${fromBlock.toString(16)}`,
          toBlock: `0x${head.number.toString(16)}`,
        },
      ],
    });
    const read = logs.map((log) => parseSubmitLog(options.flow, log));
    // The contract takes lengths that no disk holds; a number in JSON could not name them either.
    const events = read.flatMap((event) =>
      event.ok && event.value.submission.length <= Number.MAX_SAFE_INTEGER ? [event.value] : [],
    );
    all = goOn === undefined ? events : [...all, ...events];
    synced = { number: head.number, hash: head.hash };
  }

  const catchUp = (): Promise<void> => read().catch(() => undefined);

  function round(): void {
    void catchUp().finally(() => {
      if (!stopped) timer = setTimeout(round, options.pollMs);
    });
  }
  if (options.pollMs > 0) round();

  return {
    all: () => all,
    synced: () => synced,
    catchUp,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
