import type { ComponentChildren } from 'preact';

export type Figure = {
  readonly name: string;
  readonly value: ComponentChildren;
  readonly note?: ComponentChildren;
};

/** A few figures side by side, each under its name. */
export const Figures = ({ list }: { list: readonly Figure[] }) => (
  <dl class="figures">
    {list.map(({ name, value, note }) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd>
          {value}
          {note !== undefined && <small>{note}</small>}
        </dd>
      </div>
    ))}
  </dl>
);
