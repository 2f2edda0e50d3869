// A local OpenAI-compatible port that signs: for whatever takes a base URL and no fetch, in any language. Node only.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { AgentError } from './agent-error.ts';
import type { AgentFetch } from './agent-fetch.ts';

export type SigningProxyOptions = {
  readonly agentFetch: AgentFetch;
  /** 0 for any free port. */
  readonly port: number;
  /** Default 127.0.0.1. Whoever reaches the port spends the agent's deposit. */
  readonly host?: string;
  /** What callers have to send as `Authorization: Bearer …`; anything goes when not given. */
  readonly token?: string;
  /** Told of each request when its answer has ended. */
  readonly onCall?: (call: ProxiedCall) => void;
};

export type ProxiedCall = {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** Of the checked receipt, base units; undefined where there is none. */
  readonly amount: bigint | undefined;
  /** Receipt problems, where there are any. */
  readonly problem: string | undefined;
};

export type SigningProxy = {
  /** What to give clients as base URL. */
  readonly baseUrl: string;
  /** Lets calls under way end, for at most five seconds. */
  close(): Promise<void>;
};

const bodyBytesMax = 8 * 1024 * 1024;
const closingMs = 5_000;
/** Between two machines, or about a body that fetch takes apart and puts together anew. */
const hopByHop = new Set([
  'connection',
  'content-length',
  'content-encoding',
  'transfer-encoding',
  'keep-alive',
  'host',
  'expect',
  'upgrade',
  'te',
  'trailer',
  'proxy-authorization',
  'proxy-connection',
  'accept-encoding',
]);
/** Ours to say, or to a browser's page nobody's: a page must not spend because its visitor runs a proxy. */
const notForwarded = new Set([...hopByHop, 'authorization', 'cookie', 'origin', 'referer']);

/** Starts listening. Rejects with the socket's error when the port cannot be had. */
export async function startSigningProxy(options: SigningProxyOptions): Promise<SigningProxy> {
  const { port, host = '127.0.0.1' } = options;
  const server = createServer((request, response) => {
    void answer(options, server, request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    baseUrl: `http://${name}:${bound}/v1`,
    close: () =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(() => server.closeAllConnections(), closingMs);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

async function answer(
  options: SigningProxyOptions,
  server: Server,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { agentFetch, onCall } = options;
  const { method = 'GET' } = request;
  const path = request.url ?? '/';
  let call: ProxiedCall = { method, path, status: 0, amount: undefined, problem: undefined };
  try {
    const refused = refusal(options, server, request);
    if (refused) {
      call = { ...call, status: refused.status };
      return problem(response, refused.status, refused.code, refused.detail);
    }
    const body = await readBody(request);
    if (body === undefined) {
      call = { ...call, status: 413 };
      return problem(response, 413, 'body_too_large', `A body is at most ${bodyBytesMax} bytes.`);
    }
    const leaving = new AbortController();
    response.once('close', () => leaving.abort());
    const url = new URL(path, agentFetch.gateway);
    const upstream = await agentFetch(url.href, {
      method,
      headers: forwarded(request),
      body: body.length === 0 ? null : body,
      signal: leaving.signal,
    });
    const outcome = agentFetch.receiptOf(upstream);
    call = { ...call, status: upstream.status };
    response.writeHead(upstream.status, returned(upstream.headers));
    response.flushHeaders();
    await pass(upstream, response);
    const ended = await outcome;
    if (ended?.kind === 'receipt') call = { ...call, amount: ended.receipt.signed.receipt.amount };
    if (ended?.kind === 'problem') {
      call = { ...call, problem: ended.problem.mismatches.map(({ detail }) => detail).join('; ') };
    }
  } catch (error) {
    const status = error instanceof AgentError && error.code === 'voucher_limit' ? 402 : 502;
    const code = error instanceof AgentError ? error.code : 'gateway_unreachable';
    call = { ...call, status: response.headersSent ? call.status : status, problem: sentence(error) };
    if (response.headersSent) response.destroy();
    else problem(response, status, code, sentence(error));
  } finally {
    onCall?.(call);
  }
}

type Refused = { readonly status: number; readonly code: string; readonly detail: string };

/** A browser's page, by whatever name it reached us, is not who the port was opened for. */
function refusal(
  options: SigningProxyOptions,
  server: Server,
  request: IncomingMessage,
): Refused | undefined {
  const { host = '127.0.0.1', token } = options;
  const path = request.url ?? '/';
  if (!path.startsWith('/v1/') || path.includes('..')) {
    return { status: 404, code: 'not_found', detail: 'Only /v1/… is passed on.' };
  }
  if (token !== undefined) {
    return request.headers.authorization === `Bearer ${token}`
      ? undefined
      : { status: 401, code: 'wrong_token', detail: 'Send the proxy’s token as Authorization: Bearer.' };
  }
  if (request.headers.origin !== undefined || request.headers['sec-fetch-site'] !== undefined) {
    return {
      status: 403,
      code: 'browser_not_allowed',
      detail: 'A page in a browser may not use this port: start the proxy with a token to allow it.',
    };
  }
  // A name that was rebound to this machine is not this machine's.
  const { port } = server.address() as AddressInfo;
  const names = [
    `127.0.0.1:${port}`,
    `localhost:${port}`,
    `[::1]:${port}`,
    `${host}:${port}`,
    `[${host}]:${port}`,
  ];
  const wildcard = host === '0.0.0.0' || host === '::';
  if (!wildcard && !names.includes(request.headers.host ?? '')) {
    return { status: 403, code: 'wrong_host', detail: `Address the proxy as ${names[0]}.` };
  }
  return undefined;
}

function forwarded(request: IncomingMessage): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (value === undefined || notForwarded.has(name) || name.startsWith('sec-')) continue;
    headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  return headers;
}

function returned(headers: Headers): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => !hopByHop.has(name)));
}

async function pass(upstream: Response, response: ServerResponse): Promise<void> {
  if (!upstream.body) {
    response.end();
    return;
  }
  const source = Readable.fromWeb(upstream.body as Parameters<typeof Readable.fromWeb>[0]);
  for await (const chunk of source) {
    if (!response.write(chunk) && !response.destroyed) {
      await new Promise<void>((resolve) => {
        response.once('drain', resolve);
        response.once('close', resolve);
      });
    }
    if (response.destroyed) break;
  }
  response.end();
}

/** `undefined` when it is longer than can be passed on. */
async function readBody(request: IncomingMessage): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Uint8Array>) {
    length += part.length;
    if (length > bodyBytesMax) return undefined;
    parts.push(part);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return body;
}

/** An error as OpenAI's clients read it. */
function problem(response: ServerResponse, status: number, code: string, detail: string): void {
  const body = JSON.stringify({ error: { message: detail, type: 'tallystick_proxy', code, param: null } });
  response.writeHead(status, { 'content-type': 'application/json', 'x-should-retry': 'false' });
  response.end(body);
}

function sentence(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return error instanceof AgentError ? error.message : `${error.message}${cause}`;
}
