// Which view the address names. In the fragment, so that it is never sent anywhere.
import { useEffect, useState } from 'preact/hooks';

export const views = ['log', 'verify', 'prices', 'account', 'operator'] as const;
export type View = (typeof views)[number];

export const viewNames: Readonly<Record<View, string>> = {
  log: 'The log',
  verify: 'Verify',
  prices: 'Prices',
  account: 'Account',
  operator: 'Operator',
};

const current = (): View => {
  const name = location.hash.replace(/^#\/?/, '');
  return views.find((view) => view === name) ?? 'log';
};

export const show = (view: View): void => {
  location.hash = `/${view}`;
};

/** The view, as the address changes. */
export function useView(): View {
  const [view, setView] = useState(current);
  useEffect(() => {
    const changed = () => setView(current());
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return view;
}
