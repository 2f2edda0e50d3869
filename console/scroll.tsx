import type { ComponentChildren } from 'preact';

/** What may be wider than a phone: it scrolls by itself, by keyboard too, and the page does not. */
export const Scroll = ({ label, children }: { label: string; children: ComponentChildren }) => (
  // biome-ignore lint/a11y/noNoninteractiveTabindex: without it no keyboard reaches what is out of sight
  <section class="scroll" aria-label={label} tabIndex={0}>
    {children}
  </section>
);
