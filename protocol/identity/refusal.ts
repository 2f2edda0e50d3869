import { BASELINE_COMPONENTS, type Policy, TAG } from './policy.ts';

/** The draft's stable reason codes with the HTTP status of each (section 6). */
export const STATUS_OF_CODE = {
  signature_missing: 401,
  signature_input_invalid: 400,
  signature_too_large: 400,
  no_acceptable_signature: 401,
  invalid_keyid: 401,
  unsupported_chain: 401,
  unsupported_account: 401,
  invalid_time: 401,
  request_not_yet_valid: 401,
  request_expired: 401,
  request_validity_too_long: 401,
  invalid_nonce: 401,
  insufficient_coverage: 401,
  content_digest_required: 401,
  bad_content_digest: 401,
  nonce_required: 401,
  nonce_reused: 401,
  replayable_not_allowed: 401,
  unsupported_algorithm: 401,
  bad_signature: 401,
  signature_verification_unavailable: 503,
  principal_not_allowed: 401,
} as const;

export type RefusalCode = keyof typeof STATUS_OF_CODE;

/** Why a request was not authenticated, with what HTTP needs to say so. */
export type Refusal = {
  readonly code: RefusalCode;
  readonly status: 400 | 401 | 503;
  /** For people: what was wrong and what to do. Never chain data, never private policy. */
  readonly message: string;
  /** The challenge. Required on a 401; {@link refusalHeaders} leaves it off the others. */
  readonly wwwAuthenticate: string;
  /** The exact components a repaired request must cover, where the route demands more than the baseline. */
  readonly acceptSignature?: string;
};

/** Which conditional components this request must cover. */
export type ContentShape = { readonly digest: boolean; readonly type: boolean };

/** The complete component list of a signature the route accepts, in the order the challenge advertises. */
export const acceptableComponents = (
  requiredComponents: readonly string[],
  content: ContentShape,
): readonly string[] => [
  ...new Set<string>([
    ...BASELINE_COMPONENTS,
    ...requiredComponents,
    ...(content.digest ? ['content-digest'] : []),
    ...(content.type ? ['content-type'] : []),
  ]),
];

/**
 * Builds a refusal for a route. `content` says what the refused request carried, for `Accept-Signature`, which is
 * given where the route demands components of its own or coverage was the fault (section 6).
 */
export const refusalOf = (
  code: RefusalCode,
  message: string,
  policy: Pick<Policy, 'chains' | 'accounts' | 'requiredComponents'>,
  content: ContentShape,
): Refusal => {
  const status = STATUS_OF_CODE[code];
  const chains = policy.chains.map((chainId) => `eip155:${chainId}`).join(' ');
  const wwwAuthenticate = `ERC8128 error="${code}", chains="${chains}", account="${policy.accounts}"`;
  const repairable = policy.requiredComponents.length > 0 || code === 'insufficient_coverage';
  if (status !== 401 || !repairable) return { code, status, message, wwwAuthenticate };
  const components = acceptableComponents(policy.requiredComponents, content)
    .map((name) => `"${name}"`)
    .join(' ');
  const acceptSignature = `request=(${components});created;expires;tag="${TAG}"`;
  return { code, status, message, wwwAuthenticate, acceptSignature };
};

/** Response fields of a refusal (section 6). */
export const refusalHeaders = (refusal: Refusal): Record<string, string> => ({
  'content-type': 'application/problem+json',
  'cache-control': 'no-store',
  ...(refusal.status === 401 ? { 'www-authenticate': refusal.wwwAuthenticate } : {}),
  ...(refusal.acceptSignature === undefined ? {} : { 'accept-signature': refusal.acceptSignature }),
});

/** Response body of a refusal: RFC 9457 problem details, the code again in `reason`. */
export const refusalProblem = (
  refusal: Refusal,
): { type: string; title: string; status: number; detail: string; reason: RefusalCode } => ({
  type: 'about:blank',
  title: refusal.code.replaceAll('_', ' '),
  status: refusal.status,
  detail: refusal.message,
  reason: refusal.code,
});
