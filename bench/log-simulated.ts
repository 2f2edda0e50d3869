// The log's own object outside workerd, where its rows can be counted and its heap be bounded.
//
//   node --max-old-space-size=<MB> bench/log-simulated.ts     makes a full commit on a large log, and sequences on, or dies
import { Simulation } from '../test/simulation.ts';
import './cloudflare-workers.ts';

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
  const workerFile = './log-worker.mjs';
  const { BenchLog } = (await import(workerFile)) as { BenchLog: never };
  const sim = new Simulation(vars);
  sim.bind('LOG', BenchLog);
  const stub = sim.stub('LOG', 'log');
  const { db } = sim.disk('LOG', 'log');
  const changes = db.prepare('SELECT total_changes() AS n');
  return {
    fill: async (of: number, count: number, from: number, first = 0) =>
      stub['fill']?.(of, count, from, first),
    seal: async () => stub['sealAll']?.(),
    rows: (): number => Number((changes.get() as { n: number }).n),
  };
}

if (import.meta.main) {
  const log = await simulatedLog();
  const large = 1_000_000;
  await grow(large, (count, from) => log.fill(accounts, count, from), log.seal);
  let most = 0;
  const look = (): void => {
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    most = Math.max(most, (heapUsed + arrayBuffers) / 2 ** 20);
  };
  // 512 accounts with 32 each: as many entries and as many disclosed receipts as a commit takes.
  await log.fill(512, 32, 1, accounts);
  look();
  if ((await log.seal()) !== large + 16_384) throw new Error('that was no full commit');
  look();
  // And receipts as they come, ten at a time, a seal after every 5,000.
  const [each, rounds] = [10, 50];
  const startMs = performance.now();
  for (let round = 0; round < rounds; round++) {
    await log.fill(accounts, each, large / accounts + 1 + round * each);
    look();
    if (round % 5 === 4) await log.seal();
    look();
  }
  const perSecond = (accounts * each * rounds) / ((performance.now() - startMs) / 1000);
  const parts = [
    'a full commit, then',
    `${(accounts * each * rounds).toLocaleString('en')} receipts sequenced and sealed at ${Math.round(perSecond).toLocaleString('en')}/s:`,
    `${most.toFixed(0)} MB of heap and buffers at most`,
  ];
  console.log(parts.join(' '));
}
