import type { AgentAccount } from '../durable-objects/account/agent-account.ts';
import type { Refusal } from '../durable-objects/account/ledger.ts';
import type { Observation } from '../durable-objects/chain/observation.ts';
import { readObservation } from '../durable-objects/chain/observe.ts';
import { accountName } from '../protocol/account-name.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import { chainUnavailable, problemOfRefusal } from './account-refusal.ts';
import type { Authenticated } from './authenticate.ts';
import type { Call } from './call.ts';
import type { Problem } from './problem.ts';

export const accountOf = (call: Call, { account }: Authenticated): DurableObjectStub<AgentAccount> =>
  call.env.AGENT_ACCOUNT.getByName(accountName(account));

/**
 * Asks the agent's account. A warm account answers at once; one without a fresh reading of the chain says so, and is asked
 * again with one: the account itself never waits on a network.
 */
export async function askAccount<T>(
  call: Call,
  caller: Authenticated,
  ask: (observation?: Observation) => Promise<Result<T, Refusal>>,
): Promise<Result<T, Problem>> {
  let answer = await ask();
  if (!answer.ok && answer.error.reason === 'observation_needed') {
    const observation = await readObservation(caller.chain, caller.account, call.now);
    if (!observation.ok) return refuse(chainUnavailable(observation.error));
    answer = await ask(observation.value);
  }
  return answer.ok ? ok(answer.value) : refuse(problemOfRefusal(call, caller, answer.error));
}
