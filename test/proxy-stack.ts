// A stack whose upstreams a test chooses, and one paid call with everything that can be known about it afterwards.
import { parseEther } from 'viem';
import { type QwenStandIn, type QwenStandInOptions, startQwenStandIn } from '../dev/qwen-stand-in.ts';
import type { Stack } from '../dev/stack.ts';
import { type ReceiptJson, receiptIn } from './proxy-receipt.ts';
import { type RawAgent, rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

export type ProxyStack = {
  readonly stack: Stack;
  readonly agent: RawAgent;
  readonly standIns: readonly QwenStandIn[];
  /** The agent's standing. */
  standing(): Promise<{ held: bigint; captured: bigint; sequence: bigint }>;
  receipt(sequence: bigint): Promise<ReceiptJson>;
  post(path: string, body: object, options?: PostOptions): Promise<Response>;
  close(): Promise<void>;
};

export type PostOptions = { readonly signal?: AbortSignal; readonly headers?: Record<string, string> };

type UpstreamOf = (standIns: readonly QwenStandIn[]) => readonly object[];

/** The key every stand-in here wants. */
export const upstreamKey = 'sk-upstream-secret-0123456789';

/** Short, so that a fault that has to be waited for is over soon. */
export const shortTimeouts = {
  headersMs: 700,
  firstByteMs: 700,
  idleMs: 700,
  totalMs: 4_000,
  drainMs: 1_500,
};

export const upstream = (name: string, standIn: QwenStandIn | undefined, over: object = {}): object => ({
  name,
  dialect: 'dashscope',
  baseUrl: standIn?.url ?? 'http://127.0.0.1:1',
  secret: 'TEST_API_KEY',
  timeouts: shortTimeouts,
  retries: 0,
  breaker: { failures: 0 },
  ...over,
});

export async function startProxyStack(options: {
  readonly standIns?: readonly QwenStandInOptions[];
  readonly upstreams?: UpstreamOf;
  readonly vars?: Readonly<Record<string, string>>;
  /** workerd's inspector listens too. */
  readonly inspect?: boolean;
}): Promise<ProxyStack> {
  const standIns = await Promise.all(
    (options.standIns ?? [{}]).map((one) =>
      startQwenStandIn({ apiKey: upstreamKey, chunkDelayMs: 2, ...one }),
    ),
  );
  const upstreams = (options.upstreams ?? (([only]) => [upstream('stand-in', only)]))(standIns);
  const stack = await startTestStack({
    agents: 1,
    deposit: parseEther('1000'),
    ...(options.inspect ? { inspect: true } : {}),
    vars: { UPSTREAMS: JSON.stringify(upstreams), TEST_API_KEY: upstreamKey, ...options.vars },
  });
  const [first] = stack.agents;
  if (!first) throw new Error('the stack has an agent');
  const agent = rawAgent(stack, first);
  const get = async (path: string) => {
    const response = await agent.call('GET', path);
    if (response.status !== 200) throw new Error(await response.text());
    return response.json();
  };
  const paid = await agent.payment(parseEther('1000'));
  return {
    stack,
    agent,
    standIns,
    async standing() {
      const { held, captured, sequence } = (await get('/v1/account')) as Record<string, string>;
      return { held: BigInt(held ?? ''), captured: BigInt(captured ?? ''), sequence: BigInt(sequence ?? '') };
    },
    async receipt(sequence) {
      return ((await get(`/v1/receipts/${sequence}`)) as { receipt: ReceiptJson }).receipt;
    },
    async post(path, body, { signal, headers = {} } = {}) {
      const text = JSON.stringify(body);
      const signed = await agent.sign('POST', path, { body: text, headers: { ...paid, ...headers } });
      return fetch(stack.gatewayUrl + path, {
        method: 'POST',
        headers: signed,
        body: text,
        ...(signal === undefined ? {} : { signal }),
      });
    },
    async close() {
      await stack.close();
      await Promise.all(standIns.map((standIn) => standIn.close()));
    },
  };
}

/** Waits until nothing is held: whatever was begun has been captured, released or has expired. */
export async function settled(proxy: ProxyStack, patienceMs = 15_000) {
  const until = Date.now() + patienceMs;
  for (;;) {
    const standing = await proxy.standing();
    if (standing.held === 0n) return standing;
    if (Date.now() > until) throw new Error(`still held: ${standing.held}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A stream as a client reads it: its text, whether it ended properly, its error, its receipt. */
export function readStream(text: string) {
  const data = text
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => line.slice(6));
  const chunks = data.flatMap((line) => {
    try {
      return [JSON.parse(line) as { error?: { code: string; message: string }; choices?: unknown[] }];
    } catch {
      return [];
    }
  });
  return {
    done: data.at(-1) === '[DONE]',
    error: chunks.find((chunk) => chunk.error)?.error,
    content: chunks.filter((chunk) => (chunk.choices?.length ?? 0) > 0).length,
    receipt: receiptIn(text),
  };
}
