import type { Hex } from 'viem';
import { signWithWasm } from '../compiled/sign-with-wasm.ts';
import {
  answerBytesMax,
  type CaptureRefusal,
  type Reserved,
} from '../durable-objects/account/account-book.ts';
import type { StoredReceipt } from '../durable-objects/account/account-rows.ts';
import type { KeptAnswer, Outcome, Refusal, Reservation } from '../durable-objects/account/ledger.ts';
import { readObservation } from '../durable-objects/chain/observe.ts';
import { checkReceiptKeys, receiptKeyAt } from '../durable-objects/config.ts';
import { zeroHash } from '../protocol/hex.ts';
import { formatPaymentResponse, paymentResponseHeader } from '../protocol/money/x402.ts';
import { cost } from '../protocol/pricing.ts';
import { assurances, type SignedReceipt } from '../protocol/receipt.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import { accountOf, askAccount } from './account-call.ts';
import type { Authenticated } from './authenticate.ts';
import type { Call } from './call.ts';
import { idempotencyOf } from './idempotency.ts';
import { noteCapture, noteUncaptured } from './measured.ts';
import type { PricedRequest } from './priced-request.ts';
import type { Problem } from './problem.ts';
import { rateHeaders } from './rate-headers.ts';
import type { Used } from './used.ts';

/** Funds set aside for one call, and the two ways to end it. */
export type OpenHold = {
  /** Upstream has to be ended by then, so that the capture is not late. */
  readonly endUpstreamMs: number;
  /** Charges what was used, makes the receipt and signs it. A whole answer may be kept for the call's `Idempotency-Key`. Throws when the account cannot be reached. */
  readonly capture: (used: Used, answer?: Uint8Array) => Promise<SignedReceipt>;
  /** Gives everything back. Never throws: a hold that cannot be released expires. */
  readonly release: () => Promise<void>;
  /** What the answer's headers say about the payment, as far as it is known by now. */
  readonly headers: () => Readonly<Record<string, string>>;
};

/** Why nothing is held. A call that was made before may have its answer `kept`, to be given again. */
export type Unreserved = Problem & { readonly kept?: KeptAnswer };

/** What of a priced request the money has to know. */
type ReservedRequest = Pick<
  PricedRequest,
  'model' | 'price' | 'ceiling' | 'promptBytes' | 'outputLimit' | 'n'
>;

/** Reserves the ceiling in the agent's account: the identity's last word and the money's first, in one transaction. */
export async function reserve(
  call: Call,
  caller: Authenticated,
  priced: ReservedRequest,
  priceTable: Hex,
  requestHash: Hex,
  voucher: Reservation['voucher'],
): Promise<Result<OpenHold, Unreserved>> {
  // Not begun without the keys: it would be charged, and then there would be no receipt.
  checkReceiptKeys(call.env);
  const idempotency = idempotencyOf(call, requestHash);
  if (!idempotency.ok) return idempotency;
  const account = accountOf(call, caller);
  const ask: Reservation = {
    requestId: call.id,
    ceiling: priced.ceiling,
    deadlineMs: call.now() + call.config.hold.lifetimeMs,
    priceTable,
    model: priced.model,
    tokens: expectedTokens(priced),
    ...(voucher === undefined ? {} : { voucher }),
    ...(idempotency.value === undefined ? {} : { idempotency: idempotency.value }),
  };
  let kept: KeptAnswer | undefined;
  const reserved = await askAccount(call, caller, async (who, observation) => {
    const answer = await repeat(
      async (): Promise<Result<Reserved, Refusal>> => account.reserve(who, ask, observation),
    );
    if (!answer.ok && answer.error.reason === 'already_answered') kept = answer.error.kept;
    return answer;
  });
  if (!reserved.ok) {
    return kept ? refuse({ ...reserved.error, kept }) : reserved;
  }
  const { holdId, standing, rate } = reserved.value;
  const network = `eip155:${caller.account.chainId}`;
  let receipt: SignedReceipt | undefined;

  return ok({
    headers: () => ({
      ...(rate === undefined ? {} : rateHeaders(rate)),
      [paymentResponseHeader]: formatPaymentResponse(network, standing.spender, receipt?.receipt.amount),
    }),
    endUpstreamMs: ask.deadlineMs - call.config.hold.marginMs,
    async capture(used, answer) {
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
      const captured = await repeat(async (): Promise<Result<StoredReceipt, CaptureRefusal>> => {
        const keep = idempotency.value && answer && answer.length <= answerBytesMax ? { answer } : {};
        const first = await account.capture(holdId, outcome, keep);
        if (first.ok || first.error !== 'observation_needed') return first;
        // The hold is gone or its epoch is over: only what the chain says is still there can be charged.
        const seen = await readObservation(caller.chain, caller.account, call.now);
        return account.capture(holdId, outcome, {
          ...keep,
          unobserved: true,
          ...(seen.ok ? { observation: seen.value } : {}),
        });
      }).catch((error: unknown) => {
        noteUncaptured(call, caller.chain, used.upstream, outcome.cost);
        throw error;
      });
      if (!captured.ok) throw new Error(`capture of ${call.id} refused: ${captured.error}`);
      const { receipt: made, digest } = captured.value;
      receipt = { receipt: made, signature: signWithWasm(digest, receiptKeyAt(call.env, made.time)) };
      noteCapture(call, caller.chain, made, used, outcome.cost);
      return receipt;
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

/** A fair guess, for the agent's rate: a token is three bytes or more of most text, and the limit is used in full. */
const expectedTokens = ({ promptBytes, outputLimit, n }: ReservedRequest): number =>
  Math.ceil(Number(promptBytes) / 3) + outputLimit * n;

/** Reserve, capture and release are idempotent by request id, so an unknown outcome is resolved by asking again. */
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
