import { ok, type Result, refuse } from '../../protocol/result.ts';
import { count } from '../counting.ts';
import type { Allotment } from '../in-flight.ts';
import type { PricedRequest } from '../priced-request.ts';
import type { Problem } from '../problem.ts';
import { attempt, type Opened } from './attempt.ts';
import { allows, failed, gaveUp, succeeded, waitMs } from './breaker.ts';
import { upstreamsFor, withoutSecrets } from './configured.ts';
import type { Upstream } from './upstream.ts';
import type { UpstreamCall } from './upstream-call.ts';
import { operatorsTrouble } from './verdict.ts';

/** Between two attempts at the same upstream, at most: doubled each time, and a random part of it. */
const firstPauseMs = 250;
const longestPauseMs = 2_000;
/** An attempt that could not last this long is not begun. */
const shortestAttemptMs = 1_000;

/**
 * Asks the configured upstreams in order until one begins to answer. A refusal means none did, and nothing is owed: the hold
 * is released. Once an answer has begun nothing is repeated or spliced.
 */
export async function openUpstream(
  call: UpstreamCall,
  request: PricedRequest,
  room: Allotment,
  deadlineMs: number,
): Promise<Result<Opened, Problem>> {
  const upstreams = upstreamsFor(call.env, request);
  if (upstreams.length === 0) return refuse(nowhere(request));
  let problem: Problem | undefined;
  let first = true;
  for (const upstream of upstreams) {
    if (!allows(upstream, call.now())) {
      problem ??= leftAlone(waitMs(upstream, call.now()));
      continue;
    }
    for (let tries = 0; ; tries += 1) {
      // Nobody waits for another attempt.
      if (!first && call.request.signal.aborted) {
        gaveUp(upstream);
        return refuse(problem ?? leftAlone(0));
      }
      first = false;
      const opened = await attempt(call, request, upstream, room, deadlineMs);
      if (opened.ok) {
        const isAbandoned = opened.value.kind === 'abandoned';
        if (isAbandoned) gaveUp(upstream);
        else succeeded(upstream);
        noteAttempt(upstream, isAbandoned ? 'abandoned' : 'answered');
        return ok(opened.value);
      }
      const verdict = opened.error;
      // A key or an account that upstream does not take is no fault of its health, and the operator has to hear of it.
      noteAttempt(upstream, verdict.unhealthy || verdict === operatorsTrouble ? 'failed' : 'refused');
      problem = { ...verdict.problem, detail: withoutSecrets(call.env, verdict.problem.detail) };
      if (verdict.unhealthy) failed(upstream, call.now());
      else gaveUp(upstream);
      if (verdict.again === 'no') return refuse(problem);
      const pauseMs = Math.random() * Math.min(longestPauseMs, firstPauseMs * 2 ** tries);
      if (call.now() + pauseMs + shortestAttemptMs > deadlineMs) return refuse(problem);
      if (verdict.again === 'elsewhere' || tries >= upstream.retries) break;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      if (!allows(upstream, call.now())) break;
    }
  }
  return refuse(problem ?? nowhere(request));
}

const noteAttempt = ({ name }: Upstream, outcome: string): void =>
  count('tallystick_upstream_attempts_total', { upstream: name, outcome });

const nowhere = ({ endpoint, model }: PricedRequest): Problem => ({
  status: 404,
  code: 'model_not_found',
  param: 'model',
  detail: `No upstream of this gateway serves ${model} at /v1/${endpoint}. GET /v1/models lists what there is.`,
});

const leftAlone = (ms: number): Problem => ({
  status: 503,
  code: 'upstream_unavailable',
  detail:
    'The model provider has failed several times in a row and is left alone for some seconds. Nothing was charged.',
  headers: { 'retry-after': `${Math.max(1, Math.ceil(ms / 1000))}` },
});
