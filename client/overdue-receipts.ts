// Receipts that never reached the log: what the gateway signed, promised to publish, and does not show where the chain looks.
import type { OverdueReceipt } from '../protocol/evidence/evidence.ts';
import { evidenceOfOverdue } from '../protocol/evidence/overdue-receipt.ts';
import type { SignedReceipt } from '../protocol/receipt.ts';
import { AgentError } from './agent-error.ts';
import type { AgentFetch } from './agent-fetch.ts';
import { fetchProofFor, type LogLocation, readAnchor, readChainTime, verifyReceipt } from './verify.ts';

/** A receipt whose `mergeBy` is over, and which nobody showed in a head that the chain holds. */
export type Overdue = {
  readonly signed: SignedReceipt;
  /** For the bond's challenge: `formatEvidence` makes a file of it, `submissionOf` the transaction. */
  readonly evidence: OverdueReceipt;
  /** What was looked for and not found, in a sentence. */
  readonly why: string;
};

/**
 * Those of an agent's own receipts that are past their `mergeBy`, by the chain's clock, and for which the gateway shows no
 * proof that leads to an anchored head. Give the receipts as the agent kept them: a gateway that hides one from the log will
 * hardly list it.
 *
 * That nobody shows a receipt is not yet proof that it is not there: a challenge on the bond asks for it in public. Rejects with
 * AgentError `chain_unavailable` when the chain cannot be asked. A gateway that cannot be asked shows nothing.
 */
export async function findOverdue(
  agentFetch: AgentFetch,
  log: LogLocation,
  receipts: readonly SignedReceipt[],
): Promise<Overdue[]> {
  const now = await readChainTime(log);
  const due = receipts.filter(({ receipt }) => receipt.logId === log.logId && receipt.mergeBy < now);
  if (due.length === 0) return [];
  const { domain } = await readAnchor(log);
  const found: Overdue[] = [];
  for (const signed of due) {
    const missing = await missingFrom(agentFetch, log, signed);
    if (missing === undefined) continue;
    // One that nobody signed is no receipt, and nobody's promise.
    const evidence = evidenceOfOverdue(domain, signed);
    if (evidence.ok) found.push({ signed, evidence: evidence.value, why: missing });
  }
  return found;
}

/** Why this receipt is not in an anchored head as far as anybody shows; undefined where it is. */
async function missingFrom(
  agentFetch: AgentFetch,
  log: LogLocation,
  signed: SignedReceipt,
): Promise<string | undefined> {
  let proof: string;
  try {
    proof = await fetchProofFor(agentFetch, signed.receipt.sequence, { log });
  } catch (error) {
    if (error instanceof AgentError && error.code === 'chain_unavailable') throw error;
    return error instanceof Error ? error.message : String(error);
  }
  const wrong = (await verifyReceipt({ ...log, signed, proof })).find(({ ok }) => !ok);
  return wrong && `The gateway’s proof does not hold: ${wrong.detail}`;
}
