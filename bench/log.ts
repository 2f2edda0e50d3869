// What sealing costs as the log grows, how many receipts one log sequences, and in how much memory: the log's own object in
// workerd, state on disk. Beside it 0G's own Merkle code, and what Azul says of its sequencer.
//
//   node bench/log.ts

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { MemData } from '@0gfoundation/0g-ts-sdk';
import { cpuMs, residentMb, startedWorkerds } from '../dev/processes.ts';
import { runInWorkerd } from '../dev/workerd-script.ts';
import { inspectHeap } from '../test/isolate-heap.ts';
import { accounts, grow, simulatedLog, vars } from './log-simulated.ts';
import { type Aim, median, publish, type Row, rowOf } from './report.ts';

const root = path.resolve(import.meta.dirname, '..');
/** Receipts of one account in one seal. */
const each = 100;
const fresh = accounts * each;
const sizes = [10_000, 1_000_000] as const;

/**
 * Whether a full commit can be made on a large log, and receipts sequenced and sealed after it, within a heap of so many megabytes: in a process of its own, which V8
 * ends if it needs more. SQLite's pages are not in that heap, here or there.
 */
async function fitsIn(megabytes: number): Promise<string | undefined> {
  const args = [`--max-old-space-size=${megabytes}`, path.join(root, 'bench/log-simulated.ts')];
  return promisify(execFile)(process.execPath, args).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
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
  const stateDir = mkdtempSync(path.join(tmpdir(), 'tallystick-bench-'));
  const script = await runInWorkerd('bench/log-worker.mjs', {
    vars,
    objects: { LOG: 'BenchLog' },
    stateDir,
    inspect: true,
  });
  const { inspector } = script;
  const [pid] = startedWorkerds();
  if (pid === undefined || inspector === undefined) throw new Error('no workerd');
  return {
    inspector,
    async ask(
      route: string,
      query: Readonly<Record<string, string | number>>,
    ): Promise<Record<string, number>> {
      const search = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, `${value}`]));
      const response = await fetch(`${script.url}${route}?${search}`, { headers: { connection: 'close' } });
      if (!response.ok) throw new Error(`${route}: ${response.status} ${await response.text()}`);
      return (await response.json()) as Record<string, number>;
    },
    /** Of the whole process: V8, SQLite's caches, and every object. */
    residentMb: (): number => residentMb(pid),
    /** Processor time of the whole process, milliseconds. */
    cpuMs: (): number => cpuMs(pid),
    async close() {
      await script.close();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

/** The isolate of a fresh workerd that holds one log, as it grows to a million and goes on: the most it held in each phase, megabytes. */
async function heapOfOneLog(): Promise<{ rows: Row[]; aim: Aim }> {
  const largest = 1_000_000;
  // V8 collects as with the platform's limit, and ends the process where this is not enough.
  process.env['MINIFLARE_WORKERD_V8_FLAGS'] = '--max-old-space-size=96';
  const fresh = await startBench();
  const isolate = await inspectHeap(fresh.inspector, 'core:user:');
  const log = 'one';
  const rows: Row[] = [];
  const held: number[] = [];
  const phase = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    const looks: number[] = [];
    let isDone = false;
    const watched = (async () => {
      while (!isDone) {
        looks.push((await isolate.heap()).heldMb);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    try {
      await work();
    } finally {
      isDone = true;
    }
    await watched;
    looks.push((await isolate.heap()).heldMb);
    held.push(...looks);
    rows.push(rowOf(`one log in a fresh isolate holds, ${what}`, 'MB', looks));
  };
  try {
    await phase(`growing to ${largest.toLocaleString('en')}`, () =>
      grow(
        largest,
        (count, from) => fresh.ask('/fill', { log, accounts, each: count, from }),
        () => fresh.ask('/seal', { log }),
      ),
    );
    rows.push(rowOf('its live heap then', 'MB', [(await isolate.live()).heldMb]));
    let next = largest / accounts + 1;
    await phase('sealing 10,000, five times', async () => {
      for (let round = 0; round < 5; round++, next += each) {
        await fresh.ask('/fill', { log, accounts, each, from: next });
        await fresh.ask('/seal', { log });
      }
    });
    const rates: number[] = [];
    await phase('sequencing and sealing as receipts come', async () => {
      for (let round = 0; round < 3; round++, next += 10 * 20) {
        const startMs = performance.now();
        await fresh.ask('/send', { log, accounts, from: next, each: 10, batches: 20 });
        await fresh.ask('/seal', { log });
        rates.push((accounts * 10 * 20) / ((performance.now() - startMs) / 1000));
      }
    });
    const live = await isolate.live();
    rows.push(
      rowOf('its live heap at last', 'MB', [live.heldMb]),
      rowOf('receipts sequenced and sealed meanwhile', '/s', rates),
      rowOf('all of that workerd', 'MB resident', [fresh.residentMb()]),
    );
    const most = Math.max(...held);
    return {
      rows,
      aim: {
        aim: 'memory under 128 MB: the isolate of one log that grew to 1,000,000, sealing 10,000 and sequencing, garbage counted',
        seen: `${most.toFixed(0)} MB at most, at ${Math.round(median(rates)).toLocaleString('en')} receipts/s; ${live.heldMb.toFixed(1)} MB of it live`,
        met: most < 128,
      },
    };
  } finally {
    isolate.close();
    await fresh.close();
    delete process.env['MINIFLARE_WORKERD_V8_FLAGS'];
  }
}

const rows: Row[] = [];
const aims: Aim[] = [];
const bench = await startBench();
try {
  const started = bench.residentMb();
  rows.push(rowOf('workerd as started', 'MB resident', [started]));
  const sealRows = await rowsOfSeals();
  const seals: { readonly wall: number; readonly cpu: number; readonly rows: number }[] = [];
  for (const [at, size] of sizes.entries()) {
    const log = `grown-${size}`;
    console.log(`a log of ${size.toLocaleString('en')} ...`);
    await grow(
      size,
      (count, from) => bench.ask('/fill', { log, accounts, each: count, from }),
      () => bench.ask('/seal', { log }),
    );
    const [wall, cpu]: [number[], number[]] = [[], []];
    for (let round = 0; round < 5; round++) {
      await bench.ask('/fill', { log, accounts, each, from: size / accounts + 1 + round * each });
      const [startMs, startCpu] = [performance.now(), bench.cpuMs()];
      await bench.ask('/seal', { log });
      wall.push(performance.now() - startMs);
      cpu.push(bench.cpuMs() - startCpu);
    }
    const [before] = seals;
    const counted = sealRows[at] ?? Number.NaN;
    const beside = (now: number, then: number | undefined): string =>
      then === undefined ? '1' : `${(now / then).toFixed(2)} x on ${sizes[0].toLocaleString('en')}`;
    const on = `sealing ${fresh.toLocaleString('en')} on ${size.toLocaleString('en')}`;
    rows.push(
      rowOf(`${on}: processor`, 'ms', cpu, beside(median(cpu), before?.cpu)),
      rowOf(`${on}: wall`, 'ms', wall, beside(median(wall), before?.wall)),
      rowOf(`${on}: rows`, 'rows', [counted], beside(counted, before?.rows)),
      rowOf(`${on}: workerd after`, 'MB resident', [bench.residentMb()]),
    );
    seals.push({ wall: median(wall), cpu: median(cpu), rows: counted });
    if (before !== undefined) {
      const worst = Math.max(median(cpu) / before.cpu, counted / before.rows);
      aims.push({
        aim: `sealing ${fresh.toLocaleString('en')} on 1,000,000 costs at most 1.3 times what it costs on 10,000, processor and rows`,
        seen: worst.toFixed(2),
        met: worst <= 1.3,
      });
    }
  }

  console.log('proofs from a log of 1,000,000 ...');
  const proofs: number[] = [];
  for (let round = 0; round < 5; round++) {
    const startMs = performance.now();
    const { made = 0 } = await bench.ask('/prove', { log: 'grown-1000000', accounts, count: 300 });
    proofs.push(made / ((performance.now() - startMs) / 1000));
  }
  rows.push(rowOf('inclusion proofs, one call each, in 1,000,000', '/s', proofs));

  console.log('sequencing ...');
  const loads = [
    { each: 1, batches: 50 },
    { each: 10, batches: 20 },
    { each: 50, batches: 20 },
  ].map((load) => ({ ...load, appended: [] as number[], sealed: [] as number[], appends: [] as number[] }));
  // In turns; the first round warms up.
  for (let round = 0; round <= 3; round++) {
    for (const { each: receipts, batches, appended, sealed, appends } of loads) {
      const log = `sent-${receipts}-${round}`;
      const startMs = performance.now();
      await bench.ask('/send', { log, accounts, each: receipts, batches });
      const sentSeconds = (performance.now() - startMs) / 1000;
      await bench.ask('/seal', { log });
      if (round === 0) continue;
      const total = accounts * receipts * batches;
      appended.push(total / sentSeconds);
      appends.push((accounts * batches) / sentSeconds);
      sealed.push(total / ((performance.now() - startMs) / 1000));
    }
  }
  const best = Math.max(...loads.map(({ sealed }) => median(sealed)));
  for (const { each: receipts, appended, sealed, appends } of loads) {
    const batch = `${receipts} a batch`;
    rows.push(
      rowOf(`appends of ${receipts}`, '/s', appends),
      rowOf(`receipts appended, ${batch}`, '/s', appended),
      rowOf(
        `receipts sequenced and sealed, ${batch}`,
        '/s',
        sealed,
        `${(median(sealed) / 2_500).toFixed(1)} x Azul’s 2,500 a round`,
      ),
    );
  }
  console.log('sequencing on a log of 1,000,000 ...');
  const onLarge: number[] = [];
  const resident: number[] = [];
  const load = { each: 10, batches: 20 };
  for (let round = 0; round < 3; round++) {
    // Its accounts go on from where sealing left them.
    const from = 1_000_000 / accounts + 1 + 5 * each + round * load.each * load.batches;
    const startMs = performance.now();
    await bench.ask('/send', { log: 'grown-1000000', accounts, from, ...load });
    await bench.ask('/seal', { log: 'grown-1000000' });
    onLarge.push((accounts * load.each * load.batches) / ((performance.now() - startMs) / 1000));
    resident.push(bench.residentMb());
  }
  rows.push(
    rowOf('receipts sequenced and sealed on 1,000,000, 10 a batch', '/s', onLarge),
    rowOf('workerd after that, and all of it', 'MB resident', resident),
  );
  aims.push({
    aim: 'one log sequences at least 5,000 receipts a second',
    seen: `${Math.round(best).toLocaleString('en')}`,
    met: best >= 5_000,
  });

  console.log('intakes ...');
  const together: number[] = [];
  for (let round = 0; round < 4; round++) {
    const startMs = performance.now();
    const calls = 20;
    for (let call = 0; call < calls; call++) {
      await bench.ask('/together', { log: `together-${round}`, accounts: 200, first: 200 * call });
    }
    if (round > 0) together.push((200 * calls) / ((performance.now() - startMs) / 1000));
  }
  rows.push(rowOf('accounts, two hundred in one append', '/s', together));
} finally {
  await bench.close();
}

console.log('the heap ...');
const one = await heapOfOneLog();
rows.push(...one.rows);
aims.push(one.aim);
const megabytes = 64;
const fits = await fitsIn(megabytes);
aims.push({
  aim: 'the same outside workerd: on 1,000,000, a full commit (16,384 entries, 512 receipts) and 5,000 receipts a second, in a JavaScript heap of 64 MB',
  seen: fits ?? `does not fit in ${megabytes} MB`,
  met: fits !== undefined,
});

console.log("0G's own Merkle code ...");
for (const size of sizes) {
  const times: number[] = [];
  for (let round = 0; round < (size > 100_000 ? 1 : 3); round++) {
    const data = new MemData(new Uint8Array((size + fresh) * 32));
    const startMs = performance.now();
    const [tree, error] = await data.merkleTree();
    if (error !== null || tree === null) throw new Error(String(error));
    times.push(performance.now() - startMs);
  }
  rows.push(
    rowOf(
      `0G’s Merkle code (its SDK, Node), ${(size + fresh).toLocaleString('en')} entries as one file`,
      'ms',
      times,
    ),
  );
}

publish({
  name: 'log',
  title: 'The receipt log: sealing, sequencing, proving',
  method: [
    `The log’s own object in workerd, state on disk. Sealing: ${fresh.toLocaleString('en')} new entries of ${accounts} accounts, each account’s last receipt signed, disclosed and proven. Sequencing: appends as accounts send them over RPC, each durable before it is answered, sealed as they come.`,
    "The isolate of one log: what V8 says of it in a fresh workerd with this one object (its inspector: objects, embedder's objects, buffers), asked every 20 ms. It answers between two turns of the object, so what a seal needs and drops is seen as garbage afterwards; V8 is given 96 MB for old objects, so that it collects as with the platform's 128 MB, and would end if they were not enough. SQLite's page cache and the allocator's free pages live outside V8: the resident figure has them.",
    'Rows are counted on the same code over Node’s SQLite, as Cloudflare bills them. The heap is bounded in a process of its own that V8 ends if it needs more; the resident figure is of all of workerd, its SQLite caches included.',
    '0G’s Merkle code makes a file’s whole tree; ours adds what is new. Azul’s 2,500 entries a round, one round a second, is what it publishes of itself.',
    'A seal’s cost grows with what is new and with the logarithm of the log.',
  ],
  rows,
  aims,
});
