// What a million requests cost on the platform: counts measured here, times Cloudflare's list prices, beside what the model
// itself costs.
//
//   node bench/cost.ts
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseEther } from 'viem';
import { cpuMs, startedWorkerds } from '../dev/processes.ts';
import { startStack } from '../dev/stack.ts';
import { rawAgent } from '../test/raw-agent.ts';
import { rowsWritten } from './account-rows.ts';
import { accounts, grow, simulatedLog } from './log-simulated.ts';
import { objectCalls } from './object-calls.ts';
import { publish, type Row, rowOf } from './report.ts';

/** Cloudflare's list prices (Workers Paid, SQLite-backed objects), USD. */
const usd = {
  workerRequest: 0.3e-6,
  cpuMs: 0.02e-6,
  objectRequest: 0.15e-6,
  /** An object is billed with 128 MB while it runs. */
  objectGbSecond: 12.5e-6,
  rowWritten: 1e-6,
  rowRead: 0.001e-6,
  storedGbMonth: 0.2,
} as const;

const { now } = Date;
console.log('rows of the account ...');
const account = await rowsWritten({ requests: 20_000, perFlush: 100, pauseMs: 1_000 });
Date.now = now;

console.log('rows of the log ...');
const logRows = await rowsOfLog();

console.log('processor time of the gateway ...');
const { callMs, objectMs } = await processorTime();

console.log('rounds of the gateway ...');
const { warm } = await objectCalls();
/** And of the outbox: an alarm and an append, shared by a flush's hundred. */
const objectRequests = Object.values(warm).reduce((sum, count) => sum + count, 0) + 2 / 100;

/** What is written per publication, not per request: allowed for, at a publication every ten minutes. */
const rowsPerPublication = 100;
const requestsADay = 240_000;
const background = (rowsPerPublication * 144) / requestsADay;

const million = 1e6;
const lines: readonly (readonly [what: string, count: number, unit: string, price: number])[] = [
  ['the Worker, one request', 1, 'requests', usd.workerRequest],
  ['processor time, everything in the process', callMs, 'ms', usd.cpuMs],
  [
    'the account: reserve, capture, and a hundredth of the outbox’s alarm and append',
    objectRequests,
    'object requests',
    usd.objectRequest,
  ],
  ['objects’ running time', (objectMs / 1000) * 0.128, 'GB-s', usd.objectGbSecond],
  ['rows written by the account, archive and pruning included', account.rows, 'rows', usd.rowWritten],
  ['rows written by the log', logRows, 'rows', usd.rowWritten],
  ['rows written by Publisher and Chain (allowance)', background, 'rows', usd.rowWritten],
  ['storage of packed receipts, a year', (account.bytes / 1e9) * 12, 'GB-months', usd.storedGbMonth],
];
const dollars = lines.map(([, count, , price]) => count * price * million);
const total = dollars.reduce((sum, each) => sum + each, 0);

// A call of 1,000 tokens in and 300 out of qwen3.6-flash at Alibaba's list price.
const model = (1_000 * 0.25 + 300 * 1.5) / 1e6;
const share = `${((100 * total) / (model * million)).toFixed(2)} %`;

publish({
  name: 'cost',
  title: 'The platform’s cost of a million requests',
  method: [
    'Counts are measured: rows by the objects’ own code over SQLite as Cloudflare bills them, at a hundred requests a flush; processor time of workerd under 600 signed and paid calls of the running stack, objects and stand-in traffic included, so an upper bound.',
    `Arithmetic: count x list price x 1,000,000. Worker $${usd.workerRequest * million} a million requests, processor $${usd.cpuMs * million} a million ms, objects $${usd.objectRequest * million} a million requests and $${usd.objectGbSecond * million} a million GB-s, rows written $${usd.rowWritten * million} a million, storage $${usd.storedGbMonth} a GB-month.`,
    `Publisher and Chain write per publication, not per request: ${rowsPerPublication} rows a publication are allowed for, every ten minutes, at ${requestsADay.toLocaleString('en')} requests a day. Gas is in the gas bench.`,
    'Objects’ running time: an object runs while a call is in it, not while the model answers.',
  ],
  rows: [
    ...lines.map(
      ([what, count, unit], index): Row =>
        rowOf(what, 'USD', [dollars[index] ?? Number.NaN], `${count.toPrecision(3)} ${unit} a request`),
    ),
    rowOf('together', 'USD', [total]),
    rowOf(
      'the model’s own price: qwen3.6-flash, 1,000 in, 300 out',
      'USD',
      [model * million],
      `we add ${share}`,
    ),
  ],
  aims: [
    {
      aim: 'at most 4 dollars of platform cost a million requests',
      seen: `${total.toFixed(2)} dollars`,
      met: total <= 4,
    },
  ],
});
process.exit(0);

/** Rows a receipt, appended a hundred at a time and sealed ten thousand at a time. */
async function rowsOfLog(): Promise<number> {
  const each = 100;
  const log = await simulatedLog();
  await grow(100_000, (count, from) => log.fill(accounts, count, from), log.seal);
  const before = log.rows();
  await log.fill(accounts, each, 100_000 / accounts + 1);
  await log.seal();
  return (log.rows() - before) / (accounts * each);
}

/** Milliseconds a request: of workerd's processor time, and of the objects' (at most all that is not the upstream's answer). */
async function processorTime(): Promise<{ readonly callMs: number; readonly objectMs: number }> {
  const localDir = mkdtempSync('/dev/shm/tallystick-cost-');
  const stack = await startStack({
    localDir: path.join(localDir, 'local'),
    agents: 1,
    deposit: parseEther('90'),
  });
  try {
    const [local] = stack.agents;
    if (!local) throw new Error('the stack has no agent');
    const agent = rawAgent(stack, local);
    const headers = await agent.payment(parseEther('80'));
    const [pid] = startedWorkerds();
    if (pid === undefined) throw new Error('no workerd');
    const call = async (): Promise<void> => {
      const answer = await agent.chat('Hello.', { headers });
      if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
      await answer.text();
    };
    const calls = async (count: number): Promise<void> => {
      for (let done = 0; done < count; done += 8) await Promise.all(Array.from({ length: 8 }, call));
    };
    await calls(200);
    const before = cpuMs(pid);
    await calls(600);
    const spent = (cpuMs(pid) - before) / 600;
    return { callMs: spent, objectMs: spent };
  } finally {
    await stack.close();
    rmSync(localDir, { recursive: true, force: true });
  }
}
