// Everything that can go wrong upstream or with the client, streamed and not: what the client saw, what was charged, what
// the receipt says. The rows are the page docs/faults.md.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Fault } from '../dev/qwen-stand-in.ts';
import { prices } from '../protocol/prices.ts';
import { readChatRequest } from '../worker/chat-request.ts';
import { type ReceiptJson, receiptOf } from './proxy-receipt.ts';
import { type ProxyStack, readStream, settled, startProxyStack, upstream } from './proxy-stack.ts';

let proxy: ProxyStack;

beforeAll(async () => {
  proxy = await startProxyStack({
    upstreams: ([standIn]) => [
      upstream('stand-in', standIn, { models: ['qwen-plus'] }),
      // Nothing listens there.
      upstream('nowhere', undefined, { models: ['qwen-flash'] }),
    ],
  });
});
afterAll(() => proxy?.close());

type Row = {
  readonly what: string;
  readonly stream: boolean;
  readonly saw: string;
  readonly charged: 'nothing' | 'what upstream counted' | 'an estimate';
  readonly receipt: string;
};
const rows: Row[] = [];

const modes = [
  ['streamed', true],
  ['whole', false],
] as const;

const bodyOf = (stream: boolean, prompt: string, model = 'qwen-plus') => ({
  model,
  stream,
  max_tokens: 2_000,
  messages: [{ role: 'user', content: prompt }],
});

type Leaving = [
  what: string,
  prompt: string,
  when: { ms?: number; bytes?: number },
  fault: Fault | undefined,
  charged: Row['charged'],
];

/** What a request may cost: no charge may be above it. */
function ceilingOf(body: object): bigint {
  const priced = readChatRequest(new TextEncoder().encode(JSON.stringify(body)), prices);
  if (!priced.ok) throw new Error(priced.error.message);
  return priced.value.ceiling;
}

/** Makes one call, lets it come to rest, and writes its row. */
async function observe(
  what: string,
  stream: boolean,
  body: object,
  call: () => Promise<string>,
): Promise<ReceiptJson | undefined> {
  const before = await settled(proxy);
  const saw = await call();
  const after = await settled(proxy);
  const count = after.sequence - before.sequence;
  expect(count).toBeLessThanOrEqual(1n);
  const receipt = count === 1n ? await proxy.receipt(after.sequence) : undefined;
  // The account was charged what the receipt says, and never more than was held.
  expect(after.captured - before.captured).toBe(BigInt(receipt?.amount ?? 0));
  if (receipt) {
    expect(BigInt(receipt.amount)).toBeGreaterThan(0n);
    expect(BigInt(receipt.amount)).toBeLessThanOrEqual(ceilingOf(body));
  }
  rows.push({
    what,
    stream,
    saw,
    charged: !receipt ? 'nothing' : receipt.usage.estimated ? 'an estimate' : 'what upstream counted',
    receipt: !receipt ? 'none' : receipt.usage.estimated ? 'marked estimated' : 'measured',
  });
  return receipt;
}

/** What a client saw of an answer. The receipt that came along, where one did, is the one the account has. */
async function seenBy(response: Response): Promise<string> {
  expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  if (response.status !== 200) {
    const problem = (await response.json()) as { reason: string; detail: string; error: { code: string } };
    expect(problem.error.code).toBe(problem.reason);
    expect(problem.detail).toContain('Nothing was charged');
    return `${response.status} \`${problem.reason}\``;
  }
  const text = await response.text();
  const isStream = response.headers.get('content-type') === 'text/event-stream';
  const arrived = isStream ? readStream(text).receipt : receiptOf(response.headers);
  const { sequence } = await proxy.standing();
  expect(arrived?.sequence).toBe(`${sequence}`);
  if (!isStream) return 'the answer, receipt in the header';
  const read = readStream(text);
  if (read.error) {
    // Never a clean end after an error; and the receipt came before it, since clients stop reading there.
    expect(read.done).toBe(false);
    expect(text.indexOf(': tallystick-receipt')).toBeLessThan(text.indexOf('"error"'));
    return `content, the receipt, then the error \`${read.error.code}\``;
  }
  return read.done ? 'the answer, the receipt, `[DONE]`' : 'the answer, the receipt, the end';
}

const ask = 'count to 40';

describe.each(modes)('%s: the upstream', (_, stream) => {
  const whole = !stream;
  const free = (status: number, code: string) => ({ saw: `${status} \`${code}\``, charged: 'nothing' });
  const unavailable = free(503, 'upstream_unavailable');
  const limited = free(429, 'upstream_rate_limited');
  const failed = free(502, 'upstream_failed');
  const late = free(504, 'upstream_timeout');
  const measured = {
    saw: stream ? 'the answer, the receipt, `[DONE]`' : 'the answer, receipt in the header',
    charged: 'what upstream counted',
  };
  const broken = {
    saw: 'content, the receipt, then the error `upstream_interrupted`',
    charged: 'an estimate',
  };

  test.each<[string, Fault | undefined, { saw: string; charged: string }]>([
    ['answers', undefined, measured],
    ['400 `invalid_parameter_error`', '400', free(400, 'invalid_parameter_error')],
    ['400 `data_inspection_failed`', 'inspected', free(400, 'data_inspection_failed')],
    ['400 `Arrearage`', 'arrears', unavailable],
    ['401 `invalid_api_key`', '401', unavailable],
    ['403 `AccessDenied.Unpurchased`', '403', unavailable],
    ['404 `model_not_found`', '404', free(404, 'model_not_found')],
    ['408 `RequestTimeOut`', '408', late],
    ['429 `limit_requests`', '429', limited],
    ['429 `Throttling.BurstRate`', 'burst', limited],
    ['429 `Throttling.AllocationQuota`', 'allocation', limited],
    ['429 `insufficient_quota`', 'quota', limited],
    ['429 `PrepaidBillOverdue`', 'overdue', unavailable],
    ['429 `PostpaidBillOverdue`', 'postpaid', unavailable],
    ['429 `CommodityNotPurchased`', 'unbought', unavailable],
    ['500 `internal_error`', '500', failed],
    ['503 `ModelUnavailable`', '503', failed],
    ['resets the connection before it answers', 'reset', free(502, 'upstream_unreachable')],
    ['never answers', 'silence', late],
    ['sends headers, then nothing', 'slow-first-byte', late],
    ['200 and nothing in it', 'empty', failed],
    ['200 and an error in it', 'error-200', failed],
    ['stalls half way', 'stall', whole ? late : broken],
    ['is cut half way', 'cut', whole ? failed : broken],
    ['is cut in the middle of a character', 'cut-utf8', whole ? failed : broken],
    ['is cut before the usage', 'cut-before-usage', whole ? failed : broken],
    ['ends half way as if it were complete', 'eof', broken],
    ['sends an event that is no JSON, then the rest', 'garbage', whole ? failed : measured],
    ['sends an event (an answer) without an end', 'oversized', whole ? failed : broken],
    [
      'reports an error half way',
      'error-frame',
      { saw: 'content, the receipt, then the error `upstream_failed`', charged: 'an estimate' },
    ],
    ['does not count', 'no-usage', { ...measured, charged: 'an estimate' }],
    ['counts, but sends no `[DONE]`', 'no-done', { ...measured, saw: 'the answer, the receipt, the end' }],
    ['generates ten tokens more than it may', 'overrun', measured],
  ])('%s', async (what, fault, expected) => {
    // A whole answer has no half way of this kind.
    if (whole && (fault === 'eof' || fault === 'error-frame' || fault === 'no-done')) return;
    const [standIn] = proxy.standIns;
    if (fault) standIn?.faults.next(fault);
    const body = bodyOf(stream, ask);
    const receipt = await observe(what, stream, body, async () =>
      seenBy(await proxy.post('/v1/chat/completions', body)),
    );
    expect(rows.at(-1)).toMatchObject(expected);
    // Asked once: nothing here may be repeated at the same upstream, as it is configured for this test.
    expect(standIn?.requests.at(-1)?.path).toContain('/chat/completions');
    if (receipt && !receipt.usage.estimated)
      expect(Number(receipt.usage.output)).toBe(standIn?.requests.at(-1)?.generatedTokens);
    if (receipt?.usage.estimated) expect(Number(receipt.usage.input)).toBeGreaterThan(0);
  });

  test('refuses the connection', async () => {
    const body = bodyOf(stream, ask, 'qwen-flash');
    await observe('refuses the connection', stream, body, async () =>
      seenBy(await proxy.post('/v1/chat/completions', body)),
    );
    expect(rows.at(-1)).toMatchObject(free(502, 'upstream_unreachable'));
  });
});

describe.each(modes)('%s: the client', (_, stream) => {
  /** Calls and leaves: at once when `when` says so, or when that much of the answer has been read. */
  const leaveAfter = (prompt: string, when: { ms?: number; bytes?: number }) => async () => {
    const leave = new AbortController();
    const body = bodyOf(stream, prompt);
    if (when.ms !== undefined) setTimeout(() => leave.abort(), when.ms);
    try {
      const response = await proxy.post('/v1/chat/completions', body, { signal: leave.signal });
      let read = 0;
      for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
        read += part.length;
        if (when.bytes !== undefined && read >= when.bytes) leave.abort();
      }
    } catch (error) {
      expect((error as Error).name).toBe('AbortError');
    }
    return 'gone';
  };

  test.each<Leaving>([
    [
      'leaves before upstream has answered; it does in time',
      stream ? ask : `${ask} [[work:700]]`,
      { ms: 150 },
      undefined,
      'what upstream counted',
    ],
    [
      'leaves before upstream has answered; it never does',
      ask,
      { ms: 150 },
      'silence',
      // workerd tells of a client that left only once the answer has begun: this call runs its course. Where the platform does
      // tell, test/proxy-abandoned.test.ts says what happens.
      'nothing',
    ],
    ...(stream
      ? ([
          [
            'leaves in the middle; upstream ends in time',
            'count to 60 [[slow:10]]',
            { bytes: 2_000 },
            undefined,
            'what upstream counted',
          ],
          [
            'leaves in the middle; upstream goes on for longer',
            'count to 900 [[slow:20]]',
            { bytes: 2_000 },
            undefined,
            'an estimate',
          ],
          ['leaves in the middle; upstream is cut then', ask, { bytes: 600 }, 'cut', 'an estimate'],
        ] satisfies Leaving[])
      : []),
  ])('%s', async (what, prompt, when, fault, charged) => {
    const [standIn] = proxy.standIns;
    if (fault) standIn?.faults.next(fault);
    const before = standIn?.requests.length ?? 0;
    const receipt = await observe(what, stream, bodyOf(stream, prompt), async () => {
      const saw = await leaveAfter(prompt, when)();
      // Whatever was begun upstream has to have been seen by it before the account is looked at.
      for (let waits = 0; standIn?.requests.length === before && waits < 40; waits += 1)
        await new Promise((resolve) => setTimeout(resolve, 25));
      return saw;
    });
    expect(rows.at(-1)?.charged).toBe(charged);
    const generated = standIn?.requests.at(-1)?.generatedTokens ?? 0;
    if (receipt && !receipt.usage.estimated) expect(Number(receipt.usage.output)).toBe(generated);
    // An estimate of a stream that was seen is near what was generated, though digits are a token each and it takes three.
    if (receipt?.usage.estimated && stream && fault === undefined)
      expect(Number(receipt.usage.output) / generated).toSatisfy(
        (ratio: number) => ratio > 0.25 && ratio < 2,
      );
  });
});

test('the page', async () => {
  const line = ({ what, saw, charged, receipt }: Row) => `| ${what} | ${saw} | ${charged} | ${receipt} |`;
  const table = (stream: boolean) =>
    [
      '| what happens | what the client saw | what was charged | the receipt |',
      '| --- | --- | --- | --- |',
      ...rows.filter((row) => row.stream === stream).map(line),
    ].join('\n');
  await expect(`# Faults

What a call ends in when something goes wrong: with the upstream, or with the client. Written by \`test/proxy-faults.test.ts\`,
which makes each of them happen to the gateway in workerd, and fails when this page is not what it saw.

One upstream, no retries, no fallback: with a second upstream configured, everything that was charged nothing and is not about
the request itself is tried there first (docs/upstreams.md). Whatever is charged is at most what was held; an estimate goes by
the text that was seen, is marked in the receipt, and is never zero.

A client that leaves does not stop the meter: upstream is read to its end for up to 25 s (here 1.5 s), then ended. workerd tells
of a client that has left only once its answer has begun; before that a call runs its course.

## Streamed

${table(true)}

## Whole

${table(false)}
`).toMatchFileSnapshot('../docs/faults.md');
});
