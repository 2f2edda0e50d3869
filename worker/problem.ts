import { reasonHeader } from './reason-header.ts';

/** Why a call was refused: RFC 9457 problem details, and under `/v1` also the `error` member OpenAI's clients read. */
export type Problem = {
  readonly status: number;
  /** Stable, snake_case: what programs switch on. */
  readonly code: string;
  /** What was wrong and what to do about it. Never a secret, never another party's data. */
  readonly detail: string;
  /** The request member at fault, as OpenAI names it. */
  readonly param?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** More members for programs: figures, limits. */
  readonly more?: Readonly<Record<string, unknown>>;
};

/** OpenAI's error types by status. */
function errorType(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 402) return 'insufficient_quota';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

export function problemBody(problem: Problem, callId: string, openai: boolean): Record<string, unknown> {
  const { status, code, detail, param = null } = problem;
  return {
    type: 'about:blank',
    title: code.replaceAll('_', ' '),
    status,
    detail,
    reason: code,
    requestId: callId,
    ...problem.more,
    ...(openai ? { error: { message: detail, type: errorType(status), param, code } } : {}),
  };
}

export function problemResponse(problem: Problem, callId: string, openai: boolean): Response {
  return new Response(JSON.stringify(problemBody(problem, callId, openai)), {
    status: problem.status,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      'x-request-id': callId,
      [reasonHeader]: problem.code,
      ...problem.headers,
    },
  });
}
