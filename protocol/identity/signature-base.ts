import { ok, type Result, refuse } from '../result.ts';
import { type FieldLines, fieldValue, type RequestTarget } from './received-request.ts';
import { type InnerList, serializeInnerList, serializeItem } from './structured-field.ts';

/** What components are read from: a request without its content. */
export type SignedMessage = RequestTarget & { readonly method: string; readonly fields: FieldLines };

/**
 * Why there is no base. `malformed`: the member breaks RFC 9421 whatever the request is.
 * `unavailable`: a covered component cannot be read from this request, so that no signature over it can hold.
 */
export type NoBase = { readonly kind: 'malformed' | 'unavailable'; readonly message: string };

const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

/** RFC 9421 section 2.2. Components that take parameters (`@query-param`) or belong to responses are not offered. */
const derived = (name: string, message: SignedMessage): string | undefined => {
  const { method, scheme, authority, query } = message;
  const path = message.path === '' ? '/' : message.path;
  switch (name) {
    case '@method':
      return method;
    case '@scheme':
      return scheme.toLowerCase();
    case '@authority':
      return authority.toLowerCase();
    case '@path':
      return path;
    case '@query':
      return query === '' ? '?' : query;
    case '@target-uri':
      return `${scheme.toLowerCase()}://${authority.toLowerCase()}${path}${query}`;
    case '@request-target':
      return path + query;
    default:
      return undefined;
  }
};

/**
 * The signature base of a covered component list (RFC 9421 section 2.5), components and parameters in the order
 * received. ASCII, LF between lines, none after the last.
 *
 * ERC-8128 names only parameterless components; one with a parameter (`;sf ;bs ;key ;req ;tr ;name`) is refused
 * rather than guessed at: field lines may have been combined, and trailers dropped, before this code sees them.
 */
export const signatureBase = (covered: InnerList, message: SignedMessage): Result<string, NoBase> => {
  const lines = new Map<string, string>();
  for (const item of covered.items) {
    const identifier = serializeItem(item);
    if (item.value.type !== 'string') {
      return refuse({ kind: 'malformed', message: `covered component ${identifier} is not a String` });
    }
    const name = item.value.value;
    if (name === '@signature-params' || !(name.startsWith('@') || FIELD_NAME.test(name))) {
      return refuse({ kind: 'malformed', message: `${identifier} cannot be a covered component` });
    }
    // Parameter order does not make two identifiers different, but no parameter is accepted anyway.
    if (lines.has(identifier)) {
      return refuse({ kind: 'malformed', message: `covered component ${identifier} occurs twice` });
    }
    if (item.parameters.size > 0) {
      return refuse({
        kind: 'unavailable',
        message: `covered component ${identifier}: parameters are not supported; cover "${name}" without them`,
      });
    }
    const value = name.startsWith('@') ? derived(name, message) : fieldValue(message.fields, name);
    if (value === undefined) {
      return refuse({
        kind: 'unavailable',
        message: `covered component ${identifier} is not in the request`,
      });
    }
    // A line break would let one component speak for another; the base is an ASCII string.
    if (!/^[\t\x20-\x7e]*$/.test(value)) {
      return refuse({
        kind: 'unavailable',
        message: `covered component ${identifier} is not printable ASCII`,
      });
    }
    lines.set(identifier, value);
  }
  let base = '';
  for (const [identifier, value] of lines) base += `${identifier}: ${value}\n`;
  return ok(`${base}"@signature-params": ${serializeInnerList(covered)}`);
};
