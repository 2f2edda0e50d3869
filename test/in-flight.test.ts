// What an isolate holds for calls under way is bounded: a call that finds no room is refused before it costs anything, and what is
// given back can be used again.
import { expect, test } from 'vitest';
import { type Allotment, allot } from '../worker/in-flight.ts';

const megabyte = 1_048_576;

const fill = (bodyBytes: number): Allotment[] => {
  const held: Allotment[] = [];
  for (let one = allot(bodyBytes); one; one = allot(bodyBytes)) held.push(one);
  return held;
};

test('bodies, and the copies made of them, stay below half of an isolate’s 128 MB', () => {
  const large = fill(4 * megabyte);
  expect(large).toHaveLength(5);
  for (const one of large) one.release();
  const small = fill(1_000);
  expect(small.length).toBeGreaterThan(600);
  expect(small.length * (96 * 1_024 + 3_000)).toBeLessThanOrEqual(64 * megabyte);
  for (const one of small) one.release();
});

test('an answer that is read whole takes room as it comes, and gives it back once', () => {
  const one = allot(0);
  const other = allot(0);
  if (!one || !other) throw new Error('there is room');
  expect(one.grow(60 * megabyte)).toBe(true);
  expect(other.grow(60 * megabyte)).toBe(false);
  one.release();
  one.release();
  expect(other.grow(60 * megabyte)).toBe(true);
  other.release();
  const all = fill(1 * megabyte);
  expect(all.length).toBe(20);
  for (const each of all) each.release();
});

test('a frame that is still coming takes room when it is long, and only once', () => {
  const one = allot(0);
  const other = allot(0);
  if (!one || !other) throw new Error('there is room');
  expect(one.grow(63 * megabyte)).toBe(true);
  expect(other.frame(60_000)).toBe(true);
  expect(other.frame(700_000)).toBe(true);
  expect(other.frame(600_000)).toBe(true);
  expect(other.frame(1_048_576)).toBe(false);
  one.release();
  expect(other.frame(1_048_576)).toBe(true);
  other.release();
});
