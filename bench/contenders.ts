// The ways to one upstream that are measured beside each other: straight to it, through a bare Worker, through one that writes two
// rows a call, through this gateway with its objects' state on disk and on tmpfs, and through Portkey's gateway.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseEther } from 'viem';
import { buildWorker } from '../dev/gateway.ts';
import { cpuMs } from '../dev/processes.ts';
import { type Stack, startStack } from '../dev/stack.ts';
import { runInWorkerd } from '../dev/workerd-script.ts';
import { startScript, withPid } from './child.ts';
import { type Answered, type Prepared, prepared } from './load.ts';
import { payerOf } from './paid-requests.ts';
import { startPortkey } from './peers.ts';

/** One way to the upstream. */
export type Contender = {
  readonly what: string;
  readonly url: string;
  readonly prepare: (body: string, count: number) => Promise<Prepared[]>;
  /** Whether each answer has to carry its receipt. */
  readonly paid: boolean;
  /** Processor time its process has taken, milliseconds. */
  readonly cpuMs: () => number;
};

/** A whole answer, or a stream with its end; with its receipt where it was paid for. */
export const good =
  ({ paid }: Pick<Contender, 'paid'>, stream: boolean) =>
  ({ status, text }: Answered): boolean =>
    status === 200 &&
    text.includes(stream ? '[DONE]' : 'tally stick') &&
    (!paid || /tallystick-receipt/i.test(text));

/** Where this gateway's objects keep their state. */
export type Where = 'disk' | 'tmpfs';

/** This gateway with everything it needs, one funded agent, and its ways in. */
export type Ours = {
  readonly stack: Stack;
  /** Of its workerd as it runs now, milliseconds. */
  readonly cpuMs: () => number;
  readonly signed: Contender;
  readonly byKey: Contender;
};

export type Field = {
  readonly contenders: readonly Contender[];
  readonly ours: Readonly<Record<Where, Ours>>;
  readonly close: () => Promise<void>;
};

const local = path.resolve(import.meta.dirname, '../.local');

/** Calls and tokens are not what is limited here. */
const tiers = [
  { name: 'bench', requestsPerMinute: 10_000_000, tokensPerMinute: 100_000_000_000, concurrent: 1024 },
];

const repeated =
  (url: string, headers: Readonly<Record<string, string>>): Contender['prepare'] =>
  async (body, count) =>
    Array<Prepared>(count).fill(prepared(`${url}/v1/chat/completions`, headers, body));

/**
 * Starts this gateway from a bundle, its objects' state in a throw-away folder on disk or in memory.
 * @param closers gets what ends it, last first
 */
export async function startOurs(
  options: {
    readonly where: Where;
    readonly bundleDir: string;
    readonly upstreamUrl: string;
    /** What it is called, after "this". */
    readonly name: string;
  },
  closers: (() => unknown)[],
): Promise<Ours> {
  const { where, bundleDir, upstreamUrl, name } = options;
  const localDir = mkdtempSync(path.join(where === 'disk' ? local : '/dev/shm', 'tallystick-bench-'));
  closers.push(() => rmSync(localDir, { recursive: true, force: true }));
  const { started, pid } = await withPid(() =>
    startStack({
      localDir,
      bundleDir,
      agents: 1,
      direct: true,
      deposit: parseEther('2000'),
      // As wrangler.toml deploys it: what a stack does every second for impatient tests would be measured too.
      chain: { watchEverySeconds: 15, settlement: { everySeconds: 43_200 }, tiers },
      vars: {
        SEAL_EVERY_SECONDS: '30',
        PUBLISH_EVERY_SECONDS: '600',
        MERGE_DELAY_SECONDS: '3600',
        UPSTREAMS: JSON.stringify([{ name: 'bench', dialect: 'dashscope', baseUrl: `${upstreamUrl}/v1` }]),
      },
    }),
  );
  closers.push(() => started.close());
  let workerd = pid;
  const stack: Stack = {
    ...started,
    async restartGateway(...settings) {
      workerd = (await withPid(() => started.restartGateway(...settings))).pid;
    },
  };
  const payer = await payerOf(stack);
  const itsCpuMs = (): number => cpuMs(workerd);
  const way = (how: string, prepare: Contender['prepare']): Contender => ({
    what: `this, ${how}, ${name}`,
    url: stack.gatewayUrl,
    prepare,
    paid: true,
    cpuMs: itsCpuMs,
  });
  return {
    stack,
    cpuMs: itsCpuMs,
    signed: way('signed', payer.signed),
    byKey: way('session key', async (body, count) => payer.byKey(body, count)),
  };
}

export async function startContenders(): Promise<Field> {
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const end of closers.splice(0).toReversed()) await end();
  };
  try {
    const upstream = await startScript('upstream.ts');
    closers.push(upstream.close);
    const bundleDir = throwAway(closers);
    await buildWorker(bundleDir);
    const start = (where: Where): Promise<Ours> =>
      startOurs({ where, bundleDir, upstreamUrl: upstream.url, name: `state on ${where}` }, closers);
    const ours = { disk: await start('disk'), tmpfs: await start('tmpfs') };
    const { started: bare, pid: barePid } = await withPid(() =>
      runInWorkerd('bench/passthrough.ts', { direct: true }),
    );
    closers.push(bare.close);
    const stateDir = mkdtempSync('/dev/shm/tallystick-bench-');
    closers.push(() => rmSync(stateDir, { recursive: true, force: true }));
    const { started: durable, pid: durablePid } = await withPid(() =>
      runInWorkerd('bench/durable-passthrough.mjs', {
        direct: true,
        objects: { LEDGER: 'Ledger' },
        stateDir,
      }),
    );
    closers.push(durable.close);
    const portkey = await startPortkey();
    closers.push(portkey.close);

    const json = { 'content-type': 'application/json' };
    const contenders: Contender[] = [
      {
        what: 'direct',
        url: upstream.url,
        prepare: repeated(upstream.url, json),
        paid: false,
        cpuMs: () => cpuMs(upstream.process.pid ?? Number.NaN),
      },
      {
        what: 'bare Worker',
        url: bare.url,
        prepare: repeated(bare.url, { ...json, 'x-upstream': upstream.url }),
        paid: false,
        cpuMs: () => cpuMs(barePid),
      },
      {
        what: 'bare Worker, two durable writes, state on tmpfs',
        url: durable.url,
        prepare: repeated(durable.url, { ...json, 'x-upstream': upstream.url }),
        paid: false,
        cpuMs: () => cpuMs(durablePid),
      },
      ours.disk.signed,
      ours.tmpfs.signed,
      ours.disk.byKey,
      ours.tmpfs.byKey,
      {
        what: 'Portkey',
        url: portkey.url,
        prepare: repeated(portkey.url, { ...json, ...portkey.headers(upstream.url) }),
        paid: false,
        cpuMs: () => cpuMs(portkey.pid),
      },
    ];
    return { contenders, ours, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A folder for a bundle, on disk: it is loaded once. */
export function throwAway(closers: (() => unknown)[]): string {
  mkdirSync(local, { recursive: true });
  const folder = mkdtempSync(path.join(local, 'bench-bundle-'));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
