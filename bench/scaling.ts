// Beyond one machine: a million agents on the platform's documented limits, simulated on what one object was measured to do here.
//
//   node bench/scaling.ts      (after `npm run bench -- log account`)
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { publish, type Report, type Row, rowOf } from './report.ts';
import { type Outcome, type Rates, type Scenario, simulate } from './scaling-model.ts';

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

const rows: Row[] = [
  rowOf('an append', 'ms', [rates.appendMs]),
  rowOf('each receipt in it', 'ms', [rates.receiptMs]),
  rowOf('each account in an append of many', 'ms', [rates.accountMs]),
  rowOf(
    'appends of 10: the model says',
    '/s',
    [predicted],
    `${(predicted / observed).toFixed(2)} x the ${Math.round(observed)}/s measured`,
  ),
];
for (const [what, scenario] of scenarios) {
  const outcome = simulate(rates, scenario);
  const wanted = scenario.capturesPerSecond;
  rows.push(
    rowOf(
      what,
      'receipts/s in the log',
      [outcome.sequencedPerSecond],
      `${((100 * outcome.sequencedPerSecond) / wanted).toFixed(0)} % of what is captured; ${describe(outcome)}`,
    ),
  );
  console.log(`${what}: ${describe(outcome)}`);
}

function describe({ lag, refusedShare, triesPerSecond, logBusy, waiting }: Outcome): string {
  return [
    `lag p50 ${lag.p50.toFixed(1)} s, p99 ${lag.p99.toFixed(1)} s`,
    `${(100 * refusedShare).toFixed(0)} % of ${Math.round(triesPerSecond).toLocaleString('en')} tries/s refused`,
    `log busy ${(100 * Math.min(1, logBusy)).toFixed(0)} %`,
    `${waiting.toLocaleString('en')} waiting at the end`,
  ].join('; ');
}

publish({
  name: 'scaling',
  title: 'A million agents, simulated',
  method: [
    'A discrete-event simulation, seeded, of accounts that send receipts to a log; each agent calls once a minute. What an append costs is measured on this machine (log bench), from appends of 1 and of 50; appends of 10 check the model.',
    'The platform’s documented limits: about 1,000 requests a second an object, and a refusal when it is 10 s behind.',
    'An account sends half a second after a capture, one append at a time, and what comes meanwhile goes with the next.',
  ],
  rows,
  aims: [],
});
