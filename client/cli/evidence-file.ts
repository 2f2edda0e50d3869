// Evidence as files: written where something is found, read by whoever wants to act on it.
import { existsSync, writeFileSync } from 'node:fs';
import { type Address, type Hex, keccak256, toBytes } from 'viem';
import { type Evidence, formatEvidence } from '../../protocol/evidence/evidence.ts';
import { readBond, submissionOf, verifyEvidence } from '../evidence.ts';
import { checkLines } from './check-lines.ts';
import { exitCodes, Failure } from './failure.ts';
import type { Settings } from './settings.ts';

/** Writes a file named after what it shows, and never over another one. @returns its name */
export function writeEvidence(evidence: Evidence): string {
  const text = formatEvidence(evidence);
  const name = `evidence-${evidence.type}-${keccak256(toBytes(text)).slice(2, 14)}.json`;
  if (!existsSync(name)) writeFileSync(name, text);
  return name;
}

export const isEvidence = (text: string): boolean => /"format":\s*"tallystick-evidence@v1"/.test(text);

/** Judges an evidence file, and says which transaction has a bond act on it. */
export async function showEvidence(
  settings: Settings,
  text: string,
  bond: Address | undefined,
): Promise<void> {
  const { terminal } = settings;
  const options = { ...(settings.rpcGiven === undefined ? {} : { rpcUrl: settings.rpcGiven }) };
  const read = await verifyEvidence(text, { ...options, ...(bond === undefined ? {} : { bond }) });
  if (!read.ok) throw new Failure(exitCodes.notRight, 'evidence_file', `${read.error}.`);
  const { verdict, summary, findings, evidence } = read.value;
  const { rpcGiven } = settings;
  const holds = verdict === 'proven' || verdict === 'challengeable';
  let transaction: { readonly to: Address; readonly data: Hex; readonly value: bigint } | undefined;
  if (holds && bond !== undefined && rpcGiven !== undefined) {
    const { anchor, logId } = evidence.log;
    transaction = submissionOf(evidence, bond, await readBond(rpcGiven, { bond, anchor, logId }));
  }
  terminal.result({ verdict, summary, findings, ...(transaction === undefined ? {} : { transaction }) }, [
    ...checkLines(
      terminal,
      findings.map(({ name, state, detail }) => ({ name, detail, ok: state === 'holds' })),
    ),
    '',
    terminal.paint(holds ? 'good' : 'bad', `${verdict}: ${summary}`),
    ...(transaction === undefined
      ? []
      : [
          'The transaction that acts on it, from any wallet of that chain:',
          `to     ${transaction.to}`,
          `value  ${transaction.value}`,
          `data   ${transaction.data}`,
        ]),
  ]);
  if (verdict === 'no-evidence') process.exitCode = exitCodes.notRight;
}
