// Session keys, for clients that cannot sign: POST /v1/keys, GET /v1/keys, DELETE /v1/keys/:id; and calling signatures back,
// POST /v1/signatures/invalidate. All signed: no key makes, lists or deletes keys.
import type { SessionKey, SessionKeyStanding } from '../durable-objects/account/session-keys.ts';
import { parseUint } from '../protocol/decimal.ts';
import { formatSessionKey, parseSessionKey } from '../protocol/identity/session-key.ts';
import { prices } from '../protocol/prices.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import { accountOf, askAccount } from './account-call.ts';
import { authenticate, authenticateSigned, type Signed } from './authenticate.ts';
import { readBody } from './body.ts';
import type { Call } from './call.ts';
import { sessionKeyProblem } from './identity-problem.ts';
import { json } from './json-response.ts';
import { type Problem, problemResponse } from './problem.ts';
import type { RouteKind } from './route-policy.ts';

const bodyBytesMax = 16 * 1024;
/** A key lives at most this long, in seconds. */
const lifetimeMax = 90 * 24 * 3600;
const labelLengthMax = 64;
const modelsMax = 64;

export async function createKey(call: Call): Promise<Response> {
  const body = await readBody(call.request, bodyBytesMax);
  if (!body.ok) return problemResponse(body.error, call.id, true);
  const caller = await signedOnly(call, body.value, 'spends');
  if (!caller.ok) return problemResponse(caller.error, call.id, true);
  const bounds = readBounds(body.value, call.now());
  if (!bounds.ok) return problemResponse(bounds.error, call.id, true);

  const { chainId, registry, agentId } = caller.value.account;
  const key = formatSessionKey({ chainId, registry, agentId }, crypto.getRandomValues(new Uint8Array(32)));
  const name = parseSessionKey(key);
  if (name === undefined) throw new Error('unreachable: a key that was just made does not read');
  const stub = accountOf(call, caller.value);
  const made = await askAccount(call, caller.value, (who, observation) =>
    stub.addSessionKey(
      who,
      { ...bounds.value, id: name.id, hash: name.hash, createdMs: call.now() },
      observation,
    ),
  );
  // The only time the key itself is shown: what is kept cannot bring it back.
  return made.ok
    ? json(call, { ...shown(made.value), key }, {}, 201)
    : problemResponse(made.error, call.id, true);
}

export async function listKeys(call: Call): Promise<Response> {
  const caller = await signedOnly(call, new Uint8Array(), 'reads');
  if (!caller.ok) return problemResponse(caller.error, call.id, true);
  const stub = accountOf(call, caller.value);
  const keys = await askAccount(call, caller.value, (who, observation) => stub.sessionKeys(who, observation));
  return keys.ok ? json(call, { keys: keys.value.map(shown) }) : problemResponse(keys.error, call.id, true);
}

export async function deleteKey(call: Call, id: string): Promise<Response> {
  const body = await readBody(call.request, bodyBytesMax);
  if (!body.ok) return problemResponse(body.error, call.id, true);
  const caller = await signedOnly(call, body.value, 'spends');
  if (!caller.ok) return problemResponse(caller.error, call.id, true);
  const stub = accountOf(call, caller.value);
  const removed = await askAccount(call, caller.value, (who, observation) =>
    stub.removeSessionKey(who, id, observation),
  );
  if (!removed.ok) return problemResponse(removed.error, call.id, true);
  if (removed.value) return json(call, { id, deleted: true });
  return problemResponse(
    {
      status: 404,
      code: 'session_key_not_found',
      detail: 'This agent has no session key of that id. GET /v1/keys lists those it has.',
    },
    call.id,
    true,
  );
}

/** Calls back every signature without a nonce that this signer has made for this agent until now (ERC-8128, section 5.2). */
export async function invalidateSignatures(call: Call): Promise<Response> {
  const body = await readBody(call.request, bodyBytesMax);
  if (!body.ok) return problemResponse(body.error, call.id, true);
  const caller = await signedOnly(call, body.value, 'spends');
  if (!caller.ok) return problemResponse(caller.error, call.id, true);
  const stub = accountOf(call, caller.value);
  const done = await askAccount(call, caller.value, (who, observation) => stub.invalidate(who, observation));
  return done.ok ? json(call, done.value) : problemResponse(done.error, call.id, true);
}

/** A signature. A session key is told that it is not one, rather than that a signature is missing. */
async function signedOnly(call: Call, body: Uint8Array, route: RouteKind): Promise<Result<Signed, Problem>> {
  const { headers } = call.request;
  if (headers.has('signature') || headers.has('signature-input')) {
    return authenticateSigned(call, body, route);
  }
  const other = await authenticate(call, body, route);
  return other.ok
    ? refuse(
        sessionKeyProblem(
          403,
          'session_key_not_allowed',
          'A session key cannot make, list or delete session keys, nor call signatures back: sign this request as the agent.',
        ),
      )
    : other;
}

type Bounds = Pick<SessionKey, 'label' | 'expiresMs' | 'spendCap' | 'models'>;

/** `{"expiresAt": Unix seconds, "spendCap": "base units", "models"?: [...], "label"?: "..."}`. */
function readBounds(body: Uint8Array, nowMs: number): Result<Bounds, Problem> {
  const asked = parseObject(body);
  if (asked === undefined) return invalid(null, 'The body is not a JSON object.');
  const { expiresAt, spendCap, models, label = '', ...others } = asked;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    return invalid(unknown.slice(0, 64), 'Only expiresAt, spendCap, models and label can be given.');
  }
  const now = Math.floor(nowMs / 1000);
  if (typeof expiresAt !== 'number' || !Number.isSafeInteger(expiresAt)) {
    return invalid('expiresAt', 'expiresAt is the Unix second at which the key ends.');
  }
  if (expiresAt <= now || expiresAt > now + lifetimeMax) {
    return invalid(
      'expiresAt',
      `expiresAt must be later than now, and at most ${lifetimeMax} seconds later.`,
    );
  }
  const cap = parseUint(spendCap);
  if (cap === undefined || cap === 0n) {
    return invalid(
      'spendCap',
      'spendCap is the most the key may spend in its life: base units of the asset, as a decimal string.',
    );
  }
  if (typeof label !== 'string' || label.length > labelLengthMax || !/^[\P{C}]*$/u.test(label)) {
    return invalid('label', `label is at most ${labelLengthMax} printable characters.`);
  }
  if (models === undefined) return ok({ label, expiresMs: expiresAt * 1000, spendCap: cap });
  const isModel = (model: unknown): model is string =>
    typeof model === 'string' && Object.hasOwn(prices.models, model);
  if (!Array.isArray(models) || models.length === 0 || models.length > modelsMax || !models.every(isModel)) {
    return invalid('models', 'models is a list of models of GET /v1/models; leave it out to allow all.');
  }
  return ok({ label, expiresMs: expiresAt * 1000, spendCap: cap, models: [...new Set(models)] });
}

const invalid = (param: string | null, detail: string) =>
  refuse<Problem>({ status: 400, code: 'invalid_value', param, detail });

function parseObject(body: Uint8Array): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
    return typeof json === 'object' && json !== null && !Array.isArray(json)
      ? (json as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Never the hash: what a key is looked up by is nobody's business. */
const shown = (key: SessionKeyStanding) => ({
  id: key.id,
  label: key.label,
  maker: key.maker,
  createdAt: Math.floor(key.createdMs / 1000),
  expiresAt: Math.floor(key.expiresMs / 1000),
  spendCap: `${key.spendCap}`,
  spent: `${key.spent}`,
  held: `${key.held}`,
  models: key.models ?? null,
});
