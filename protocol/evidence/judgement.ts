/** What a piece of evidence comes to. Pure: what the chain says comes in. */
import type { Address } from 'viem';
import { receiptSigner } from '../receipt.ts';
import type { ChainReading } from './chain-reading.ts';
import type { Evidence } from './evidence.ts';
import type { Finding } from './finding.ts';
import { overdueFindings } from './overdue-receipt.ts';
import { headSigners, twoHeadsFindings } from './two-heads.ts';
import { twoReceiptsFindings } from './two-receipts.ts';

export type Verdict =
  /** The operator contradicted itself. */
  | 'proven'
  /** The receipt is overdue: challenged, the operator has to show it in the log. */
  | 'challengeable'
  /** The file holds together; whose keys signed, or what time it is, the chain was not asked. */
  | 'unconfirmed'
  /** Something that would have to hold does not. */
  | 'no-evidence';

export type Judgement = {
  readonly verdict: Verdict;
  /** One sentence for people. */
  readonly summary: string;
  readonly findings: readonly Finding[];
};

/** Judges a piece of evidence by itself, or by what the chain says as well. */
export function judge(evidence: Evidence, chain?: ChainReading): Judgement {
  const findings = findingsOf(evidence, chain);
  const wrong = findings.find(({ state }) => state === 'fails');
  if (wrong) {
    return { verdict: 'no-evidence', summary: `This is no evidence: ${wrong.detail}.`, findings };
  }
  const open = findings.find(({ state }) => state === 'unchecked');
  if (open) {
    return {
      verdict: 'unconfirmed',
      summary: `${offenceOf(evidence)}, if it holds what only the chain can say: ${open.detail}.`,
      findings,
    };
  }
  if (evidence.type === 'overdue-receipt') {
    return {
      verdict: 'challengeable',
      summary: `${offenceOf(evidence)}: challenged, the operator shows it in the anchored log in time, or pays.`,
      findings,
    };
  }
  return { verdict: 'proven', summary: `${offenceOf(evidence)}.`, findings };
}

/** Whose keys the chain has to be asked about. */
export function signersOf(evidence: Evidence): {
  readonly receiptKeys: readonly Address[];
  readonly headKeys: readonly Address[];
} {
  switch (evidence.type) {
    case 'two-receipts':
      return { receiptKeys: known(evidence.receipts.map(receiptSigner)), headKeys: [] };
    case 'two-heads':
      return { receiptKeys: [], headKeys: known(headSigners(evidence)) };
    case 'overdue-receipt':
      return { receiptKeys: known([receiptSigner(evidence.overdue)]), headKeys: [] };
  }
}

function findingsOf(evidence: Evidence, chain: ChainReading | undefined): Finding[] {
  switch (evidence.type) {
    case 'two-receipts':
      return twoReceiptsFindings(evidence, chain);
    case 'two-heads':
      return twoHeadsFindings(evidence, chain);
    case 'overdue-receipt':
      return overdueFindings(evidence, chain);
  }
}

function offenceOf(evidence: Evidence): string {
  switch (evidence.type) {
    case 'two-receipts': {
      const [{ receipt }] = evidence.receipts;
      return `The operator signed two different receipts with number ${receipt.sequence} of agent ${receipt.agentId}`;
    }
    case 'two-heads':
      return `The operator signed a head of size ${evidence.earlier.size} that its log of ${evidence.later.size} contradicts`;
    case 'overdue-receipt':
      return `Receipt ${evidence.overdue.receipt.sequence} of agent ${evidence.overdue.receipt.agentId} is overdue`;
  }
}

const known = (signers: readonly (Address | undefined)[]): Address[] => [
  ...new Set(signers.filter((signer) => signer !== undefined)),
];
