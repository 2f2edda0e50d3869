// Draws spend with uPlot. Loaded when there is something to draw. Plotting is the one place where an amount becomes a float.
import UPlot from 'uplot';
import { type Asset, shortAmount } from './human.ts';
import type { Spend } from './spend.ts';

const height = 220;

/** @returns what takes the plot away again */
export function stackedBars(
  element: HTMLElement,
  spend: Spend,
  asset: Asset,
  colourOf: (index: number) => string,
): () => void {
  const scale = 10 ** asset.decimals;
  const below = spend.times.map(() => 0n);
  const stacked = spend.models.map(({ model, sums }, index) => {
    for (const [i, sum] of sums.entries()) below[i] = (below[i] ?? 0n) + sum;
    return { model, index, sums, tops: below.map((top) => Number(top) / scale) };
  });
  // The tallest first: each is drawn over the one before.
  const layers = [...stacked].reverse();

  const draw = (): UPlot => {
    const style = getComputedStyle(element);
    const of = (name: string) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: of('--quiet'),
      grid: { stroke: of('--line'), width: 1 },
      ticks: { show: false },
      font: `12px ${of('--sans')}`,
    };
    const text = (value: number) => shortAmount(BigInt(Math.round(value * scale)), asset);
    return new UPlot(
      {
        width: Math.max(240, element.clientWidth),
        height,
        legend: { show: false },
        cursor: { show: false },
        padding: [8, 4, 0, 0],
        scales: {
          x: { time: true, range: (_, from, to) => [from - spend.every * 0.6, to + spend.every * 0.6] },
          y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] },
        },
        axes: [
          {
            ...axis,
            grid: { show: false },
            values: (_, splits) => splits.map((at) => tick(at, spend.every)),
          },
          {
            ...axis,
            size: 72,
            values: (_, splits) => splits.map((split) => (split === 0 ? '0' : text(split))),
          },
        ],
        series: [
          {},
          ...layers.map(({ model, index }) => ({
            label: model,
            stroke: of(colourOf(index)),
            fill: of(colourOf(index)),
            width: 0,
            points: { show: false },
            ...barsOf(),
          })),
        ],
      },
      [[...spend.times], ...layers.map(({ tops }) => tops)],
      element,
    );
  };

  let plot = draw();
  const again = () => {
    plot.destroy();
    plot = draw();
  };
  const resized = new ResizeObserver(() => {
    if (Math.abs(plot.width - Math.max(240, element.clientWidth)) > 1) again();
  });
  resized.observe(element);
  addEventListener('themechange', again);
  return () => {
    resized.disconnect();
    removeEventListener('themechange', again);
    plot.destroy();
  };
}

/** The time of day within days, the day within weeks. */
const tick = (unixSeconds: number, every: number): string =>
  new Date(unixSeconds * 1000).toLocaleString(
    undefined,
    every < 6 * 3600
      ? { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }
      : { day: 'numeric', month: 'short' },
  );

function barsOf(): { paths?: UPlot.Series.PathBuilder } {
  const paths = UPlot.paths.bars?.({ size: [0.72, 40], align: 0 });
  return paths === undefined ? {} : { paths };
}
