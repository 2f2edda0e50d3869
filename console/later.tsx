// A view that is loaded when it is first looked at: most visitors look at one.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Waiting, Wrong } from './notice.tsx';

/** The component once `load` has brought it. */
export function later<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let loaded: ComponentType<P> | undefined;
  return function Later(props: P) {
    const [state, setState] = useState<{ error?: string }>({});
    const View = loaded;
    useEffect(() => {
      if (loaded !== undefined) return;
      load().then(
        (view) => {
          loaded = view;
          setState({});
        },
        () => setState({ error: 'This part of the page could not be loaded. Reload it.' }),
      );
    }, []);
    if (View !== undefined) return <View {...props} />;
    return state.error === undefined ? <Waiting>Loading…</Waiting> : <Wrong>{state.error}</Wrong>;
  };
}
