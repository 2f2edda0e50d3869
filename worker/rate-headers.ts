import type { RateState } from '../durable-objects/account/rates.ts';

/** The headers that OpenAI's clients read: what is allowed a minute, what is left of it, and when it is whole again. */
export const rateHeaders = ({ requests, tokens }: RateState): Record<string, string> => ({
  'x-ratelimit-limit-requests': `${requests.limit}`,
  'x-ratelimit-remaining-requests': `${requests.remaining}`,
  'x-ratelimit-reset-requests': duration(requests.resetMs),
  'x-ratelimit-limit-tokens': `${tokens.limit}`,
  'x-ratelimit-remaining-tokens': `${tokens.remaining}`,
  'x-ratelimit-reset-tokens': duration(tokens.resetMs),
});

/** `120ms`, `1.5s`, `1m0s`: as OpenAI writes it. */
function duration(ms: number): string {
  if (ms < 1_000) return `${ms}ms`;
  const minutes = Math.floor(ms / 60_000);
  const seconds = Math.ceil((ms % 60_000) / 100) / 10;
  return minutes === 0 ? `${seconds}s` : `${minutes}m${Math.round(seconds)}s`;
}
