// `tallystick proxy`: what any client in any language sees, by raw HTTP and by curl; and who may not use it.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import path from 'node:path';
import { promisify } from 'node:util';
import OpenAI from 'openai';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgentFetch } from '../client/agent-fetch.ts';
import { type ProxiedCall, type SigningProxy, startSigningProxy } from '../client/signing-proxy.ts';
import type { Stack } from '../dev/stack.ts';
import { startTestStack } from './test-stack.ts';

const run = promisify(execFile);
const entry = path.resolve(import.meta.dirname, '../client/cli/tallystick.ts');
const calls: ProxiedCall[] = [];
let stack: Stack;
let proxy: SigningProxy;
let guarded: SigningProxy;

beforeAll(async () => {
  stack = await startTestStack();
  const agentFetch = createAgentFetch({ ...identity(), gateway: stack.gatewayUrl, rpcUrl: stack.rpcUrl });
  proxy = await startSigningProxy({ agentFetch, port: 0, onCall: (call) => calls.push(call) });
  guarded = await startSigningProxy({ agentFetch, port: 0, token: 'open sesame' });
});
afterAll(async () => {
  await proxy?.close();
  await guarded?.close();
  await stack?.close();
});

function identity() {
  const [agent] = stack.agents;
  if (!agent) throw new Error('no agent');
  return {
    wallet: privateKeyToAccount(agent.privateKey),
    agent: `eip155:${stack.chainId}:${stack.identityRegistry}:${agent.agentId}`,
    key: agent.privateKey,
  };
}

type Answer = { readonly status: number; readonly body: string };

/** Raw HTTP: fetch would not let us lie in Host and Origin. */
function raw(url: string, headers: Record<string, string> = {}, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: body === undefined ? 'GET' : 'POST', headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const question = (text: string, more: object = {}): string =>
  JSON.stringify({ model: 'qwen-flash', messages: [{ role: 'user', content: text }], ...more });
const json = { 'content-type': 'application/json', authorization: 'Bearer unused' };

test('raw HTTP: an answer, paid for and its receipt checked', async () => {
  const before = calls.length;
  const { status, body } = await raw(`${proxy.baseUrl}/chat/completions`, json, question('What is 6*7?'));
  expect(status).toBe(200);
  expect(JSON.parse(body)).toMatchObject({
    choices: [{ message: { content: expect.stringContaining('42') } }],
  });
  await expect.poll(() => calls.length).toBe(before + 1);
  expect(calls.at(-1)?.amount).toBeGreaterThan(0n);
  expect(calls.at(-1)?.problem).toBeUndefined();
});

test('curl: a stream, event by event, to its end', async () => {
  const { stdout } = await run('curl', [
    '-sN',
    `${proxy.baseUrl}/chat/completions`,
    '-H',
    'content-type: application/json',
    '-d',
    question('Write a poem about the sea', { stream: true }),
  ]);
  expect(stdout.match(/^data: \{/gm)?.length).toBeGreaterThan(5);
  expect(stdout.trimEnd()).toMatch(/data: \[DONE\]$/);
});

test('a stock client that knows a base URL and nothing else', async () => {
  const openai = new OpenAI({ baseURL: proxy.baseUrl, apiKey: 'unused' });
  const stream = await openai.chat.completions.create({
    model: 'qwen-plus',
    stream: true,
    messages: [{ role: 'user', content: 'What is 12*7?' }],
  });
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
  expect(text).toContain('84');
  const error = await openai.chat.completions
    .create({ model: 'gpt-4o', messages: [{ role: 'user', content: 'hi' }] })
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(OpenAI.NotFoundError);
});

test('a page in a browser, a rebound name, and another path get nothing', async () => {
  const before = calls.filter(({ amount }) => amount !== undefined).length;
  const url = `${proxy.baseUrl}/chat/completions`;
  const page = await raw(url, { ...json, origin: 'https://evil.example' }, question('hi'));
  expect(page).toMatchObject({ status: 403, body: expect.stringContaining('browser_not_allowed') });
  const rebound = await raw(url, { ...json, host: 'evil.example' }, question('hi'));
  expect(rebound).toMatchObject({ status: 403, body: expect.stringContaining('wrong_host') });
  expect(await raw(new URL('/healthz', proxy.baseUrl).href)).toMatchObject({ status: 404 });
  expect(calls.filter(({ amount }) => amount !== undefined)).toHaveLength(before);
});

test('with a token, only who sends it', async () => {
  const url = `${guarded.baseUrl}/chat/completions`;
  expect(await raw(url, json, question('hi'))).toMatchObject({ status: 401 });
  const right = { ...json, authorization: 'Bearer open sesame' };
  expect(await raw(url, right, question('What is 1+1?'))).toMatchObject({ status: 200 });
});

test('a gateway that is gone is a 502 that says so, and is not tried for ever', async () => {
  const agentFetch = createAgentFetch({ ...identity(), gateway: 'http://127.0.0.1:9' });
  const lost = await startSigningProxy({ agentFetch, port: 0 });
  const { status, body } = await raw(`${lost.baseUrl}/chat/completions`, json, question('hi'));
  await lost.close();
  expect(status).toBe(502);
  expect(JSON.parse(body)).toMatchObject({ error: { message: expect.any(String) } });
});

test('the command listens on loopback, says how to use it, and ends with its signal', async () => {
  const env = {
    ...process.env,
    NO_COLOR: '1',
    TALLYSTICK_GATEWAY: stack.gatewayUrl,
    TALLYSTICK_RPC: stack.rpcUrl,
    TALLYSTICK_KEY: identity().key,
    TALLYSTICK_AGENT: identity().agent,
  };
  const open = await run(process.execPath, [entry, 'proxy', '--host', '0.0.0.0'], { env }).catch(
    (error: { code?: number; stderr?: string }) => error,
  );
  expect(open).toMatchObject({ code: 2, stderr: expect.stringContaining('--token-file') });

  const child = spawn(process.execPath, [entry, 'proxy', '--port', '0'], { env });
  let said = '';
  child.stdout.on('data', (part: Buffer) => {
    said += part;
  });
  await expect.poll(() => said, { timeout: 20_000 }).toMatch(/OPENAI_BASE_URL=http:\/\/127\.0\.0\.1:\d+\/v1/);
  const [, baseUrl = ''] = /OPENAI_BASE_URL=(\S+)/.exec(said) ?? [];
  expect(await raw(`${baseUrl}/models`)).toMatchObject({ status: 200 });
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  expect((await ended)[0]).toBe(0);
});
