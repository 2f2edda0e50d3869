// An object's one alarm: set when that changes something, and set again when the platform has lost it.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AlarmClock } from '../durable-objects/alarm-clock.ts';

let stored: number | null;
let writes: number[];
beforeEach(() => {
  vi.useFakeTimers({ now: 1_800_000_000_000 });
  stored = null;
  writes = [];
});
afterEach(() => vi.useRealTimers());

const storage = {
  getAlarm: async () => stored,
  setAlarm: async (atMs: number) => {
    stored = atMs;
    writes.push(atMs);
  },
  deleteAlarm: async () => {
    stored = null;
  },
};
const clock = async (): Promise<AlarmClock> => {
  const made = new AlarmClock(storage);
  await made.load();
  return made;
};

test('only an earlier time is written', async () => {
  const alarm = await clock();
  const now = Date.now();
  for (const after of [5_000, 9_000, 2_000, 2_000]) alarm.noLaterThan(now + after);
  expect(writes).toEqual([now + 5_000, now + 2_000]);
});

test('an alarm that is due and has not rung yet is waited for', async () => {
  stored = Date.now() - 10_000;
  const alarm = await clock();
  alarm.noLaterThan(Date.now());
  expect(writes).toEqual([]);
});

test('one that was lost with its process is set again when the object wakes', async () => {
  stored = Date.now() - 60_000;
  await clock();
  expect(writes).toEqual([Date.now()]);
});

test('one that is lost while the object lives is set again by whoever asks for a time', async () => {
  const alarm = await clock();
  alarm.noLaterThan(Date.now() + 1_000);
  vi.advanceTimersByTime(5_000);
  alarm.noLaterThan(Date.now() + 500);
  expect(writes.length).toBe(1);
  vi.advanceTimersByTime(60_000);
  alarm.noLaterThan(Date.now() + 500);
  expect(writes.at(-1)).toBe(Date.now() + 500);
});
