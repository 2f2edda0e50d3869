// An agent that signs by hand, so that tests can sign wrongly. The real client is `client/`.
import { randomUUID } from 'node:crypto';
import type { Address, Hex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import type { Stack } from '../dev/stack.ts';
import { signRequest } from '../protocol/identity/sign-request.ts';
import { type Voucher, voucherTypedData } from '../protocol/money/voucher.ts';
import { formatPaymentSignature } from '../protocol/money/x402.ts';

export type CallOptions = {
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly nonce?: string | null;
  /** Seconds added to the clock when signing. */
  readonly skew?: number;
  readonly keyidChain?: number;
  readonly agentId?: string;
  /** Signs for another path than the one that is called. */
  readonly signedPath?: string;
};

export type RawAgent = {
  readonly address: Address;
  readonly agentId: string;
  sign(method: string, path: string, options?: CallOptions): Promise<Record<string, string>>;
  call(method: string, path: string, options?: CallOptions): Promise<Response>;
  /** A `PAYMENT-SIGNATURE` header. */
  payment(cumulative: bigint, over?: Partial<Voucher>): Promise<Record<string, string>>;
  chat(prompt: string, options?: CallOptions & { readonly more?: object }): Promise<Response>;
};

const bytesOf = (body: string | Uint8Array | undefined): Uint8Array | null =>
  body === undefined ? null : typeof body === 'string' ? new TextEncoder().encode(body) : body;

export function rawAgent(
  stack: Pick<Stack, 'gatewayUrl' | 'chainId' | 'identityRegistry' | 'vault'>,
  agent: { readonly agentId: string; readonly privateKey: Hex },
): RawAgent {
  const account = privateKeyToAccount(agent.privateKey);
  const agentId = `eip155:${stack.chainId}:${stack.identityRegistry}:${agent.agentId}`;

  const raw: RawAgent = {
    address: account.address.toLowerCase() as Address,
    agentId,
    async sign(method, path, options = {}) {
      const body = bytesOf(options.body);
      const headers = {
        ...(body === null ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      };
      const now = Math.floor(Date.now() / 1000) + (options.skew ?? 0);
      const signed = await signRequest({
        request: {
          method,
          url: stack.gatewayUrl + (options.signedPath ?? path),
          headers: Object.entries(headers),
          body,
        },
        keyid: { chainId: options.keyidChain ?? stack.chainId, address: raw.address },
        signMessage: (message) => account.signMessage({ message: { raw: message } }),
        agentId: options.agentId ?? agentId,
        nonce: options.nonce === null ? undefined : (options.nonce ?? randomUUID()),
        created: now,
        expires: now + 60,
      });
      return { ...headers, ...signed.headers };
    },
    async call(method, path, options = {}) {
      const headers = await raw.sign(method, path, {
        ...options,
        nonce: options.nonce === undefined && method === 'GET' ? null : (options.nonce ?? randomUUID()),
      });
      return fetch(stack.gatewayUrl + path, {
        method,
        headers,
        ...(options.body === undefined ? {} : { body: options.body as BodyInit }),
      });
    },
    async payment(cumulative, over = {}) {
      const voucher: Voucher = {
        registry: stack.identityRegistry,
        agentId: BigInt(agent.agentId),
        epoch: 0n,
        cumulative,
        ...over,
      };
      const domain = { chainId: stack.chainId, vault: stack.vault };
      const signature = await account.signTypedData(voucherTypedData(domain, voucher));
      return { 'payment-signature': formatPaymentSignature(stack.chainId, { voucher, signature }) };
    },
    chat(prompt, { more = {}, ...options } = {}) {
      const body = JSON.stringify({
        model: 'qwen-plus',
        max_tokens: 200,
        messages: [{ role: 'user', content: prompt }],
        ...more,
      });
      return raw.call('POST', '/v1/chat/completions', { body, ...options });
    },
  };
  return raw;
}
