import type { ComponentChildren } from 'preact';

/** Something that went wrong, told to everybody, screen readers included. */
export const Wrong = ({ children }: { children: ComponentChildren }) => (
  <p class="wrong" role="alert">
    {children}
  </p>
);

export const Waiting = ({ children }: { children: ComponentChildren }) => (
  <p class="waiting" role="status">
    {children}
  </p>
);
