// A request as fetch was asked to make it, read once, and its ERC-8128 signature.
import { sha256 } from '@noble/hashes/sha2.js';
import { hexToBytes } from '@noble/hashes/utils.js';
import type { Address, Hex } from 'viem';
import { toBase64 } from '../protocol/base64.ts';
import { toHex } from '../protocol/hex.ts';
import { type AgentId, formatAgentId } from '../protocol/identity/agent-id.ts';
import { authorizationHash } from '../protocol/identity/personal-message.ts';
import { signRequest } from '../protocol/identity/sign-request.ts';

/** Whatever can sign messages: viem's local accounts fit, and so do most wallets' adapters. */
export type MessageSigner = {
  readonly address: Address;
  signMessage(parameters: { message: { raw: Uint8Array } }): Promise<Hex>;
};

export type OutgoingRequest = {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly requestHash: Hex;
  readonly signal: AbortSignal | undefined;
};

/** A signed request's headers, and what the receipt will say about the signature. */
export type SignedCall = {
  readonly headers: Headers;
  readonly authorization: Hex;
  /** Unix seconds. */
  readonly sentAt: number;
};

/** Seconds: what every verifier accepts. */
const validity = 60;
const nonceBytes = 16;

/** Ours to set: whatever the caller or its library put there is a placeholder, or would be somebody else's signature. */
const replacedHeaders = [
  'authorization',
  'agent-id',
  'signature',
  'signature-input',
  'content-digest',
  'payment-signature',
];

/** The absolute URL of fetch's first argument; undefined where there is none. */
export function urlOf(input: RequestInfo | URL): URL | undefined {
  const text = input instanceof Request ? input.url : String(input);
  const base = typeof location === 'undefined' ? undefined : location.href;
  return URL.canParse(text, base) ? new URL(text, base) : undefined;
}

/** Reads fetch's arguments; the body is consumed, to bytes, as `fetch` would send it. */
export async function readOutgoing(
  url: URL,
  input: RequestInfo | URL,
  init: RequestInit | undefined,
): Promise<OutgoingRequest> {
  const request = new Request(input instanceof Request ? input : url, init);
  const body = new Uint8Array(await request.arrayBuffer());
  const headers = new Headers(request.headers);
  for (const name of replacedHeaders) headers.delete(name);
  return {
    url,
    method: request.method,
    headers,
    body,
    requestHash: toHex(sha256(body)),
    // Not the Request's own: that one only follows while somebody holds the Request.
    signal: init?.signal ?? (input instanceof Request ? input.signal : undefined),
  };
}

/** Signs for the agent. What changes or costs something gets a fresh nonce, and is good for one use. */
export async function signCall(
  request: Pick<OutgoingRequest, 'url' | 'method' | 'headers' | 'body'>,
  wallet: MessageSigner,
  agent: AgentId,
  nowMs: number,
): Promise<SignedCall> {
  const created = Math.floor(nowMs / 1000);
  let signature: Hex = '0x';
  const single = !/^(GET|HEAD|OPTIONS)$/.test(request.method);
  const signed = await signRequest({
    request: {
      method: request.method,
      url: request.url.href,
      headers: [...request.headers],
      body: request.body,
    },
    keyid: { chainId: agent.chainId, address: wallet.address },
    signMessage: async (message) => {
      signature = await wallet.signMessage({ message: { raw: message } });
      return signature;
    },
    agentId: formatAgentId(agent),
    nonce: single ? freshNonce() : undefined,
    created,
    expires: created + validity,
  });
  const headers = new Headers(request.headers);
  for (const [name, value] of Object.entries(signed.headers)) headers.set(name, value);
  return {
    headers,
    authorization: authorizationHash(signed.signatureBase, hexToBytes(signature.slice(2))),
    sentAt: created,
  };
}

/** 128 random bits, base64url. */
function freshNonce(): string {
  const bytes = toBase64(crypto.getRandomValues(new Uint8Array(nonceBytes)));
  return bytes.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
