import { type JsonObject, type JsonValue, numberOf } from './json.ts';

/** Why a body cannot be priced. Nothing was sent anywhere, and nothing is charged. */
export type RequestRefusal = {
  readonly status: 400 | 404 | 413;
  readonly code:
    | 'invalid_json'
    | 'duplicate_key'
    | 'unsupported_parameter'
    | 'unsupported_content'
    | 'invalid_value'
    | 'model_not_found'
    | 'body_too_large';
  /** The member that is wrong, as a path (`messages[2].content`); null where it is the body as a whole. */
  readonly param: string | null;
  /** What is wrong, and what to do. */
  readonly message: string;
};

export function invalid(param: string | null, message: string): RequestRefusal {
  return { status: 400, code: 'invalid_value', param, message };
}

/** The first member nobody here has thought about. */
export function unknownMember(
  value: JsonObject,
  known: readonly string[],
  path: string,
): RequestRefusal | undefined {
  for (const name of value.keys()) {
    if (known.includes(name)) continue;
    return {
      status: 400,
      code: 'unsupported_parameter',
      param: `${path}.${name.slice(0, 128)}`,
      message: `Known here: ${known.join(', ')}. Leave it out.`,
    };
  }
  return undefined;
}

/** A whole number in a range, however it was spelled (`2.0`); `undefined` for anything else. */
export function wholeNumber(value: JsonValue | undefined, min: number, max: number): number | undefined {
  const number = numberOf(value);
  return number !== undefined && Number.isInteger(number) && number >= min && number <= max
    ? number
    : undefined;
}
