// How fast an agent may call. In memory only: a flood must not cost rows, and an account that slept has not called.
import type { Registration } from '../../protocol/identity/registration.ts';
import { ok, type Result, refuse } from '../../protocol/result.ts';

/** What one agent may do at most. Tokens are an estimate when a call begins and what it used once that is known. */
export type RateLimits = {
  readonly name: string;
  readonly requestsPerMinute: number;
  readonly tokensPerMinute: number;
  /** Calls in flight. */
  readonly concurrent: number;
};

/** Limits for agents of whom certain facts are true; all that are given have to be. */
export type RateTier = RateLimits & {
  /** Credited deposits over the account's life, base units. */
  readonly minDeposited?: bigint;
  /** Paid over the account's life, base units. */
  readonly minClaimed?: bigint;
  /** Account names. */
  readonly accounts?: readonly string[];
  /** What the agent's registration file has to say; without a file that reads nothing of it holds. */
  readonly registration?: RegistrationTerms;
};

/**
 * Conditions on an agent's registration file (ERC-8004): its owner's own words, which nobody has checked. Good for telling
 * kinds of agents apart; as the only condition of a generous tier they would be an invitation.
 */
export type RegistrationTerms = {
  readonly active?: boolean;
  /** The file names this very agent among its registrations. */
  readonly namesThisAgent?: boolean;
  /** One of these at least is among `supportedTrust`. */
  readonly trust?: readonly string[];
  /** A service of one of these names is offered. */
  readonly services?: readonly string[];
};

export type AgentFacts = {
  readonly account: string;
  readonly deposited: bigint;
  readonly claimed: bigint;
  readonly registration?: Registration | undefined;
};

/** For a deployment that says nothing else. */
export const defaultTier: RateTier = {
  name: 'default',
  requestsPerMinute: 6_000,
  tokensPerMinute: 20_000_000,
  concurrent: 256,
};

/** The last tier whose conditions hold: list the generous ones last. */
export const tierOf = (tiers: readonly RateTier[], facts: AgentFacts): RateTier =>
  tiers.findLast(
    ({ minDeposited = 0n, minClaimed = 0n, accounts, registration }) =>
      facts.deposited >= minDeposited &&
      facts.claimed >= minClaimed &&
      (accounts === undefined || accounts.includes(facts.account)) &&
      (registration === undefined || says(facts.registration, registration)),
  ) ?? defaultTier;

const says = (file: Registration | undefined, terms: RegistrationTerms): boolean =>
  file !== undefined &&
  (terms.active ?? file.active) === file.active &&
  (terms.namesThisAgent ?? file.namesThisAgent) === file.namesThisAgent &&
  (terms.trust?.some((trust) => file.supportedTrust.includes(trust)) ?? true) &&
  (terms.services?.some((service) => file.services.some(({ name }) => name === service)) ?? true);

/** One of an agent's two allowances, as OpenAI's clients are told of it. */
export type Allowance = {
  readonly limit: number;
  readonly remaining: number;
  /** Until it is whole again. */
  readonly resetMs: number;
};

export type RateState = { readonly requests: Allowance; readonly tokens: Allowance };

export type RateRefusal = {
  readonly reason: 'rate_limited';
  readonly what: keyof RateState;
  readonly tier: string;
  readonly retryMs: number;
  readonly state: RateState;
};

/** A bucket that holds one minute's allowance and fills evenly. It may go into debt: a call may use more than was thought. */
class Bucket {
  #spent = 0;
  #atMs = 0;

  spend(amount: number): void {
    this.#spent += amount;
  }

  allowance(limit: number, nowMs: number): Allowance {
    const perMs = limit / 60_000;
    this.#spent = Math.max(0, this.#spent - Math.max(0, nowMs - this.#atMs) * perMs);
    this.#atMs = nowMs;
    return {
      limit,
      remaining: Math.max(0, Math.floor(limit - this.#spent)),
      resetMs: Math.ceil(this.#spent / perMs),
    };
  }

  /** Milliseconds until `amount` may be spent; a call larger than the whole allowance has to find it whole. */
  waitMs(amount: number, limit: number): number {
    const excess = this.#spent + Math.min(amount, limit) - limit;
    return excess <= 0 ? 0 : Math.ceil((excess * 60_000) / limit);
  }
}

/** One agent's speed. */
export class RateMeter {
  readonly #requests = new Bucket();
  readonly #tokens = new Bucket();
  /** What calls in flight were thought to use. */
  readonly #estimates = new Map<string, number>();

  /** Takes one call of about `tokens` tokens off the allowances, or says how long to wait. A refused call takes nothing. */
  take(requestId: string, tokens: number, limits: RateLimits, nowMs: number): Result<RateState, RateRefusal> {
    const state = this.#state(limits, nowMs);
    const waits = {
      requests: this.#requests.waitMs(1, limits.requestsPerMinute),
      tokens: this.#tokens.waitMs(tokens, limits.tokensPerMinute),
    };
    const what = waits.requests >= waits.tokens ? 'requests' : 'tokens';
    if (waits[what] > 0) {
      return refuse({ reason: 'rate_limited', what, tier: limits.name, retryMs: waits[what], state });
    }
    this.#requests.spend(1);
    this.#tokens.spend(tokens);
    this.#estimates.set(requestId, tokens);
    return ok(this.#state(limits, nowMs));
  }

  /** A call has ended, and used this much. */
  settle(requestId: string, tokens: number): void {
    const estimate = this.#estimates.get(requestId);
    if (estimate === undefined) return;
    this.#estimates.delete(requestId);
    this.#tokens.spend(tokens - estimate);
  }

  #state(limits: RateLimits, nowMs: number): RateState {
    return {
      requests: this.#requests.allowance(limits.requestsPerMinute, nowMs),
      tokens: this.#tokens.allowance(limits.tokensPerMinute, nowMs),
    };
  }
}
