import type { PriceTable } from '../protocol/price-table.ts';
import { ceilingCost } from '../protocol/pricing.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import { messagesFault } from './chat-messages.ts';
import { allowedParameters, refusedParameters } from './chat-parameters.ts';
import { responseFormatFault, toolChoiceFault, toolsFault } from './chat-tools.ts';
import { isJsonObject, type JsonObject, type JsonValue, numberOf } from './json.ts';
import { limitParameters, readOutputLimit } from './output-limit.ts';
import { type PricedRequest, readBodyOf, readModel } from './priced-request.ts';
import { emptyPrompt } from './prompt-weight.ts';
import { defaultRequestLimits, type RequestLimits } from './request-limits.ts';
import { invalid, type RequestRefusal, wholeNumber } from './request-refusal.ts';

const maxSamples = 4;

/**
 * Reads the body of `POST /v1/chat/completions`: parses it once, refuses what has no bound, sets the limits, and says what
 * it may cost at most. Pure.
 */
export function readChatRequest(
  bytes: Uint8Array,
  table: PriceTable,
  limits: RequestLimits = defaultRequestLimits,
): Result<PricedRequest, RequestRefusal> {
  const read = readBodyOf(bytes, limits, allowedParameters, refusedParameters);
  if (!read.ok) return read;
  const said = read.value;
  const chosen = readModel(said, table, 'chat');
  if (!chosen.ok) return chosen;
  const { model, price } = chosen.value;

  const stream = said.get('stream') === true;
  const includeUsage = readStreamOptions(said.get('stream_options'), stream);
  if (!includeUsage.ok) return includeUsage;

  const samples = said.get('n') === undefined ? 1 : wholeNumber(said.get('n'), 1, maxSamples);
  if (samples === undefined) return refuse(invalid('n', `A whole number from 1 to ${maxSamples}.`));

  const output = readOutputLimit(said, price);
  if (!output.ok) return output;

  const weight = emptyPrompt();
  const fault =
    messagesFault(said.get('messages'), limits, weight, price) ??
    toolsFault(said.get('tools'), limits, weight) ??
    toolChoiceFault(said.get('tool_choice'), weight) ??
    responseFormatFault(said.get('response_format'), weight);
  if (fault) return refuse(fault);

  if (said.get('vl_high_resolution_images') !== undefined && price.maxImageTokens === undefined)
    return refuse(invalid('vl_high_resolution_images', 'This model takes no images. Leave it out.'));
  const tooLong = answerFault(said, stream, samples, output.value.limit);
  if (tooLong) return refuse(tooLong);

  // Model Studio bills a prompt once however many samples it answers with. Other servers need not: the safe side.
  const inputBound = BigInt(weight.bound) * BigInt(samples);
  const outputBound = BigInt(output.value.limit + output.value.overrun) * BigInt(samples);
  const thinkingPossible = output.value.thinking;

  for (const name of limitParameters) said.delete(name);
  for (const [name, value] of Object.entries(output.value.parameters)) said.set(name, value);
  if (stream) said.set('stream_options', new Map([['include_usage', true]]));

  return ok({
    endpoint: 'chat/completions',
    model,
    price,
    stream,
    includeUsage: includeUsage.value,
    n: samples,
    outputLimit: output.value.limit,
    inputBound,
    outputBound,
    thinkingPossible,
    promptBytes: BigInt(weight.bytes),
    ceiling: ceilingCost(price, { inputBound, outputBound, thinkingPossible }),
    body: said,
  });
}

/** What a sampled token takes in a JSON answer with the tokens it was chosen among: text, bytes and a number for each. */
const logprobBytes = 160;
/** Whole answers are held in memory. */
const wholeAnswerBytesMax = 12 * 1_024 * 1_024;

/** An answer that has to be held whole, with the log probabilities of every token, has to fit. */
function answerFault(
  said: JsonObject,
  stream: boolean,
  samples: number,
  outputLimit: number,
): RequestRefusal | undefined {
  if (stream || said.get('logprobs') !== true) return undefined;
  const shown = 1 + (numberOf(said.get('top_logprobs')) ?? 0);
  if (samples * outputLimit * shown * logprobBytes <= wholeAnswerBytesMax) return undefined;
  return invalid(
    'top_logprobs',
    'An answer of this length with log probabilities does not fit. Stream it, or lower max_tokens, n or top_logprobs.',
  );
}

function readStreamOptions(options: JsonValue | undefined, stream: boolean): Result<boolean, RequestRefusal> {
  if (options === undefined) return ok(false);
  if (!stream) return refuse(invalid('stream_options', 'Only with "stream": true. Leave it out.'));
  if (!isJsonObject(options)) return refuse(invalid('stream_options', 'An object.'));
  for (const [name, value] of options) {
    const param = `stream_options.${name.slice(0, 128)}`;
    if (name !== 'include_usage')
      return refuse({
        status: 400,
        code: 'unsupported_parameter',
        param,
        message: 'The only stream option here is include_usage. Leave it out.',
      });
    if (typeof value !== 'boolean' && value !== null) return refuse(invalid(param, 'true or false.'));
  }
  return ok(options.get('include_usage') === true);
}
