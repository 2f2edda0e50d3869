import type { Hex } from 'viem';
import type { Account } from '../../protocol/account-name.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import type { Charge, Hold, Outcome } from './ledger.ts';

/** What the receipt takes from the log it will be merged into. */
export type LogTerms = {
  readonly logId: Hex;
  /** Seconds within which the operator promises the receipt is in an anchored head. */
  readonly mergeDelay: number;
};

/** The record of one capture. Every field is stored with it, so that the receipt can be signed again at any time. */
export function receiptOfCapture(
  account: Account,
  log: LogTerms,
  before: { readonly sequence: bigint; readonly digest: Hex },
  hold: Hold,
  charge: Charge,
  outcome: Outcome,
  nowMs: number,
): Receipt {
  const time = BigInt(Math.floor(nowMs / 1000));
  return {
    logId: log.logId,
    chainId: BigInt(account.chainId),
    vault: account.vault,
    registry: account.registry,
    agentId: account.agentId,
    epoch: charge.epoch,
    sequence: before.sequence + 1n,
    previous: before.digest,
    authorizationKind: outcome.authorizationKind,
    authorization: outcome.authorization,
    requestHash: outcome.requestHash,
    forwardedHash: outcome.forwardedHash,
    responseHash: outcome.responseHash,
    upstreamResponseHash: outcome.upstreamResponseHash,
    upstream: outcome.upstream,
    model: outcome.model,
    upstreamId: outcome.upstreamId,
    usage: outcome.usage,
    priceTable: hold.priceTable,
    amount: charge.amount,
    cumulative: charge.cumulative,
    time,
    mergeBy: time + BigInt(log.mergeDelay),
    assurance: outcome.assurance,
    evidence: outcome.evidence,
  };
}
