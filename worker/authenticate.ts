import type { Hex } from 'viem';
import { sha256 } from '../compiled/hash-with-wasm.ts';
import { platformHashes } from '../compiled/platform-hashes.ts';
import { recoverWithWasm } from '../compiled/recover-with-wasm.ts';
import type { Caller } from '../durable-objects/account/ledger.ts';
import type { Bearer } from '../durable-objects/account/session-keys.ts';
import { readObservation } from '../durable-objects/chain/observe.ts';
import { type ChainConfig, type Config, chainOf } from '../durable-objects/config.ts';
import { type Account, accountName } from '../protocol/account-name.ts';
import { type ContractAccount, proveAccount } from '../protocol/identity/account-proof.ts';
import { type AgentId, formatAgentId, parseAgentId } from '../protocol/identity/agent-id.ts';
import { type VerifiedAgent, verifyAgentRequest } from '../protocol/identity/agent-request.ts';
import { authorizationHash } from '../protocol/identity/personal-message.ts';
import { fieldLinesOfHeaders, targetOf } from '../protocol/identity/received-request.ts';
import { refusalOf } from '../protocol/identity/refusal.ts';
import { isSessionKey, parseSessionKey, sessionKeyAuthorization } from '../protocol/identity/session-key.ts';
import { authorizationKinds } from '../protocol/receipt.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import type { Call } from './call.ts';
import { contractAccountOf } from './contract-account.ts';
import { sessionKeyProblem, signatureProblem } from './identity-problem.ts';
import type { Problem } from './problem.ts';
import { type RouteKind, routePolicy } from './route-policy.ts';

/** A call by somebody. Whether they may speak for the agent is decided in the agent's account. */
export type Authenticated = {
  readonly account: Account;
  readonly chain: ChainConfig;
  readonly caller: Caller | Bearer;
  readonly authorizationKind: number;
  readonly authorization: Hex;
  /**
   * Asks the code at the signer's address about the signature, once the account has said that there is code: ECDSA
   * does not speak for a contract.
   */
  readonly askContract?: () => Promise<Result<Caller, Problem>>;
};

/** A call with a good signature: what a session key cannot stand in for. */
export type Signed = Authenticated & { readonly caller: Caller };

/**
 * Who calls: by ERC-8128 signature, or by session key where there is no signature at all. A signature that fails never
 * falls back to a key that came along.
 */
export async function authenticate(
  call: Call,
  body: Uint8Array,
  route: RouteKind,
): Promise<Result<Authenticated, Problem>> {
  const { headers } = call.request;
  const signed = headers.has('signature') || headers.has('signature-input');
  const token = /^bearer +(\S+) *$/i.exec(headers.get('authorization') ?? '')?.[1];
  if (signed || token === undefined || !isSessionKey(token)) return authenticateSigned(call, body, route);

  const key = parseSessionKey(token);
  if (key === undefined) {
    return refuse(
      sessionKeyProblem(401, 'session_key_invalid', 'This is not a session key: it is cut short or changed.'),
    );
  }
  const served = servedAccount(call.config, key.agent);
  if (!served.ok) return served;
  return ok({
    ...served.value,
    caller: { keyHash: key.hash },
    authorizationKind: authorizationKinds.sessionKey,
    authorization: sessionKeyAuthorization(key.id),
  });
}

/** Verifies the call's ERC-8128 signature with the agent bound in, against the configured public origin. */
export async function authenticateSigned(
  call: Call,
  body: Uint8Array,
  route: RouteKind,
): Promise<Result<Signed, Problem>> {
  const { headers } = call.request;
  const policy = routePolicy(call.config, route);
  // Named before it is verified: only so that the chain can be asked about contracts of this agent and of no other.
  const named = parseAgentId(headers.get('agent-id') ?? '');
  const account = named.ok ? servedAccount(call.config, named.value) : named;
  const contractAccount = account.ok ? contractAccountFor(call, account.value) : undefined;

  const verified = await verifyAgentRequest(
    {
      method: call.request.method,
      ...targetOf(call.url, call.config.publicOrigin),
      fields: fieldLinesOfHeaders(headers),
      body,
    },
    policy,
    {
      now: Math.floor(call.now() / 1000),
      recover: recoverWithWasm,
      hashes: platformHashes,
      ...(contractAccount === undefined ? {} : { contractAccount }),
      // Whether its signer has called it back is known in the agent's account, which decides on it.
      invalidated: async () => false,
    },
  );
  if (!verified.ok) return refuse(signatureProblem(verified.error));
  const served = servedAccount(call.config, verified.value.agent);
  if (!served.ok) return served;
  const { account: proof, signatureBase, signature } = verified.value;
  return ok({
    ...served.value,
    caller: callerOf(verified.value, proof === 'contract' ? call.now() : undefined),
    authorizationKind: authorizationKinds.erc8128,
    authorization: authorizationHash(signatureBase, signature, sha256),
    async askContract() {
      const { keyid, digest, signature } = verified.value;
      const ports = { recover: recoverWithWasm, contractAccount: contractAccountFor(call, served.value) };
      const proven = await proveAccount(keyid, digest, signature, { ...policy, code: 'ask' }, ports);
      if (proven.ok)
        return ok(callerOf(verified.value, proven.account === 'contract' ? call.now() : undefined));
      const content = { digest: headers.has('content-digest'), type: headers.has('content-type') };
      return refuse(signatureProblem(refusalOf(proven.code, proven.message, policy, content)));
    },
  });
}

const callerOf = (
  { keyid, nonce, nonceExpiry, created }: VerifiedAgent,
  contractAskedMs: number | undefined,
): Caller => ({
  signer: keyid.address,
  verifiedBy: contractAskedMs === undefined ? 'ecdsa' : 'contract',
  ...(contractAskedMs === undefined ? {} : { contractAskedMs }),
  ...(nonce === undefined ? { created } : { nonce: { value: nonce, until: nonceExpiry } }),
});

/** The agent's account here, if this gateway serves its registry. */
function servedAccount(
  config: Config,
  agent: AgentId,
): Result<Pick<Authenticated, 'account' | 'chain'>, Problem> {
  const { chainId, registry, agentId } = agent;
  const chain = chainOf(config, chainId);
  if (!chain?.registries.includes(registry)) {
    return refuse({
      status: 403,
      code: 'registry_not_served',
      detail: `This gateway does not serve agents of ${formatAgentId(agent)}. GET /.well-known/tallystick lists the registries it serves.`,
    });
  }
  return ok({ account: { chainId, vault: chain.vault, registry, agentId }, chain });
}

/** What the chain is asked about the agent's owner and wallet, by way of what the agent's account knows already. */
function contractAccountFor(
  call: Call,
  { account, chain }: Pick<Authenticated, 'account' | 'chain'>,
): ContractAccount {
  return contractAccountOf(
    chain,
    async () => {
      const stub = call.env.AGENT_ACCOUNT.getByName(accountName(account));
      const known = await stub.identity();
      if (known !== undefined) return known;
      const read = await readObservation(chain, account, call.now);
      if (!read.ok) return undefined;
      await stub.observe(read.value);
      return read.value;
    },
    call.now,
  );
}
