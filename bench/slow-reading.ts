// Many clients that read slowly, all at once, and what a workerd holds meanwhile: its process, and the Worker's isolate. Linux only.

import { residentMb } from '../dev/processes.ts';
import type { Heap, IsolateHeap } from '../test/isolate-heap.ts';
import { type RawRequest, SlowReader } from '../test/slow-readers.ts';

export type Look = Heap & {
  /** Since the first client. */
  readonly second: number;
  readonly residentMb: number;
  /** Taken by all clients together. */
  readonly takenMb: number;
};

export type Reading = {
  readonly beforeMb: number;
  /** The isolate's live heap before the first client. */
  readonly before: Heap;
  /** About one a second; garbage counts. */
  readonly looks: readonly Look[];
  /** Live heap: after a full collection, readers still there. */
  readonly live: readonly Look[];
  /** The largest process, looked at each second whether or not the isolate answered. */
  readonly mostResidentMb: number;
  /** The second at which it was stopped for its size, or V8 ended it for want of memory; undefined where neither came. */
  readonly stoppedAt: number | undefined;
};

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** All at once for so many seconds at most, or until the process is too large. Throws when one of them was not answered. */
export async function readSlowly(options: {
  readonly pid: number;
  readonly isolate: IsolateHeap;
  readonly requests: readonly RawRequest[];
  /** Each takes up to 64 KB, so often. */
  readonly pauseMs: number;
  readonly seconds: number;
  /** What is live is looked at after `from` seconds, and then every `apart`, so many times in all; then it is over. */
  readonly live?: { readonly from: number; readonly apart: number; readonly looks: number };
  /** Megabytes. Where given, an isolate that ends is a result too. */
  readonly residentMax?: number;
}): Promise<Reading> {
  const { pid, isolate, requests, pauseMs, seconds, residentMax } = options;
  const [beforeMb, before] = [residentMb(pid), await isolate.live()];
  const startMs = performance.now();
  const readers = requests.map((request) => new SlowReader(request, pauseMs));
  const second = (): number => (performance.now() - startMs) / 1000;
  const look = (heap: Heap): Look => ({
    ...heap,
    second: second(),
    residentMb: residentMb(pid),
    takenMb: readers.reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 20,
  });
  const [looks, live]: [Look[], Look[]] = [[], []];
  let stoppedAt: number | undefined;
  let mostResidentMb = beforeMb;
  const watching = setInterval(() => {
    try {
      // A process that has just died has none.
      const nowMb = residentMb(pid);
      if (nowMb > mostResidentMb) mostResidentMb = nowMb;
    } catch {
      clearInterval(watching); // it has ended
    }
  }, 1_000);
  while (second() < seconds && stoppedAt === undefined) {
    await sleep(1_000);
    try {
      looks.push(look(await isolate.heap()));
      if (residentMax !== undefined && residentMb(pid) > residentMax) stoppedAt = second();
      if (options.live === undefined) continue;
      const last = live.at(-1);
      const due = last === undefined ? options.live.from : last.second + options.live.apart;
      if (second() >= due) live.push(look(await isolate.live()));
      if (live.length === options.live.looks) break;
    } catch (error) {
      if (residentMax === undefined) throw error;
      stoppedAt = second();
      break;
    }
  }
  clearInterval(watching);
  const failed = readers.find(({ head }) => !head.startsWith('HTTP/1.1 200'));
  for (const reader of readers) reader.leave();
  if (failed && stoppedAt === undefined)
    throw new Error(`a reader was not answered: ${failed.head.slice(0, 500) || 'nothing came'}`);
  return { beforeMb, before, looks, live, mostResidentMb, stoppedAt };
}
