/** A receipt that should be in the anchored log by now (docs/protocol.md, section 10.3). */
import type { LogDomain } from '../log/head.ts';
import { receiptDigest, receiptSigner, type SignedReceipt } from '../receipt.ts';
import { ok, type Result, refuse } from '../result.ts';
import { type ChainReading, keyFinding } from './chain-reading.ts';
import type { OverdueReceipt } from './evidence.ts';
import { type Finding, finding, unchecked } from './finding.ts';

/** Evidence from a receipt of this log. Whether it is due, and whether it is in the log after all, is for the chain to say. */
export function evidenceOfOverdue(log: LogDomain, overdue: SignedReceipt): Result<OverdueReceipt, string> {
  const evidence: OverdueReceipt = { type: 'overdue-receipt', log, overdue };
  const wrong = overdueFindings(evidence).find(({ state }) => state === 'fails');
  return wrong === undefined ? ok(evidence) : refuse(wrong.detail);
}

/** Everything that lets a receipt be challenged. That it is not in the log cannot be shown: that it is can be, by an answer. */
export function overdueFindings({ log, overdue }: OverdueReceipt, chain?: ChainReading): Finding[] {
  const { receipt } = overdue;
  const signer = receiptSigner(overdue);
  return [
    finding(
      'log',
      receipt.logId === log.logId,
      `receipt ${receiptDigest(receipt)} is for log ${log.logId}`,
      `the receipt is for log ${receipt.logId}, this is ${log.logId}`,
    ),
    finding('signature', signer !== undefined, `${signer} signed it`, 'it is signed by nobody'),
    keyFinding('key', 'receipt', signer, chain),
    dueFinding(receipt.mergeBy, chain),
  ];
}

function dueFinding(mergeBy: bigint, chain: ChainReading | undefined): Finding {
  if (chain === undefined) {
    return unchecked('due', `it was to be in an anchored head by ${timeOf(mergeBy)}`);
  }
  const dueAt = mergeBy + chain.grace;
  return finding(
    'due',
    chain.time > dueAt,
    `it was to be in an anchored head by ${timeOf(mergeBy)}, and it is ${timeOf(chain.time)}`,
    `it may be challenged after ${timeOf(dueAt)}, and it is ${timeOf(chain.time)}`,
  );
}

/** The largest time that a Date holds. */
const dateMaxSeconds = 8_640_000_000_000n;

const timeOf = (seconds: bigint): string =>
  seconds > dateMaxSeconds ? `second ${seconds}` : new Date(Number(seconds) * 1000).toISOString();
