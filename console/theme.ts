// Light or dark: what the system prefers, until the visitor says otherwise.

export type Theme = 'light' | 'dark';

const stored = 'tallystick theme';
const systemPrefers = matchMedia('(prefers-color-scheme: dark)');

export function themeNow(): Theme {
  const said = document.documentElement.dataset['theme'];
  if (said === 'light' || said === 'dark') return said;
  return systemPrefers.matches ? 'dark' : 'light';
}

/** A preference is no secret: it may stay when the tab is closed. */
export function choose(theme: Theme): void {
  document.documentElement.dataset['theme'] = theme;
  try {
    localStorage.setItem(stored, theme);
  } catch {
    // storage is switched off: the choice lasts as long as the page
  }
  dispatchEvent(new Event('themechange'));
}

/** Applies what was chosen before, if anything was. */
export function restore(): void {
  try {
    const said = localStorage.getItem(stored);
    if (said === 'light' || said === 'dark') document.documentElement.dataset['theme'] = said;
  } catch {
    // as above
  }
  systemPrefers.addEventListener('change', () => dispatchEvent(new Event('themechange')));
}
