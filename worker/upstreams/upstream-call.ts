/** As much of a call as asking an upstream needs. A `Call` is one. */
export type UpstreamCall = {
  readonly request: { readonly signal: AbortSignal };
  /** Sent on as `x-request-id`. */
  readonly id: string;
  /** Variables and secrets, by name. */
  readonly env: Readonly<Record<string, unknown>>;
  /** Milliseconds. */
  readonly now: () => number;
};
