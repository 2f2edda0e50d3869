// What strangers can make the gateway do: little, and nothing that others pay for.
import { connect, type Socket } from 'node:net';
import { parseEther } from 'viem';
import { generatePrivateKey } from 'viem/accounts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Stack } from '../dev/stack.ts';
import { readBody } from '../worker/body.ts';
import { FloodGuard } from '../worker/flood-guard.ts';
import { until } from './money.ts';
import { type RawAgent, rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

let stack: Stack;
let agent: RawAgent;
let payment: Record<string, string>;
beforeAll(async () => {
  stack = await startTestStack({ agents: 1 });
  const [first] = stack.agents;
  if (!first) throw new Error('no agent');
  agent = rawAgent(stack, first);
  payment = await agent.payment(parseEther('5'));
});
afterAll(() => stack?.close());

const isServed = async (): Promise<boolean> => (await agent.chat('hello', { headers: payment })).ok;

test('bodies that are announced and never come take nobody’s place', async () => {
  const { hostname, port } = new URL(stack.gatewayUrl);
  const sockets: Socket[] = [];
  for (let number = 0; number < 60; number += 1) {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-type: application/json\r\ncontent-length: 4194304\r\n\r\n{"model":`,
    );
    sockets.push(socket);
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(await isServed()).toBe(true);
  for (const socket of sockets) socket.destroy();
});

test('a body that trickles is given up, one that is too long is not kept, and room is given back', async () => {
  const endless = () =>
    new ReadableStream({
      type: 'bytes',
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        controller.enqueue(new Uint8Array(1));
      },
    });
  const posted = (body: ReadableStream, headers: Record<string, string> = {}) =>
    new Request('https://gateway.example', { method: 'POST', body, headers, duplex: 'half' } as RequestInit);
  const slow = await readBody(posted(endless()), 1_000_000, { timeoutMs: 60 });
  expect(slow).toMatchObject({ ok: false, error: { status: 408, code: 'body_too_slow' } });

  const zeros = (parts: number, each: number) =>
    new ReadableStream({
      type: 'bytes',
      start(controller) {
        for (let part = 0; part < parts; part += 1) controller.enqueue(new Uint8Array(each));
        controller.close();
      },
    });
  const long = await readBody(posted(zeros(3, 1000)), 2500);
  expect(long).toMatchObject({ ok: false, error: { status: 413 } });
  const roomOf = (bytes: number) => {
    let left = bytes;
    const grow = (more: number): boolean => {
      left -= more;
      return left >= 0;
    };
    return { grow, frame: () => true, release: () => undefined };
  };
  expect(await readBody(posted(zeros(3, 1000)), 10_000, { room: roomOf(9_000) })).toMatchObject({ ok: true });
  expect(await readBody(posted(zeros(1, 1001)), 10_000, { room: roomOf(3_000) })).toMatchObject({
    ok: false,
    error: { code: 'gateway_busy' },
  });

  // The same for bodies that are short enough to be read in one go.
  const short = { 'content-length': '1001' };
  expect(await readBody(posted(endless(), short), 10_000, { timeoutMs: 60 })).toEqual(slow);
  expect(await readBody(posted(zeros(1, 1001), short), 1000)).toMatchObject({ error: { status: 413 } });
  expect(await readBody(posted(zeros(1, 1001), short), 10_000, { room: roomOf(3_000) })).toMatchObject({
    ok: false,
    error: { code: 'gateway_busy' },
  });
  expect(await readBody(posted(zeros(1, 1001), short), 10_000)).toEqual({
    ok: true,
    value: new Uint8Array(1001),
  });
});

test('giant headers are not looked at', async () => {
  const response = await fetch(`${stack.gatewayUrl}/v1/account`, {
    headers: { 'signature-input': `sig=(${'"a" '.repeat(9_000)})`, signature: 'sig=:AA==:' },
  });
  expect(response.status).toBe(431);
  expect(await isServed()).toBe(true);
});

test('an address that floods is stopped before any cryptography; others, and good requests, are not', async () => {
  const from = (address: string, headers: Record<string, string> = {}) =>
    fetch(`${stack.gatewayUrl}/v1/account`, { headers: { 'cf-connecting-ip': address, ...headers } });
  const flood = async () => {
    const responses = await Promise.all(Array.from({ length: 20 }, () => from('203.0.113.7')));
    return responses.at(-1)?.status ?? 0;
  };
  let status = 0;
  for (let batch = 0; batch < 30 && status !== 429; batch += 1) status = await flood();
  expect(status).toBe(429);
  const signed = await agent.sign('GET', '/v1/account', { nonce: null });
  expect((await from('203.0.113.8', signed)).status).toBe(200);
  // A pause earns an address a request: the flood goes on, then, until one is refused that would have been good.
  const refused = async () => {
    await flood();
    return (await from('203.0.113.7', signed)).status;
  };
  expect(await until(refused, (answer) => answer === 429)).toBe(429);
});

test('guessing the operator’s token is a flood like any other', async () => {
  const guess = () =>
    fetch(`${stack.gatewayUrl}/metrics`, {
      headers: { 'cf-connecting-ip': '203.0.113.9', authorization: `Bearer ${generatePrivateKey()}` },
    });
  let status = 0;
  for (let batch = 0; batch < 30 && status !== 429; batch += 1) {
    const responses = await Promise.all(Array.from({ length: 20 }, guess));
    status = responses.at(-1)?.status ?? 0;
  }
  expect(status).toBe(429);
});

test('many agents that do not exist are refused, and leave the one that does alone', async () => {
  const { privateKey } = stack.agents[0] ?? { privateKey: generatePrivateKey() };
  const strangers = Array.from({ length: 40 }, (_, number) =>
    rawAgent(stack, { agentId: `${1000 + number}`, privateKey }).chat('hello', { headers: payment }),
  );
  const statuses = (await Promise.all(strangers)).map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set([403]));
  expect(await isServed()).toBe(true);
});

test('the guard forgets: by time, and the oldest of too many', () => {
  const guard = new FloodGuard();
  for (let at = 0; at < 400; at += 1) guard.note('a', 401, 0);
  expect(guard.refusal('a', 0)?.status).toBe(429);
  expect(guard.refusal('a', 60_000)).toBeUndefined();
  guard.note('b', 500, 0); // our fault is not held against anybody
  for (let at = 0; at < 500; at += 1) guard.note('c', 200, 0);
  expect(guard.refusal('c', 0)).toBeUndefined();
  for (let at = 0; at < 400; at += 1) guard.note('d', 401, 0);
  for (let at = 0; at < 10_000; at += 1) guard.note(`other ${at}`, 401, 0);
  expect(guard.refusal('d', 0)).toBeUndefined();
});
