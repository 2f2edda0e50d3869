// Bad input, seen from outside: each refusal has its own status and code, says what to do, and leaves nothing held or charged.
import { parseEther } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { walletOf } from '../dev/clients.ts';
import { fund, registerAgent } from '../dev/contracts.ts';
import type { Stack } from '../dev/stack.ts';
import { type CallOptions, type RawAgent, rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

let stack: Stack;
let agent: RawAgent;
let stranger: RawAgent;

beforeAll(async () => {
  stack = await startTestStack();
  const [first, second] = stack.agents;
  if (!first || !second) throw new Error('the stack has three agents');
  agent = rawAgent(stack, first);
  stranger = rawAgent(stack, second);
});
afterAll(() => stack?.close());

const body = JSON.stringify({ model: 'qwen-plus', messages: [{ role: 'user', content: 'hello' }] });

type Problem = {
  status: number;
  reason: string;
  detail: string;
  requestId: string;
  error: { code: string; message: string; type: string };
};

async function refusal(response: Response): Promise<Problem> {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const problem = (await response.json()) as Problem;
  expect(problem.status).toBe(response.status);
  // OpenAI's clients read this member; it says the same thing.
  expect(problem.error.code).toBe(problem.reason);
  expect(problem.error.message).toBe(problem.detail);
  expect(problem.detail.length).toBeGreaterThan(20);
  expect(response.headers.get('x-request-id')).toBe(problem.requestId);
  return problem;
}

async function standing(who: RawAgent): Promise<{ held: string; captured: string; sequence: string }> {
  const response = await who.call('GET', '/v1/account');
  expect(response.status).toBe(200);
  return (await response.json()) as { held: string; captured: string; sequence: string };
}

/** Calls, expects this refusal, and that the account is as it was. */
async function expectRefused(status: number, code: string, call: () => Promise<Response>): Promise<Problem> {
  const before = await standing(agent);
  const problem = await refusal(await call());
  expect([problem.status, problem.reason]).toEqual([status, code]);
  const after = await standing(agent);
  expect([after.held, after.captured, after.sequence]).toEqual(['0', before.captured, before.sequence]);
  return problem;
}

const post = (options: CallOptions = {}) => agent.call('POST', '/v1/chat/completions', { body, ...options });

describe('identity', () => {
  test('an unsigned request', async () => {
    const send = () =>
      fetch(`${stack.gatewayUrl}/v1/chat/completions`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      });
    await expectRefused(401, 'signature_missing', send);
    expect((await send()).headers.get('www-authenticate')).toContain('ERC8128 error="signature_missing"');
  });

  test('a signature over another path', async () => {
    await expectRefused(401, 'bad_signature', () => post({ signedPath: '/v1/models' }));
  });

  test('a body that was changed after signing', async () => {
    await expectRefused(401, 'bad_content_digest', async () => {
      const headers = await agent.sign('POST', '/v1/chat/completions', { body });
      return fetch(`${stack.gatewayUrl}/v1/chat/completions`, {
        method: 'POST',
        headers,
        body: body.replace('hello', 'HELLO'),
      });
    });
  });

  test('an Agent-Id that was changed after signing', async () => {
    await expectRefused(401, 'bad_signature', async () => {
      const headers = await agent.sign('POST', '/v1/chat/completions', { body });
      return fetch(`${stack.gatewayUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: { ...headers, 'agent-id': stranger.agentId },
        body,
      });
    });
  });

  test('a stale request, and one from the future', async () => {
    await expectRefused(401, 'request_expired', () => post({ skew: -300 }));
    await expectRefused(401, 'request_not_yet_valid', () => post({ skew: 300 }));
  });

  test('a request without a nonce where one is required', async () => {
    await expectRefused(401, 'nonce_required', async () => {
      const headers = await agent.sign('POST', '/v1/chat/completions', { body, nonce: null });
      return fetch(`${stack.gatewayUrl}/v1/chat/completions`, { method: 'POST', headers, body });
    });
  });

  test("a keyid on another chain than the agent's", async () => {
    await expectRefused(401, 'unsupported_chain', () => post({ keyidChain: 1 }));
  });

  test('an agent of a registry this gateway does not serve', async () => {
    const agentId = `eip155:${stack.chainId}:0x${'12'.repeat(20)}:0`;
    await expectRefused(403, 'registry_not_served', () => post({ agentId }));
  });

  test('an agent the registry does not know', async () => {
    const agentId = `eip155:${stack.chainId}:${stack.identityRegistry}:123456789`;
    await expectRefused(403, 'agent_unknown', () => post({ agentId }));
  });

  test("a signer that is neither the agent's wallet nor its owner", async () => {
    await expectRefused(403, 'signer_not_allowed', () => post({ agentId: stranger.agentId }));
  });
});

describe('money', () => {
  test('no voucher: 402 says in x402 v2 what to sign', async () => {
    const problem = await expectRefused(402, 'voucher_missing', () => post());
    const response = await post();
    const required = JSON.parse(atob(response.headers.get('payment-required') ?? '')) as {
      x402Version: number;
      accepts: {
        scheme: string;
        network: string;
        payTo: string;
        amount: string;
        extra: Record<string, string>;
      }[];
    };
    expect(required.x402Version).toBe(2);
    const [offer] = required.accepts;
    expect(offer).toMatchObject({ scheme: 'agent-vault', network: 'eip155:31337', payTo: stack.vault });
    expect(offer?.extra).toMatchObject({ agentId: '0', epoch: '0', deposited: `${parseEther('10')}` });
    expect(problem.detail).toContain(offer?.amount);
    expect(response.headers.get('x-should-retry')).toBe('false');
  });

  test.each([
    ['voucher_bad_signature', async () => stranger.payment(10n ** 18n, { agentId: 0n })],
    ['voucher_wrong_agent', async () => stranger.payment(10n ** 18n)],
    ['voucher_wrong_epoch', async () => agent.payment(10n ** 18n, { epoch: 1n })],
  ])('%s', async (code, payment) => {
    const paid = await payment();
    await expectRefused(402, code, async () => {
      const headers = await agent.sign('POST', '/v1/chat/completions', { body });
      return fetch(`${stack.gatewayUrl}/v1/chat/completions`, {
        method: 'POST',
        headers: { ...headers, ...paid },
        body,
      });
    });
  });

  test('a payment header that is none', async () => {
    await expectRefused(400, 'payment_malformed', () =>
      post({ headers: { 'payment-signature': 'bm90IGpzb24=' } }),
    );
  });

  test('a voucher too small for the ceiling', async () => {
    await expectRefused(402, 'voucher_insufficient', async () => post({ headers: await agent.payment(1n) }));
  });

  test('a deposit too small for the ceiling', async () => {
    const huge = JSON.stringify({
      model: 'qwen3.6-plus',
      n: 4,
      messages: [{ role: 'user', content: 'x'.repeat(1_000_000) }],
    });
    await expectRefused(402, 'deposit_insufficient', async () =>
      post({ body: huge, headers: await agent.payment(10n ** 24n) }),
    );
  });

  test('an agent without a deposit, and one without a spender', async () => {
    const key = `0x${'77'.repeat(32)}` as const;
    const owner = walletOf(stack.rpcUrl, stack.chainId, privateKeyToAccount(key));
    await fund(stack.reader, stack.deployer, owner.account.address, parseEther('1'));
    const agentId = `${await registerAgent(stack.reader, owner, stack.identityRegistry, 'data:,')}`;
    const poor = rawAgent(stack, { agentId, privateKey: key });
    const problem = await refusal(await poor.chat('hello'));
    expect([problem.status, problem.reason]).toEqual([402, 'no_spender']);
  });
});

describe('the request itself', () => {
  const send = (text: string) => async () =>
    post({ body: text, headers: await agent.payment(parseEther('5')) });

  test('an unknown model', async () => {
    const problem = await expectRefused(404, 'model_not_found', send('{"model":"gpt-4o","messages":[]}'));
    expect(problem.detail).toContain('/v1/models');
  });

  test('duplicate keys', async () => {
    await expectRefused(
      400,
      'duplicate_key',
      send('{"model":"qwen-plus","model":"qwen-flash","messages":[]}'),
    );
  });

  test('malformed JSON', async () => {
    await expectRefused(400, 'invalid_json', send('{"model":'));
    await expectRefused(400, 'invalid_value', send('[]'));
  });

  test('a parameter without a bound', async () => {
    const unbounded = {
      model: 'qwen-plus',
      enable_search: true,
      messages: [{ role: 'user', content: 'hi' }],
    };
    await expectRefused(400, 'unsupported_parameter', send(JSON.stringify(unbounded)));
  });

  test('a body that is too large', async () => {
    await expectRefused(413, 'body_too_large', send(`{"model":"qwen-plus","x":"${'x'.repeat(20_000_000)}"}`));
  });

  test('an unknown route', async () => {
    const response = await fetch(`${stack.gatewayUrl}/v1/nothing`);
    expect((await refusal(response)).reason).toBe('not_found');
  });
});

describe('single use', () => {
  test('the same signed request sent 50 times at once is served once', async () => {
    const paid = await agent.payment(parseEther('5'));
    const headers = { ...(await agent.sign('POST', '/v1/chat/completions', { body })), ...paid };
    const before = await standing(agent);
    const answers = await Promise.all(
      Array.from({ length: 50 }, () =>
        fetch(`${stack.gatewayUrl}/v1/chat/completions`, { method: 'POST', headers, body }),
      ),
    );
    const statuses = answers.map((answer) => answer.status).sort();
    expect(statuses).toEqual([200, ...Array.from({ length: 49 }, () => 401)]);
    const replayed = answers.find((answer) => answer.status === 401);
    expect(replayed && (await refusal(replayed)).reason).toBe('nonce_reused');
    const after = await standing(agent);
    expect([after.held, BigInt(after.sequence)]).toEqual(['0', BigInt(before.sequence) + 1n]);
  });
});

test('without the keys that receipts are signed with, nothing is begun: it would be charged and have none', async () => {
  await stack.restartGateway({ RECEIPT_KEYS_BEFORE: '[{"until": 1}]' });
  const headers = await agent.payment(parseEther('5'));
  await expectRefused(503, 'not_configured', () => agent.chat('hello', { headers }));
});
