// POST /v1/quote: what a chat completion would cost at most, in lines, signed. Open to anyone: prices are public.
import { sha256Hex } from '../compiled/platform-hashes.ts';
import { type ChainConfig, chainOf, receiptKeyAt } from '../durable-objects/config.ts';
import { quoteToJson, signQuote } from '../protocol/money/quote.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import { readBody } from './body.ts';
import type { Call } from './call.ts';
import { pricesOf } from './chain-prices.ts';
import { readChatRequest } from './chat-request.ts';
import { json } from './json-response.ts';
import { type Problem, problemResponse } from './problem.ts';
import { defaultRequestLimits } from './request-limits.ts';

/** A quote stands this long. Prices are raised no sooner than this after the last one by the old table. */
const validSeconds = 300n;

export async function quote(call: Call): Promise<Response> {
  const chain = chainAsked(call);
  if (!chain.ok) return problemResponse(chain.error, call.id, true);
  const body = await readBody(call.request, defaultRequestLimits.maxBodyBytes);
  if (!body.ok) return problemResponse(body.error, call.id, true);
  const { table, hash } = pricesOf(chain.value);
  const priced = readChatRequest(body.value, table);
  if (!priced.ok) return problemResponse({ ...priced.error, detail: priced.error.message }, call.id, true);

  const now = BigInt(Math.floor(call.now() / 1000));
  const { model, ceiling, inputBound, outputBound, thinkingPossible, price } = priced.value;
  const signed = signQuote(
    {
      chainId: BigInt(chain.value.chainId),
      vault: chain.value.vault,
      requestHash: await sha256Hex(body.value),
      model,
      priceTable: hash,
      ceiling,
      validUntil: now + validSeconds,
    },
    receiptKeyAt(call.env, now),
  );
  return json(call, {
    ...quoteToJson(signed),
    lines: {
      asset: table.asset,
      perTokens: 1_000_000,
      inputTokensMax: `${inputBound}`,
      outputTokensMax: `${outputBound}`,
      thinkingPossible,
      tiers: price.tiers,
    },
  });
}

/** The chain a public question is about: `?chainId=`, else the home chain. */
export function chainAsked(call: Call): Result<ChainConfig, Problem> {
  const said = call.url.searchParams.get('chainId');
  const chain = chainOf(call.config, said === null ? call.config.log.chainId : Number(said));
  if (chain) return ok(chain);
  return refuse({
    status: 400,
    code: 'unsupported_chain',
    param: 'chainId',
    detail: `Chains served here: ${call.config.chains.map(({ chainId }) => chainId).join(', ')}.`,
  });
}
