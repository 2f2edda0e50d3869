// Every step of the log, failed, failed but done, and killed after: it recovers alone, and a check from the outside then
// finds everything in its place, once.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type LogRun, startWorld, type World } from './log-world.ts';
import type { Fault } from './simulation.ts';

const long = Number(process.env['LONG'] ?? 1);
vi.setConfig({ testTimeout: 120_000 * long });

let world: World;
beforeAll(async () => {
  world = await startWorld();
  if (process.env['DEBUG']) return;
  for (const level of ['error', 'warn', 'log'] as const)
    vi.spyOn(console, level).mockImplementation(() => undefined);
});
afterAll(() => world?.close());

/** mulberry32: a seed, a schedule. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const someCalls = (run: LogRun, calls: number): void => {
  for (let call = 0; call < calls; call++) run.capture(call, 1000n + BigInt(call));
};

/** Where something can fail on the way of a receipt from an account to the vault: found by going that way once. */
const steps = [
  'AGENT_ACCOUNT: RECEIPT_LOG.append',
  'RECEIPT_LOG: transaction',
  'RECEIPT_LOG: PUBLISHER.wake',
  'PUBLISHER: RECEIPT_LOG.commits',
  'PUBLISHER: write',
  'PUBLISHER: RECEIPT_LOG.blob',
  'PUBLISHER: zgs_getFileInfo',
  'PUBLISHER: CHAIN.stateOf',
  'PUBLISHER: eth_call',
  'PUBLISHER: CHAIN.send',
  'PUBLISHER: zgs_getStatus',
  'PUBLISHER: zgs_getShardConfig',
  'PUBLISHER: zgs_getFileInfoByTxSeq',
  'PUBLISHER: zgs_uploadSegmentByTxSeq',
  'PUBLISHER: transaction',
  'PUBLISHER: RECEIPT_LOG.consistencyProof',
  'PUBLISHER: CHAIN.settle',
  'PUBLISHER: RECEIPT_LOG.anchored',
  'CHAIN: write',
  'CHAIN: transaction',
  'CHAIN: eth_chainId',
  'CHAIN: eth_estimateGas',
  'CHAIN: eth_getBlockByNumber',
  'CHAIN: eth_maxPriorityFeePerGas',
  'CHAIN: eth_getTransactionCount',
  'CHAIN: eth_sendRawTransaction',
  'CHAIN: eth_blockNumber',
  'CHAIN: eth_getTransactionReceipt',
  'CHAIN: eth_call',
  'CHAIN: AGENT_ACCOUNT.observe',
  'CHAIN: AGENT_ACCOUNT.claimable',
] as const;

test('without a fault a receipt takes these steps, and no other', async () => {
  const run = await world.openLog();
  someCalls(run, 7);
  await run.run();
  expect(await run.check()).toEqual({ anchors: 1, size: 7 });
  const taken = new Set(run.sim.points);
  taken.delete('AGENT_ACCOUNT: write'); // the stand-in's own
  expect([...taken].toSorted()).toEqual([...steps].toSorted());
});

/** Steps that change something: only there does it matter whether the deed was done before the failure. */
const deeds = steps.filter((step) =>
  /append|transaction|write|wake|send|upload|settle|anchored|observe/.test(step.replace(/^.*: /, '')),
);

/** As many as a transaction takes to stay: it is final at the next look, and no time is spent on waiting. */
const blocksARound = 3;

/** Two steps to a log: the one fails while the log is empty, the other on the batch after. The long run also swaps them. */
function pairs(places: readonly string[]): [string, string][] {
  const halves = places.flatMap((place, at): [string, string][] =>
    at % 2 === 0 ? [[place, places[at + 1] ?? places[0] ?? place]] : [],
  );
  return long === 1 ? halves : [...halves, ...halves.map(([a, b]): [string, string] => [b, a])];
}

describe.each<[Fault, readonly string[]]>([
  ['fail', steps],
  ['lost', deeds],
  ['kill', steps],
])('each step, %s', (fault, places) => {
  test.each(pairs(places))('%s, then %s', async (first, second) => {
    const run = await world.openLog();
    for (const step of [first, second]) {
      let happened = false;
      run.sim.faults = (point) => {
        if (happened || point !== step) return undefined;
        happened = true;
        return fault;
      };
      someCalls(run, 4);
      await run.run({ blocks: blocksARound });
      expect(happened).toBe(true);
    }
    expect((await run.check()).size).toBe(8);
  });
});

/** A schedule is its seed: SEED=n begins with that one. Thousands in the long run (LONG=20). */
const firstSeed = Number(process.env['SEED'] ?? 1);
const schedules = long === 1 ? 24 : 100 * long;

describe('random schedules', () => {
  test.each(Array.from({ length: schedules }, (_, at) => firstSeed + at))('seed %i', async (seed) => {
    const random = randomOf(seed);
    const pick = (n: number): number => Math.floor(random() * n);
    const run = await world.openLog();
    let isCalm = false;
    const rate = [0.02, 0.05, 0.15][pick(3)] ?? 0.05;
    run.sim.faults = () =>
      !isCalm && random() < rate ? (['fail', 'lost', 'kill'] as const)[pick(3)] : undefined;
    const under = new Set<Promise<void>>();
    for (let act = 0; act < 40; act++) {
      const roll = random();
      const [alarm] = run.sim.alarms().slice(pick(4));
      if (roll < 0.3) run.capture(pick(9), BigInt(1 + pick(1_000_000)));
      else if (roll < 0.4) await world.advance(1 + pick(40));
      else if (roll < 0.45 && alarm) run.sim.kill(alarm.binding, alarm.name);
      else if (alarm) {
        // Several alarms at once: objects do not wait for each other.
        const ringing = run.sim.ring(alarm.binding, alarm.name).finally(() => under.delete(ringing));
        under.add(ringing);
        if (random() < 0.6) await Promise.race([ringing, new Promise((done) => setTimeout(done, pick(12)))]);
      }
    }
    await Promise.allSettled([...under]);
    isCalm = true;
    run.capture(0, 1n);
    await run.run();
    await run.check();
  });
});
