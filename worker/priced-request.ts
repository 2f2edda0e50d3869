import { type ModelPrice, type PriceTable, priceOf } from '../protocol/price-table.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import type { ParameterRule, Parameters } from './chat-parameters.ts';
import {
  isJsonArray,
  isJsonObject,
  type JsonFault,
  type JsonObject,
  type JsonValue,
  numberOf,
  numberText,
  parseJson,
} from './json.ts';
import { utf8Length } from './prompt-weight.ts';
import type { RequestLimits } from './request-limits.ts';
import { invalid, type RequestRefusal } from './request-refusal.ts';

/** What is asked of an upstream, by its path below the base URL. */
export type Endpoint = 'chat/completions' | 'embeddings' | 'responses';

/** A request that may be priced, and what goes upstream for it. */
export type PricedRequest = {
  readonly endpoint: Endpoint;
  readonly model: string;
  readonly price: ModelPrice;
  readonly stream: boolean;
  /** Whether the client asked for the usage chunk. Upstream is always asked. */
  readonly includeUsage: boolean;
  /** Samples. */
  readonly n: number;
  /** Tokens each sample may have, thinking included: what the limits in `body` add up to. */
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
  /**
   * What was parsed and priced, with its limits, as Model Studio spells it. A dialect respells it for its own server; nothing
   * else is ever sent.
   */
  readonly body: JsonObject;
};

/** Parses a body once and refuses what is not on the endpoint's allow-list. The map is the caller's to change. */
export function readBodyOf(
  bytes: Uint8Array,
  limits: RequestLimits,
  allowed: Parameters,
  refused: ReadonlyMap<string, string>,
): Result<Map<string, JsonValue>, RequestRefusal> {
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
  const stranger = parameterFault(said, allowed, refused);
  return stranger ? refuse(stranger) : ok(said);
}

/** The model a body names, if it has a price and answers this kind of call. */
export function readModel(
  said: JsonObject,
  table: PriceTable,
  kind: 'chat' | 'embeddings',
): Result<{ readonly model: string; readonly price: ModelPrice }, RequestRefusal> {
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
  if ((price.serves ?? 'chat') !== kind)
    return refuse(
      invalid(
        'model',
        kind === 'chat'
          ? 'This model answers /v1/embeddings only.'
          : 'This model makes no embeddings. GET /v1/models lists the ones that do.',
      ),
    );
  return ok({ model, price });
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
function parameterFault(
  body: JsonObject,
  allowedParameters: Parameters,
  refusedParameters: ReadonlyMap<string, string>,
): RequestRefusal | undefined {
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
