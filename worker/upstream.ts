import { ok, type Result, refuse } from '../protocol/result.ts';
import type { Call } from './call.ts';
import type { Problem } from './problem.ts';

/** Upstream must have sent its headers by then. */
const firstByteTimeoutMs = 120_000;
/** Of an error's body no more than this is read. */
const errorBytesMax = 64 * 1024;

/**
 * Sends the priced body upstream. Only headers made here go up: nothing the agent sent, least of all its signature.
 * A refusal means upstream took nothing for it: the hold is released.
 */
export async function forward(
  call: Call,
  body: Uint8Array,
  signal: AbortSignal,
): Promise<Result<Response, Problem>> {
  const { baseUrl } = call.config.upstream;
  const headersDue = new AbortController();
  const timer = setTimeout(() => headersDue.abort(), firstByteTimeoutMs);
  let response: Response;
  try {
    response = await fetch(`${baseUrl}/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${call.env.QWEN_API_KEY}`,
        'content-type': 'application/json',
        'x-request-id': call.id,
      },
      body,
      redirect: 'manual',
      signal: AbortSignal.any([signal, headersDue.signal]),
    });
  } catch {
    return refuse(
      headersDue.signal.aborted
        ? {
            status: 504,
            code: 'upstream_timeout',
            detail: 'The model did not begin to answer in time. Nothing was charged.',
          }
        : {
            status: 502,
            code: 'upstream_unreachable',
            detail: 'The model could not be reached. Nothing was charged. Try again.',
          },
    );
  } finally {
    clearTimeout(timer);
  }
  return response.ok ? ok(response) : refuse(await problemOfUpstream(response));
}

/** Codes of failures that come as 429 but are about the operator's bill: retrying cannot help the agent. */
const billingCodes =
  /^(PrepaidBillOverdue|PostpaidBillOverdue|CommodityNotPurchased|insufficient_quota|Arrearage)/;

/**
 * Upstream's refusal, in words for the agent. What concerns the operator's account with upstream (its key, its bill) is
 * not the agent's business and is reported as unavailability.
 */
async function problemOfUpstream(response: Response): Promise<Problem> {
  const { code, message } = await readError(response);
  const said = message ? `: ${message}` : '';
  switch (response.status) {
    case 400:
    case 413:
    case 422:
      return {
        status: 400,
        code: code ?? 'upstream_refused',
        detail: `The model refused the request${said}`,
      };
    case 404:
      return {
        status: 404,
        code: 'model_not_found',
        param: 'model',
        detail: 'Upstream does not have this model now. Nothing was charged.',
      };
    case 429:
      if (code !== undefined && billingCodes.test(code)) break;
      return {
        status: 429,
        code: 'upstream_rate_limited',
        detail: 'The model is busy. Nothing was charged. Try again a little later.',
        headers: { 'retry-after': response.headers.get('retry-after') ?? '2' },
      };
    case 401:
    case 403:
      break;
    default:
      if (response.status < 500) break;
      return {
        status: 502,
        code: 'upstream_failed',
        detail: `The model failed (${response.status}). Nothing was charged. Try again.`,
      };
  }
  return {
    status: 503,
    code: 'upstream_unavailable',
    detail:
      'The gateway cannot use its model provider at the moment. Nothing was charged. The operator has to mend this.',
  };
}

/** Every dialect's error body: `{error:{code,message}}`, or the same without the wrapper (SGLang). */
async function readError(response: Response): Promise<{ code?: string; message?: string }> {
  try {
    const text = (await response.text()).slice(0, errorBytesMax);
    const json = JSON.parse(text) as { error?: unknown; code?: unknown; message?: unknown };
    const error = (typeof json.error === 'object' && json.error !== null ? json.error : json) as {
      code?: unknown;
      message?: unknown;
    };
    return {
      ...(typeof error.code === 'string' ? { code: error.code.slice(0, 100) } : {}),
      ...(typeof error.message === 'string' ? { message: error.message.slice(0, 1000) } : {}),
    };
  } catch {
    return {}; // not JSON: the status has to say it all
  }
}
