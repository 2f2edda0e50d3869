import { useEffect, useState } from 'preact/hooks';
import { choose, themeNow } from './theme.ts';

export function ThemeToggle() {
  const [theme, setTheme] = useState(themeNow);
  useEffect(() => {
    const changed = () => setTheme(themeNow());
    addEventListener('themechange', changed);
    return () => removeEventListener('themechange', changed);
  }, []);
  const other = theme === 'dark' ? 'light' : 'dark';
  return (
    <button type="button" class="toggle" onClick={() => choose(other)} aria-label={`Use the ${other} theme`}>
      <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
        <circle cx="10" cy="10" r="7.2" fill="none" stroke="currentColor" stroke-width="1.6" />
        <path d="M10 2.8a7.2 7.2 0 0 1 0 14.4z" fill="currentColor" />
      </svg>
    </button>
  );
}
