import { parseAbi } from 'viem';
import type { AgentFacts } from '../durable-objects/account/agent-facts.ts';
import { nodeOf, reasonOf } from '../durable-objects/chain/node.ts';
import { accountName } from '../protocol/account-name.ts';
import { readRegistration } from '../protocol/identity/registration.ts';
import { fetchRegistrationFile } from './agent-facts-fetch.ts';
import type { Authenticated } from './authenticate.ts';
import type { Call } from './call.ts';

/** ERC-8004's `agentURI` is the token's. */
const registryAbi = parseAbi(['function tokenURI(uint256 agentId) view returns (string)']);

/** Of the URI this much is kept and shown. */
const uriLengthMax = 500;

/**
 * Reads the agent's registration file, if that is due, and leaves it with the agent's account. For `waitUntil`: nobody
 * waits for a stranger's server. Never throws.
 */
export async function refreshAgentFacts(
  call: Call,
  { account, chain }: Pick<Authenticated, 'account' | 'chain'>,
): Promise<void> {
  try {
    const stub = call.env.AGENT_ACCOUNT.getByName(accountName(account));
    if (!(await stub.takeFactsLook())) return;
    const uri = await nodeOf(chain).readContract({
      address: account.registry,
      abi: registryAbi,
      functionName: 'tokenURI',
      args: [account.agentId],
    });
    const { ipfsGateway } = call.config;
    const file = await fetchRegistrationFile(uri, {
      fetch: (url, init) => fetch(url, init),
      ...(ipfsGateway === undefined ? {} : { ipfsGateway }),
    });
    const registration = file.ok ? readRegistration(file.value, account) : file;
    const facts: AgentFacts = {
      uri: uri.slice(0, uriLengthMax),
      checkedMs: call.now(),
      ...(registration.ok ? { registration: registration.value } : { problem: registration.error }),
    };
    await stub.keepFacts(facts);
  } catch (error) {
    console.warn(JSON.stringify({ event: 'facts_delayed', requestId: call.id, error: reasonOf(error) }));
  }
}

/** The facts as `GET /v1/account` shows them. */
export const shownFacts = (facts: AgentFacts | undefined) =>
  facts === undefined
    ? null
    : {
        uri: facts.uri,
        checkedAt: Math.floor(facts.checkedMs / 1000),
        problem: facts.problem ?? null,
        registration: facts.registration ?? null,
      };
