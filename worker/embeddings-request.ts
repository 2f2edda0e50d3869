import type { PriceTable } from '../protocol/price-table.ts';
import { ceilingCost } from '../protocol/pricing.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import { allowedInEmbeddings, refusedInEmbeddings } from './embeddings-parameters.ts';
import { isJsonArray } from './json.ts';
import { type PricedRequest, readBodyOf, readModel } from './priced-request.ts';
import { addText, emptyPrompt } from './prompt-weight.ts';
import { defaultRequestLimits, type RequestLimits } from './request-limits.ts';
import { invalid, type RequestRefusal } from './request-refusal.ts';

/** Model Studio's batch. */
const maxTexts = 10;
/** What a tokeniser adds to a text: an end mark, and room. */
const perText = 8;

/**
 * Reads the body of `POST /v1/embeddings`. An embedding has no output tokens: what it costs at most is the length of its
 * texts.
 */
export function readEmbeddingsRequest(
  bytes: Uint8Array,
  table: PriceTable,
  limits: RequestLimits = defaultRequestLimits,
): Result<PricedRequest, RequestRefusal> {
  const read = readBodyOf(bytes, limits, allowedInEmbeddings, refusedInEmbeddings);
  if (!read.ok) return read;
  const said = read.value;
  const chosen = readModel(said, table, 'embeddings');
  if (!chosen.ok) return chosen;
  const { model, price } = chosen.value;

  const input = said.get('input');
  const texts = isJsonArray(input) ? input : [input];
  if (texts.length === 0 || texts.length > maxTexts)
    return refuse(invalid('input', `A text, or a list of 1 to ${maxTexts} texts.`));
  const weight = emptyPrompt();
  for (const [index, text] of texts.entries()) {
    if (typeof text !== 'string' || text === '')
      return refuse(
        invalid(isJsonArray(input) ? `input[${index}]` : 'input', 'A text of at least one character.'),
      );
    addText(weight, [text]);
    weight.bound += perText;
  }
  const encoding = said.get('encoding_format');
  if (encoding !== undefined && encoding !== 'float' && encoding !== 'base64')
    return refuse(invalid('encoding_format', 'float or base64.'));

  const bound = { inputBound: BigInt(weight.bound), outputBound: 0n, thinkingPossible: false };
  return ok({
    endpoint: 'embeddings',
    model,
    price,
    stream: false,
    includeUsage: false,
    n: 1,
    outputLimit: 0,
    ...bound,
    promptBytes: BigInt(weight.bytes),
    ceiling: ceilingCost(price, bound),
    body: said,
  });
}
