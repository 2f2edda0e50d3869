// A fetch that signs and does not pay: for x402 clients, which pay by themselves, and for whoever pays by PUT /v1/account/voucher.
import { parseAgentId } from '../protocol/identity/agent-id.ts';
import { paymentSignatureHeader } from '../protocol/money/x402.ts';
import { type MessageSigner, readOutgoing, signCall, urlOf } from './outgoing-request.ts';

export type SigningFetchOptions = {
  /** The agent's wallet or owner in the identity registry. */
  readonly wallet: MessageSigner;
  /** `eip155:<chainId>:<identityRegistry>:<agentId>`. */
  readonly agent: string;
  /** Only requests to its origin are signed. */
  readonly gateway: string | URL;
  readonly fetch?: typeof fetch;
  /** Milliseconds since 1970; default Date.now. */
  readonly now?: () => number;
};

/** Throws TypeError for an Agent-Id or gateway that is none. Receipts are not checked: that is `createAgentFetch`. */
export function createSigningFetch(options: SigningFetchOptions): typeof fetch {
  const { wallet, now = Date.now } = options;
  const agent = parseAgentId(options.agent);
  if (!agent.ok) throw new TypeError(agent.error);
  const { origin } = new URL(options.gateway);
  const send: typeof fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  return async (input, init) => {
    const url = urlOf(input);
    if (url?.origin !== origin) return send(input, init);
    const given = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined));
    const request = await readOutgoing(url, input, init);
    // It binds itself and is not covered by the signature; whoever put it there meant it.
    const payment = given.get(paymentSignatureHeader);
    if (payment !== null) request.headers.set(paymentSignatureHeader, payment);
    const { headers } = await signCall(request, wallet, agent.value, now());
    const { method, body, signal } = request;
    return send(url.href, {
      ...init,
      method,
      headers,
      body: body.length === 0 ? null : body,
      signal: signal ?? null,
      redirect: 'manual',
    });
  };
}
