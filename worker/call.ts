import { type Config, configOf } from '../durable-objects/config.ts';
import type { Env } from '../durable-objects/env.ts';

/** One HTTP call: the request as it came, and everything its handlers may need from the platform. Nothing is added later. */
export type Call = {
  readonly request: Request;
  readonly url: URL;
  /** Ours, for logs, holds and support; also answered as `x-request-id`. */
  readonly id: string;
  readonly env: Env;
  readonly config: Config;
  /** Milliseconds; passed on so that every decision of one call can be given a time. */
  readonly now: () => number;
  readonly waitUntil: (work: Promise<unknown>) => void;
};

export const callOf = (request: Request, env: Env, context: ExecutionContext, id: string): Call => ({
  request,
  url: new URL(request.url),
  id,
  env,
  config: configOf(env),
  now: Date.now,
  waitUntil: (work) => context.waitUntil(work),
});
