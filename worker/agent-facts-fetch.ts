import { ok, type Result, refuse } from '../protocol/result.ts';
import { isPublicHost } from './agent-facts-host.ts';

/** A registration file, and a URI that carries one, may be this long. */
export const registrationBytesMax = 64 * 1024;
/** For everything: name lookup, redirects, body. */
const timeoutMs = 5_000;
const redirectsMax = 3;

export type FetchPorts = {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** `https://…`, without a path, of an IPFS gateway; absent: `ipfs:` is not followed. */
  readonly ipfsGateway?: string;
  readonly timeoutMs?: number;
};

/**
 * Reads what an `agentURI` points to: `https:`, `ipfs:` by way of the configured gateway, or `data:`. The URI is a
 * stranger's: nothing is sent along, every hop is looked at, and time and size are bounded. A refusal says why, for the
 * agent's owner.
 */
export async function fetchRegistrationFile(
  uri: string,
  ports: FetchPorts,
): Promise<Result<unknown, string>> {
  if (uri.length > 2 * registrationBytesMax) return refuse('agentURI is too long');
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(uri)?.[1]?.toLowerCase();
  switch (scheme) {
    case 'data': {
      const bytes = bytesOfDataUri(uri);
      return bytes === undefined ? refuse('agentURI is a data: URI that does not read') : jsonOf(bytes);
    }
    case 'ipfs': {
      const [, path] = /^ipfs:\/\/(?:ipfs\/)?([A-Za-z0-9]{10,128}(?:\/[^?#]*)?)$/i.exec(uri) ?? [];
      if (path === undefined) return refuse('agentURI is an ipfs: URI that does not read');
      if (ports.ipfsGateway === undefined) return refuse('this gateway follows no ipfs: URIs');
      return fetchJson(`${ports.ipfsGateway}/ipfs/${path}`, ports);
    }
    case 'https':
      return fetchJson(uri, ports);
    default:
      return refuse('agentURI is none of https:, ipfs: and data:');
  }
}

/** The URL to fetch, if a stranger may have it fetched. */
function allowed(text: string, base?: URL): Result<URL, string> {
  const url = URL.parse(text, base?.href);
  if (url === null) return refuse('not a URL');
  if (url.protocol !== 'https:') return refuse('not https');
  if (url.port !== '') return refuse('another port than 443');
  if (url.username !== '' || url.password !== '') return refuse('a URL with a password');
  if (!isPublicHost(url.hostname)) return refuse('a private address');
  url.hash = '';
  return ok(url);
}

async function fetchJson(text: string, ports: FetchPorts): Promise<Result<unknown, string>> {
  const signal = AbortSignal.timeout(ports.timeoutMs ?? timeoutMs);
  let at = allowed(text);
  try {
    for (let hops = 0; hops <= redirectsMax; hops += 1) {
      if (!at.ok) return refuse(hops === 0 ? `agentURI is ${at.error}` : `agentURI redirects to ${at.error}`);
      const response = await ports.fetch(at.value.href, {
        method: 'GET',
        headers: { accept: 'application/json' },
        redirect: 'manual',
        signal,
      });
      const location = response.headers.get('location');
      if (response.status >= 300 && response.status < 400 && location !== null) {
        await response.body?.cancel();
        at = allowed(location, at.value);
        continue;
      }
      if (response.status !== 200) {
        await response.body?.cancel();
        return refuse(`agentURI answers with HTTP ${response.status}`);
      }
      const bytes = await readAtMost(response, registrationBytesMax);
      return bytes === undefined
        ? refuse(`the registration file is longer than ${registrationBytesMax} bytes`)
        : jsonOf(bytes);
    }
    return refuse('agentURI redirects too often');
  } catch {
    return refuse(signal.aborted ? 'agentURI did not answer in time' : 'agentURI could not be reached');
  }
}

async function readAtMost(response: Response, bytesMax: number): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done || value === undefined) break;
    length += value.length;
    if (length > bytesMax) {
      await reader?.cancel();
      return undefined;
    }
    parts.push(value);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** RFC 2397. `undefined` for what does not decode, or is too long. */
function bytesOfDataUri(uri: string): Uint8Array | undefined {
  const comma = uri.indexOf(',');
  if (comma < 0) return undefined;
  try {
    const text = decodeURIComponent(uri.slice(comma + 1));
    const bytes = /;\s*base64\s*$/i.test(uri.slice(0, comma))
      ? Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
      : new TextEncoder().encode(text);
    return bytes.length <= registrationBytesMax ? bytes : undefined;
  } catch {
    return undefined;
  }
}

function jsonOf(bytes: Uint8Array): Result<unknown, string> {
  try {
    return ok(JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)));
  } catch {
    return refuse('the registration file is not JSON in UTF-8');
  }
}
