// Who was charged what: receipts disclosed in claim sheets, claims the vault paid, and agents' own receipts, against each
// other. Pure.
import type { Hex } from 'viem';
import { accountName, parseAccountName } from '../protocol/account-name.ts';
import type { Claim } from '../protocol/log/blob.ts';
import { type Receipt, receiptDigest, receiptSigner, type SignedReceipt } from '../protocol/receipt.ts';
import { agentName, type KeySpan, type Position, type VaultEvent } from './audit-chain.ts';
import type { Bill, Finding } from './audit-findings.ts';

/** A receipt that a claim sheet disclosed, and from when on a claim may rest on it. */
export type Disclosed = {
  readonly sequence: string;
  readonly digest: Hex;
  readonly epoch: string;
  readonly cumulative: string;
  /** Of the anchor's event, decimal. */
  readonly block: string;
  readonly logIndex: number;
};

export const accountOf = (receipt: Receipt): string =>
  accountName({
    chainId: Number(receipt.chainId),
    vault: receipt.vault,
    registry: receipt.registry,
    agentId: receipt.agentId,
  });

/** Whether a receipt's signer was a receipt key of the log at the entry's index. */
export function isSigned(signed: SignedReceipt, index: number, keys: readonly KeySpan[]): boolean {
  const signer = receiptSigner(signed);
  return keys.some(({ key, from, to }) => key === signer && from <= index && index < to);
}

/** Takes note of a disclosed receipt. @returns what is wrong with it beside those disclosed before */
export function disclose(
  disclosed: Map<string, Disclosed[]>,
  { signed: { receipt } }: Claim,
  at: Position,
): Finding[] {
  const account = accountOf(receipt);
  const before = disclosed.get(account) ?? [];
  const next: Disclosed = {
    sequence: `${receipt.sequence}`,
    digest: receiptDigest(receipt),
    epoch: `${receipt.epoch}`,
    cumulative: `${receipt.cumulative}`,
    block: `${at.block}`,
    logIndex: at.index,
  };
  disclosed.set(account, [...before, next]);
  const last = before.at(-1);
  if (last === undefined) return [];
  const where = `${account} sequence ${receipt.sequence}`;
  const same = before.find(({ sequence }) => sequence === next.sequence);
  if (same !== undefined && same.digest !== next.digest) {
    const detail = `two different receipts bear this number: ${same.digest} and ${next.digest}`;
    return [{ severity: 'wrong', code: 'two_receipts', where, detail }];
  }
  const isBack =
    receipt.sequence <= BigInt(last.sequence) ||
    receipt.epoch < BigInt(last.epoch) ||
    (receipt.epoch === BigInt(last.epoch) && receipt.cumulative < BigInt(last.cumulative));
  if (!isBack) return [];
  const detail = `disclosed after sequence ${last.sequence} of epoch ${last.epoch} with ${last.cumulative} in total`;
  return [{ severity: 'wrong', code: 'claim_runs_backwards', where, detail }];
}

/** What a vault's events say about its agents. */
export type VaultBook = {
  /** What it has paid the operator on account of an agent, in all. */
  readonly claimed: ReadonlyMap<string, bigint>;
  /** Every total an agent's claims ever reached, zero included. */
  readonly totals: ReadonlyMap<string, ReadonlySet<bigint>>;
  readonly findings: readonly Finding[];
  readonly claims: number;
};

/**
 * Checks that every claim a vault paid was committed to: it rests on a receipt of the present epoch, disclosed under a head
 * that was anchored before (on the same chain; on another, at any time), for at least that sum.
 */
export function checkVault(
  vault: { readonly chainId: number; readonly vault: Hex; readonly isHome: boolean },
  events: readonly VaultEvent[],
  disclosed: ReadonlyMap<string, readonly Disclosed[]>,
): VaultBook {
  const claimed = new Map<string, bigint>();
  const totals = new Map<string, Set<bigint>>();
  const epochs = new Map<string, bigint>();
  const findings: Finding[] = [];
  let claims = 0;
  for (const event of events) {
    if (event.kind === 'epoch') {
      epochs.set(event.agent, event.epoch);
      continue;
    }
    claims += 1;
    const account = `eip155:${vault.chainId}:${vault.vault}:${event.agent}`;
    const where = `${account} claim of ${event.cumulative} in all, block ${event.block}`;
    const before = claimed.get(event.agent) ?? 0n;
    if (before + event.amount !== event.cumulative) {
      const detail = `${before} were claimed before, ${event.amount} now: events are missing, or the vault is another's`;
      findings.push({ severity: 'wrong', code: 'vault_events_do_not_add_up', where, detail });
    }
    claimed.set(event.agent, event.cumulative);
    totals.set(event.agent, (totals.get(event.agent) ?? new Set([0n])).add(event.cumulative));
    const epoch = epochs.get(event.agent) ?? 0n;
    const covering = (disclosed.get(account) ?? []).filter(
      (one) =>
        BigInt(one.epoch) === epoch && (!vault.isHome || isBefore(one, event)) && BigInt(one.cumulative) > 0n,
    );
    const most = covering.reduce((sum, one) => maxOf(sum, BigInt(one.cumulative)), 0n);
    if (most < event.cumulative) {
      const detail =
        covering.length === 0
          ? `no receipt of epoch ${epoch} was committed to before it`
          : `the receipts committed to before it come to ${most}`;
      findings.push({ severity: 'wrong', code: 'vault_claim_not_committed', where, detail });
    }
  }
  return { claimed, totals, findings, claims };
}

/** What is known about an agent besides its receipts. */
export type BillFacts = {
  readonly logId: Hex;
  /** Where each of the receipts stands in the log, by digest. */
  readonly found: ReadonlyMap<string, number>;
  readonly receiptKeys: readonly KeySpan[];
  readonly disclosed: readonly Disclosed[];
  /** The vault's events; `undefined` when they were not read. */
  readonly vault: VaultBook | undefined;
  /** The chain's time, Unix seconds: what is overdue. */
  readonly now: bigint;
};

/** Proves that an agent's bill is exactly its receipts, or says what it is that is not so. */
export function checkBill(
  account: string,
  receipts: readonly SignedReceipt[],
  facts: BillFacts,
): { readonly bill: Bill; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const say = (
    severity: Finding['severity'],
    code: Finding['code'],
    sequence: bigint,
    detail: string,
  ): void => {
    findings.push({ severity, code, where: `${account} sequence ${sequence}`, detail });
  };
  const sorted = receipts.toSorted((a, b) => (a.receipt.sequence < b.receipt.sequence ? -1 : 1));
  const bySequence = new Map<string, Hex>();
  let [logged, pending, total] = [0, 0, 0n];
  let last: Receipt | undefined;
  for (const signed of sorted) {
    const { receipt } = signed;
    const { sequence } = receipt;
    const digest = receiptDigest(receipt);
    const same = bySequence.get(`${sequence}`);
    if (same !== undefined) {
      if (same !== digest) say('wrong', 'two_receipts', sequence, `${same} and ${digest}`);
      continue; // the same receipt twice in the file
    }
    bySequence.set(`${sequence}`, digest);
    if (receipt.logId !== facts.logId) {
      say('wrong', 'receipt_foreign', sequence, `it is for log ${receipt.logId}`);
      continue;
    }
    total += receipt.amount;
    const index = facts.found.get(digest);
    // Not in the log yet: then it is signed by a key that counts now.
    if (!isSigned(signed, index ?? Number.MAX_SAFE_INTEGER, facts.receiptKeys)) {
      say(
        'wrong',
        'receipt_signer',
        sequence,
        `${receiptSigner(signed) ?? 'nobody'} is no receipt key there`,
      );
    }
    if (index !== undefined) logged += 1;
    else if (receipt.mergeBy < facts.now) {
      say(
        'wrong',
        'receipt_overdue',
        sequence,
        `it should have been in the log by ${receipt.mergeBy}: ${digest}`,
      );
    } else pending += 1;
    const broken = brokenLink(last, receipt, facts.vault?.totals.get(agentOf(account)));
    if (broken !== undefined) say(broken.severity, broken.code, sequence, broken.detail);
    last = receipt;
  }
  for (const one of facts.disclosed) {
    const own = bySequence.get(one.sequence);
    if (own !== undefined && own !== one.digest) {
      say(
        'wrong',
        'two_receipts',
        BigInt(one.sequence),
        `the agent has ${own}, the log disclosed ${one.digest}`,
      );
    }
  }
  const newest = facts.disclosed.reduce((most, one) => maxOf(most, BigInt(one.sequence)), 0n);
  if (newest > (last?.sequence ?? 0n)) {
    say('unchecked', 'receipts_missing', newest, 'the log has receipts after the last one given here');
  }
  const claimed = facts.vault?.claimed.get(agentOf(account)) ?? 0n;
  // Without the newest receipts nothing can be said about the newest claims.
  const hasNewest = newest <= (last?.sequence ?? 0n);
  if (last !== undefined && hasNewest && facts.vault !== undefined && claimed > last.cumulative) {
    say(
      'wrong',
      'bill_exceeded',
      last.sequence,
      `${claimed} were claimed, the receipts say ${last.cumulative}`,
    );
  }
  const exact = findings.length === 0 && facts.vault !== undefined && sorted.length > 0;
  return {
    bill: { account, receipts: bySequence.size, logged, pending, total, claimed, exact },
    findings,
  };
}

/** What does not fit between a receipt and the one before it, by section 4 of the protocol. */
function brokenLink(
  last: Receipt | undefined,
  receipt: Receipt,
  totals: ReadonlySet<bigint> | undefined,
): Pick<Finding, 'severity' | 'code' | 'detail'> | undefined {
  const base = receipt.cumulative - receipt.amount;
  if (last !== undefined && receipt.sequence !== last.sequence + 1n) {
    const detail = `receipts ${last.sequence + 1n} to ${receipt.sequence - 1n} are not given`;
    return { severity: 'unchecked', code: 'receipts_missing', detail };
  }
  if (last === undefined && receipt.sequence !== 1n) {
    const detail = `receipts 1 to ${receipt.sequence - 1n} are not given`;
    return { severity: 'unchecked', code: 'receipts_missing', detail };
  }
  if (last !== undefined && receipt.previous !== receiptDigest(last)) {
    return {
      severity: 'wrong',
      code: 'bill_broken',
      detail: `it names ${receipt.previous} as the one before`,
    };
  }
  if (last !== undefined && receipt.epoch === last.epoch) {
    if (base === last.cumulative) return undefined;
    const detail = `${last.cumulative} before, ${receipt.amount} now, but ${receipt.cumulative} in all`;
    return { severity: 'wrong', code: 'bill_broken', detail };
  }
  // An epoch begins with what the vault had paid by then.
  if (totals === undefined ? base === 0n : totals.has(base)) return undefined;
  if (base === 0n) return undefined;
  const detail = `its epoch begins at ${base}, which the vault had never paid`;
  return { severity: 'wrong', code: 'bill_broken', detail };
}

/** `registry:agentId` of an account's name. */
function agentOf(account: string): string {
  const parsed = parseAccountName(account);
  return parsed === undefined ? '' : agentName(parsed.registry, parsed.agentId);
}

const isBefore = (one: Disclosed, event: Position): boolean =>
  BigInt(one.block) < event.block || (BigInt(one.block) === event.block && one.logIndex < event.index);

const maxOf = (a: bigint, b: bigint): bigint => (a > b ? a : b);
