// What sealing costs as the log grows, how many receipts one log sequences, and in how much memory: the log's own object in
// workerd, state on disk. Beside it 0G's own Merkle code, and what Azul says of its sequencer.
//
//   node bench/log.ts

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { MemData } from '@0gfoundation/0g-ts-sdk';
import { Miniflare } from 'miniflare';
import { buildWorker } from '../dev/gateway.ts';
import { processes } from '../dev/processes.ts';
import { accounts, grow, simulatedLog, vars } from './log-simulated.ts';

const root = path.resolve(import.meta.dirname, '..');
/** Receipts of one account in one seal. */
const each = 100;
const fresh = accounts * each;
const sizes = [10_000, 1_000_000] as const;

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
const ms = (milliseconds: number): string => `${milliseconds.toFixed(0)} ms`;

/**
 * Whether a full commit can be made on a large log within a heap of so many megabytes: in a process of its own, which V8
 * ends if it needs more. SQLite's pages are not in that heap, here or there.
 */
async function fitsIn(megabytes: number): Promise<string> {
  const args = [
    '--expose-gc',
    `--max-old-space-size=${megabytes}`,
    path.join(root, 'bench/log-simulated.ts'),
  ];
  return promisify(execFile)(process.execPath, args).then(
    ({ stdout }) => `a commit of 16,384 entries and 512 receipts on 1,000,000 fits, ${stdout.trim()}`,
    () => 'it does not fit',
  );
}

// The same rows are written in workerd; here they can be counted, as Cloudflare bills them.
async function rowsOfSeals(): Promise<number[]> {
  const counted: number[] = [];
  for (const size of sizes) {
    const log = await simulatedLog();
    await grow(size, (count, from) => log.fill(accounts, count, from), log.seal);
    await log.fill(accounts, each, size / accounts + 1);
    const before = log.rows();
    await log.seal();
    counted.push(log.rows() - before);
  }
  return counted;
}

async function startBench() {
  const dir = mkdtempSync(path.join(tmpdir(), 'tallystick-bench-'));
  const config = {
    name: 'bench',
    main: path.join(root, 'bench/log-worker.mjs'),
    compatibility_date: '2026-07-30',
    durable_objects: { bindings: [{ name: 'LOG', class_name: 'BenchLog' }] },
    migrations: [{ tag: 'v1', new_sqlite_classes: ['BenchLog'] }],
    build: { command: 'node worker/recover/build-wasm.mjs', cwd: root },
  };
  const configFile = path.join(dir, 'wrangler.json');
  writeFileSync(configFile, JSON.stringify(config));
  await buildWorker(dir, configFile);
  const miniflare = new Miniflare({
    host: '127.0.0.1',
    port: 0,
    cf: false,
    modules: true,
    modulesRoot: dir,
    scriptPath: path.join(dir, 'log-worker.js'),
    modulesRules: [{ type: 'CompiledWasm', include: ['**/*.wasm'] }],
    compatibilityDate: config.compatibility_date,
    bindings: vars,
    durableObjects: { LOG: { className: 'BenchLog', useSQLite: true } },
    durableObjectsPersist: path.join(dir, 'objects'),
  });
  const { origin } = await miniflare.ready;
  const pid = processes().find(
    ({ parent, program }) => parent === process.pid && /workerd/.test(program),
  )?.pid;
  if (pid === undefined) throw new Error('no workerd');
  return {
    async ask(
      route: string,
      query: Readonly<Record<string, string | number>>,
    ): Promise<Record<string, number>> {
      const search = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, `${value}`]));
      const response = await fetch(`${origin}${route}?${search}`, { headers: { connection: 'close' } });
      if (!response.ok) throw new Error(`${route}: ${response.status} ${await response.text()}`);
      return (await response.json()) as Record<string, number>;
    },
    /** Of the whole process: V8, SQLite's caches, and every object. */
    residentMb: (): number =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024,
    /** Processor time of the whole process, milliseconds. */
    cpuMs: (): number => {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      return 10 * (Number(fields[11]) + Number(fields[12]));
    },
    async close() {
      await miniflare.dispose();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

const bench = await startBench();
try {
  console.log(
    `Sealing ${fresh} new entries of ${accounts} accounts (each account's last receipt signed, disclosed and proven):`,
  );
  console.log(`  workerd as started: ${bench.residentMb().toFixed(0)} MB resident`);
  const rows = await rowsOfSeals();
  const seals: { wall: number; cpu: number }[] = [];
  for (const [at, size] of sizes.entries()) {
    const log = `grown-${size}`;
    await grow(
      size,
      (count, from) => bench.ask('/fill', { log, accounts, each: count, from }),
      () => bench.ask('/seal', { log }),
    );
    const times: { wall: number; cpu: number }[] = [];
    for (let round = 0; round < 5; round++) {
      await bench.ask('/fill', { log, accounts, each, from: size / accounts + 1 + round * each });
      const [startMs, startCpu] = [performance.now(), bench.cpuMs()];
      await bench.ask('/seal', { log });
      times.push({ wall: performance.now() - startMs, cpu: bench.cpuMs() - startCpu });
    }
    const seal = { wall: median(times.map(({ wall }) => wall)), cpu: median(times.map(({ cpu }) => cpu)) };
    seals.push(seal);
    const { bytes = 0 } = await bench.ask('/status', { log });
    console.log(
      `  on ${size.toLocaleString('en').padStart(9)}: ${ms(seal.wall)}, ${ms(seal.cpu)} of processor, ${rows[at]} rows; database ${(bytes / 2 ** 20).toFixed(1)} MB, workerd ${bench.residentMb().toFixed(0)} MB resident`,
    );
  }
  const [small, large] = seals;
  const ratio = (a = Number.NaN, b = Number.NaN): string => (b / a).toFixed(2);
  console.log(
    `  ratio: wall ${ratio(small?.wall, large?.wall)}, processor ${ratio(small?.cpu, large?.cpu)}, rows ${ratio(rows[0], rows[1])} (aim: at most 1.3)`,
  );

  console.log(
    'Sequencing, as accounts send them over RPC, each append durable before it is answered, sealed as it goes:',
  );
  for (const load of [
    { each: 1, batches: 50 },
    { each: 10, batches: 20 },
    { each: 50, batches: 20 },
  ]) {
    const log = `sent-${load.each}`;
    const total = accounts * load.each * load.batches;
    const startMs = performance.now();
    await bench.ask('/send', { log, accounts, ...load });
    const sentMs = performance.now() - startMs;
    await bench.ask('/seal', { log });
    const sealedMs = performance.now() - startMs;
    console.log(
      `  ${String(load.each).padStart(2)} a batch: ${(total / (sealedMs / 1000)).toFixed(0)} receipts/s sealed, ${(total / (sentMs / 1000)).toFixed(0)}/s appended (${((accounts * load.batches) / (sentMs / 1000)).toFixed(0)} appends/s); workerd ${bench.residentMb().toFixed(0)} MB`,
    );
  }
  console.log('  Azul (published): at most 2,500 entries a round, one round a second.');
} finally {
  await bench.close();
}

for (const megabytes of [32]) {
  console.log(`JavaScript heap of ${megabytes} MB (a Durable Object has 128): ${await fitsIn(megabytes)}`);
}

console.log(
  `0G's own Merkle code (its SDK, Node), which makes a file's whole tree: the same entries as one file:`,
);
for (const size of sizes) {
  const data = new MemData(new Uint8Array((size + fresh) * 32));
  const startMs = performance.now();
  const [tree, error] = await data.merkleTree();
  if (error !== null || tree === null) throw new Error(String(error));
  console.log(`  ${(size + fresh).toLocaleString('en').padStart(9)}: ${ms(performance.now() - startMs)}`);
}
