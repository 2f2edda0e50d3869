/** What one route accepts. Configuration, never taken from a request. */
export type Policy = {
  /** EIP-155 chain ids served; a `keyid` on another is `unsupported_chain`, before anything is asked of a chain. */
  readonly chains: readonly number[];
  /** Longest `expires - created`, in seconds. A baseline route takes at least 60 (section 3.3.2). */
  readonly maxValiditySeconds: number;
  /** Clock skew allowed on both ends, in seconds; the draft says 30. */
  readonly skewSeconds: number;
  /** Parameterless components the route demands besides the draft's own, such as `agent-id`. Lower case. */
  readonly requiredComponents: readonly string[];
  /**
   * What a signature without a nonce (Replayable) meets. `required`: `nonce_required`. `denied`:
   * `replayable_not_allowed`, for a route of a verifier that takes such signatures elsewhere. `optional`: accepted, if
   * the `invalidated` port says it still stands (section 5.2 forbids accepting them without such a port).
   */
  readonly nonce: 'required' | 'denied' | 'optional';
  /**
   * `eoa-only` refuses ERC-6492 wrappers and accounts with code as `unsupported_account` (section 4.1). The challenge
   * repeats it, so say `eoa-only` where the verifier gets no `contractAccount` port.
   */
  readonly accounts: 'universal' | 'eoa-only';
  /**
   * When to learn whether the account has code. `ask`: before deciding, as the draft orders it. `deferred`: a strict EOA
   * signature that recovers to the `keyid` is answered at once as `eoa-unless-code`, no chain asked; the caller MUST
   * then find the account free of code, or else call `proveAccount` with `ask` and go by its answer.
   */
  readonly code: 'ask' | 'deferred';
};

/** Section 3.1.1: covered always, whatever the route. */
export const BASELINE_COMPONENTS = ['@scheme', '@authority', '@method', '@path', '@query'] as const;

/** The draft's default limits, section 3.5. Checked before any hashing or cryptography. */
export const LIMITS = {
  fieldBytesMax: 16 * 1024,
  signatureBytesMax: 8 * 1024,
  candidatesMax: 8,
  componentsMax: 32,
  parametersMax: 16,
  nonceBytesMax: 128,
} as const;

export const TAG = 'erc8128';
