// Is this receipt about the call we made, and is its sum right? Pure.
import type { Address, Hex } from 'viem';
import type { Account } from '../protocol/account-name.ts';
import { fromBase64 } from '../protocol/base64.ts';
import { zeroHash } from '../protocol/hex.ts';
import { priceOf } from '../protocol/price-table.ts';
import { cost } from '../protocol/pricing.ts';
import {
  assurances,
  authorizationKinds,
  receiptDigest,
  receiptFromJson,
  type SignedReceipt,
} from '../protocol/receipt.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import type { KnownPrices } from './deployment.ts';
import { KnownKeys } from './known-keys.ts';
import type { StatedUsage } from './stated-usage.ts';

const knownKeys = new KnownKeys();

/** What is wrong with a receipt, for programs. */
export type MismatchName =
  /** A call was answered and no receipt came. */
  | 'receipt_missing'
  /** What came as a receipt is none. */
  | 'receipt_unreadable'
  /** Not signed by the deployment's receipt key. */
  | 'signature'
  /** The deployment's key or prices could not be read, so not everything could be checked. */
  | 'unverifiable'
  | 'log'
  | 'account'
  /** An epoch before the one our vouchers are for. */
  | 'epoch'
  /** Not the authorisation we signed for this call. */
  | 'authorization'
  | 'request_hash'
  | 'response_hash'
  | 'model'
  | 'price_table'
  /** More than the usage costs by the price table. */
  | 'amount'
  /** Counts that cannot be (parts larger than their whole), or that the answer itself contradicts. */
  | 'usage'
  | 'time'
  | 'merge_by'
  /** TEE evidence that is missing, for other bytes, or not what the receipt says. */
  | 'evidence'
  /** The number was given to another receipt, or should have come after one that we hold. */
  | 'sequence'
  /** Does not name the digest of the receipt before it. */
  | 'previous'
  /** Does not add up with the receipts before or after it. */
  | 'cumulative';

export type Mismatch = { readonly name: MismatchName; readonly detail: string };

/** What we did and saw. */
export type Exchange = {
  readonly account: Account;
  /** Of our vouchers when the call was sent; undefined while it is not known. */
  readonly epoch: bigint | undefined;
  /** Hash of what we signed (protocol, section 1). */
  readonly authorization: Hex;
  /** SHA-256 of the body we sent. */
  readonly requestHash: Hex;
  /** SHA-256 of what we read; undefined when we did not read to the end, and then not checked. */
  readonly responseHash: Hex | undefined;
  /** Tokens as the answer itself states them; undefined where it does not. */
  readonly statedUsage: StatedUsage | undefined;
  /** As the request named it; undefined when it could not be read from the body. */
  readonly model: string | undefined;
  /** Unix seconds: when the request was signed, and when its answer ended. */
  readonly sentAt: number;
  readonly endedAt: number;
};

/** What the deployment says, or the developer pinned. */
export type ReceiptTerms = {
  /** The present one and those before it. */
  readonly receiptKeys: readonly Address[];
  readonly logId: Hex;
  /** Seconds. */
  readonly mergeDelay: number;
  readonly prices: KnownPrices;
};

/** Clocks may differ by this much, in seconds: what signatures allow anyway, twice. */
const clockSkew = 60n;

/** Reads the base64 JSON a receipt travels as (protocol, section 4). */
export function parseReceipt(base64: string): Result<SignedReceipt, string> {
  const bytes = fromBase64(base64);
  if (bytes === undefined) return refuse('not base64');
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const read = receiptFromJson(JSON.parse(text));
    return read.ok ? ok(read.value) : refuse(read.error);
  } catch {
    return refuse('not JSON');
  }
}

/**
 * Everything that is wrong with a receipt as the record of one exchange; empty when it is right. A lower amount than the
 * usage costs is not wrong: a hold caps it, and a late capture takes what is left.
 * @param digest the receipt's, where it was computed before
 */
export function checkReceipt(
  signed: SignedReceipt,
  exchange: Exchange,
  terms: ReceiptTerms,
  digest: Hex = receiptDigest(signed.receipt),
): Mismatch[] {
  const { receipt } = signed;
  const found: Mismatch[] = [];
  const expect = (name: MismatchName, right: boolean, detail: () => string) => {
    if (!right) found.push({ name, detail: detail() });
  };
  const same = (name: MismatchName, what: string, says: unknown, is: unknown) =>
    expect(name, says === is, () => `${what}: the receipt says ${String(says)}, it is ${String(is)}`);

  const signer = knownKeys.signerOf(digest, signed.signature);
  expect(
    'signature',
    signer !== undefined && terms.receiptKeys.includes(signer),
    () => `signed by ${signer ?? 'nobody'}, the receipt key is ${terms.receiptKeys.at(-1)}`,
  );
  same('log', 'logId', receipt.logId, terms.logId);

  const { account } = exchange;
  same('account', 'chainId', receipt.chainId, BigInt(account.chainId));
  same('account', 'vault', receipt.vault, account.vault);
  same('account', 'registry', receipt.registry, account.registry);
  same('account', 'agentId', receipt.agentId, account.agentId);
  expect(
    'epoch',
    exchange.epoch === undefined || receipt.epoch >= exchange.epoch,
    () => `the receipt is of epoch ${receipt.epoch}, the account is in ${exchange.epoch}`,
  );

  same('authorization', 'authorizationKind', receipt.authorizationKind, authorizationKinds.erc8128);
  same('authorization', 'authorization', receipt.authorization, exchange.authorization);
  same('request_hash', 'requestHash', receipt.requestHash, exchange.requestHash);
  if (exchange.responseHash !== undefined) {
    same('response_hash', 'responseHash', receipt.responseHash, exchange.responseHash);
  }
  if (exchange.model !== undefined) same('model', 'model', receipt.model, exchange.model);

  const { prices } = terms;
  same('price_table', 'priceTable', receipt.priceTable, prices.hash);
  const { usage } = receipt;
  expect(
    'usage',
    usage.cachedInput + usage.cacheCreation <= usage.input && usage.thinking <= usage.output,
    () =>
      `of ${usage.input} input tokens ${usage.cachedInput} cached and ${usage.cacheCreation} created, of ${usage.output} output tokens ${usage.thinking} thinking`,
  );
  const { statedUsage: stated } = exchange;
  if (stated && !usage.estimated) {
    expect(
      'usage',
      usage.input === stated.input && usage.output === stated.output,
      () =>
        `the receipt counts ${usage.input} tokens in and ${usage.output} out, the answer ${stated.input} and ${stated.output}`,
    );
  }
  const price = priceOf(prices.table, receipt.model);
  if (price === undefined) {
    expect('amount', false, () => `the price table has no model ${receipt.model}`);
  } else {
    const due = cost(price, usage);
    expect(
      'amount',
      receipt.amount <= due,
      () => `charged ${receipt.amount}, the usage costs ${due} by the price table`,
    );
  }

  expect(
    'time',
    receipt.time + clockSkew >= BigInt(exchange.sentAt) &&
      receipt.time <= BigInt(exchange.endedAt) + clockSkew,
    () => `captured at ${receipt.time}, the call went from ${exchange.sentAt} to ${exchange.endedAt}`,
  );
  expect(
    'merge_by',
    receipt.mergeBy >= receipt.time && receipt.mergeBy <= receipt.time + BigInt(terms.mergeDelay),
    () =>
      `to be merged by ${receipt.mergeBy}, captured at ${receipt.time}, promised within ${terms.mergeDelay} s`,
  );
  expect(
    'evidence',
    receipt.assurance !== assurances.gatewaySigned || receipt.evidence === zeroHash,
    () => `assurance 0 with evidence ${receipt.evidence}`,
  );
  return found;
}
