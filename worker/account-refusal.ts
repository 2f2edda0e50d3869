import type { Refusal } from '../durable-objects/account/ledger.ts';
import {
  formatPaymentRequired,
  type PaymentTerms,
  paymentRequiredHeader,
  requirementsOf,
} from '../protocol/money/x402.ts';
import type { Authenticated } from './authenticate.ts';
import type { Call } from './call.ts';
import { accountSignatureProblem, sessionKeyProblem } from './identity-problem.ts';
import type { Problem } from './problem.ts';
import { rateHeaders } from './rate-headers.ts';

/** What an account's refusal looks like from outside. `observation_needed` never gets here: the worker answers it itself. */
export function problemOfRefusal(call: Call, { account, caller }: Authenticated, refusal: Refusal): Problem {
  const signer = 'signer' in caller ? caller.signer : "the session key's maker";
  switch (refusal.reason) {
    case 'observation_needed':
      return chainUnavailable('the chain was read, but the reading was too old to decide on');
    case 'contract_check_needed':
      return accountSignatureProblem(
        call,
        'unsupported_account',
        `${signer} holds code, so an ECDSA signature alone does not speak for it: its code has to accept the signature (ERC-1271).`,
      );
    case 'agent_unknown':
      return {
        status: 403,
        code: 'agent_unknown',
        detail: `The identity registry ${account.registry} on chain ${account.chainId} knows no agent ${account.agentId}. Register it, or correct Agent-Id.`,
      };
    case 'signer_not_allowed':
      if ('keyHash' in caller) {
        return sessionKeyProblem(
          401,
          'session_key_void',
          'Whoever made this session key is no longer the agent’s wallet or owner, and the key ended with that.',
        );
      }
      return {
        status: 403,
        code: 'signer_not_allowed',
        detail: `${signer} is neither agent ${account.agentId}'s wallet nor its owner. Sign with one of them, or set the agent's wallet in the registry.`,
      };
    case 'session_key_unknown':
      return sessionKeyProblem(
        401,
        'session_key_invalid',
        'This session key does not exist, or has been revoked. The agent makes keys with POST /v1/keys.',
      );
    case 'session_key_expired':
      return sessionKeyProblem(
        401,
        'session_key_expired',
        `This session key expired at ${new Date(refusal.expiresMs).toISOString()}. The agent makes keys with POST /v1/keys.`,
      );
    case 'session_key_model':
      return sessionKeyProblem(
        403,
        'session_key_model_not_allowed',
        `This session key is for ${refusal.models.join(', ')} only.`,
      );
    case 'session_key_cap':
      return {
        ...sessionKeyProblem(
          403,
          'session_key_cap_reached',
          `This request may cost more than is left of this session key's cap: ${refusal.spent} of ${refusal.spendCap} spent, ${refusal.held} held by calls in flight. Lower max_tokens, or make another key. Nothing was charged.`,
        ),
        more: { spendCap: `${refusal.spendCap}`, spent: `${refusal.spent}`, held: `${refusal.held}` },
      };
    case 'too_many_session_keys':
      return {
        status: 409,
        code: 'too_many_session_keys',
        detail: `An agent may have ${refusal.limit} session keys, expired ones included. Delete one first: DELETE /v1/keys/:id.`,
        headers: { 'x-should-retry': 'false' },
      };
    case 'nonce_expired':
      return accountSignatureProblem(
        call,
        'request_expired',
        'The signature expired on the way. Sign again, and check your clock.',
      );
    case 'invalidated':
      return accountSignatureProblem(
        call,
        'replayable_not_allowed',
        'The signer has called back its signatures without a nonce. Sign again.',
      );
    case 'nonce_reused':
      return accountSignatureProblem(
        call,
        'nonce_reused',
        'This nonce was used before. Every request needs a nonce of its own: sign again.',
      );
    case 'too_many_holds':
      return {
        status: 429,
        code: 'too_many_requests_in_flight',
        detail: `This agent has ${refusal.limit} requests in flight, the most it may have. Wait for one to end.`,
        headers: { 'retry-after': '1' },
      };
    case 'rate_limited': {
      const { what, tier, state } = refusal;
      const seconds = Math.ceil(refusal.retryMs / 1000);
      return {
        status: 429,
        code: 'rate_limit_exceeded',
        detail: `This agent may have ${state[what].limit} ${what} a minute (tier ${tier}). Wait ${seconds} s.`,
        headers: {
          ...rateHeaders(state),
          'retry-after': `${seconds}`,
          'retry-after-ms': `${refusal.retryMs}`,
        },
      };
    }
    case 'unclaimed_exposure':
      return {
        status: 429,
        code: 'unclaimed_exposure',
        detail: `This agent's calls come to ${refusal.unclaimed} that is not settled on chain yet; the operator's limit is ${refusal.limit}. It is being settled. Try again in a minute.`,
        headers: { 'retry-after': '30' },
      };
    case 'idempotency_in_progress':
      return {
        status: 409,
        code: 'idempotency_in_progress',
        detail:
          'A call with this Idempotency-Key is under way, or its outcome is not known. It will not be made twice. GET /v1/receipts shows it once it is charged.',
        headers: { 'x-should-retry': 'false' },
      };
    case 'idempotency_key_reused':
      return {
        status: 409,
        code: 'idempotency_key_reused',
        detail: 'This Idempotency-Key was used for another request body. Use a new key for a new request.',
        headers: { 'x-should-retry': 'false' },
        more: { receiptId: refusal.sequence === undefined ? null : `${refusal.sequence}` },
      };
    case 'already_answered':
      return {
        status: 409,
        code: 'already_answered',
        detail: `This call was answered and charged before: receipt ${refusal.sequence}. Its answer is not kept (it was streamed, or too long, or too long ago). Use a new Idempotency-Key to ask again.`,
        headers: { 'x-should-retry': 'false' },
        more: { receiptId: `${refusal.sequence}` },
      };
    default:
      return paymentRequired(call, { account, caller }, refusal);
  }
}

export const chainUnavailable = (why: string): Problem => ({
  status: 503,
  code: 'chain_unavailable',
  detail: `The chain cannot be asked who this agent is and what it has deposited (${why}). Nothing was charged. Try again shortly.`,
  headers: { 'retry-after': '2' },
});

function paymentRequired(
  call: Call,
  { account }: Pick<Authenticated, 'account' | 'caller'>,
  refusal: Extract<Refusal, { standing: unknown }>,
): Problem {
  const { standing, ceiling, reason } = refusal;
  const terms: PaymentTerms = {
    ...account,
    epoch: standing.epoch,
    required: standing.captured + standing.held + ceiling,
    ceiling,
    available: standing.available,
    captured: standing.captured,
    held: standing.held,
    deposited: standing.deposited,
  };
  const advice: Record<typeof reason, string> = {
    no_spender:
      'The agent has no spender: its owner calls AgentVault.setSpender, naming the key that signs vouchers.',
    no_deposit:
      'Nothing is deposited for this agent, or all of it is being withdrawn: call AgentVault.deposit.',
    epoch_ending: `A withdrawal or a change of spender can end the account's epoch from ${standing.epochEndsAt} (Unix seconds) on, and with it every voucher, before this call could be settled. Complete or cancel it, then sign a voucher for the epoch that is then.`,
    voucher_missing: `No voucher is on file: sign one for a cumulative of at least ${terms.required} and send it in PAYMENT-SIGNATURE.`,
    voucher_wrong_agent: 'The voucher in PAYMENT-SIGNATURE is for another agent or registry.',
    voucher_wrong_epoch: `The voucher in PAYMENT-SIGNATURE is for another epoch: this account's epoch is ${standing.epoch}.`,
    voucher_bad_signature: `The voucher in PAYMENT-SIGNATURE is not signed by the agent's spender, ${standing.spender}.`,
    voucher_insufficient: `The voucher on file covers ${standing.voucher}: sign one for a cumulative of at least ${terms.required}.`,
    deposit_insufficient: `This request may cost ${ceiling}, and what is deposited and not yet spent or held does not cover that: deposit more, or lower max_tokens.`,
  };
  const requirements = requirementsOf(terms);
  return {
    status: 402,
    code: reason,
    detail: `${advice[reason]} Amounts are in base units of the asset. Nothing was charged.`,
    headers: {
      [paymentRequiredHeader]: formatPaymentRequired(reason, call.url.href, requirements),
      // A stock OpenAI client must not repeat what only a signature can change.
      'x-should-retry': 'false',
    },
    more: { accepts: [requirements] },
  };
}
