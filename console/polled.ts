// Something that is asked for again and again while the page is being looked at.
import { useEffect, useRef, useState } from 'preact/hooks';

export type Polled<T> = {
  readonly value: T | undefined;
  /** Why the last try came to nothing. What was known before stays. */
  readonly error: string | undefined;
};

/** Asks now, then every `everyMs` while the page is visible. A change of `key` forgets what was known and asks anew. */
export function usePolled<T>(ask: () => Promise<T>, everyMs: number, key: unknown = ''): Polled<T> {
  const [state, setState] = useState<{ value?: T; error?: string }>({});
  const latest = useRef(ask);
  latest.current = ask;
  // What is asked may be another function on each rendering; `key` says when it is another question.
  useEffect(() => {
    let isOver = false;
    let isAsking = false;
    setState({});
    const once = async () => {
      if (isAsking) return;
      isAsking = true;
      try {
        const value = await latest.current();
        if (!isOver) setState({ value });
      } catch (error) {
        const said = error instanceof Error ? error.message : String(error);
        if (!isOver) setState((before) => ({ ...before, error: said }));
      }
      isAsking = false;
    };
    const seen = () => {
      if (document.visibilityState === 'visible') void once();
    };
    void once();
    const timer = setInterval(seen, everyMs);
    document.addEventListener('visibilitychange', seen);
    return () => {
      isOver = true;
      clearInterval(timer);
      document.removeEventListener('visibilitychange', seen);
    };
  }, [everyMs, key]);
  return { value: state.value, error: state.error };
}
