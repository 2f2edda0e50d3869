import type { AgentAccount } from '../durable-objects/account/agent-account.ts';
import type { Caller, Refusal } from '../durable-objects/account/ledger.ts';
import type { Bearer } from '../durable-objects/account/session-keys.ts';
import type { Observation } from '../durable-objects/chain/observation.ts';
import { readObservation } from '../durable-objects/chain/observe.ts';
import { accountName } from '../protocol/account-name.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import { chainUnavailable, problemOfRefusal } from './account-refusal.ts';
import { refreshAgentFacts } from './agent-facts.ts';
import type { Authenticated } from './authenticate.ts';
import type { Call } from './call.ts';
import type { Problem } from './problem.ts';

export const accountOf = (call: Call, { account }: Authenticated): DurableObjectStub<AgentAccount> =>
  call.env.AGENT_ACCOUNT.getByName(accountName(account));

/**
 * Asks the agent's account. A warm account answers at once; one without a fresh reading of the chain says so, and is asked
 * again with one: the account itself never waits on a network. One that finds code at the signer's address says that too,
 * and is asked again once the code has been asked.
 */
export async function askAccount<T, C extends Caller | Bearer>(
  call: Call,
  caller: Authenticated & { readonly caller: C },
  ask: (who: C | Caller, observation?: Observation) => Promise<Result<T, Refusal>>,
): Promise<Result<T, Problem>> {
  let who: C | Caller = caller.caller;
  let answer = await ask(who);
  if (needs(answer, 'observation_needed')) {
    const observation = await readObservation(caller.chain, caller.account, call.now);
    if (!observation.ok) return refuse(chainUnavailable(observation.error));
    answer = await ask(who, observation.value);
    // Once a reading, so about once a minute, it is worth asking whether the agent's registration is due for a look.
    if (answer.ok) call.waitUntil(refreshAgentFacts(call, caller));
  }
  if (needs(answer, 'contract_check_needed') && caller.askContract) {
    const proven = await caller.askContract();
    if (!proven.ok) return proven;
    who = proven.value;
    answer = await ask(who);
  }
  return answer.ok ? ok(answer.value) : refuse(problemOfRefusal(call, caller, answer.error));
}

const needs = (answer: Result<unknown, Refusal>, reason: Refusal['reason']): boolean =>
  !answer.ok && answer.error.reason === reason;
