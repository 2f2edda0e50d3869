// A client that left while a whole answer was being generated, where the platform tells of it: upstream is waited for a little,
// then ended, and what it generated is estimated.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type QwenStandIn, startQwenStandIn } from '../dev/qwen-stand-in.ts';
import { prices } from '../protocol/prices.ts';
import { usedWhenAbandoned } from '../worker/abandoned.ts';
import { readChatRequest } from '../worker/chat-request.ts';
import { allot } from '../worker/in-flight.ts';
import { openUpstream } from '../worker/upstreams/open.ts';
import type { UpstreamCall } from '../worker/upstreams/upstream-call.ts';
import { shortTimeouts, upstream, upstreamKey } from './proxy-stack.ts';

let standIn: QwenStandIn;
beforeAll(async () => {
  standIn = await startQwenStandIn({ apiKey: upstreamKey });
});
afterAll(() => standIn?.close());

/** As much of a call as an upstream is asked with; its client can leave. */
function callThatLeaves(): { call: UpstreamCall; leave: () => void } {
  const client = new AbortController();
  const call = {
    request: new Request('http://gateway.local/', { signal: client.signal }),
    id: 'test',
    env: {
      UPSTREAMS: JSON.stringify([
        upstream('stand-in', standIn, { timeouts: { ...shortTimeouts, drainMs: 400 } }),
      ]),
      TEST_API_KEY: upstreamKey,
    },
    now: Date.now,
  };
  return { call, leave: () => client.abort() };
}

const priced = (stream: boolean, prompt: string) => {
  const body = { model: 'qwen-plus', stream, max_tokens: 500, messages: [{ role: 'user', content: prompt }] };
  const read = readChatRequest(new TextEncoder().encode(JSON.stringify(body)), prices);
  if (!read.ok) throw new Error(read.error.message);
  return read.value;
};

async function leftDuring(stream: boolean, prompt: string) {
  const { call, leave } = callThatLeaves();
  const room = allot(1_000);
  if (!room) throw new Error('no room');
  setTimeout(leave, 100);
  const opened = await openUpstream(call, priced(stream, prompt), room, Date.now() + 5_000);
  room.release();
  return opened;
}

test('an answer that comes in time is captured as it is', async () => {
  const opened = await leftDuring(false, 'count to 20 [[work:300]]');
  expect(opened.ok && opened.value.kind).toBe('whole');
});

test('one that does not is estimated: not free, and not above the hold', async () => {
  standIn.faults.next('silence');
  const began = Date.now();
  const opened = await leftDuring(false, 'count to 20');
  expect(Date.now() - began).toBeLessThan(2_000);
  if (!opened.ok || opened.value.kind !== 'abandoned') throw new Error('was not abandoned');
  const request = priced(false, 'count to 20');
  const used = usedWhenAbandoned(request, opened.value);
  expect(used.usage.estimated).toBe(true);
  expect(used.usage.input).toBeGreaterThan(0n);
  // Half a second of work at some 50 tokens a second.
  expect(used.usage.output).toBeGreaterThan(10n);
  expect(used.usage.output).toBeLessThanOrEqual(request.outputBound);
});

test('a stream that had not begun owes nothing', async () => {
  standIn.faults.next('silence');
  const opened = await leftDuring(true, 'count to 20');
  expect(opened).toMatchObject({ ok: false, error: { status: 504 } });
});
