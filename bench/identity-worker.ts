// What bench/identity.ts measures, in workerd: one request runs one case many times over a few dozen signed requests.
// workerd's clock stands still while a script runs, so the caller times it.
import { verifyMessage } from 'http-message-signatures/lib/httpbis/index.js';
import { recoverMessageAddress, toHex } from 'viem';
import { platformHashes } from '../compiled/platform-hashes.ts';
import { recoverWithWasm } from '../compiled/recover-with-wasm.ts';
import { verifyAgentRequest } from '../protocol/identity/agent-request.ts';
import type { Hashes } from '../protocol/identity/hashes.ts';
import type { Policy } from '../protocol/identity/policy.ts';
import { fieldLinesOfHeaders, type ReadRequest, targetOf } from '../protocol/identity/received-request.ts';
import { type Recover, recoverWithNoble } from '../protocol/identity/recover.ts';
import { recoverWithOx } from './ox-recover.ts';

/** A signed request as it would arrive, and the clock it is judged by. */
export type SignedRequest = {
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  readonly signer: string;
};
export type Setup = {
  readonly requests: readonly SignedRequest[];
  readonly now: number;
  readonly chainId: number;
};

type Prepared = {
  readonly request: Request;
  readonly body: Uint8Array;
  readonly signer: string;
  /** What the bare recoveries start from. */
  readonly base: string;
  readonly digest: Uint8Array;
  readonly signature: Uint8Array;
  /** The request as http-message-signatures wants it. */
  readonly plain: {
    readonly method: string;
    readonly url: string;
    readonly headers: Record<string, string>;
  };
};

const publicOrigin = new URL('https://gateway.example');
let prepared: readonly Prepared[] = [];
let policy: Policy;
let now = 0;

const received = ({ request, body }: Pick<Prepared, 'request' | 'body'>): ReadRequest => ({
  method: request.method,
  ...targetOf(request.url, publicOrigin),
  fields: fieldLinesOfHeaders(request.headers),
  body,
});

/** The gateway's verification; `recover` and the hash it starts from are what differs. */
async function verify(one: Pick<Prepared, 'request' | 'body'>, recover: Recover, hashes: Hashes) {
  const verified = await verifyAgentRequest(received(one), policy, { now, recover, hashes });
  if (!verified.ok) throw new Error(verified.error.message);
  return verified.value;
}

const nothing = new Uint8Array(32);
const withoutKeccak: Hashes = { ...platformHashes, keccak256: () => nothing };

const byViem = async (message: string, signature: Uint8Array, signer: string): Promise<true> => {
  const address = await recoverMessageAddress({ message, signature: toHex(signature) });
  if (address.toLowerCase() !== signer) throw new Error('viem recovered another address');
  return true;
};

// http-message-signatures asks for nothing of Node but this.
const bufferOfNode = {
  from: (what: string | ArrayBuffer): Uint8Array =>
    typeof what === 'string' ? new TextEncoder().encode(what) : new Uint8Array(what),
};
Object.assign(globalThis, { Buffer: bufferOfNode });

const cases: Record<string, (one: Prepared) => unknown> = {
  'full: ours': (one) => verify(one, recoverWithWasm, platformHashes),
  'full: ours, ox’s wasm': (one) => verify(one, recoverWithOx, platformHashes),
  // The same parsing, coverage, digest and base, with neither our hash nor our recovery; then viem's, which does both.
  'full: ours, viem’s recovery': async (one) => {
    const { keyid, signatureBase, signature } = await verify(
      one,
      () => one.signer as `0x${string}`,
      withoutKeccak,
    );
    return byViem(signatureBase, signature, keyid.address);
  },
  // What an independent verifier takes; it checks neither the digest nor most of what the draft demands.
  'full: http-message-signatures, viem': async ({ plain, signer }) => {
    const good = await verifyMessage(
      {
        notAfter: now,
        keyLookup: async () => ({
          verify: (base, signature) => byViem(new TextDecoder().decode(base), signature, signer),
        }),
      },
      plain,
    );
    if (good !== true) throw new Error('http-message-signatures refused');
  },
  'full: nobody recovered': (one) => verify(one, () => one.signer as `0x${string}`, platformHashes),
  'recover: ours': ({ digest, signature }) => recoverWithWasm(digest, signature),
  'recover: ox’s wasm': ({ digest, signature }) => recoverWithOx(digest, signature),
  'recover: noble': ({ digest, signature }) => recoverWithNoble(digest, signature),
  'recover: viem': ({ base, signature }) =>
    recoverMessageAddress({ message: base, signature: toHex(signature) }),
};

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === '/setup') {
      const setup = (await request.json()) as Setup;
      now = setup.now;
      policy = {
        chains: [setup.chainId],
        maxValiditySeconds: 300,
        skewSeconds: 30,
        requiredComponents: ['agent-id'],
        nonce: 'required',
        accounts: 'universal',
        code: 'deferred',
      };
      prepared = await Promise.all(
        setup.requests.map(async ({ url, headers, body, signer }) => {
          const one = {
            request: new Request(url, {
              method: 'POST',
              headers: headers.map(([n, v]): [string, string] => [n, v]),
              body,
            }),
            body: new TextEncoder().encode(body),
          };
          const { signatureBase, digest, signature } = await verify(one, recoverWithNoble, platformHashes);
          const plain = { method: 'POST', url, headers: Object.fromEntries(headers) };
          return { ...one, signer, base: signatureBase, digest, signature, plain };
        }),
      );
      return Response.json(Object.keys(cases));
    }
    const run = cases[searchParams.get('case') ?? ''];
    if (run === undefined) return new Response(null, { status: 404 });
    for (let left = Number(searchParams.get('times')); left > 0; ) {
      for (const one of prepared) {
        await run(one);
        left -= 1;
        if (left === 0) break;
      }
    }
    return new Response();
  },
};
