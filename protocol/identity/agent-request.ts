import { ok, type Result } from '../result.ts';
import { type AgentId, parseAgentId } from './agent-id.ts';
import { type Ports, type Verified, verifyReadRequest } from './erc8128.ts';
import type { Policy } from './policy.ts';
import { fieldValue, type ReadRequest, type ReceivedRequest, readRequest } from './received-request.ts';
import type { Refusal } from './refusal.ts';

/** A request signed by an account, for an agent. Whether the account may speak for the agent is the registry's to say. */
export type VerifiedAgent = Verified & { readonly agent: AgentId };

const AGENT_COMPONENT = 'agent-id';

/** The route's policy with `agent-id` among the required components. */
export const agentPolicy = (policy: Policy): Policy =>
  policy.requiredComponents.includes(AGENT_COMPONENT)
    ? policy
    : { ...policy, requiredComponents: [AGENT_COMPONENT, ...policy.requiredComponents] };

/**
 * `verifyRequest` with the ERC-8004 agent bound in (docs/protocol.md section 1): `Agent-Id` is sent once, is
 * covered, and lies on the `keyid`'s chain. Without that last rule a contract deployed at the same address on another
 * chain would answer ERC-1271 for the agent. An Agent-Id at fault is `principal_not_allowed`, before any cryptography.
 */
export const verifyAgentRequest = async (
  request: ReceivedRequest | ReadRequest,
  policy: Policy,
  ports: Ports,
): Promise<Result<VerifiedAgent, Refusal>> => {
  const read = readRequest(request);
  const text = fieldValue(read.fields, AGENT_COMPONENT);
  const agent = parseAgentId(text ?? '');
  const principal: NonNullable<Ports['principal']> = (keyid) => {
    if (!agent.ok) return agent.error;
    if (agent.value.chainId !== keyid.chainId) {
      return `the keyid is on chain ${keyid.chainId}, the Agent-Id on ${agent.value.chainId}: they must be the same`;
    }
    return ports.principal?.(keyid);
  };
  const verified = await verifyReadRequest(read, agentPolicy(policy), { ...ports, principal });
  if (!verified.ok) return verified;
  // `principal` refuses every candidate while the Agent-Id is unreadable, so this one was read.
  if (!agent.ok) throw new Error('unreachable: a request without a readable Agent-Id was verified');
  return ok({ ...verified.value, agent: agent.value });
};
