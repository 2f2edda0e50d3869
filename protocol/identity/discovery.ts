import type { Policy } from './policy.ts';

/** One route's entry: the policy it verifies with, for all methods or the ones named. */
export type DiscoveryRoute = { readonly methods?: readonly string[]; readonly policy: Policy };

export type DiscoverySource = {
  /** What holds where no route says otherwise. */
  readonly policy: Policy;
  readonly name?: string;
  /** Absolute HTTPS URLs of this origin. */
  readonly logoUri?: string;
  readonly termsUri?: string;
  readonly privacyUri?: string;
  readonly invalidationEndpoint?: string;
  /** Whether routes may answer 402 with a payment challenge. */
  readonly paymentChallenges?: boolean;
  /** By absolute path, absolute path ending in `/*`, or `default`. */
  readonly routes?: Readonly<Record<string, readonly DiscoveryRoute[]>>;
};

/** Members as section 7 names them. */
export type DiscoveryDocument = {
  readonly max_validity_sec: number;
  readonly chains: readonly string[];
  readonly account_verification: 'universal' | 'eoa-only';
  readonly name?: string;
  readonly logo_uri?: string;
  readonly terms_uri?: string;
  readonly privacy_uri?: string;
  readonly invalidation_endpoint?: string;
  readonly payment_challenges?: boolean;
  readonly route_policies?: Readonly<Record<string, readonly RoutePolicy[]>>;
};

export type RoutePolicy = {
  readonly methods?: readonly string[];
  readonly max_validity_sec: number;
  readonly required_components: readonly string[];
  readonly replay: 'non-replayable' | 'either';
  readonly content_digest: 'request-body';
  readonly account_verification: 'universal' | 'eoa-only';
};

const routePolicy = ({ methods, policy }: DiscoveryRoute): RoutePolicy => ({
  ...(methods === undefined ? {} : { methods }),
  max_validity_sec: policy.maxValiditySeconds,
  required_components: policy.requiredComponents,
  replay: policy.nonce === 'optional' ? 'either' : 'non-replayable',
  content_digest: 'request-body',
  account_verification: policy.accounts,
});

/**
 * The JSON object to serve at `/.well-known/erc8128` (ERC-8128 section 7), as `application/json`, HTTPS only.
 * It advises signers; verification never reads it.
 */
export const discoveryDocument = (source: DiscoverySource): DiscoveryDocument => {
  const { policy, name, logoUri, termsUri, privacyUri, invalidationEndpoint, paymentChallenges } = source;
  const routes: [string, RoutePolicy[]][] = Object.entries({
    default: [{ policy }],
    ...source.routes,
  }).map(([pattern, entries]) => [pattern, entries.map(routePolicy)]);
  return {
    max_validity_sec: policy.maxValiditySeconds,
    chains: policy.chains.map((chainId) => `eip155:${chainId}`),
    account_verification: policy.accounts,
    ...(name === undefined ? {} : { name }),
    ...(logoUri === undefined ? {} : { logo_uri: logoUri }),
    ...(termsUri === undefined ? {} : { terms_uri: termsUri }),
    ...(privacyUri === undefined ? {} : { privacy_uri: privacyUri }),
    ...(invalidationEndpoint === undefined ? {} : { invalidation_endpoint: invalidationEndpoint }),
    ...(paymentChallenges === undefined ? {} : { payment_challenges: paymentChallenges }),
    route_policies: Object.fromEntries(routes),
  };
};
