/**
 * A circuit breaker per upstream, in the memory of one isolate. It knows what this isolate has seen and claims nothing more:
 * isolates of other places may see the upstream differently, and may be right. Sharing the state would put an object on
 * every request's path; learning it anew costs an isolate as many failed calls as `failures` says, and each of them falls
 * back or is refused without a charge.
 *
 * Closed until `failures` failures in a row; then open for `openMs`; then one call is let through to try.
 */
import { count } from '../counting.ts';
import type { Upstream } from './upstream.ts';

type State = { failures: number; openUntilMs: number; trying: boolean };

const states = new Map<string, State>();

function stateOf(name: string): State {
  const known = states.get(name);
  if (known) return known;
  const fresh = { failures: 0, openUntilMs: 0, trying: false };
  states.set(name, fresh);
  return fresh;
}

/** Whether a call may go there now. A call that is let through must report `succeeded`, `failed` or `gaveUp`. */
export function allows({ name, breaker }: Upstream, nowMs: number): boolean {
  const state = stateOf(name);
  if (breaker.failures === 0 || state.failures < breaker.failures) return true;
  if (nowMs < state.openUntilMs || state.trying) return false;
  state.trying = true;
  return true;
}

export function succeeded({ name }: Upstream): void {
  const state = stateOf(name);
  state.failures = 0;
  state.trying = false;
}

export function failed({ name, breaker }: Upstream, nowMs: number): void {
  const state = stateOf(name);
  state.failures += 1;
  state.trying = false;
  if (breaker.failures === 0 || state.failures < breaker.failures) return;
  state.openUntilMs = nowMs + breaker.openMs;
  count('tallystick_upstream_left_alone_total', { upstream: name });
  console.warn(JSON.stringify({ event: 'upstream_left_alone', upstream: name, failures: state.failures }));
}

/** The call ended without telling anything about the upstream. */
export function gaveUp({ name }: Upstream): void {
  stateOf(name).trying = false;
}

/** Milliseconds until the next call may go there; 0 where it may now. */
export const waitMs = ({ name, breaker }: Upstream, nowMs: number): number => {
  const state = stateOf(name);
  return breaker.failures === 0 || state.failures < breaker.failures
    ? 0
    : Math.max(0, state.openUntilMs - nowMs);
};

/** An upstream as this isolate has seen it, and no other. */
export const seenHealth = (
  upstream: Upstream,
  nowMs: number,
): { readonly failuresInARow: number; readonly leftAloneForMs: number } => ({
  failuresInARow: stateOf(upstream.name).failures,
  leftAloneForMs: waitMs(upstream, nowMs),
});
