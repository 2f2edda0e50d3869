import type { Hex } from 'viem';
import { ok, type Result, refuse } from '../result.ts';

/** An ERC-8004 agent, named globally: the chain and registry it is minted in, and its token id. */
export type AgentId = {
  /** EIP-155 chain id, a positive safe integer. */
  readonly chainId: number;
  /** Identity registry, 20 bytes of lower-case hex. */
  readonly registry: Hex;
  /** Token id, uint256. 0 is a real agent. */
  readonly agentId: bigint;
};

const UINT256_MAX = 2n ** 256n - 1n;

// "eip155:" + 16 digits + ":" + 42 + ":" + 78 digits. Checked before the pattern so that a long field costs nothing.
const LENGTH_MAX = 7 + 16 + 1 + 42 + 1 + 78;
const PATTERN = /^eip155:([1-9][0-9]{0,15}):(0x[0-9a-f]{40}):(0|[1-9][0-9]{0,77})$/;

/**
 * Reads the `Agent-Id` field (docs/protocol.md section 1): `eip155:<chainId>:<identityRegistry>:<agentId>`.
 * One spelling per agent: lower-case hex, no leading zeros, no surrounding white space.
 */
export const parseAgentId = (text: string): Result<AgentId, string> => {
  if (text.length > LENGTH_MAX) return refuse(`Agent-Id is longer than ${LENGTH_MAX} characters`);
  const [, chain, registry, token] = PATTERN.exec(text) ?? [];
  if (chain === undefined || registry === undefined || token === undefined) {
    return refuse(
      'Agent-Id must be eip155:<chainId>:<identityRegistry>:<agentId>, lower-case hex, decimals without leading zeros',
    );
  }
  const chainId = Number(chain);
  if (!Number.isSafeInteger(chainId)) return refuse('Agent-Id: the chain id exceeds 2^53 - 1');
  const agentId = BigInt(token);
  if (agentId > UINT256_MAX) return refuse('Agent-Id: the agent id exceeds uint256');
  return ok({ chainId, registry: registry as Hex, agentId });
};

/** Writes what {@link parseAgentId} reads. The parts must already be in range; the registry may be in any case. */
export const formatAgentId = (agent: AgentId): string =>
  `eip155:${agent.chainId}:${agent.registry.toLowerCase()}:${agent.agentId}`;
