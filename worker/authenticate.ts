import type { Hex } from 'viem';
import type { Caller } from '../durable-objects/account/ledger.ts';
import type { ChainConfig, Config } from '../durable-objects/config.ts';
import type { Account } from '../protocol/account-name.ts';
import { formatAgentId } from '../protocol/identity/agent-id.ts';
import { verifyAgentRequest } from '../protocol/identity/agent-request.ts';
import type { Policy } from '../protocol/identity/policy.ts';
import { targetOf } from '../protocol/identity/received-request.ts';
import { refusalHeaders } from '../protocol/identity/refusal.ts';
import { authorizationKinds } from '../protocol/receipt.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import type { Call } from './call.ts';
import type { Problem } from './problem.ts';
import { recoverWithWasm } from './recover/recover-with-wasm.ts';

/** A call whose signature is good. Whether its signer may speak for the agent is decided in the agent's account. */
export type Authenticated = {
  readonly account: Account;
  readonly chain: ChainConfig;
  readonly caller: Caller;
  readonly authorizationKind: number;
  readonly authorization: Hex;
};

/** Longest validity of a signature, in seconds. */
const maxValiditySeconds = 300;
const skewSeconds = 30;

/**
 * What a route accepts. Calls that change or cost money are single use: they carry a nonce. Reads may be repeated within
 * their validity; a nonce on a read is honoured, and consumed.
 */
export function routePolicy(config: Config, route: 'spends' | 'reads'): Policy {
  return {
    chains: config.chains.map((chain) => chain.chainId),
    maxValiditySeconds,
    skewSeconds,
    requiredComponents: ['agent-id'],
    nonce: route === 'spends' ? 'required' : 'optional',
    accounts: 'eoa-only',
    code: 'deferred',
  };
}

/** Verifies the call's ERC-8128 signature with the agent bound in, against the configured public origin. */
export async function authenticate(
  call: Call,
  body: Uint8Array,
  route: 'spends' | 'reads',
): Promise<Result<Authenticated, Problem>> {
  const verified = await verifyAgentRequest(
    {
      method: call.request.method,
      ...targetOf(call.request.url, call.config.publicOrigin),
      headers: call.request.headers,
      body,
    },
    routePolicy(call.config, route),
    {
      now: Math.floor(call.now() / 1000),
      recover: recoverWithWasm,
      // A replayable read stands as long as its signer speaks for the agent, which the account checks on every call.
      invalidated: async () => false,
    },
  );
  if (!verified.ok) {
    const { code, status, message } = verified.error;
    return refuse({ status, code, detail: message, headers: refusalHeaders(verified.error) });
  }
  const { agent, keyid, nonce, nonceExpiry, authorization } = verified.value;
  const chain = call.config.chains.find(({ chainId }) => chainId === agent.chainId);
  if (!chain?.registries.includes(agent.registry)) {
    return refuse({
      status: 403,
      code: 'registry_not_served',
      detail: `This gateway does not serve agents of ${formatAgentId(agent)}. GET /.well-known/tallystick lists the registries it serves.`,
    });
  }
  return ok({
    account: {
      chainId: agent.chainId,
      vault: chain.vault,
      registry: agent.registry,
      agentId: agent.agentId,
    },
    chain,
    caller: {
      signer: keyid.address,
      verifiedBy: 'ecdsa',
      ...(nonce === undefined ? {} : { nonce: { value: nonce, until: nonceExpiry } }),
    },
    authorizationKind: authorizationKinds.erc8128,
    authorization,
  });
}
