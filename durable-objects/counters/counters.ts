// What this deployment has counted, for /metrics. Isolates add what they have counted in the last seconds; nothing of it is on
// a request's path. Kept in memory and written down as one value some seconds after something came, so counters may lose those
// seconds when the object is moved, and what an isolate had not yet handed over when it was ended. What was shown is never taken
// back: a counter that falls looks to Prometheus as if it had begun anew, and all of it as if it had just been counted. Money
// is never decided on them: receipts and the vault say what was earned.
import { DurableObject } from 'cloudflare:workers';
import { AlarmClock } from '../alarm-clock.ts';
import type { Env } from '../env.ts';
import type { Count } from './count.ts';

/** Between two times of writing down. Below the ten seconds after which the platform takes an idle object out of memory. */
const writeEveryMs = 5_000;
/** Beyond this, series are not taken: labels have few values, and a mistake must not fill the object. */
const seriesMax = 5_000;
const stored = 'counts';

export class Counters extends DurableObject<Env> {
  readonly #counts: Map<string, bigint>;
  readonly #alarm: AlarmClock;
  /** Whether anything has come since it was last written down. */
  #isNew = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const kept = JSON.parse(ctx.storage.kv.get<string>(stored) ?? '[]') as [string, string][];
    this.#counts = new Map(kept.map(([series, count]) => [series, BigInt(count)]));
    this.#alarm = new AlarmClock(ctx.storage);
    void ctx.blockConcurrencyWhile(() => this.#alarm.load());
  }

  add(counts: readonly Count[]): void {
    for (const { series, by } of counts) {
      const before = this.#counts.get(series);
      if (before !== undefined || this.#counts.size < seriesMax)
        this.#counts.set(series, (before ?? 0n) + by);
    }
    if (counts.length === 0) return;
    this.#isNew = true;
    this.#alarm.noLaterThan(Date.now() + writeEveryMs);
  }

  /** Written down first: the answer leaves when that is durable. */
  read(): Count[] {
    this.#write();
    return [...this.#counts].map(([series, by]) => ({ series, by }));
  }

  override alarm(): void {
    this.#alarm.rang();
    this.#write();
  }

  #write(): void {
    if (!this.#isNew) return;
    const counts = [...this.#counts].map(([series, count]) => [series, `${count}`]);
    this.ctx.storage.kv.put(stored, JSON.stringify(counts));
    this.#isNew = false;
  }
}
