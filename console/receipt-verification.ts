// A receipt against the chain, in this browser. Loaded when there is one to verify: it brings a chain client.
import { hexToBytes } from '@noble/hashes/utils.js';
import { type Check, type CheckName, receiptChecks } from '../client/receipt-evidence.ts';
import { type LogLocation, readAnchor } from '../client/verify.ts';
import { parseCheckpoint } from '../protocol/log/checkpoint.ts';
import { leafHash, verifyInclusion } from '../protocol/log/merkle.ts';
import { parseTlogProof } from '../protocol/log/tlog-proof.ts';
import { receiptDigest, receiptSigner } from '../protocol/receipt.ts';
import { consistencyFromTiles, entriesSearched, findEntry, inclusionFromTiles } from './log-entry.ts';
import type { Pasted } from './pasted-receipt.ts';

export type { Check } from '../client/receipt-evidence.ts';

/**
 * Every check, in the order of the argument. The log and the node are the visitor's choice, never the file's.
 * Rejects with AgentError `chain_unavailable` when the node does not answer.
 */
export async function verifyPasted(
  pasted: Pasted,
  log: LogLocation,
  checkpointKey: string | undefined,
): Promise<readonly Check[]> {
  const { signed, digest, proof } = pasted;
  const anchor = await readAnchor(log, receiptSigner(signed));
  if (proof === undefined) return bareChecks(pasted, anchor);
  const parsed = parseTlogProof(proof);
  const opened = parsed.ok ? parseCheckpoint(parsed.value.checkpoint) : parsed;
  const size = opened.ok ? opened.value.checkpoint.size : anchor.head.size;
  // A proof that was kept leads to an older head; that the chain's extends it is shown by the log's own tiles.
  const consistency =
    size < anchor.head.size
      ? await consistencyFromTiles(size, anchor.head.size).catch(() => undefined)
      : undefined;
  return receiptChecks({
    signed,
    proof,
    anchor,
    ...(checkpointKey === undefined ? {} : { checkpointKey }),
    ...(digest === undefined ? {} : { digest }),
    ...(consistency === undefined ? {} : { consistency }),
  });
}

/** Without a proof: the receipt is looked up in the log, and proven under the head that the chain holds now. */
async function bareChecks(
  { signed, digest: known }: Pasted,
  { domain, head, receiptKey }: Awaited<ReturnType<typeof readAnchor>>,
): Promise<readonly Check[]> {
  const checks: Check[] = [];
  const check = (name: CheckName, ok: boolean, right: string, wrong: string) => {
    checks.push({ name, ok, detail: ok ? right : wrong });
  };
  const digest = receiptDigest(signed.receipt);
  check('digest', known === undefined || known === digest, digest, `it is ${digest}, not ${known}`);
  check(
    'log',
    signed.receipt.logId === domain.logId,
    `the receipt is for log ${domain.logId}`,
    `the receipt is for log ${signed.receipt.logId}, this is ${domain.logId}`,
  );
  const signer = receiptSigner(signed);
  check('receipt_signature', signer !== undefined, `signed by ${signer}`, 'the signature is none');

  const index = await findEntry(digest, head.size);
  const { fromSize, toSize, known: registered } = receiptKey;
  const counts = index === undefined || (BigInt(index) >= fromSize && BigInt(index) < toSize);
  check(
    'receipt_key',
    registered && counts,
    `${signer} is the anchor's receipt key${index === undefined ? '' : ` for entry ${index}`}`,
    registered
      ? `${signer} counts for entries from ${fromSize} up to ${toSize}, this is entry ${index}`
      : `the anchor knows no receipt key ${signer ?? ''} for this log`,
  );
  const proof = index === undefined ? undefined : await inclusionFromTiles(head.size, index);
  const included =
    index !== undefined &&
    proof !== undefined &&
    verifyInclusion({
      root: hexToBytes(head.root.slice(2)),
      size: head.size,
      index,
      leaf: leafHash(hexToBytes(digest.slice(2))),
      proof,
    });
  check(
    'inclusion',
    included,
    `the digest is entry ${index} of the tree of ${head.size} with root ${head.root}`,
    index === undefined
      ? `no entry with this digest among the newest ${Math.min(entriesSearched, head.size)} under the anchored head of ${head.size}`
      : `entry ${index} is not under the head that the chain holds`,
  );
  check(
    'anchored',
    included,
    `contract ${domain.anchor} on chain ${domain.chainId} holds this very head`,
    'nothing on chain covers this receipt',
  );
  return checks;
}
