// Requests that are really signed and paid, made before they are sent: what is measured is the gateway, not the signing.
import { parseEther } from 'viem';
import type { LocalAgent, Stack } from '../dev/stack.ts';
import { type RawAgent, rawAgent } from '../test/raw-agent.ts';
import { type Prepared, prepared } from './load.ts';

const path = '/v1/chat/completions';

export type Payer = {
  /** So many requests with this body, each with a signature and a nonce of its own. Good for a minute. */
  readonly signed: (body: string, count: number) => Promise<Prepared[]>;
  /** The same request so many times, by session key. */
  readonly byKey: (body: string, count: number) => Prepared[];
};

/** The stack's first agent with its voucher handed in and a session key made. */
export async function payerOf(stack: Stack): Promise<Payer> {
  const { gatewayUrl } = stack;
  const [first] = stack.agents;
  if (!first) throw new Error('the stack has no agent');
  const agent = rawAgent(stack, first);
  const voucher = await agent.payment(parseEther('1000'));
  await expectOk(agent.chat('Take this voucher.', { headers: voucher }));
  const key = await sessionKey(agent);
  return {
    async signed(body, count) {
      const requests: Prepared[] = [];
      for (let made = 0; made < count; made += 1)
        requests.push(prepared(gatewayUrl + path, await agent.sign('POST', path, { body }), body));
      return requests;
    },
    byKey(body, count) {
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
      return Array<Prepared>(count).fill(prepared(gatewayUrl + path, headers, body));
    },
  };
}

/** One signed request of each agent; with its voucher where it is the agent's first. Good for a minute. */
export async function oneOfEach(
  stack: Stack,
  agents: readonly LocalAgent[],
  body: string,
  voucher?: bigint,
): Promise<Prepared[]> {
  const requests: Prepared[] = [];
  for (const local of agents) {
    const agent = rawAgent(stack, local);
    const headers = voucher === undefined ? {} : await agent.payment(voucher);
    requests.push(prepared(stack.gatewayUrl + path, await agent.sign('POST', path, { body, headers }), body));
  }
  return requests;
}

async function sessionKey(agent: RawAgent): Promise<string> {
  const expiresAt = Math.floor(Date.now() / 1000) + 3_600;
  const body = JSON.stringify({ expiresAt, spendCap: `${parseEther('500')}` });
  const made = await expectOk(agent.call('POST', '/v1/keys', { body }));
  return ((await made.json()) as { key: string }).key;
}

async function expectOk(answer: Promise<Response>): Promise<Response> {
  const response = await answer;
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return response;
}
