/** What can go wrong on the agent's side, as programs switch on it. */
export type AgentErrorCode =
  /** The gateway asks for a voucher beyond the limits the developer set. */
  | 'voucher_limit'
  /** A payment demand is not for this agent, vault, chain or epoch: nothing was signed. */
  | 'payment_mismatch'
  /** A receipt is missing or says something else than what happened (thrown in strict mode only). */
  | 'receipt_mismatch'
  /** The gateway's description of itself or of the account cannot be read, or contradicts what was pinned or the chain. */
  | 'gateway_unusable'
  /** The chain could not be asked. */
  | 'chain_unavailable'
  /** A transaction was refused or reverted. */
  | 'transaction_failed';

/** Every error this client throws on its own account. `code` is stable; the message says what to do. */
export class AgentError extends Error {
  readonly code: AgentErrorCode;

  constructor(code: AgentErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AgentError';
    this.code = code;
  }
}
