import { hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { contentDigestOf } from './content-digest.ts';
import { formatKeyid, parseKeyid } from './keyid.ts';
import { LIMITS, TAG } from './policy.ts';
import { fieldLinesOf, targetOf } from './received-request.ts';
import { acceptableComponents } from './refusal.ts';
import { signatureBase } from './signature-base.ts';
import {
  type BareItem,
  type InnerList,
  type Item,
  isKey,
  type Parameters,
  serializeBareItem,
  serializeInnerList,
} from './structured-field.ts';

/** A request about to be sent, exactly as it will be. */
export type OutgoingRequest = {
  readonly method: string;
  /** Absolute. Its fragment is not sent and not signed. */
  readonly url: string;
  readonly headers: Iterable<readonly [name: string, value: string]>;
  readonly body: Uint8Array | null;
};

export type SigningRequest = {
  readonly request: OutgoingRequest;
  readonly keyid: { readonly chainId: number; readonly address: Hex };
  /** Signs the bytes as an ERC-191 personal message: viem's `signMessage({ message: { raw } })`. */
  readonly signMessage: (message: Uint8Array) => Promise<Hex>;
  /** The `Agent-Id` to send and cover; leave out when `request.headers` has one already. */
  readonly agentId?: string;
  /** Single use: at least 128 random bits, at most 128 ASCII bytes. Without one the signature is Replayable. */
  readonly nonce?: string | undefined;
  /** Unix seconds; the widest window every verifier accepts is 60 s. */
  readonly created: number;
  readonly expires: number;
  /** Dictionary key; means nothing to a verifier. */
  readonly label?: string;
};

const NO_PARAMETERS: Parameters = new Map();

const component = (name: string): Item => ({
  kind: 'item',
  value: { type: 'string', value: name },
  parameters: NO_PARAMETERS,
});

// What `fetch` does to a method before sending it; the signature must cover what is sent.
const sentMethod = (method: string): string =>
  /^(delete|get|head|options|post|put)$/i.test(method) ? method.toUpperCase() : method;

const isSeconds = (value: number): boolean => Number.isInteger(value) && Math.abs(value) < 1e15;

/**
 * Signs a request (ERC-8128 section 3.4), Request-Bound: covers the draft's baseline, then `agent-id`,
 * `content-digest` and `content-type` as far as they are sent.
 *
 * Answers the fields to set on the request, names in lower case: `signature-input`, `signature`, and where they were
 * not there yet `content-digest` (for non-empty content) and `agent-id`.
 * Throws TypeError on parameters that no verifier would accept, and whatever `signMessage` throws.
 */
export const signRequest = async (
  signing: SigningRequest,
): Promise<{ readonly headers: Record<string, string>; readonly signatureBase: string }> => {
  const { request, nonce, created, expires, label = 'request' } = signing;
  const keyid = formatKeyid(signing.keyid);
  if (parseKeyid(keyid) === undefined) throw new TypeError(`not an account: ${keyid}`);
  if (!isKey(label)) throw new TypeError(`not a signature label: ${label}`);
  if (!isSeconds(created) || !isSeconds(expires) || expires <= created) {
    throw new TypeError('created and expires must be whole Unix seconds, expires the later one');
  }
  if (nonce !== undefined && !(nonce.length <= LIMITS.nonceBytesMax && /^[ -~]*$/.test(nonce))) {
    throw new TypeError(`a nonce has at most ${LIMITS.nonceBytesMax} printable ASCII characters`);
  }

  const sent = [...request.headers];
  const added: Record<string, string> = {};
  const before = fieldLinesOf(sent);
  if (signing.agentId !== undefined) {
    if (before.has('agent-id')) throw new TypeError('the request has an Agent-Id already');
    added['agent-id'] = signing.agentId;
  }
  if (request.body !== null && request.body.length > 0 && !before.has('content-digest')) {
    added['content-digest'] = contentDigestOf(request.body);
  }
  const fields = fieldLinesOf([...sent, ...Object.entries(added)]);
  const covered = acceptableComponents(fields.has('agent-id') ? ['agent-id'] : [], {
    digest: fields.has('content-digest'),
    type: fields.has('content-type'),
  });

  const parameters: [string, BareItem][] = [
    ['created', { type: 'integer', value: created }],
    ['expires', { type: 'integer', value: expires }],
    ...(nonce === undefined
      ? []
      : [['nonce', { type: 'string', value: nonce }] satisfies [string, BareItem]]),
    ['keyid', { type: 'string', value: keyid }],
    ['tag', { type: 'string', value: TAG }],
  ];
  const input: InnerList = {
    kind: 'inner-list',
    items: covered.map(component),
    parameters: new Map(parameters),
  };
  const base = signatureBase(input, {
    ...targetOf(request.url),
    method: sentMethod(request.method),
    fields,
  });
  if (!base.ok) throw new TypeError(base.error.message);
  const signature = hexToBytes((await signing.signMessage(utf8ToBytes(base.value))).slice(2));
  return {
    headers: {
      ...added,
      'signature-input': `${label}=${serializeInnerList(input)}`,
      signature: `${label}=${serializeBareItem({ type: 'bytes', value: signature })}`,
    },
    signatureBase: base.value,
  };
};
