/** A clock that rings when nothing has been heard for so long. */
export type Silence = {
  /** Something came. */
  readonly broken: () => void;
  /** No longer waited for. */
  readonly end: () => void;
};

/**
 * One timer for any number of waits: it is not set anew with everything that comes, which would cost more than reading it, but
 * looks when it fires how long it really has been silent.
 */
export function silence(ms: number, now: () => number, ring: () => void): Silence {
  let heardMs = now();
  const look = (): void => {
    const leftMs = heardMs + ms - now();
    if (leftMs <= 0) ring();
    else timer = setTimeout(look, leftMs);
  };
  let timer = setTimeout(look, ms);
  return {
    broken: () => {
      heardMs = now();
    },
    end: () => clearTimeout(timer),
  };
}
