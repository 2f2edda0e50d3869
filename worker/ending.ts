import type { Timeouts } from './upstreams/upstream.ts';
import type { UpstreamCall } from './upstreams/upstream-call.ts';

/**
 * The end of one attempt: the connection to upstream is closed when it comes, whatever is being waited for. It comes when the
 * attempt has taken its time, when the client has been gone for `drainMs`, or when we are done.
 */
export type Ending = {
  readonly signal: AbortSignal;
  /** Why it came; undefined until it has. */
  readonly reason: () => 'total' | 'client_left' | 'done' | undefined;
  /** Resolves when it comes. */
  readonly came: Promise<void>;
  /** Ends the attempt now, and stops the clocks. */
  readonly done: () => void;
  /** The same where upstream has been read to its end: there is nothing to close, and closing nothing costs. */
  readonly finished: () => void;
};

export function endingOf(call: UpstreamCall, timeouts: Timeouts, deadlineMs: number): Ending {
  const controller = new AbortController();
  const client = call.request.signal;
  let reason: ReturnType<Ending['reason']>;
  let drain: ReturnType<typeof setTimeout> | undefined;
  let arrive = () => {};
  const came = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  const end = (why: 'total' | 'client_left' | 'done', isOpen = true) => {
    if (reason !== undefined) return;
    reason = why;
    clearTimeout(total);
    if (drain !== undefined) clearTimeout(drain);
    client.removeEventListener('abort', leave);
    if (isOpen) controller.abort();
    arrive();
  };
  const leave = () => {
    drain = setTimeout(() => end('client_left'), timeouts.drainMs);
  };
  const total = setTimeout(
    () => end('total'),
    Math.max(0, Math.min(timeouts.totalMs, deadlineMs - call.now())),
  );
  if (client.aborted) leave();
  else client.addEventListener('abort', leave);
  return {
    signal: controller.signal,
    reason: () => reason,
    came,
    done: () => end('done'),
    finished: () => end('done', false),
  };
}
