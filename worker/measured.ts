// What is counted and written about a call, when its end is known: series for /metrics, a point for Analytics Engine, a line in
// the log. Models, upstreams and reasons; never a prompt, an answer, a key or an agent.
import type { ChainConfig } from '../durable-objects/config.ts';
import { usdPer0g } from '../protocol/prices.ts';
import type { Usage } from '../protocol/pricing.ts';
import type { Receipt } from '../protocol/receipt.ts';
import type { Call } from './call.ts';
import { count, handOverSoon } from './counting.ts';
import { reasonHeader } from './reason-header.ts';
import { upstreamsOf } from './upstreams/configured.ts';
import { parseUsd, upstreamCost, usdOf, usdUnits } from './upstreams/upstream-cost.ts';

/** Routes as series know them: a path of an agent's making is none. */
const routes = [
  '/v1/chat/completions',
  '/v1/embeddings',
  '/v1/responses',
  '/v1/quote',
  '/v1/account',
  '/v1/receipts',
  '/v1/keys',
  '/v1/signatures',
  '/v1/models',
  '/v1/prices',
  '/mcp',
  '/log',
  '/healthz',
  '/.well-known',
];

const routeOf = (path: string): string =>
  routes.find((route) => path === route || path.startsWith(`${route}/`)) ?? 'other';

/** A response that is about to leave. */
export function noteResponse(call: Call, response: Response): void {
  const route = routeOf(call.url.pathname);
  const { status } = response;
  const reason = response.headers.get(reasonHeader) ?? undefined;
  count('tallystick_requests_total', { route, status: `${status}` });
  if (reason !== undefined) {
    count('tallystick_refusals_total', { reason });
    point(call, { route, outcome: 'refused', reason });
  }
  if (status >= 500) {
    console.warn(JSON.stringify({ event: 'refused', requestId: call.id, route, status, reason }));
  }
  handOverSoon(call.env, call.waitUntil);
}

/** A call that was charged. */
export function noteCapture(
  call: Call,
  chain: ChainConfig,
  receipt: Receipt,
  used: { readonly usage: Usage; readonly upstream: string },
  cost: bigint,
): void {
  const { model, amount } = receipt;
  const { usage, upstream } = used;
  const chainId = `${chain.chainId}`;
  const rate = parseUsd(chain.usdPerAsset ?? usdPer0g) ?? 0n;
  const revenue = usdOf(amount, rate, chain.asset.decimals);
  const costs = upstreamsOf(call.env)
    .find(({ name }) => name === upstream)
    ?.costs?.get(model);
  const spent = costs && upstreamCost(costs, usage);

  count('tallystick_captures_total', { model, upstream, estimated: `${usage.estimated}` });
  for (const kind of ['input', 'cachedInput', 'output', 'thinking'] as const)
    count('tallystick_tokens_total', { model, kind }, usage[kind]);
  count('tallystick_revenue_base_units_total', { chain: chainId, model }, amount);
  count('tallystick_revenue_usd_total', { model }, revenue);
  if (spent !== undefined) {
    count('tallystick_upstream_cost_usd_total', { model, upstream }, spent);
    count('tallystick_margin_usd', { model }, revenue - spent);
  }
  if (amount < cost) countUncollected(call, chain, upstream, cost - amount);

  point(call, {
    route: routeOf(call.url.pathname),
    outcome: 'captured',
    model,
    upstream,
    chain: chainId,
    usage,
    revenue,
    spent,
  });
  console.log(
    JSON.stringify({
      event: 'captured',
      requestId: call.id,
      model,
      upstream,
      upstreamId: receipt.upstreamId,
      input: Number(usage.input),
      output: Number(usage.output),
      estimated: usage.estimated,
      amount: `${amount}`,
      chainId: chain.chainId,
    }),
  );
  handOverSoon(call.env, call.waitUntil);
}

/** A call whose account could not be told what it cost. It expires uncharged, unless the account heard and only its answer was lost. */
export function noteUncaptured(call: Call, chain: ChainConfig, upstream: string, cost: bigint): void {
  countUncollected(call, chain, upstream, cost);
  handOverSoon(call.env, call.waitUntil);
}

function countUncollected(call: Call, { chainId }: ChainConfig, upstream: string, amount: bigint): void {
  count('tallystick_uncollected_base_units_total', { chain: `${chainId}`, upstream }, amount);
  console.warn(
    JSON.stringify({ event: 'uncollected', requestId: call.id, upstream, chainId, amount: `${amount}` }),
  );
}

type Point = {
  readonly route: string;
  readonly outcome: 'captured' | 'refused';
  readonly reason?: string;
  readonly model?: string;
  readonly upstream?: string;
  readonly chain?: string;
  readonly usage?: Usage;
  readonly revenue?: bigint;
  readonly spent?: bigint | undefined;
};

/**
 * Analytics Engine, where the binding is there. index: model. blobs: route, outcome, reason, model, upstream, chain, request
 * id. doubles: 1, input, cached input, output, thinking, revenue in USD, upstream cost in USD (-1 where not configured).
 */
function point(call: Call, said: Point): void {
  const { route, outcome, reason = '', model = '', upstream = '', chain = '', usage, revenue, spent } = said;
  call.env.ANALYTICS?.writeDataPoint({
    indexes: [model],
    blobs: [route, outcome, reason, model, upstream, chain, call.id],
    doubles: [
      1,
      Number(usage?.input ?? 0n),
      Number(usage?.cachedInput ?? 0n),
      Number(usage?.output ?? 0n),
      Number(usage?.thinking ?? 0n),
      Number(revenue ?? 0n) / Number(usdUnits),
      spent === undefined ? -1 : Number(spent) / Number(usdUnits),
    ],
  });
}
