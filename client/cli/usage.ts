import type { Command } from 'commander';
import type { Receipt } from '../../protocol/receipt.ts';
import { amountJson, formatAmount, parseDuration } from './amount.ts';
import { usage } from './failure.ts';
import { receiptsFrom } from './receipt-pages.ts';
import { type GivenOptions, Settings, withSettings } from './settings.ts';
import { table } from './terminal.ts';

type Given = GivenOptions & { readonly by: string; readonly since?: string };
type Sum = { calls: number; input: bigint; output: bigint; amount: bigint };

const groupings: Readonly<Record<string, (receipt: Receipt) => string>> = {
  model: ({ model }) => model,
  day: ({ time }) => new Date(Number(time) * 1000).toISOString().slice(0, 10),
};

/** `usage`: what the receipts add up to. */
export function addUsage(program: Command): void {
  const command = program
    .command('usage')
    .helpGroup('Looking around:')
    .summary('what the receipts add up to, by model or by day')
    .description('Adds the agent’s receipts up: calls, tokens and cost.')
    .option('--by <what>', 'model or day', 'model')
    .option('--since <duration>', 'only the last 12h, 7d, …')
    .action((given: Given) => run(given));
  withSettings(command);
}

async function run(given: Given): Promise<void> {
  const settings = new Settings(given);
  const nameOf = groupings[given.by];
  if (nameOf === undefined) throw usage('--by is model or day.');
  const since = given.since === undefined ? 0 : Date.now() / 1000 - parseDuration(given.since);
  const asset = await settings.asset();
  const sums = new Map<string, Sum>();
  const total: Sum = { calls: 0, input: 0n, output: 0n, amount: 0n };
  await settings.terminal.progress('reading receipts', async () => {
    for await (const { receipt } of receiptsFrom(settings, 1n)) {
      if (Number(receipt.time) < since) continue;
      const name = nameOf(receipt);
      const sum = sums.get(name) ?? { calls: 0, input: 0n, output: 0n, amount: 0n };
      sums.set(name, sum);
      for (const row of [sum, total]) {
        row.calls += 1;
        row.input += receipt.usage.input;
        row.output += receipt.usage.output;
        row.amount += receipt.amount;
      }
    }
  });
  const shown = ({ amount, ...counts }: Sum) => ({ ...counts, cost: amountJson(amount, asset) });
  const line = (name: string, sum: Sum) => [
    name,
    `${sum.calls}`,
    `${sum.input}`,
    `${sum.output}`,
    formatAmount(sum.amount, asset),
  ];
  const rows = [...sums].sort(([a], [b]) => (a < b ? -1 : 1));
  settings.terminal.result(
    {
      by: given.by,
      rows: rows.map(([name, sum]) => ({ [given.by]: name, ...shown(sum) })),
      total: shown(total),
    },
    table([
      [given.by, 'calls', 'tokens in', 'tokens out', 'cost'],
      ...rows.map(([name, sum]) => line(name, sum)),
      ...(rows.length === 1 ? [] : [line('total', total)]),
    ]),
  );
}
