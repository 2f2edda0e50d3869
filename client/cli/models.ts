import type { Command } from 'commander';
import { formatUnits } from 'viem';
import { readPrices } from '../deployment.ts';
import { exitCodes, Failure, refusalOf } from './failure.ts';
import { type GivenOptions, Settings, withSettings } from './settings.ts';
import { table } from './terminal.ts';

/** `models`: what can be asked, and what it costs. */
export function addModels(program: Command): void {
  const command = program
    .command('models')
    .helpGroup('Looking around:')
    .summary('what can be asked, and what it costs')
    .description(
      'The gateway’s models with the prices of a million tokens in the first tier. No key is needed. The price table’s hash is computed here: it is what receipts name.',
    )
    .action((given: GivenOptions) => run(given));
  withSettings(command);
}

async function run(given: GivenOptions): Promise<void> {
  const settings = new Settings(given);
  const response = await fetch(`${settings.gateway}/v1/prices`, { signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw await refusalOf(response);
  const read = readPrices(await response.json());
  if (!read.ok) throw new Failure(exitCodes.notRight, 'price_table', `/v1/prices: ${read.error}`);
  const { hash, table: prices } = read.value;
  const price = (rate: string | undefined) => formatUnits(BigInt(rate ?? '0'), 18);
  const models = Object.entries(prices.models);
  settings.terminal.result({ priceTable: hash, ...prices }, [
    ...table([
      ['model', 'context', 'input', 'cached', 'output', 'licence'],
      ...models.map(([id, model]) => {
        const [tier] = model.tiers;
        return [
          id,
          `${model.contextTokens}`,
          price(tier?.input),
          price(tier?.cachedInput),
          model.serves === 'embeddings' ? '' : price(tier?.output),
          `${model.licence}${model.tiers.length > 1 ? ', dearer when longer' : ''}`,
        ];
      }),
    ]),
    '',
    `${prices.asset} per million tokens. Price table ${hash}`,
  ]);
}
