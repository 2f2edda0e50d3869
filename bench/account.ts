// An agent's account: rows, bytes and rounds a request, and how many requests one account, and many, take in a second.
//
//   node bench/account.ts
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runInWorkerd } from '../dev/workerd-script.ts';
import { rowsWritten } from './account-rows.ts';
import { vars } from './log-simulated.ts';
import { objectCalls } from './object-calls.ts';
import { median, publish, type Row, rowOf } from './report.ts';

const rounds = 5;
const sliceMs = 1_500;

const loads = [
  { what: 'a hundred requests a flush', requests: 20_000, perFlush: 100, pauseMs: 1_000 },
  { what: 'ten requests a flush', requests: 5_000, perFlush: 10, pauseMs: 1_000 },
  { what: 'one request an hour', requests: 3_000, perFlush: 1, pauseMs: 60 * 60_000 },
];
const rows: Row[] = [];
let atAHundred = Number.NaN;
const { now } = Date;
for (const { what, ...load } of loads) {
  console.log(`${what} ...`);
  const written = await rowsWritten(load);
  if (load.perFlush === 100) {
    atAHundred = written.rows;
    rows.push(rowOf('storage, packed, no bucket', 'bytes a request', [written.bytes]));
  }
  rows.push(
    rowOf(`rows, ${what}`, 'a request', [written.rows], `${written.alarms.toFixed(3)} of them alarms`),
  );
}
// The rows were counted on a clock of their own.
Date.now = now;

/** One agent is a whole load here. */
const tiers = [
  { name: 'bench', requestsPerMinute: 10_000_000, tokensPerMinute: 10_000_000_000, concurrent: 1024 },
];
const unlimited = (JSON.parse(vars.CHAINS) as object[]).map((chain) => ({ ...chain, tiers }));

type Contender = {
  readonly what: string;
  readonly query: string;
  readonly url: string;
  readonly seen: number[];
};
const dirs = { disk: mkdtempSync(path.join(tmpdir(), 'tallystick-account-')), tmpfs: '' };
dirs.tmpfs = mkdtempSync('/dev/shm/tallystick-account-');
const running: { readonly close: () => Promise<void> }[] = [];
try {
  const contenders: Contender[] = [];
  for (const [where, stateDir] of Object.entries(dirs)) {
    const script = await runInWorkerd('bench/account-worker.mjs', {
      vars: { ...vars, CHAINS: JSON.stringify(unlimited) },
      objects: { ACCOUNT: 'BenchAccount' },
      stateDir,
    });
    running.push(script);
    const add = (what: string, query: string) =>
      contenders.push({ what: `${what}, ${where}`, query, url: script.url, seen: [] });
    if (where === 'disk') add('empty rounds to one object, 64 at once', 'agents=1&parallel=64&what=nothing');
    add('reserve and capture, one agent, one at a time', 'agents=1&parallel=1&what=call');
    add('reserve and capture, one agent, 64 at once', 'agents=1&parallel=64&what=call');
    add('reserve and capture, 64 agents at once', 'agents=64&parallel=64&what=call');
  }
  for (let round = 0; round <= rounds; round += 1) {
    for (const { query, url, seen } of contenders) {
      const startedMs = performance.now();
      const response = await fetch(`${url}/?${query}&ms=${sliceMs}`);
      if (!response.ok) throw new Error(await response.text());
      const { done } = (await response.json()) as { done: number };
      // The first round warms up.
      if (round > 0) seen.push(done / ((performance.now() - startedMs) / 1000));
    }
    console.log(`round ${round} of ${rounds}`);
  }
  const [empty] = contenders;
  const rounds64 = median(empty?.seen ?? []);
  for (const { what, seen } of contenders) {
    const ratio = `${(median(seen) / rounds64).toFixed(2)} x empty rounds`;
    rows.push(rowOf(what, '/s', seen, ratio));
  }
} finally {
  for (const { close } of running) await close();
  for (const dir of Object.values(dirs)) rmSync(dir, { recursive: true, force: true });
}
console.log('rounds of the gateway ...');
const { first, warm } = await objectCalls();
const together = (calls: Readonly<Record<string, number>>): number =>
  Object.values(calls).reduce((sum, count) => sum + count, 0);
rows.push(
  rowOf('rounds from the Worker to objects, a warm agent', 'a request', [together(warm)]),
  rowOf('rounds from the Worker to objects, an agent’s first request', 'rounds', [together(first)]),
);

publish({
  name: 'account',
  title: 'The account: rows, bytes, rounds, and requests per second',
  method: [
    'Rows: the account’s own code over Node’s SQLite with a clock of the bench’s own, counted as Cloudflare bills them (each row inserted, changed or deleted, each alarm set or deleted, a CREATE TABLE; a dropped table bills nothing). Hold, capture, voucher, outbox, packing and pruning are in it.',
    'Requests per second: the real object in workerd, called over RPC by a Worker beside it, state on disk and on tmpfs. A request is two rounds, each answered when it is durable.',
    'Rounds are counted in the running gateway, over a hundred requests of one agent, whose identity is read from the chain within the same minute.',
    'Rows do not grow with the account’s age; the one row a request of a flush’s alarm, acknowledgement and packing is shared by all of the flush.',
  ],
  rows,
  aims: [
    {
      aim: 'at most 2.1 rows a request at a hundred requests a flush',
      seen: atAHundred.toFixed(3),
      met: atAHundred <= 2.1,
    },
  ],
});
process.exit(0);
