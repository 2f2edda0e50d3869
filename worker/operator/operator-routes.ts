// What only the operator may read. Before the configuration is looked at: a deployment that is badly configured is what the
// doctor is for.
import type { Env } from '../../durable-objects/env.ts';
import { problemResponse } from '../problem.ts';
import { metricsText } from './metrics.ts';
import { operatorSummary } from './operator-summary.ts';
import { operatorProblem } from './operator-token.ts';
import { selfExamination } from './self-examination.ts';

const doctorPath = '/operator/doctor';
const summaryPath = '/operator/summary';

const isDoctorPath = (path: string): boolean => path === doctorPath || path.startsWith(`${doctorPath}/`);

export const isOperatorPath = (path: string): boolean =>
  path === '/metrics' || path === summaryPath || isDoctorPath(path);

/** Answers a request for an {@link isOperatorPath}. */
export async function operatorRoute(request: Request, env: Env, callId: string): Promise<Response> {
  const problem = operatorProblem(request, env);
  if (problem) return problemResponse(problem, callId, false);
  const headers = { 'cache-control': 'no-store', 'x-request-id': callId };
  const { pathname } = new URL(request.url);
  if (pathname === summaryPath) return Response.json(await operatorSummary(env, Date.now()), { headers });
  if (isDoctorPath(pathname)) {
    return Response.json(await selfExamination(request.url, env, Date.now()), { headers });
  }
  return new Response(await metricsText(env, Date.now()), {
    headers: { ...headers, 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
  });
}
