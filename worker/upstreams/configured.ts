import type { PricedRequest } from '../priced-request.ts';
import { readUpstreams, type Upstream } from './upstream.ts';
import type { UpstreamCall } from './upstream-call.ts';

type Env = UpstreamCall['env'];

let parsed: { readonly env: Env; readonly upstreams: readonly Upstream[] } | undefined;

/** The deployment's upstreams in their order, read once per isolate. Throws when the variable is malformed. */
export function upstreamsOf(env: Env): readonly Upstream[] {
  if (parsed?.env !== env) parsed = { env, upstreams: readUpstreams(env['UPSTREAMS']) };
  return parsed.upstreams;
}

/** Those that answer this request, in order. */
export const upstreamsFor = (
  env: Env,
  request: Pick<PricedRequest, 'endpoint' | 'model'>,
): readonly Upstream[] =>
  upstreamsOf(env).filter(
    ({ dialect, models }) =>
      dialect.endpoints.includes(request.endpoint) && (models?.has(request.model) ?? true),
  );

/** The upstream's key; undefined where it wants none. Throws where it is named but was not set. */
export function keyFor(env: Env, { secret }: Upstream): string | undefined {
  if (secret === undefined) return undefined;
  const key = secretNamed(env, secret);
  if (key === undefined) throw new Error(`configuration: the secret ${secret} is not set`);
  return key;
}

const secretNamed = (env: Env, name: string): string | undefined => {
  const value = env[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
};

/** Text for an agent or a log, without any upstream's key: some servers repeat the key they refuse. */
export function withoutSecrets(env: Env, text: string): string {
  let clean = text;
  for (const { secret } of upstreamsOf(env)) {
    const key = secret === undefined ? undefined : secretNamed(env, secret);
    if (key !== undefined) clean = clean.replaceAll(key, '[removed]');
  }
  return clean;
}
