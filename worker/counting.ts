// What this isolate has counted since it last handed it over. No request waits for any of it.
import { type Count, countersName } from '../durable-objects/counters/count.ts';

export type Labels = Readonly<Record<string, string>>;

/** Counted things are handed over this long after the first of them. */
const handOverMs = 3_000;
/** A hand-over that has not happened by then died with the request it belonged to. */
const lostMs = 20_000;

/** Where counts are handed over: the binding of that name. */
type Bindings = {
  readonly COUNTERS: { getByName(name: string): { add(counts: readonly Count[]): Promise<void> } };
};

const counts = new Map<string, bigint>();
let underWayUntilMs = 0;

/** Counts something; labels have few values, never an agent's or a prompt's. */
export function count(name: string, labels: Labels, by: bigint | number = 1n): void {
  const series = seriesOf(name, labels);
  counts.set(series, (counts.get(series) ?? 0n) + BigInt(by));
}

/** A series as Prometheus spells it. */
export const seriesOf = (name: string, labels: Labels): string => {
  const spelled = Object.entries(labels).map(([label, value]) => `${label}="${escaped(value)}"`);
  return spelled.length === 0 ? name : `${name}{${spelled.join(',')}}`;
};

const escaped = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

/** Sees to it that what was counted is handed over, soon and once. */
export function handOverSoon(env: Bindings, waitUntil: (work: Promise<unknown>) => void): void {
  const nowMs = Date.now();
  if (counts.size === 0 || nowMs < underWayUntilMs) return;
  underWayUntilMs = nowMs + lostMs;
  waitUntil(
    new Promise((resolve) => setTimeout(resolve, handOverMs))
      .then(() => handOver(env))
      .finally(() => {
        underWayUntilMs = 0;
      }),
  );
}

/** What cannot be handed over now is, next time. */
export async function handOver(env: Bindings): Promise<void> {
  const taken: Count[] = [...counts].map(([series, by]) => ({ series, by }));
  counts.clear();
  if (taken.length === 0) return;
  try {
    await env.COUNTERS.getByName(countersName).add(taken);
  } catch (error) {
    for (const { series, by } of taken) counts.set(series, (counts.get(series) ?? 0n) + by);
    console.warn(JSON.stringify({ event: 'counts_delayed', error: String(error) }));
  }
}
