// A response body that is looked at on its way to the caller.

/** How a body ended: in full, given up by the caller, or broken off. */
export type BodyEnding = 'complete' | 'cancelled' | 'broken';

export type BodyWatcher = {
  push(chunk: Uint8Array): void;
  /** Bytes are held until `finish` has decided: nothing but the last event is left to come. */
  readonly holds: boolean;
  /** All is there that can come; the end of the connection need not be waited for. */
  readonly done: boolean;
  /** Called once. When it throws, the caller's stream ends with that error instead of its last bytes. */
  finish(ending: BodyEnding): Promise<void>;
};

/** The end of the connection is waited for this long after the last event: it usually comes along, and is then reusable. */
const lingerMs = 250;
/** A last event is shorter than this; what is longer is passed on and judged as it comes. */
const heldBytesMax = 65_536;

/**
 * Passes every byte on, unchanged and in order. The receipt's comment too: parsers of event streams skip comments, and
 * whoever records the body keeps the evidence in it.
 *
 * The end is held back until `finish` has judged, so that when the caller has read everything, or the `[DONE]` after which
 * stock clients stop reading, the receipt has been checked.
 */
export function watchBody(
  body: ReadableStream<Uint8Array>,
  watcher: BodyWatcher,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  let reading: ReturnType<typeof reader.read> | undefined;
  let finishing: Promise<void> | undefined;
  let cancelled = false;
  const finish = (ending: BodyEnding): Promise<void> => {
    finishing ??= watcher.finish(ending);
    return finishing;
  };
  const next = () => {
    reading ??= reader.read();
    return reading;
  };

  async function pull(controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): Promise<void> {
    const held: Uint8Array<ArrayBuffer>[] = [];
    let heldBytes = 0;
    const release = () => {
      if (!cancelled) for (const bytes of held) controller.enqueue(bytes);
    };
    for (;;) {
      let chunk: Awaited<ReturnType<typeof next>> | 'late';
      try {
        chunk = await (watcher.done && finishing === undefined ? withinLinger(next()) : next());
      } catch (error) {
        // What was held is complete events the caller may still want; the stream then breaks as its source did.
        await finish('broken').catch(() => undefined);
        release();
        if (!cancelled) controller.error(error);
        return;
      }
      if (chunk === 'late') {
        await finish('complete');
        release();
        return;
      }
      reading = undefined;
      if (chunk.done) {
        await finish('complete');
        release();
        if (!cancelled) controller.close();
        return;
      }
      const bytes = chunk.value as Uint8Array<ArrayBuffer>;
      if (finishing === undefined) watcher.push(bytes);
      held.push(bytes);
      heldBytes += bytes.length;
      if (!watcher.holds || finishing !== undefined || heldBytes > heldBytesMax) {
        release();
        if (!cancelled) return;
        held.length = 0;
        if (heldBytes > heldBytesMax) {
          await finish('cancelled').catch(() => undefined);
          return reader.cancel();
        }
      }
    }
  }

  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull,
    async cancel(reason) {
      cancelled = true;
      // The receipt is there and a pull under way reads the little that is left.
      if (watcher.holds && finishing === undefined) return;
      const given = reader.cancel(reason);
      await finish('cancelled').catch(() => undefined);
      await given;
    },
  });
}

async function withinLinger<T>(promise: Promise<T>): Promise<T | 'late'> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), lingerMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
