// Intakes: many accounts' appends in few calls to the log, each account answered for itself.
import { beforeEach, expect, test } from 'vitest';

import { vars } from '../bench/log-simulated.ts';
import { intakeOf } from '../durable-objects/log/intake-of.ts';
import { zeroHash } from '../protocol/hex.ts';
import { logIdOf } from '../protocol/log/head.ts';
import { blankReceipt } from './log-world.ts';
import { Simulation } from './simulation.ts';

const zero = `0x${'00'.repeat(20)}` as const;
const logId = logIdOf({ chainId: 31_337, anchor: zero, owner: zero, origin: vars.LOG_ORIGIN });
const accounts = Array.from({ length: 40 }, (_, number) => `eip155:31337:${zero}:${zero}:${number}`);

let sim: Simulation;
beforeEach(async () => {
  sim = new Simulation(vars);
  for (const [binding, file, name] of [
    ['RECEIPT_LOG', '../durable-objects/log/receipt-log.ts', 'ReceiptLog'],
    ['LOG_INTAKE', '../durable-objects/log/log-intake.ts', 'LogIntake'],
  ] as const) {
    sim.bind(binding, ((await import(file)) as Record<string, never>)[name] as never);
  }
});

const receiptsOf = (account: string, first = 1, count = 1) => ({
  account,
  firstSequence: first,
  digests: Array<string>(count).fill(zeroHash),
  lastReceipt: blankReceipt,
  mergeBy: 1_800_000_000,
});
const append = (batch: ReturnType<typeof receiptsOf>) =>
  sim.stub('LOG_INTAKE', `${logId}/0`)['append']?.(batch);
const appended = async (): Promise<number> =>
  ((await sim.stub('RECEIPT_LOG', logId)['status']?.()) as { appended: number } | undefined)?.appended ?? -1;
const callsToTheLog = (): number =>
  sim.points.filter((point) => point.endsWith('RECEIPT_LOG.appendAll')).length;

test('many accounts at once: each is answered, and the log is called twice', async () => {
  const answers = await Promise.all(accounts.map((account) => append(receiptsOf(account, 1, 3))));
  expect(answers).toEqual(accounts.map(() => ({ last: 3 })));
  expect(await appended()).toBe(3 * accounts.length);
  // The first goes at once; the others wait for it and go together.
  expect(callsToTheLog()).toBe(2);
});

test('what one account sends wrongly is refused to that one alone', async () => {
  const [first = '', second = ''] = accounts;
  const [, none, good, gap] = await Promise.all([
    append(receiptsOf('eip155:1:0x:0x:9')),
    append(receiptsOf(first, 1, 0)),
    append(receiptsOf(first, 1, 2)),
    append(receiptsOf(second, 7, 1)),
  ]);
  expect(none).toEqual({ refused: expect.stringContaining('0 receipts') });
  expect(good).toEqual({ last: 2 });
  // A gap is answered as the log answers it: go on from there.
  expect(gap).toEqual({ last: 0 });
});

test('a log that fails, or dies when it has written, is asked again with the effect of once', async () => {
  for (const fault of ['fail', 'lost', 'kill'] as const) {
    let once = true;
    sim.faults = (point) => {
      if (!once || !point.endsWith('RECEIPT_LOG.appendAll')) return undefined;
      once = false;
      return fault;
    };
    const before = await appended();
    const batches = accounts.slice(0, 5).map((account) => receiptsOf(`${account}${fault}`));
    const answers = await Promise.allSettled(batches.map(append));
    expect(answers.some(({ status }) => status === 'rejected')).toBe(true);
    sim.faults = () => undefined;
    for (const batch of batches) expect(await append(batch)).toEqual({ last: 1 });
    expect(await appended()).toBe(before + batches.length);
  }
});

test('an account always has the same intake, and intakes have about as many accounts each', () => {
  const counts = new Map<number, number>();
  for (let agent = 0; agent < 8_000; agent += 1) {
    const name = `eip155:16661:0x${'ab'.repeat(20)}:0x${'cd'.repeat(20)}:${agent}`;
    const intake = intakeOf(name, 8);
    expect(intakeOf(name, 8)).toBe(intake);
    counts.set(intake, (counts.get(intake) ?? 0) + 1);
  }
  expect([...counts.keys()].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(300);
});
