import type { UpstreamError } from '../dialects/dialect.ts';
import type { Problem } from '../problem.ts';

/** What a failure before the first byte means. */
export type Verdict = {
  /** In words for the agent. */
  readonly problem: Problem;
  /**
   * `here`: upstream said it did not take the request, or it was never reached: the same one may be asked again.
   * `elsewhere`: another upstream may do better. `no`: it is about the request, and every upstream would say so.
   */
  readonly again: 'here' | 'elsewhere' | 'no';
  /** Whether it counts against the upstream's health. */
  readonly unhealthy: boolean;
};

/** About the operator's account with upstream. They come with 400, 402, 403 and 429; asking again never helps. */
const billing =
  /^(PrepaidBillOverdue|PostpaidBillOverdue|CommodityNotPurchased|Arrearage|AccessDenied\.Unpurchased|AllocationQuota\.FreeTierOnly|insufficient_balance)/i;
/** A quota over minutes: a second later is too soon. */
const quota = /^(Throttling\.AllocationQuota|insufficient_quota)/i;

/** Statuses of Cloudflare's edge in front of an upstream that say the origin was never reached. */
const neverReached = new Set([521, 523, 525, 526]);

const freeOfCharge = 'Nothing was charged.';

/** The verdict on an answer with an error status, by Model Studio's documented codes and their kin. */
export function verdictOf(
  status: number,
  error: UpstreamError | undefined,
  retryAfter: string | null,
): Verdict {
  const code = error?.code;
  if (code !== undefined && billing.test(code)) return operatorsTrouble;
  switch (status) {
    case 400:
    case 413:
    case 415:
    case 422:
      return {
        problem: {
          status: 400,
          code: code?.slice(0, 100) ?? 'upstream_refused',
          detail: `The model refused the request${error ? `: ${error.message.slice(0, 1_000)}` : ''}. ${freeOfCharge}`,
        },
        again: 'no',
        unhealthy: false,
      };
    case 401:
    case 402:
    case 403:
      return operatorsTrouble;
    case 404:
      return {
        problem: {
          status: 404,
          code: 'model_not_found',
          param: 'model',
          detail: `Upstream does not have this model now. ${freeOfCharge}`,
        },
        again: 'elsewhere',
        unhealthy: false,
      };
    case 408:
    case 504:
      return { problem: tooSlow, again: 'elsewhere', unhealthy: true };
    case 429: {
      const wait = quota.test(code ?? '') ? '10' : '2';
      return {
        problem: {
          status: 429,
          code: 'upstream_rate_limited',
          detail: `The model is busy. ${freeOfCharge} Try again a little later.`,
          headers: { 'retry-after': /^\d{1,4}$/.test(retryAfter ?? '') ? (retryAfter ?? wait) : wait },
        },
        again: quota.test(code ?? '') ? 'elsewhere' : 'here',
        unhealthy: false,
      };
    }
    default:
      if (status < 500) return operatorsTrouble;
      return {
        problem: {
          status: 502,
          code: 'upstream_failed',
          detail: `The model failed (${status}). ${freeOfCharge} Try again.`,
        },
        // 500 and 503 are documented as failed and not charged; what a proxy's 502 or 520 means nobody knows.
        again: status === 500 || status === 503 || neverReached.has(status) ? 'here' : 'elsewhere',
        unhealthy: true,
      };
  }
}

/** An error in the place of the first event, or in a 200. Failed calls are not charged. */
export const failedInBand = (error: UpstreamError): Verdict => {
  if (error.code !== undefined && billing.test(error.code)) return operatorsTrouble;
  return {
    problem: {
      status: 502,
      code: 'upstream_failed',
      detail: `The model failed: ${error.message.slice(0, 500)}. ${freeOfCharge} Try again.`,
    },
    again: 'elsewhere',
    unhealthy: true,
  };
};

const tooSlow: Problem = {
  status: 504,
  code: 'upstream_timeout',
  detail: `The model did not answer in time. ${freeOfCharge}`,
};

export const timedOut: Verdict = { problem: tooSlow, again: 'elsewhere', unhealthy: true };

/**
 * `fetch` threw. In a Worker a refused connection and one that was reset after the request had gone look the same, so this
 * is never proof that nothing was sent: the same upstream is not asked again.
 */
export const unreachable: Verdict = {
  problem: {
    status: 502,
    code: 'upstream_unreachable',
    detail: `The model could not be reached. ${freeOfCharge} Try again.`,
  },
  again: 'elsewhere',
  unhealthy: true,
};

/** 200, and then something that is no answer. It may have been generated and billed: another upstream is not asked too. */
export const unusable: Verdict = {
  problem: {
    status: 502,
    code: 'upstream_failed',
    detail: `The model’s answer is unusable, or broke off before it began. ${freeOfCharge} Try again.`,
  },
  again: 'no',
  unhealthy: true,
};

export const operatorsTrouble: Verdict = {
  problem: {
    status: 503,
    code: 'upstream_unavailable',
    detail: `The gateway cannot use its model provider at the moment. ${freeOfCharge} The operator has to mend this.`,
  },
  again: 'elsewhere',
  unhealthy: false,
};
