// The heap of a Worker's isolate in workerd, asked for over its inspector: what V8 itself says, not what the process has.

/** Megabytes of 2^20 bytes. */
export type Heap = {
  /** JavaScript objects, garbage not yet collected included. */
  readonly usedMb: number;
  /** Objects of the runtime's own that V8 accounts for. */
  readonly embedderMb: number;
  /** What ArrayBuffers keep outside the heap: chunks under way, for one. */
  readonly backingMb: number;
  /** The three together. */
  readonly heldMb: number;
  /** What V8 has taken from the system for `usedMb`. */
  readonly reservedMb: number;
};

export type IsolateHeap = {
  heap(): Promise<Heap>;
  /** After a full garbage collection: what is left is held by somebody. Stops the isolate for as long. */
  live(): Promise<Heap>;
  close(): void;
};

type Usage = {
  readonly usedSize: number;
  readonly totalSize: number;
  readonly embedderHeapUsedSize: number;
  readonly backingStorageSize: number;
};

/** @param isolate how the inspector calls the one that is meant, such as `core:user:tallystick` */
export async function inspectHeap(inspector: URL, isolate: string): Promise<IsolateHeap> {
  const socket = new WebSocket(new URL(`/${isolate}`, inspector));
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let asked = 0;
  const lost = (): void => {
    for (const { reject } of waiting.values()) reject(new Error(`the inspector of ${isolate} is gone`));
    waiting.clear();
  };
  socket.addEventListener('close', lost);
  socket.addEventListener('message', ({ data }) => {
    if (String(data).startsWith('{"method":')) return;
    const { id, result, error } = JSON.parse(String(data)) as {
      id: number;
      result?: unknown;
      error?: { readonly message: string };
    };
    if (error) waiting.get(id)?.reject(new Error(error.message));
    else waiting.get(id)?.resolve(result);
    waiting.delete(id);
  });
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve(), { once: true });
    socket.addEventListener('error', () => reject(new Error(`no inspector for ${isolate}`)), { once: true });
  });
  const ask = (method: string): Promise<unknown> => {
    asked += 1;
    const answer = Promise.withResolvers<unknown>();
    waiting.set(asked, answer);
    socket.send(JSON.stringify({ id: asked, method }));
    return answer.promise;
  };
  const heap = async (): Promise<Heap> => {
    const usage = (await ask('Runtime.getHeapUsage')) as Usage;
    const [usedMb, embedderMb, backingMb, reservedMb] = [
      usage.usedSize,
      usage.embedderHeapUsedSize,
      usage.backingStorageSize,
      usage.totalSize,
    ].map((bytes) => bytes / 2 ** 20) as [number, number, number, number];
    return { usedMb, embedderMb, backingMb, heldMb: usedMb + embedderMb + backingMb, reservedMb };
  };
  return {
    heap,
    async live() {
      // workerd ends when it is asked for HeapProfiler.collectGarbage; a snapshot, too, begins with a full collection.
      await ask('HeapProfiler.takeHeapSnapshot');
      return heap();
    },
    close: () => socket.close(),
  };
}
