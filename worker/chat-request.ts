import { type ModelPrice, type PriceTable, priceOf } from '../protocol/price-table.ts';
import { ceilingCost } from '../protocol/pricing.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import { messagesFault } from './chat-messages.ts';
import { allowedParameters, type ParameterRule, refusedParameters } from './chat-parameters.ts';
import { responseFormatFault, toolChoiceFault, toolsFault } from './chat-tools.ts';
import {
  isJsonArray,
  isJsonObject,
  type JsonFault,
  type JsonObject,
  type JsonValue,
  numberOf,
  numberText,
  parseJson,
  serializeJson,
} from './json.ts';
import { limitParameters, readOutputLimit } from './output-limit.ts';
import { emptyPrompt, utf8Length } from './prompt-weight.ts';
import { defaultRequestLimits, type RequestLimits } from './request-limits.ts';
import { invalid, type RequestRefusal, wholeNumber } from './request-refusal.ts';

/** A chat completion that may be priced, and the body that goes upstream for it. */
export type ChatRequest = {
  readonly model: string;
  readonly price: ModelPrice;
  readonly stream: boolean;
  /** Whether the client asked for the usage chunk. Upstream is always asked. */
  readonly includeUsage: boolean;
  /** Samples. */
  readonly n: number;
  /** Tokens each sample may have, thinking included: what the forwarded limits add up to. */
  readonly outputLimit: number;
  /** The most input tokens that can be charged. */
  readonly inputBound: bigint;
  /** The most output tokens that can be charged, thinking included. */
  readonly outputBound: bigint;
  readonly thinkingPossible: boolean;
  /** UTF-8 bytes of the prompt as the client wrote it: the basis of an estimate, never of the ceiling. */
  readonly promptBytes: bigint;
  /** The most this request may cost, in base units. */
  readonly ceiling: bigint;
  /** The body to send upstream: our serialisation of what was parsed and priced. */
  readonly forwarded: Uint8Array;
};

const maxSamples = 4;

/**
 * Reads the body of `POST /v1/chat/completions`: parses it once, refuses what has no bound, sets the limits, and says what
 * it may cost at most. Pure.
 */
export function readChatRequest(
  bytes: Uint8Array,
  table: PriceTable,
  limits: RequestLimits = defaultRequestLimits,
): Result<ChatRequest, RequestRefusal> {
  if (bytes.length > limits.maxBodyBytes)
    return refuse({
      status: 413,
      code: 'body_too_large',
      param: null,
      message: `The body has ${bytes.length} bytes; at most ${limits.maxBodyBytes} are read. Send a shorter prompt.`,
    });
  const parsed = parseJson(bytes);
  if (!parsed.ok) return refuse(jsonRefusal(parsed.error));
  if (!isJsonObject(parsed.value)) return refuse(invalid(null, 'The body must be a JSON object.'));

  // A null says nothing, as in the OpenAI API: it is dropped rather than sent on.
  const said = new Map([...parsed.value].filter(([, value]) => value !== null));
  const stranger = parameterFault(said);
  if (stranger) return refuse(stranger);

  const model = said.get('model');
  if (typeof model !== 'string') return refuse(invalid('model', 'Name a model.'));
  const price = priceOf(table, model);
  if (!price)
    return refuse({
      status: 404,
      code: 'model_not_found',
      param: 'model',
      message: `The model ${JSON.stringify(model.slice(0, 128))} has no price here. GET /v1/models lists the ones that have.`,
    });

  const stream = said.get('stream') === true;
  const includeUsage = readStreamOptions(said.get('stream_options'), stream);
  if (!includeUsage.ok) return includeUsage;

  const samples = said.get('n') === undefined ? 1 : wholeNumber(said.get('n'), 1, maxSamples);
  if (samples === undefined) return refuse(invalid('n', `A whole number from 1 to ${maxSamples}.`));

  const output = readOutputLimit(said, price);
  if (!output.ok) return output;

  const weight = emptyPrompt();
  const fault =
    messagesFault(said.get('messages'), limits, weight) ??
    toolsFault(said.get('tools'), limits, weight) ??
    toolChoiceFault(said.get('tool_choice'), weight) ??
    responseFormatFault(said.get('response_format'), weight);
  if (fault) return refuse(fault);

  // Model Studio bills a prompt once however many samples it answers with. Other servers need not: the safe side.
  const inputBound = BigInt(weight.bound) * BigInt(samples);
  const outputBound = BigInt(output.value.limit + output.value.overrun) * BigInt(samples);
  const thinkingPossible = output.value.thinking;

  for (const name of limitParameters) said.delete(name);
  for (const [name, value] of Object.entries(output.value.parameters)) said.set(name, value);
  if (stream) said.set('stream_options', new Map([['include_usage', true]]));

  return ok({
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
    forwarded: new TextEncoder().encode(serializeJson(said)),
  });
}

const jsonReasons: { readonly [reason in JsonFault['reason']]: string } = {
  invalid_utf8: 'is not UTF-8. Send UTF-8',
  byte_order_mark: 'is a byte order mark. Send UTF-8 without one',
  syntax: 'is not JSON. Send one JSON object and nothing after it',
  duplicate_key:
    'is a name that was already used in the same object. Parsers disagree on which one counts; send it once',
  forbidden_key: 'is a name that is not accepted anywhere. Rename it',
  lone_surrogate: 'is a string with half a surrogate pair, which has no UTF-8. Cut text between characters',
  too_deep: 'is nested deeper than 64 levels. Flatten it',
};

function jsonRefusal(fault: JsonFault): RequestRefusal {
  const key = fault.key === undefined ? '' : ` (${JSON.stringify(fault.key.slice(0, 128))})`;
  return {
    status: 400,
    code: fault.reason === 'duplicate_key' ? 'duplicate_key' : 'invalid_json',
    param: null,
    message: `What starts at byte ${fault.at} of the body${key} ${jsonReasons[fault.reason]}.`,
  };
}

/** The first parameter that is unknown, or outside the range the allow-list gives. */
function parameterFault(body: JsonObject): RequestRefusal | undefined {
  for (const [name, value] of body) {
    const allowed = allowedParameters.get(name);
    if (!allowed) {
      const shown = name.slice(0, 128);
      const reason =
        refusedParameters.get(name) ?? 'It has no known bound on what it may cost. Leave it out.';
      return {
        status: 400,
        code: 'unsupported_parameter',
        param: shown,
        message: `${JSON.stringify(shown)} is not supported. ${reason}`,
      };
    }
    const wanted = ruleFault(allowed.rule, value);
    if (wanted) return invalid(name, wanted);
  }
  return undefined;
}

/** What the value should have been; `undefined` where it is. */
function ruleFault(rule: ParameterRule, value: JsonValue): string | undefined {
  switch (rule.kind) {
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'true or false.';
    case 'number': {
      const number = numberOf(value);
      return number !== undefined && number >= rule.min && number <= rule.max
        ? undefined
        : `A number from ${rule.min} to ${rule.max}.`;
    }
    case 'integer': {
      const text = numberText(value);
      const fits =
        text !== undefined &&
        /^-?\d{1,20}$/.test(text) &&
        Number(text) >= rule.min &&
        Number(text) <= rule.max;
      if (fits) return undefined;
      return Number.isFinite(rule.max)
        ? `A whole number from ${rule.min} to ${rule.max}.`
        : 'A whole number of at most 20 digits.';
    }
    case 'text':
      return isText(value, rule.maxBytes) ? undefined : `A text of at most ${rule.maxBytes} bytes.`;
    case 'texts': {
      const list = isJsonArray(value) ? value : [value];
      return list.length <= rule.maxCount && list.every((text) => isText(text, rule.maxBytes))
        ? undefined
        : `A text of at most ${rule.maxBytes} bytes, or a list of at most ${rule.maxCount} of them.`;
    }
    case 'structure':
      return undefined;
  }
}

const isText = (value: JsonValue, maxBytes: number): boolean =>
  typeof value === 'string' && utf8Length(value) <= maxBytes;

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
