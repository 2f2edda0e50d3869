import { type Asset, exactAmount, shortAmount } from './human.ts';

/** An amount in few digits; all of them on hover, and for whoever copies. */
export function Amount({ value, asset }: { value: bigint; asset: Asset }) {
  return (
    <data class="amount" value={`${value}`} title={`${exactAmount(value, asset)} (${value} base units)`}>
      {shortAmount(value, asset)} <span class="unit">{asset.symbol}</span>
    </data>
  );
}
