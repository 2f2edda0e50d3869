// The tally stick: the gateway's half above, the chain's half below. A head that is on chain is cut through both; what is only
// sealed is cut into the gateway's half alone.

/** A cut, as wide as what it counts. */
export type Cut = { readonly entries: number; readonly onChain: boolean };

const width = 1000;
const half = 30;
const top = 6;
const split = top + half + 2;
const foilTop = split + 2;
const cutsMax = 44;

/** Exchequer tallies cut a hundred as wide as a thumb and a penny as a scratch: so here, by the logarithm. */
const cutWidth = (entries: number): number => 7 + Math.min(26, 6 * Math.log10(Math.max(1, entries)));

export function Stick({ cuts, label }: { cuts: readonly Cut[]; label: string }) {
  const shown = cuts.slice(-cutsMax);
  const places: { at: number; reach: number; onChain: boolean }[] = [];
  let right = width - 46;
  for (const { entries, onChain } of [...shown].reverse()) {
    const reach = cutWidth(entries) / 2;
    places.push({ at: right - reach, reach, onChain });
    right -= 2 * reach + 9;
    if (right < 20) break;
  }
  return (
    <svg
      class="stick"
      viewBox={`0 0 ${width} ${foilTop + half + top}`}
      preserveAspectRatio="xMaxYMid slice"
      role="img"
      aria-label={label}
    >
      <path class="stock" d={outline(places, true)} />
      <path
        class="foil"
        d={outline(
          places.filter(({ onChain }) => onChain),
          false,
        )}
      />
      <g class="grain">
        <path
          d={`M0 ${top + 9}C240 ${top + 5} 420 ${top + 14} 640 ${top + 9}S900 ${top + 6} 985 ${top + 10}`}
        />
        <path
          d={`M0 ${foilTop + 20}C260 ${foilTop + 25} 470 ${foilTop + 16} 700 ${foilTop + 21}S910 ${foilTop + 23} 960 ${foilTop + 20}`}
        />
      </g>
    </svg>
  );
}

/** Along the outer edge, and back along the split with its cuts, right to left. */
function outline(cuts: readonly { at: number; reach: number }[], isUpper: boolean): string {
  const edge = isUpper ? split - 1 : foilTop;
  const outer = isUpper ? top : foilTop + half;
  const depth = isUpper ? -15 : 15;
  const notches = cuts
    .map(
      ({ at, reach }) =>
        `H${(at + reach).toFixed(1)}L${at.toFixed(1)} ${edge + depth}L${(at - reach).toFixed(1)} ${edge}`,
    )
    .join('');
  // The stock keeps the handle: the chain's half is the shorter one, as the foil was.
  const end = isUpper ? width : width - 26;
  const round = isUpper ? 7 : -7;
  return `M0 ${outer}H${end - 7}Q${end} ${outer} ${end} ${outer + round}V${edge - round / 3.5}L${end - 2} ${edge}${notches}H0Z`;
}
