import type { Config } from '../durable-objects/config.ts';
import { type Refusal, type RefusalCode, refusalHeaders, refusalOf } from '../protocol/identity/refusal.ts';
import type { Problem } from './problem.ts';
import { routePolicy } from './route-policy.ts';

/** A refused signature, as ERC-8128 section 6 wants it told. */
export function signatureProblem(refusal: Refusal): Problem {
  const { code, status, message } = refusal;
  const headers = refusalHeaders(refusal);
  return {
    status,
    code,
    detail: message,
    headers: status === 503 ? { ...headers, 'retry-after': '2' } : headers,
  };
}

/** A signature that the verifier took and the agent's account did not: the same code, status and challenge. */
export const accountSignatureProblem = (
  { config, request }: { readonly config: Config; readonly request: Request },
  code: RefusalCode,
  detail: string,
): Problem =>
  signatureProblem(
    refusalOf(code, detail, routePolicy(config, 'spends'), {
      digest: request.headers.has('content-digest'),
      type: request.headers.has('content-type'),
    }),
  );

/** A refusal of a bearer: RFC 6750's challenge where another token might help, and no retry where it cannot. */
export const sessionKeyProblem = (status: 401 | 403, code: string, detail: string): Problem => ({
  status,
  code,
  detail,
  headers: {
    'x-should-retry': 'false',
    ...(status === 401
      ? { 'www-authenticate': `Bearer error="invalid_token", error_description="${code}"` }
      : {}),
  },
});
