import type { Standing } from './account.ts';
import { Amount } from './amount.tsx';
import { exactAmount } from './human.ts';

/** The deposit as a stick: what is spent, set aside, free, and beyond the voucher. */
export function DepositBar({ standing }: { standing: Standing }) {
  const { asset, deposited, withdrawn, captured, held, available } = standing;
  const all = deposited - withdrawn;
  const rest = all - captured - held - available;
  const parts = [
    { name: 'Spent', kind: 'spent', value: captured },
    { name: 'Held', kind: 'held', value: held },
    { name: 'Available', kind: 'available', value: available },
    { name: 'Not covered by a voucher', kind: 'rest', value: rest > 0n ? rest : 0n },
  ];
  return (
    <div class="deposit">
      <svg
        viewBox="0 0 1000 26"
        preserveAspectRatio="none"
        role="img"
        aria-label={`Of a deposit of ${exactAmount(all, asset)}: ${parts.map(({ name, value }) => `${name.toLowerCase()} ${exactAmount(value, asset)}`).join(', ')}`}
      >
        {bars(parts, all).map(({ kind, x, width }) => (
          <rect key={kind} class={kind} x={x} width={width} height="26" />
        ))}
      </svg>
      <ul>
        {parts.map(({ name, kind, value }) => (
          <li key={kind}>
            <span class={`swatch ${kind}`} aria-hidden="true" />
            {name} <Amount value={value} asset={asset} />
          </li>
        ))}
      </ul>
    </div>
  );
}

/** In thousandths; what there is any of can be seen. */
function bars(parts: readonly { kind: string; value: bigint }[], all: bigint) {
  let x = 0;
  return parts.flatMap(({ kind, value }) => {
    if (value <= 0n || all <= 0n) return [];
    const width = Math.max(3, Math.min(1000 - x, Number((value * 1000n) / all)));
    const bar = { kind, x, width };
    x += width;
    return [bar];
  });
}
