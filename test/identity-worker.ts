// The verifier in workerd, as the gateway builds it, with the policy and the clock of whoever asks: what
// identity-workerd.test.ts runs there.
import { hexToBytes } from '@noble/hashes/utils.js';
import { platformHashes } from '../compiled/platform-hashes.ts';
import { recoverWithWasm } from '../compiled/recover-with-wasm.ts';
import { verifyRequest } from '../protocol/identity/erc8128.ts';
import { plainHashes } from '../protocol/identity/hashes.ts';
import type { Policy } from '../protocol/identity/policy.ts';
import { recoverWithNoble } from '../protocol/identity/recover.ts';

export type VerifyAsk = {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  readonly policy: Policy;
  readonly now: number;
  readonly code?: boolean | 'unavailable';
  readonly principal?: string;
};

/** Hex without 0x. */
export type RecoverAsk = readonly { readonly digest: string; readonly signature: string }[];

export default {
  async fetch(request: Request): Promise<Response> {
    switch (new URL(request.url).pathname) {
      case '/verify':
        return Response.json(await verify((await request.json()) as VerifyAsk));
      case '/recover': {
        const cases = (await request.json()) as RecoverAsk;
        return Response.json(
          cases.map(({ digest, signature }) => {
            const [z, s] = [hexToBytes(digest), hexToBytes(signature)];
            return [recoverWithWasm(z, s) ?? null, recoverWithNoble(z, s) ?? null];
          }),
        );
      }
      case '/hashes': {
        const bytes = new Uint8Array(await request.arrayBuffer());
        const names = ['keccak256', 'sha256', 'sha512'] as const;
        const pairs = names.map(async (name) => [
          toText(await platformHashes[name](bytes)),
          toText(await plainHashes[name](bytes)),
        ]);
        return Response.json(await Promise.all(pairs));
      }
      default:
        return new Response(null, { status: 404 });
    }
  },
};

const toText = (bytes: Uint8Array): string => [...bytes].join(' ');

async function verify(ask: VerifyAsk): Promise<unknown> {
  const { method, path, query, headers, policy, now, code = false, principal } = ask;
  const verified = await verifyRequest(
    {
      method,
      scheme: 'https',
      authority: 'api.example',
      path,
      query,
      headers,
      body: new TextEncoder().encode(ask.body),
    },
    policy,
    {
      now,
      recover: recoverWithWasm,
      hashes: platformHashes,
      contractAccount: {
        hasCode: async () => code,
        isValidSignature: async () => 'invalid',
        verify6492: async () => 'invalid',
      },
      invalidated: async () => false,
      ...(principal === undefined ? {} : { principal: () => principal }),
    },
  );
  if (!verified.ok) return verified;
  const { signatureBase, digest, signature, keyid, account } = verified.value;
  return { ok: true, signatureBase, digest: toText(digest), signature: toText(signature), keyid, account };
}
