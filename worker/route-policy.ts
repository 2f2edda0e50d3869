import type { Config } from '../durable-objects/config.ts';
import type { Policy } from '../protocol/identity/policy.ts';

/** Calls that change or cost something, and calls that only read. */
export type RouteKind = 'spends' | 'reads';

/** Longest validity of a signature, in seconds. */
const maxValiditySeconds = 300;
const skewSeconds = 30;

/**
 * What a route accepts. Calls that change or cost something are single use: they carry a nonce. Reads may be repeated
 * within their validity; a nonce on a read is honoured, and consumed.
 */
export function routePolicy(config: Config, route: RouteKind): Policy {
  return {
    chains: config.chains.map((chain) => chain.chainId),
    maxValiditySeconds,
    skewSeconds,
    requiredComponents: ['agent-id'],
    nonce: route === 'spends' ? 'required' : 'optional',
    accounts: config.accounts,
    code: 'deferred',
  };
}
