// What an audit says.
import type { Hex } from 'viem';

/**
 * - `wrong`: something does not hold, and this is it
 * - `withheld`: something that was promised to be available could not be had
 * - `unchecked`: nothing speaks against it, but it could not be looked at
 * Any one of them is a doubt.
 */
export type Severity = 'wrong' | 'withheld' | 'unchecked';

export type FindingCode =
  | 'log_unknown'
  | 'log_id'
  | 'anchors_do_not_chain'
  | 'head_differs'
  | 'da_reference'
  | 'file_withheld'
  | 'file_altered'
  | 'blob_malformed'
  | 'blob_misplaced'
  | 'checkpoint_bad'
  | 'root_differs'
  | 'tree_interrupted'
  | 'entry_repeated'
  | 'claim_misplaced'
  | 'claim_unproven'
  | 'claim_signer'
  | 'claim_missing'
  | 'claim_runs_backwards'
  | 'two_receipts'
  | 'vault_unread'
  | 'vault_events_do_not_add_up'
  | 'vault_claim_not_committed'
  | 'receipt_foreign'
  | 'receipt_signer'
  | 'receipt_overdue'
  | 'receipts_missing'
  | 'bill_broken'
  | 'bill_exceeded'
  | 'gateway_unreadable'
  | 'gateway_checkpoint'
  | 'gateway_tile';

export type Finding = {
  readonly severity: Severity;
  readonly code: FindingCode;
  /** What exactly: a file's root, entries, an account and a sequence number, a tile's path. */
  readonly where: string;
  readonly detail: string;
};

/** What one agent was charged, from its own receipts. Base units. */
export type Bill = {
  readonly account: string;
  readonly receipts: number;
  /** Of these, in an anchored head. */
  readonly logged: number;
  /** Not in one yet, and not due yet. */
  readonly pending: number;
  readonly total: bigint;
  /** What the vault has paid the operator, of whatever it was paid for. */
  readonly claimed: bigint;
  /** The bill is exactly the receipts: nothing is missing, nothing is charged twice, and no more was claimed. */
  readonly exact: boolean;
};

export type AuditResult = {
  /** No findings at all. */
  readonly ok: boolean;
  readonly log: {
    readonly chainId: number;
    readonly anchor: Hex;
    readonly logId: Hex;
    readonly origin: string;
  };
  /** Up to where: a block, and the head that was anchored then. */
  readonly through: { readonly block: bigint; readonly size: number; readonly root: Hex };
  readonly counts: {
    readonly anchors: number;
    readonly files: number;
    readonly bytes: number;
    readonly blobs: number;
    readonly entries: number;
    readonly claims: number;
    readonly vaultClaims: number;
    readonly tiles: number;
  };
  readonly bills: readonly Bill[];
  readonly findings: readonly Finding[];
  /** In sentences: what follows from this result, and what does not. */
  readonly proves: readonly string[];
  readonly doesNotProve: readonly string[];
};
