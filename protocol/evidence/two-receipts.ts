/** Two different receipts for one place in an account (docs/protocol.md, section 10.1). */
import type { LogDomain } from '../log/head.ts';
import { type Receipt, receiptDigest, receiptSigner, type SignedReceipt } from '../receipt.ts';
import { ok, type Result, refuse } from '../result.ts';
import { type ChainReading, keyFinding } from './chain-reading.ts';
import type { TwoReceipts } from './evidence.ts';
import { type Finding, finding } from './finding.ts';

/** What a place is. The epoch is no part of it: the sequence goes on from one epoch to the next. */
const placeFields = ['logId', 'chainId', 'vault', 'registry', 'agentId', 'sequence'] as const;

/** The place of a receipt, for comparison: of all receipts with one place there is to be one. */
const placeOf = (receipt: Receipt): string => placeFields.map((field) => `${receipt[field]}`).join(':');

/** Evidence from two receipts, where they are any. */
export function evidenceOfReceipts(
  log: LogDomain,
  first: SignedReceipt,
  second: SignedReceipt,
): Result<TwoReceipts, string> {
  const evidence: TwoReceipts = { type: 'two-receipts', log, receipts: [first, second] };
  const wrong = twoReceiptsFindings(evidence).find(({ state }) => state === 'fails');
  return wrong === undefined ? ok(evidence) : refuse(wrong.detail);
}

/** Everything that makes two receipts evidence, in the order of the argument. */
export function twoReceiptsFindings({ log, receipts }: TwoReceipts, chain?: ChainReading): Finding[] {
  const [{ receipt: a }, { receipt: b }] = receipts;
  const [first, second] = receipts.map(receiptSigner);
  const place = placeOf(a);
  const digest = receiptDigest(a);
  return [
    finding(
      'log',
      a.logId === log.logId && b.logId === log.logId,
      `both are for log ${log.logId}`,
      `they are for ${a.logId} and ${b.logId}, not both for log ${log.logId}`,
    ),
    finding(
      'same_place',
      place === placeOf(b),
      `both are number ${a.sequence} of agent ${a.agentId}`,
      `they are for different places: ${placeFields.filter((field) => a[field] !== b[field]).join(', ')} differ`,
    ),
    finding(
      'different',
      digest !== receiptDigest(b),
      `they differ: ${digest} and ${receiptDigest(b)}`,
      'they are one and the same receipt: signing it again is no offence',
    ),
    finding(
      'first_signature',
      first !== undefined,
      `${first} signed the first`,
      'the first is signed by nobody',
    ),
    finding(
      'second_signature',
      second !== undefined,
      `${second} signed the second`,
      'the second is signed by nobody',
    ),
    keyFinding('first_key', 'receipt', first, chain),
    keyFinding('second_key', 'receipt', second, chain),
  ];
}
