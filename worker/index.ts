import { type IRequestStrict, Router } from 'itty-router';
import type { Env } from '../durable-objects/env.ts';
import { account, putVoucher, receipt, receiptProof, receipts } from './account-routes.ts';
import { type Call, callOf } from './call.ts';
import { completions, embeddings, responses } from './completions.ts';
import { consoleFile } from './console-file.ts';
import { count } from './counting.ts';
import { FloodGuard } from './flood-guard.ts';
import { headerProblem } from './header-limit.ts';
import { createKey, deleteKey, invalidateSignatures, listKeys } from './keys-routes.ts';
import { mcp, mcpElsewise } from './mcp.ts';
import { noteResponse } from './measured.ts';
import { isOperatorPath, operatorRoute } from './operator/operator-routes.ts';
import { type Problem, problemResponse } from './problem.ts';
import { checkpoint, deployment, erc8128, health, models, priceList, tile } from './public-routes.ts';
import { quote } from './quote.ts';

export { AgentAccount } from '../durable-objects/account/agent-account.ts';
export { Chain } from '../durable-objects/chain/chain.ts';
export { Counters } from '../durable-objects/counters/counters.ts';
export { LogIntake } from '../durable-objects/log/log-intake.ts';
export { ReceiptLog } from '../durable-objects/log/receipt-log.ts';
export { Publisher } from '../durable-objects/publisher/publisher.ts';

type Routed = IRequestStrict & { params: Record<string, string> };

const router = Router<Routed, [Call]>()
  .post('/v1/chat/completions', (_, call) => completions(call))
  .post('/v1/embeddings', (_, call) => embeddings(call))
  .post('/v1/responses', (_, call) => responses(call))
  .post('/mcp', (_, call) => mcp(call))
  .all('/mcp', (_, call) => mcpElsewise(call))
  .post('/v1/quote', (_, call) => quote(call))
  .get('/v1/models', (_, call) => models(call))
  .get('/v1/prices', (_, call) => priceList(call))
  .get('/v1/account', (_, call) => account(call))
  .put('/v1/account/voucher', (_, call) => putVoucher(call))
  .post('/v1/keys', (_, call) => createKey(call))
  .get('/v1/keys', (_, call) => listKeys(call))
  .post('/v1/signatures/invalidate', (_, call) => invalidateSignatures(call))
  .delete('/v1/keys/:id', ({ params }, call) => deleteKey(call, params['id'] ?? ''))
  .get('/v1/receipts', (_, call) => receipts(call))
  .get('/v1/receipts/:sequence', ({ params }, call) => receipt(call, params['sequence'] ?? ''))
  .get('/v1/receipts/:sequence/proof', ({ params }, call) => receiptProof(call, params['sequence'] ?? ''))
  .get('/log/checkpoint', (_, call) => checkpoint(call))
  .get('/log/tile/:path+', ({ params }, call) => tile(call, `tile/${params['path'] ?? ''}`))
  .get('/healthz', (_, call) => health(call))
  .get('/.well-known/tallystick', (_, call) => deployment(call))
  .get('/.well-known/erc8128', (_, call) => erc8128(call))
  .get('/', (_, call) => consoleFile(call))
  .get('/assets/:file', (_, call) => consoleFile(call))
  .all('*', (_, call) =>
    problemResponse(
      {
        status: 404,
        code: 'not_found',
        detail: `There is no ${call.request.method} ${call.url.pathname} here. The README lists the routes.`,
      },
      call.id,
      call.url.pathname.startsWith('/v1/'),
    ),
  );

const guard = new FloodGuard();

export default {
  async fetch(request, env, context): Promise<Response> {
    const id = crypto.randomUUID();
    const nowMs = Date.now();
    const { pathname } = new URL(request.url);
    const refused = (problem: Problem) => problemResponse(problem, id, pathname.startsWith('/v1/'));
    // The platform's word for who is calling; without it (a local stack) there is nobody to hold anything against.
    const address = request.headers.get('cf-connecting-ip');
    const flood = guard.refusal(address, nowMs);
    if (flood) {
      count('tallystick_refusals_total', { reason: flood.code });
      return refused(flood);
    }
    let response: Response;
    try {
      const headers = headerProblem(request.headers);
      if (headers) {
        count('tallystick_refusals_total', { reason: headers.code });
        response = refused(headers);
      } else if (isOperatorPath(pathname)) {
        response = await operatorRoute(request, env, id);
      } else {
        const call = callOf(request, env, context, id);
        response =
          (await router.fetch(request as unknown as Routed, call)) ?? new Response(null, { status: 404 });
        noteResponse(call, response);
      }
    } catch (error) {
      console.error(JSON.stringify({ event: 'failed', requestId: id, error: String(error) }));
      response = refused(isHalfConfigured(error) ? notConfigured : internalError(id));
      count('tallystick_requests_total', { route: 'failed', status: `${response.status}` });
    }
    guard.note(address, response.status, Date.now());
    if (!response.headers.has('x-request-id')) response.headers.set('x-request-id', id);
    return response;
  },
} satisfies ExportedHandler<Env>;

const internalError = (id: string): Problem => ({
  status: 500,
  code: 'internal_error',
  detail: `Something went wrong here. Nothing was charged that has no receipt. Quote request ${id}.`,
});

/** What is wrong with it is in the log, and in what the operator's doctor says. */
const notConfigured: Problem = {
  status: 503,
  code: 'not_configured',
  detail:
    'This gateway is not configured as it should be. Nothing was charged. Its operator can ask tallystick doctor.',
};

const isHalfConfigured = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith('configuration:');
