// Clients that do not take their long answers do not fill the gateway's memory: upstream is not read any further. The long run, a
// hundred clients and figures beside a Worker that does not wait, is bench/memory.ts.
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { residentMb } from '../dev/processes.ts';
import { inspectHeap } from './isolate-heap.ts';
import { type ProxyStack, settled, startProxyStack } from './proxy-stack.ts';
import { ourWorkerds, SlowReader } from './slow-readers.ts';

const clients = 4;
const answerMb = 128;
const path = '/v1/chat/completions';
const event = `data: ${JSON.stringify({
  id: 'long',
  choices: [{ index: 0, delta: { content: 'x'.repeat(16_000) } }],
})}\n\n`;

let writtenMb = 0;

/** An event that passes and one that does not, so that the gateway cannot hand on several as one. */
const token = [{ choices: [{ index: 0, delta: { content: 'word' } }] }, { choices: [], usage: {} }]
  .map((one) => `data: ${JSON.stringify({ id: 'tokens', ...one })}\n\n`)
  .join('');
const passed = token.slice(0, token.indexOf('\n\n') + 2);
const tokens = [2_000, 30_000];
let goOn = (): void => undefined;

/** Some tokens; when asked, many; then the end. */
async function writeTokens(response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const count of tokens) {
    const asked = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    response.write(token.repeat(count));
    await asked;
  }
  response.end('data: [DONE]\n\n');
}

/** Writes a long answer as fast as it is taken. */
const upstream: Server = createServer(async (request, response) => {
  let asked = '';
  for await (const part of request) asked += String(part);
  if (asked.includes('Word by word.')) return writeTokens(response);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (let left = answerMb * 1_048_576; left > 0 && !response.closed; left -= event.length) {
    if (!response.write(event)) await taken(response);
    writtenMb += event.length / 1_048_576;
  }
  response.end('data: [DONE]\n\n');
});

const taken = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const go = (): void => {
      response.off('drain', go).off('close', go);
      resolve();
    };
    response.once('drain', go).once('close', go);
  });

let proxy: ProxyStack;
beforeAll(async () => {
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const baseUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/v1`;
  // When the clients have left, what they did not take is not read for long either.
  const timeouts = { drainMs: 200 };
  proxy = await startProxyStack({
    standIns: [],
    inspect: true,
    upstreams: () => [{ name: 'long', dialect: 'dashscope', baseUrl, timeouts }],
  });
});
afterAll(async () => {
  await proxy?.close();
  upstream.closeAllConnections();
  upstream.close();
});

/** Until upstream has not been read for a second. */
async function standstill(): Promise<void> {
  for (let before = -1; before !== writtenMb || writtenMb === 0; ) {
    before = writtenMb;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

test.skipIf(process.platform !== 'linux')('an answer that is not taken is not read', async () => {
  const [pid] = ourWorkerds();
  if (pid === undefined) throw new Error('no workerd');
  const body = JSON.stringify({
    model: 'qwen-plus',
    stream: true,
    max_tokens: 30_000,
    messages: [{ role: 'user', content: 'Go on and on.' }],
  });
  const payment = await proxy.agent.payment(10n ** 21n);
  const beforeMb = residentMb(pid);
  const readers: SlowReader[] = [];
  for (let made = 0; made < clients; made += 1) {
    const headers = await proxy.agent.sign('POST', path, { body, headers: payment });
    readers.push(
      new SlowReader({ url: proxy.stack.gatewayUrl + path, headers, body }, Number.POSITIVE_INFINITY),
    );
  }
  await standstill();
  for (const { head } of readers) expect(head).toMatch(/^HTTP\/1.1 200/);
  // What is in the kernel's buffers, of 512 MB.
  expect(writtenMb).toBeLessThan((clients * answerMb) / 2);
  expect(residentMb(pid) - beforeMb).toBeLessThan(128);
  for (const reader of readers) reader.leave();
  const { sequence } = await settled(proxy);
  expect(sequence).toBe(BigInt(clients));
  // Nor is all the rest read at once when they have left: timeouts hold, and other calls get their turn.
  expect(writtenMb).toBeLessThan((clients * answerMb) / 2);
});

test('what has passed of an answer leaves nothing behind', async () => {
  const isolate = await inspectHeap(
    await proxy.stack.gateway.miniflare.getInspectorURL(),
    'core:user:tallystick',
  );
  const response = await proxy.post(path, {
    model: 'qwen-plus',
    stream: true,
    max_tokens: 30_000,
    messages: [{ role: 'user', content: 'Word by word.' }],
  });
  const reader = response.body?.getReader();
  if (!reader) throw new Error('no body');
  const held: number[] = [];
  let [taken, due] = [0, 0];
  for (const count of tokens) {
    due += count * passed.length;
    while (taken < due) taken += (await reader.read()).value?.length ?? Number.NaN;
    expect(taken).toBe(due);
    held.push((await isolate.live()).heldMb);
    goOn();
  }
  isolate.close();
  for (let done = false; !done; ) ({ done } = await reader.read());
  const [few = Number.NaN, many = Number.NaN] = held;
  // A hundred bytes a token would be three megabytes.
  expect(many - few).toBeLessThan(2);
});
