import { ok, type Result, refuse } from '../result.ts';
import { type AccountPorts, asked, type ProvenAccount, proveAccount } from './account-proof.ts';
import { type Candidate, candidatesOf, type Fault } from './candidate.ts';
import { verifyContentDigest } from './content-digest.ts';
import { type Hashes, plainHashes } from './hashes.ts';
import { type Keyid, parseKeyid } from './keyid.ts';
import { personalTextHash } from './personal-message.ts';
import { LIMITS, type Policy } from './policy.ts';
import { fieldValue, type ReadRequest, type ReceivedRequest, readRequest } from './received-request.ts';
import { acceptableComponents, type Refusal, refusalOf } from './refusal.ts';
import { signatureBase } from './signature-base.ts';
import type { InnerList } from './structured-field.ts';

/*
 * ERC-8128, Signed HTTP Requests with Ethereum: the verifier, for Request-Bound signatures tagged `erc8128`.
 * Draft text: slice-so/ERCs `ERCS/erc-8128.md` at 0f738bf. Section numbers below are the draft's.
 */

/** What the verifier cannot know by itself. An asynchronous port that throws counts as `unavailable`. */
export type Ports = AccountPorts & {
  /** {@link plainHashes} where the platform has no faster ones. */
  readonly hashes?: Hashes;
  /** The verifier's clock, Unix seconds. */
  readonly now: number;
  /** Principal policy: why this account may not use the route, or `undefined`. Asked before any cryptography. */
  readonly principal?: (keyid: Keyid) => string | undefined;
  /** Early invalidation of Replayable signatures, section 5.2. Asked of verified signatures only. */
  readonly invalidated?: (signature: Replayable) => Promise<boolean | 'unavailable'>;
  /**
   * Marks (keyid text, nonce) as used until `nonceExpiry` (inclusive), atomically, last of all. Leave it out where the
   * caller has a later, durable transaction to do so in: a `Verified` with a nonce is then not yet safe from replay.
   */
  readonly consumeNonce?: (use: NonceUse) => Promise<'fresh' | 'reused' | 'unavailable'>;
};

export type Replayable = Pick<Verified, 'keyid' | 'created' | 'signatureBase' | 'signature'>;
export type NonceUse = { readonly keyid: Keyid; readonly nonce: string; readonly nonceExpiry: number };

/** An authenticated request. */
export type Verified = {
  readonly keyid: Keyid;
  /** Unix seconds. */
  readonly created: number;
  readonly expires: number;
  /** Single-use when present, even if empty: test for `undefined`, not for truth. */
  readonly nonce: string | undefined;
  /** Last second at which this request could be accepted again, `expires` + skew: remember the nonce until then. */
  readonly nonceExpiry: number;
  /** Whether the account's code has been looked for: see {@link ProvenAccount}. */
  readonly account: ProvenAccount;
  readonly label: string;
  /** Covered component identifiers in the order signed, without quotes. */
  readonly components: readonly string[];
  readonly signatureBase: string;
  readonly signature: Uint8Array;
  /** ERC-191 hash of the base, 32 bytes: what `proveAccount` is asked about. */
  readonly digest: Uint8Array;
  /** SHA-256 of the content, where its digest gave occasion to compute it. */
  readonly contentSha256: Uint8Array | undefined;
};

/** One request's facts, shared by its candidates. */
type Received = {
  readonly request: ReadRequest;
  readonly content: Uint8Array;
  readonly contentDigest: () => Promise<Result<{ readonly sha256: Uint8Array | undefined }, Fault>>;
};

type Checked = Omit<Verified, 'account' | 'contentSha256'>;

const fault = (code: Fault['code'], message: string): { readonly ok: false; readonly error: Fault } =>
  refuse({ code, message });

const receive = (request: ReadRequest, hashes: Hashes): Received => {
  const { fields } = request;
  const content = request.body ?? new Uint8Array();
  const check = async (): Promise<Result<{ readonly sha256: Uint8Array | undefined }, Fault>> => {
    const value = fieldValue(fields, 'content-digest');
    if (value === undefined) return ok({ sha256: undefined });
    const verified = await verifyContentDigest(value, content, hashes);
    return verified.ok ? verified : fault('bad_content_digest', verified.error);
  };
  // Eight candidates must not make the verifier hash a large body eight times.
  let remembered: ReturnType<typeof check> | undefined;
  return {
    request,
    content,
    contentDigest: () => {
      remembered ??= check();
      return remembered;
    },
  };
};

/** Section 3.3.2. Written so that a clock that is not a number refuses. */
const checkTime = (
  input: InnerList,
  policy: Policy,
  now: number,
): Result<{ readonly created: number; readonly expires: number }, Fault> => {
  const created = input.parameters.get('created');
  const expires = input.parameters.get('expires');
  if (created?.type !== 'integer' || expires?.type !== 'integer' || expires.value <= created.value) {
    return fault(
      'invalid_time',
      'created and expires must be Integers (Unix seconds), expires the later one',
    );
  }
  const { maxValiditySeconds, skewSeconds } = policy;
  if (!(created.value - skewSeconds <= now)) {
    return fault('request_not_yet_valid', 'created is in the future; check the clock and sign again');
  }
  if (!(now <= expires.value + skewSeconds)) {
    return fault('request_expired', 'the signature has expired; sign again');
  }
  if (!(expires.value - created.value <= maxValiditySeconds)) {
    return fault('request_validity_too_long', `expires may be ${maxValiditySeconds} s after created`);
  }
  return ok({ created: created.value, expires: expires.value });
};

/** Section 3.1.2: type and size, then whether the route accepts a signature without one. */
const checkNonce = (
  input: InnerList,
  policy: Policy,
  ports: Ports,
): Result<{ readonly nonce: string | undefined }, Fault> => {
  const nonce = input.parameters.get('nonce');
  if (nonce !== undefined) {
    return nonce.type === 'string' && nonce.value.length <= LIMITS.nonceBytesMax
      ? ok({ nonce: nonce.value })
      : fault('invalid_nonce', `nonce must be a String of at most ${LIMITS.nonceBytesMax} ASCII bytes`);
  }
  if (policy.nonce === 'required')
    return fault('nonce_required', 'this route needs a nonce; sign again with one');
  if (policy.nonce === 'denied' || ports.invalidated === undefined) {
    return fault('replayable_not_allowed', 'signatures without a nonce are not accepted here');
  }
  return ok({ nonce: undefined });
};

/** Section 3.1.1, parameterless identifiers only: `"@query";req` does not cover `@query`. */
const checkCoverage = (input: InnerList, policy: Policy, received: Received): Result<undefined, Fault> => {
  const {
    content,
    request: { fields },
  } = received;
  const digest = fields.has('content-digest');
  if (content.length > 0 && !digest) {
    return fault('content_digest_required', 'a request with content must send and cover Content-Digest');
  }
  const covered = new Set<string>();
  for (const { value, parameters } of input.items) {
    if (value.type === 'string' && parameters.size === 0) covered.add(value.value);
  }
  const shape = { digest, type: fields.has('content-type') };
  const missing = acceptableComponents(policy.requiredComponents, shape).filter((name) => !covered.has(name));
  return missing.length === 0
    ? ok(undefined)
    : fault('insufficient_coverage', `the signature must also cover ${missing.join(', ')}`);
};

/** Everything about a candidate that needs neither a key nor a chain. */
const checkCandidate = (
  candidate: Candidate,
  received: Received,
  policy: Policy,
  ports: Ports,
): Result<Checked, Fault> => {
  const { label, input } = candidate;
  if (candidate.signature?.kind !== 'item' || candidate.signature.value.type !== 'bytes') {
    return fault('signature_input_invalid', `Signature has no Byte Sequence under the label ${label}`);
  }
  if (input.kind !== 'inner-list') {
    return fault('signature_input_invalid', `Signature-Input: ${label} is not a list of covered components`);
  }
  const signature = candidate.signature.value.value;
  if (input.parameters.has('alg')) return fault('unsupported_algorithm', 'leave the alg parameter out');

  const keyidParameter = input.parameters.get('keyid');
  const keyid = keyidParameter?.type === 'string' ? parseKeyid(keyidParameter.value) : undefined;
  if (keyid === undefined) {
    return fault('invalid_keyid', 'keyid must be "eip155:<chain id>:<address in lower-case hex>"');
  }
  if (!policy.chains.includes(keyid.chainId)) {
    return fault('unsupported_chain', `this route serves chains ${policy.chains.join(', ')}`);
  }

  const time = checkTime(input, policy, ports.now);
  if (!time.ok) return time;
  const nonce = checkNonce(input, policy, ports);
  if (!nonce.ok) return nonce;
  const coverage = checkCoverage(input, policy, received);
  if (!coverage.ok) return coverage;

  const base = signatureBase(input, received.request);
  if (!base.ok) {
    const { kind, message } = base.error;
    return fault(kind === 'malformed' ? 'signature_input_invalid' : 'bad_signature', message);
  }
  const refused = ports.principal?.(keyid);
  if (refused !== undefined) return fault('principal_not_allowed', refused);

  return ok({
    keyid,
    ...time.value,
    ...nonce.value,
    nonceExpiry: time.value.expires + policy.skewSeconds,
    label,
    components: input.items.flatMap(({ value }) => (value.type === 'string' ? [value.value] : [])),
    signatureBase: base.value,
    signature,
    digest: personalTextHash(base.value, ports.hashes),
  });
};

const UNAVAILABLE = 'a service this verification depends on cannot be asked; try again shortly';

const verifyCandidate = async (
  candidate: Candidate,
  received: Received,
  policy: Policy,
  ports: Ports,
): Promise<Result<Verified, Fault>> => {
  const checked = checkCandidate(candidate, received, policy, ports);
  if (!checked.ok) return checked;
  const { keyid, nonce, nonceExpiry, created, digest, signature, signatureBase: base } = checked.value;
  const content = await received.contentDigest();
  if (!content.ok) return content;

  const proof = await proveAccount(keyid, digest, signature, policy, ports);
  if (!proof.ok) return fault(proof.code, proof.message);

  const { invalidated, consumeNonce } = ports;
  if (nonce === undefined && invalidated !== undefined) {
    const answer = await asked(() => invalidated({ keyid, created, signature, signatureBase: base }));
    if (answer === 'unavailable') return fault('signature_verification_unavailable', UNAVAILABLE);
    if (answer)
      return fault('replayable_not_allowed', 'the signer has invalidated this signature; sign again');
  }
  if (nonce !== undefined && consumeNonce !== undefined) {
    const answer = await asked(() => consumeNonce({ keyid, nonce, nonceExpiry }));
    if (answer === 'unavailable') return fault('signature_verification_unavailable', UNAVAILABLE);
    if (answer === 'reused')
      return fault('nonce_reused', 'this nonce was used before; sign again with a new one');
  }
  return ok({ ...checked.value, account: proof.account, contentSha256: content.value.sha256 });
};

/**
 * Verifies a received request. Candidates are tried in wire order and the first good one wins; if none is, the answer
 * is the first that a chain could not be asked about, else the first candidate's fault (section 4.2).
 *
 * A `Verified` still owes two things, unless the ports did them: its nonce is not consumed, and an account of
 * `eoa-unless-code` has not been looked up. Never throws for anything a client can send.
 */
export const verifyRequest = (
  request: ReceivedRequest,
  policy: Policy,
  ports: Ports,
): Promise<Result<Verified, Refusal>> => verifyReadRequest(readRequest(request), policy, ports);

/** {@link verifyRequest} where the headers have been read already. */
export const verifyReadRequest = async (
  request: ReadRequest,
  policy: Policy,
  ports: Ports,
): Promise<Result<Verified, Refusal>> => {
  const received = receive(request, ports.hashes ?? plainHashes);
  const { fields } = request;
  const { content } = received;
  const refused = ({ code, message }: Fault): { readonly ok: false; readonly error: Refusal } =>
    refuse(
      refusalOf(code, message, policy, {
        digest: content.length > 0 || fields.has('content-digest'),
        type: fields.has('content-type'),
      }),
    );

  const candidates = candidatesOf(fields);
  if (!candidates.ok) return refused(candidates.error);
  let first: Fault | undefined;
  let unavailable: Fault | undefined;
  for (const candidate of candidates.value) {
    const outcome = await verifyCandidate(candidate, received, policy, ports);
    if (outcome.ok) return outcome;
    first ??= outcome.error;
    if (outcome.error.code === 'signature_verification_unavailable') unavailable ??= outcome.error;
  }
  const chosen = unavailable ?? first;
  return refused(chosen ?? { code: 'no_acceptable_signature', message: 'no signature was acceptable' });
};
