// Which requests to a gateway cost money, and which have to say who asks.
import type { OutgoingRequest } from './outgoing-request.ts';

const mcpPath = '/mcp';
const paidTools: readonly unknown[] = ['chat', 'embeddings'];

/** Calls that cost money: POSTs to the routes models answer on, and the tools of MCP that ask one. */
export const isPaid = ({ method, url, body }: OutgoingRequest): boolean =>
  method === 'POST' &&
  (/^\/v1\/(chat\/completions|completions|embeddings|responses)$/.test(url.pathname) ||
    (url.pathname === mcpPath && isPaidTool(body)));

/** What anyone may read needs no signature; a wallet may have to ask its user for each one. */
export const isPrivate = (url: URL): boolean =>
  url.pathname === mcpPath ||
  (url.pathname.startsWith('/v1/') && !/^\/v1\/(models(\/.*)?|prices)$/.test(url.pathname));

/** A tool that failed costs nothing and has no receipt: MCP says so inside an answer of status 200. Leaves the body unread. */
export async function isFailedTool(url: string, response: Response): Promise<boolean> {
  if (new URL(url).pathname !== mcpPath || !response.ok) return false;
  const { result, error } = jsonOf(await response.clone().text());
  return error !== undefined || (result as { isError?: unknown } | undefined)?.isError === true;
}

function isPaidTool(body: Uint8Array): boolean {
  const message = jsonOf(new TextDecoder().decode(body));
  const params = message['params'];
  const name =
    typeof params === 'object' && params !== null ? (params as { name?: unknown }).name : undefined;
  return message['method'] === 'tools/call' && paidTools.includes(name);
}

function jsonOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
