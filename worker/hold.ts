import type { Hex } from 'viem';
import type { CaptureRefusal } from '../durable-objects/account/account-book.ts';
import type { Outcome, Reservation } from '../durable-objects/account/ledger.ts';
import { readObservation } from '../durable-objects/chain/observe.ts';
import { keyOf } from '../durable-objects/config.ts';
import { zeroHash } from '../protocol/hex.ts';
import { cost } from '../protocol/pricing.ts';
import { assurances, type Receipt, type SignedReceipt, signReceipt } from '../protocol/receipt.ts';
import { ok, type Result } from '../protocol/result.ts';
import { accountOf, askAccount } from './account-call.ts';
import type { Authenticated } from './authenticate.ts';
import type { Call } from './call.ts';
import type { PricedRequest } from './priced-request.ts';
import type { Problem } from './problem.ts';
import type { Used } from './used.ts';

/** Funds set aside for one call, and the two ways to end it. */
export type OpenHold = {
  /** Upstream has to be ended by then, so that the capture is not late. */
  readonly endUpstreamMs: number;
  /** Charges what was used, makes the receipt and signs it. Throws when the account cannot be reached. */
  readonly capture: (used: Used) => Promise<SignedReceipt>;
  /** Gives everything back. Never throws: a hold that cannot be released expires. */
  readonly release: () => Promise<void>;
};

/** Reserves the ceiling in the agent's account: the identity's last word and the money's first, in one transaction. */
export async function reserve(
  call: Call,
  caller: Authenticated,
  priced: Pick<PricedRequest, 'model' | 'price' | 'ceiling'>,
  priceTable: Hex,
  requestHash: Hex,
  voucher: Reservation['voucher'],
): Promise<Result<OpenHold, Problem>> {
  const account = accountOf(call, caller);
  const ask: Reservation = {
    requestId: call.id,
    ceiling: priced.ceiling,
    deadlineMs: call.now() + call.config.hold.lifetimeMs,
    priceTable,
    model: priced.model,
    ...(voucher === undefined ? {} : { voucher }),
  };
  const reserved = await askAccount(call, caller, (who, observation) =>
    account.reserve(who, ask, observation),
  );
  if (!reserved.ok) return reserved;
  const { holdId } = reserved.value;

  return ok({
    endUpstreamMs: ask.deadlineMs - call.config.hold.marginMs,
    async capture(used) {
      const outcome: Outcome = {
        requestHash,
        ...used,
        // Upstream's own words: bounded, and with a UTF-8 of their own, or two receipts could share a digest.
        upstreamId: used.upstreamId.slice(0, 200).toWellFormed(),
        requestId: call.id,
        cost: cost(priced.price, used.usage),
        authorizationKind: caller.authorizationKind,
        authorization: caller.authorization,
        model: priced.model,
        assurance: used.evidence === undefined ? assurances.gatewaySigned : assurances.teeSigned,
        evidence: used.evidence ?? zeroHash,
      };
      const captured = await repeat(async (): Promise<Result<Receipt, CaptureRefusal>> => {
        const first = await account.capture(holdId, outcome);
        if (first.ok || first.error !== 'observation_needed') return first;
        // The hold is gone or its epoch is over: only what the chain says is still there can be charged.
        const seen = await readObservation(caller.chain, caller.account, call.now);
        return account.capture(holdId, outcome, {
          unobserved: true,
          ...(seen.ok ? { observation: seen.value } : {}),
        });
      });
      if (!captured.ok) throw new Error(`capture of ${call.id} refused: ${captured.error}`);
      return signReceipt(captured.value, keyOf(call.env, 'RECEIPT_KEY'));
    },
    async release() {
      try {
        await repeat(async () => account.release(call.id));
      } catch (error) {
        console.error(JSON.stringify({ event: 'release_failed', requestId: call.id, error: String(error) }));
      }
    },
  });
}

/** Capture and release are idempotent by request id, so an unknown outcome is resolved by asking again. */
async function repeat<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (tries === 4) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100 * 4 ** tries));
    }
  }
}
