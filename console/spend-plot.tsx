// What was spent over time, by model: bars on top of each other, and the same as a table.
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { SignedReceipt } from '../protocol/receipt.ts';
import { Amount } from './amount.tsx';
import { type Asset, counted, grouped, span } from './human.ts';
import { Scroll } from './scroll.tsx';
import { byModel, overTime, type Spend } from './spend.ts';

/** Models with a colour of their own; the rest share the last. */
const colours = 6;
const colourOf = (index: number): string => `--series-${Math.min(index, colours - 1) + 1}`;

export function SpendPlot({ receipts, asset }: { receipts: readonly SignedReceipt[]; asset: Asset }) {
  const [totals, spend] = useMemo(() => {
    const bare = receipts.map(({ receipt }) => receipt);
    return [byModel(bare), overTime(bare, Math.floor(Date.now() / 1000))];
  }, [receipts]);
  const busy = spend.times.flatMap((time, i) => {
    const sum = spend.models.reduce((all, { sums }) => all + (sums[i] ?? 0n), 0n);
    return sum === 0n ? [] : [{ time, sum, parts: spend.models.map(({ sums }) => sums[i] ?? 0n) }];
  });
  return (
    <figure class="spend">
      <Plot spend={spend} asset={asset} />
      <figcaption class="quiet">
        {asset.symbol} {everyName(spend.every)}, over the last {counted(receipts.length, 'receipt')}.
      </figcaption>
      <Scroll label="Spend by model">
        <table>
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col" class="number">
                Calls
              </th>
              <th scope="col" class="number">
                Tokens in
              </th>
              <th scope="col" class="number">
                Tokens out
              </th>
              <th scope="col" class="number">
                Cost
              </th>
            </tr>
          </thead>
          <tbody>
            {totals.map(({ model, calls, input, output, amount }, index) => (
              <tr key={model}>
                <th scope="row">
                  <span class={`swatch series-${Math.min(index, colours - 1) + 1}`} aria-hidden="true" />
                  {model}
                </th>
                <td class="number">{grouped(calls)}</td>
                <td class="number">{grouped(input)}</td>
                <td class="number">{grouped(output)}</td>
                <td class="number">
                  <Amount value={amount} asset={asset} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      <details>
        <summary>The plot as a table</summary>
        <Scroll label="Spend over time">
          <table>
            <thead>
              <tr>
                <th scope="col">From</th>
                {spend.models.map(({ model }) => (
                  <th scope="col" class="number" key={model}>
                    {model}
                  </th>
                ))}
                <th scope="col" class="number">
                  All
                </th>
              </tr>
            </thead>
            <tbody>
              {busy.map(({ time, sum, parts }) => (
                <tr key={time}>
                  <th scope="row">{new Date(time * 1000).toLocaleString()}</th>
                  {parts.map((part, i) => (
                    <td class="number" key={spend.models[i]?.model}>
                      <Amount value={part} asset={asset} />
                    </td>
                  ))}
                  <td class="number">
                    <Amount value={sum} asset={asset} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      </details>
    </figure>
  );
}

const everyName = (seconds: number): string =>
  ({ 60: 'each minute', 3600: 'each hour', 86400: 'each day', 604800: 'each week' })[seconds] ??
  `in each ${span(seconds)}`;

function Plot({ spend, asset }: { spend: Spend; asset: Asset }) {
  const place = useRef<HTMLDivElement>(null);
  const { symbol, decimals } = asset;
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    let isOver = false;
    let end = () => {};
    void import('./stacked-bars.ts').then(({ stackedBars }) => {
      if (!isOver) end = stackedBars(element, spend, { symbol, decimals }, colourOf);
    });
    return () => {
      isOver = true;
      end();
    };
  }, [spend, symbol, decimals]);
  return (
    <div
      class="plot"
      ref={place}
      role="img"
      aria-label={`Spend over time by model: ${spend.models.map(({ model }) => model).join(', ')}. The table below has the figures.`}
    />
  );
}
