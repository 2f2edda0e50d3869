import type { ModelPrice } from '../protocol/price-table.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import type { JsonObject } from './json.ts';
import { invalid, type RequestRefusal, wholeNumber } from './request-refusal.ts';

/** The parameters this file decides about, and replaces upstream. */
export const limitParameters = [
  'max_tokens',
  'max_completion_tokens',
  'thinking_budget',
  'enable_thinking',
] as const;

export type OutputLimit = {
  /** Tokens per sample that `parameters` let upstream generate. */
  readonly limit: number;
  /** Tokens per sample that upstream may generate beyond that. */
  readonly overrun: number;
  readonly thinking: boolean;
  /** What replaces the client's limit parameters upstream. */
  readonly parameters: { readonly [name: string]: number | boolean };
};

/** Model Studio says an output may run over its limit by up to 10 tokens. */
const overrunPerLimit = 16;

/**
 * Bounds the output of a body (its parameters, nulls left out). Some limit always goes upstream, and what the model can think about is always bounded by it.
 *
 * `max_tokens` means the answer, `max_completion_tokens` answer and thinking together, as in Model Studio, whichever of
 * them the model itself understands. A thinking budget nobody stated is the model's default output length.
 */
export function readOutputLimit(body: JsonObject, price: ModelPrice): Result<OutputLimit, RequestRefusal> {
  const asked = body.get('enable_thinking');
  if (asked !== undefined && typeof asked !== 'boolean')
    return refuse(invalid('enable_thinking', 'true or false.'));
  for (const name of price.thinking === 'none' ? ['enable_thinking', 'thinking_budget'] : []) {
    const said = body.get(name) ?? false;
    if (said !== false)
      return refuse(invalid(name, 'This model does not think. Leave it out, or choose one that does.'));
  }
  const thinking = asked ?? price.thinking === 'on';

  const read = (name: string, most: number): Result<number | undefined, RequestRefusal> => {
    const said = body.get(name);
    if (said === undefined) return ok(undefined);
    const value = wholeNumber(said, 1, most);
    return value === undefined
      ? refuse(
          invalid(
            name,
            `A whole number from 1 to ${most}, the most this model writes. Lower it, or leave it out.`,
          ),
        )
      : ok(value);
  };
  const answer = read('max_tokens', price.maxOutputTokens);
  if (!answer.ok) return answer;
  const total = read(
    'max_completion_tokens',
    price.maxOutputTokens + (thinking ? price.maxThinkingTokens : 0),
  );
  if (!total.ok) return total;
  const budget = read('thinking_budget', price.maxThinkingTokens);
  if (!budget.ok) return budget;

  // A limit on the answer of a model that thinks cannot be said with the total alone, and a server need not take both
  // parameters at once: then the answer and the thinking are limited apart, as on a model without a total.
  const together =
    price.outputLimitParameter === 'max_completion_tokens' && !(thinking && answer.value !== undefined);
  const limits = together
    ? limitTogether(answer.value, total.value, budget.value, thinking, price)
    : limitApart(answer.value, total.value, budget.value, thinking, price);
  if (!limits.ok) return limits;

  // Said even where the client said nothing, so that upstream's default cannot change behind the price.
  const mode = price.thinking === 'none' ? {} : { enable_thinking: thinking };
  return ok({ ...limits.value, thinking, parameters: { ...limits.value.parameters, ...mode } });
}

type Limits = Omit<OutputLimit, 'thinking'>;

/** One parameter bounds thinking and answer. */
function limitTogether(
  answer: number | undefined,
  total: number | undefined,
  budget: number | undefined,
  thinking: boolean,
  price: ModelPrice,
): Result<Limits, RequestRefusal> {
  const thought = thinking ? (budget ?? defaultBudget(price)) : 0;
  const written = answer ?? price.defaultOutputTokens;
  const limit = Math.min(total ?? written + thought, thinking ? Infinity : (answer ?? Infinity));
  return ok({
    limit,
    overrun: overrunPerLimit,
    parameters: {
      max_completion_tokens: limit,
      ...(thinking && budget !== undefined ? { thinking_budget: budget } : {}),
    },
  });
}

/** `max_tokens` bounds the answer and `thinking_budget` the thinking: a total has to be divided between them. */
function limitApart(
  answer: number | undefined,
  total: number | undefined,
  budget: number | undefined,
  thinking: boolean,
  price: ModelPrice,
): Result<Limits, RequestRefusal> {
  if (!thinking) {
    const limit = Math.min(answer ?? total ?? price.defaultOutputTokens, total ?? price.maxOutputTokens);
    return ok({ limit, overrun: overrunPerLimit, parameters: { max_tokens: limit } });
  }
  let thought = budget ?? defaultBudget(price);
  let written = answer ?? price.defaultOutputTokens;
  if (total !== undefined) {
    if (total < 2 || (budget !== undefined && budget >= total))
      return refuse(
        invalid(
          'max_completion_tokens',
          'It holds thinking and answer: raise it above thinking_budget (or above 1).',
        ),
      );
    written = Math.min(
      answer ?? price.maxOutputTokens,
      price.maxOutputTokens,
      total - (budget ?? Math.floor(total / 2)),
    );
    thought = Math.min(budget ?? price.maxThinkingTokens, total - written);
  }
  return ok({
    limit: written + thought,
    // Either of the two may be overrun.
    overrun: 2 * overrunPerLimit,
    parameters: { max_tokens: written, thinking_budget: thought },
  });
}

const defaultBudget = (price: ModelPrice): number =>
  Math.min(price.maxThinkingTokens, price.defaultOutputTokens);
