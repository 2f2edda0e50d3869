import { shortHex } from './human.ts';

/** A hash or an address: its ends, the whole on hover. */
export const Hex = ({ value }: { value: string }) => (
  <code class="hex" title={value}>
    {shortHex(value)}
  </code>
);
