// Checks as people read them.
import type { Terminal } from './terminal.ts';

/** One line each, the failed ones in red. */
export const checkLines = (
  terminal: Terminal,
  checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[],
): string[] =>
  checks.map(
    ({ ok, name, detail }) =>
      `${ok ? terminal.paint('good', '✓') : terminal.paint('bad', '✗')} ${name.replaceAll('_', ' ').padEnd(18)} ${detail}`,
  );
