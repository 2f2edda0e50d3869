// The log's own object outside workerd, where its rows can be counted and its heap be bounded.
//
//   node --expose-gc --max-old-space-size=<MB> bench/log-simulated.ts     makes a full commit on a large log, or dies
import { registerHooks } from 'node:module';
import { Simulation } from '../test/simulation.ts';

const zero = `0x${'00'.repeat(20)}`;
export const vars = {
  PUBLIC_ORIGIN: 'https://log.bench',
  CHAINS: JSON.stringify([
    {
      chainId: 31_337,
      rpcUrls: ['http://127.0.0.1:1'],
      vault: zero,
      registries: [zero],
      asset: { symbol: '0G', decimals: 18 },
    },
  ]),
  HOME_CHAIN_ID: '31337',
  ANCHOR: zero,
  LOG_OWNER: zero,
  LOG_ORIGIN: 'log.bench/log',
  SEAL_EVERY_SECONDS: '1',
  SEAL_AT_ENTRIES: '4096',
  PUBLISH_EVERY_SECONDS: '600',
  MERGE_DELAY_SECONDS: '3600',
  DA: 'zero-g-storage',
  ZERO_G_STORAGE_KIND: 'node',
  ZERO_G_STORAGE_URL: 'http://127.0.0.1:1',
  ZERO_G_FLOW: zero,
  UPSTREAMS: '[]',
  OPERATOR_KEY: `0x${'11'.repeat(32)}`,
  RECEIPT_KEY: `0x${'12'.repeat(32)}`,
  HEAD_KEY: `0x${'13'.repeat(32)}`,
  CHECKPOINT_KEY: `0x${'14'.repeat(32)}`,
};

/** Accounts that have receipts in a log that is grown. */
export const accounts = 100;

/** Fills a log up to a size, sealing as it goes. */
export async function grow(
  size: number,
  fill: (each: number, from: number) => Promise<unknown>,
  seal: () => Promise<unknown>,
): Promise<void> {
  for (let from = 1; from <= size / accounts; from += 1_000) {
    await fill(Math.min(1_000, size / accounts - from + 1), from);
    await seal();
  }
}

export async function simulatedLog() {
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'cloudflare:workers'
        ? {
            url: `data:text/javascript,${encodeURIComponent('export class DurableObject { constructor(ctx, env) { this.ctx = ctx; this.env = env; } }')}`,
            shortCircuit: true,
          }
        : next(specifier, context),
  });
  const workerFile = './log-worker.mjs';
  const { BenchLog } = (await import(workerFile)) as { BenchLog: never };
  const sim = new Simulation(vars);
  sim.bind('LOG', BenchLog);
  const stub = sim.stub('LOG', 'log');
  const { db } = sim.disk('LOG', 'log');
  const changes = db.prepare('SELECT total_changes() AS n');
  return {
    fill: async (of: number, count: number, from: number) => stub['fill']?.(of, count, from),
    seal: async () => stub['sealAll']?.(),
    rows: (): number => Number((changes.get() as { n: number }).n),
  };
}

if (import.meta.main) {
  const log = await simulatedLog();
  await grow(1_000_000, (count, from) => log.fill(accounts, count, from), log.seal);
  // 512 accounts with 32 each: as many entries and as many disclosed receipts as a commit takes.
  await log.fill(512, 32, 1_000_001);
  globalThis.gc?.();
  await log.seal();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  console.log(`${((heapUsed + arrayBuffers) / 2 ** 20).toFixed(0)} MB of heap and buffers when it is done`);
}
