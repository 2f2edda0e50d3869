// Receipts added up over time, by model. Pure.
import type { Receipt } from '../protocol/receipt.ts';

export type ModelSpend = {
  readonly model: string;
  readonly calls: number;
  readonly input: bigint;
  readonly output: bigint;
  readonly amount: bigint;
};

/** Models with the dearest first. */
export function byModel(receipts: readonly Receipt[]): ModelSpend[] {
  const sums = new Map<string, ModelSpend>();
  for (const { model, usage, amount } of receipts) {
    const sum = sums.get(model) ?? { model, calls: 0, input: 0n, output: 0n, amount: 0n };
    sums.set(model, {
      model,
      calls: sum.calls + 1,
      input: sum.input + usage.input,
      output: sum.output + usage.output,
      amount: sum.amount + amount,
    });
  }
  return [...sums.values()].sort((a, b) =>
    a.amount === b.amount ? (a.model < b.model ? -1 : 1) : a.amount > b.amount ? -1 : 1,
  );
}

export type Spend = {
  /** Seconds of one bucket. */
  readonly every: number;
  /** Unix seconds at which each bucket begins. */
  readonly times: readonly number[];
  /** In the order of {@link byModel}; one sum per bucket. */
  readonly models: readonly { readonly model: string; readonly sums: readonly bigint[] }[];
};

const minute = 60;
const steps = [minute, 5 * minute, 15 * minute, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600];
const bucketsMax = 48;
const bucketsMin = 12;

/** Cuts the time the receipts span into at most 48 buckets of a round length, and ends with the one `now` is in. */
export function overTime(receipts: readonly Receipt[], now: number): Spend {
  const first = Math.min(...receipts.map(({ time }) => Number(time)), now);
  const every = steps.find((step) => (now - first) / step < bucketsMax - 1) ?? 30 * 24 * 3600;
  const last = Math.floor(now / every) * every;
  const begin = Math.min(Math.floor(first / every) * every, last - (bucketsMin - 1) * every);
  const count = Math.round((last - begin) / every) + 1;
  const models = byModel(receipts).map(({ model }) => ({
    model,
    sums: Array.from({ length: count }, () => 0n),
  }));
  const rows = new Map(models.map(({ model, sums }) => [model, sums]));
  for (const { model, time, amount } of receipts) {
    const at = Math.min(count - 1, Math.floor((Number(time) - begin) / every));
    const sums = rows.get(model);
    if (sums) sums[at] = (sums[at] ?? 0n) + amount;
  }
  return { every, times: Array.from({ length: count }, (_, i) => begin + i * every), models };
}
