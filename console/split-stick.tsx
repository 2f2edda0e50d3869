// Two halves of one stick: together when they match, apart when they do not. A drawing of what the words beside it say.

const cuts = [120, 150, 196, 260, 276, 340, 410, 430, 500, 560, 600, 648];

export function SplitStick({ matches }: { matches: boolean | undefined }) {
  const state = matches === undefined ? 'open' : matches ? 'joined' : 'parted';
  return (
    <svg class={`split ${state}`} viewBox="0 0 760 96" aria-hidden="true">
      <path class="stock" d={edge(46, 18, cuts, -11, 752)} />
      <path
        class="foil"
        d={edge(50, 78, matches === false ? cuts.map((at, i) => at + ((i * 17) % 29) - 12) : cuts, 11, 730)}
      />
    </svg>
  );
}

const edge = (inner: number, outer: number, at: readonly number[], depth: number, end: number): string =>
  `M8 ${outer}H${end}V${inner}${[...at]
    .reverse()
    .map((x) => `H${x + 8}L${x} ${inner + depth}L${x - 8} ${inner}`)
    .join('')}H8Z`;
