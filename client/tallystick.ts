// What `import … from 'tallystick'` gives. A package has one front door; nothing in here is imported by our own files.
// biome-ignore-all lint/performance/noBarrelFile: the door of a package is the one place where a barrel is meant.

export type { Receipt, SignedReceipt } from '../protocol/receipt.ts';
export type { AccountStanding } from './account-standing.ts';
export { AgentError, type AgentErrorCode } from './agent-error.ts';
export {
  type AgentFetch,
  type AgentFetchOptions,
  type AgentWallet,
  createAgentFetch,
  type VoucherSigner,
} from './agent-fetch.ts';
export type { Mismatch, MismatchName } from './check-receipt.ts';
export type { Deployment } from './deployment.ts';
export type { Pins } from './gateway-link.ts';
export type { MessageSigner } from './outgoing-request.ts';
export {
  type CallOutcome,
  type CheckedReceipt,
  ReceiptMismatchError,
  type ReceiptProblem,
} from './receipt-desk.ts';
export { createSigningFetch, type SigningFetchOptions } from './signing-fetch.ts';
export type { Exposure } from './voucher-book.ts';
export { type RefusedDemand, VoucherLimitError, type VoucherLimits } from './voucher-limit.ts';
