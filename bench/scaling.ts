// Beyond one machine: a million agents on the platform's documented limits, simulated on what one object was measured to do here.
//
//   node bench/scaling.ts      (after `npm run bench -- log account`)
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { publish, type Report, type Row, rowOf, tables } from './report.ts';
import { type Rates, type Scenario, simulate, simulateHotAgent } from './scaling-model.ts';

const measured = (bench: string, what: string): number => {
  const file = path.join(import.meta.dirname, `results/${bench}.json`);
  if (!existsSync(file)) throw new Error(`nothing is known of ${bench} here: npm run bench -- ${bench}`);
  const { rows } = JSON.parse(readFileSync(file, 'utf8')) as Report;
  const row = rows.find((one) => one.what === what);
  if (row === undefined) throw new Error(`${bench} has no row "${what}": npm run bench -- ${bench}`);
  return row.median;
};

// One append, and each receipt in it, from appends of 1 and of 50; appends of 10 are what the model is checked against.
const appendsPerSecond = (receipts: number): number => measured('log', `appends of ${receipts}`);
const onceMs = 1000 / appendsPerSecond(1);
const receiptMs = Math.max(0, (1000 / appendsPerSecond(50) - onceMs) / 49);
const rates: Rates = {
  appendMs: onceMs - receiptMs,
  receiptMs,
  accountMs: 1000 / measured('log', 'accounts, two hundred in one append'),
};
const predicted = 1000 / (rates.appendMs + 10 * rates.receiptMs);
const observed = appendsPerSecond(10);

/** What one account was measured to take for a round; a call is two. */
const roundMs = 1000 / (2 * measured('account', 'reserve and capture, one agent, 64 at once, tmpfs'));

/** What an account did before: every two seconds, whatever happens. */
const flat = (): number => 2_000;
/** What it does: twice as long after each refusal, two minutes at most, and not all at once. */
const growing = (refusals: number, random: () => number): number =>
  Math.min(120_000, 2_000 * 2 ** Math.min(refusals - 1, 20)) * (0.5 + random());

const once = { seconds: 120, logs: 1, intakes: 0, retryMs: growing, seed: 1 } as const;
/** Each agent calls once a minute. */
const ofAgents = (agents: number): Pick<Scenario, 'agents' | 'capturesPerSecond'> => ({
  agents,
  capturesPerSecond: agents / 60,
});
const scenarios: readonly (readonly [what: string, scenario: Scenario])[] = [
  ['10,000 agents', { ...once, ...ofAgents(10_000) }],
  ['50,000 agents', { ...once, ...ofAgents(50_000) }],
  ['100,000 agents, retry every 2 s', { ...once, ...ofAgents(100_000), retryMs: flat }],
  ['100,000 agents', { ...once, ...ofAgents(100_000) }],
  ['100,000 agents, 8 intakes', { ...once, ...ofAgents(100_000), intakes: 8 }],
  ['300,000 agents, 16 intakes', { ...once, ...ofAgents(300_000), intakes: 16 }],
  ['1,000,000 agents, retry every 2 s', { ...once, ...ofAgents(1_000_000), retryMs: flat }],
  ['1,000,000 agents', { ...once, ...ofAgents(1_000_000) }],
  ['1,000,000 agents, 32 intakes', { ...once, ...ofAgents(1_000_000), intakes: 32 }],
  ['1,000,000 agents, 32 intakes, 4 logs', { ...once, ...ofAgents(1_000_000), intakes: 32, logs: 4 }],
  [
    'no log for a minute, 100,000 agents, 8 intakes',
    { ...once, ...ofAgents(100_000), intakes: 8, outage: [30, 90], seconds: 300 },
  ],
  [
    'no log for a minute, the same, retry every 2 s',
    { ...once, ...ofAgents(100_000), intakes: 8, outage: [30, 90], seconds: 300, retryMs: flat },
  ],
];

/** Calls a second, and objects that share them. */
const hot: readonly (readonly [callsPerSecond: number, objects: number])[] = [
  [250, 1],
  [400, 1],
  [480, 1],
  [600, 1],
  [600, 2],
  [1_000, 2],
  [1_000, 4],
];

const rows: Row[] = [
  rowOf('an append', 'ms', [rates.appendMs]),
  rowOf('each receipt in it', 'ms', [rates.receiptMs]),
  rowOf('each account in an append of many', 'ms', [rates.accountMs]),
  rowOf(
    'appends of 10: the model says',
    '/s',
    [predicted],
    `${(predicted / observed).toFixed(2)} x the ${Math.round(observed).toLocaleString('en')}/s measured`,
  ),
  rowOf('a round to an account, 64 at once, state on tmpfs', 'ms', [roundMs]),
];
const rounded = (value: number, digits = 0): number => Number(value.toFixed(digits));
const percent = (share: number): number => rounded(100 * Math.min(1, share));
for (const [of, scenario] of scenarios) {
  console.log(`${of} ...`);
  const { sequencedPerSecond, lag, refusedShare, triesPerSecond, logBusy, waiting } = simulate(
    rates,
    scenario,
  );
  const row = (what: string, unit: string, value: number): Row => ({
    ...rowOf(what, unit, [value]),
    group: 'Receipts on their way to the log, each agent calling once a minute',
    of,
  });
  rows.push(
    row('captured', '/s', rounded(scenario.capturesPerSecond)),
    row('in the log', '/s', rounded(sequencedPerSecond)),
    row('lag p50', 's', rounded(lag.p50, 1)),
    row('p99', 's', rounded(lag.p99, 1)),
    row('tries', '/s', rounded(triesPerSecond)),
    row('refused', '%', percent(refusedShare)),
    row('log busy', '%', percent(logBusy)),
    row('waiting at the end', 'receipts', waiting),
  );
}
for (const [callsPerSecond, objects] of hot) {
  const { servedPerSecond, refusedShare, wait, busy } = simulateHotAgent({
    callsPerSecond,
    objects,
    roundMs,
    answerSeconds: 5,
    seconds: 120,
    seed: 1,
  });
  const row = (what: string, unit: string, value: number): Row => ({
    ...rowOf(what, unit, [value]),
    group: 'One hot agent, two rounds a call',
    of: `${callsPerSecond.toLocaleString('en')} calls/s, ${objects === 1 ? 'its one object' : `${objects} objects (leases)`}`,
  });
  rows.push(
    row('served', '/s', rounded(servedPerSecond)),
    row('refused', '%', percent(refusedShare)),
    row('wait for the hold p50', 's', rounded(wait.p50, 3)),
    row('p99', 's', rounded(wait.p99, 3)),
    row('busy', '%', percent(busy)),
  );
}

// The tables stand in docs/scaling.md too, where they are explained.
const page = path.resolve(import.meta.dirname, '../docs/scaling.md');
const [begin, end] = ['<!-- Generated by `npm run bench -- scaling`: from here -->', '<!-- to here -->'];
const text = readFileSync(page, 'utf8');
const [from, to] = [text.indexOf(begin), text.indexOf(end)];
if (from < 0 || to < from) throw new Error('docs/scaling.md has no place for the tables');
writeFileSync(page, `${text.slice(0, from)}${begin}\n\n${tables(rows).join('\n')}\n\n${text.slice(to)}`);

publish({
  name: 'scaling',
  title: 'A million agents, simulated',
  method: [
    'A discrete-event simulation, seeded, of accounts that send receipts to a log; each agent calls once a minute. What an append costs is measured on this machine (log bench), from appends of 1 and of 50; appends of 10 check the model.',
    'The platform’s documented limits: about 1,000 requests a second an object, and a refusal when it is 10 s behind.',
    'An account sends half a second after a capture, one append at a time, and what comes meanwhile goes with the next.',
    'One hot agent: calls come at random, answers take 5 s on average, a call is a round before and one after it (as measured by the account bench, or the platform’s limit where that is slower); a refused capture is asked again after a second. Leases are on paper: several objects that share one agent’s calls.',
  ],
  rows,
  aims: [],
});
