// Where output goes. Results to stdout, everything about getting there to stderr, so that pipes carry results only.
import { WriteStream } from 'node:tty';

export type Style = 'bold' | 'dim' | 'good' | 'bad' | 'plain';

const codes: Readonly<Record<Style, string>> = {
  bold: '\x1b[1m',
  dim: '\x1b[2m',
  good: '\x1b[32m',
  bad: '\x1b[31m',
  plain: '',
};
const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

export class Terminal {
  readonly json: boolean;
  readonly #out: NodeJS.WriteStream;
  readonly #err: NodeJS.WriteStream;

  constructor(
    json: boolean,
    out: NodeJS.WriteStream = process.stdout,
    err: NodeJS.WriteStream = process.stderr,
  ) {
    this.json = json;
    this.#out = out;
    this.#err = err;
  }

  /** The command's result: a document for programs, or lines for people. */
  result(json: unknown, lines: readonly string[]): void {
    this.#out.write(
      this.json
        ? `${JSON.stringify(json, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value), 2)}\n`
        : lines.map((line) => `${line}\n`).join(''),
    );
  }

  /** A piece of a result that comes in pieces; for people only. */
  stream(text: string): void {
    if (!this.json) this.#out.write(text);
  }

  /** A remark on the way; never a result. */
  note(line: string): void {
    if (!this.json) this.#err.write(`${line}\n`);
  }

  /** Something the user should know whatever the format. */
  warn(line: string): void {
    this.#err.write(
      this.json ? `${JSON.stringify({ warning: line })}\n` : `${this.paint('bad', '!')} ${line}\n`,
    );
  }

  paint(style: Style, text: string): string {
    if (style === 'plain' || !this.#isColoured()) return text;
    return `${codes[style]}${text}\x1b[0m`;
  }

  /** Shows that something is under way, and how long already, while `work` runs. */
  async progress<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (this.json || !(this.#err instanceof WriteStream) || !this.#err.isTTY) return work();
    const err = this.#err;
    const start = Date.now();
    let frame = 0;
    const draw = () => {
      const seconds = Math.floor((Date.now() - start) / 1000);
      const waited = seconds > 1 ? ` ${seconds} s` : '';
      err.write(`\r\x1b[2K${frames[frame++ % frames.length]} ${what}${waited}`);
    };
    draw();
    const timer = setInterval(draw, 100);
    try {
      return await work();
    } finally {
      clearInterval(timer);
      err.write('\r\x1b[2K');
    }
  }

  #isColoured(): boolean {
    return (
      !this.json && this.#out.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
    );
  }
}

/** Rows as columns; the first row is the heading. Columns that hold numbers throughout are set to the right. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, c) =>
    Math.max(...rows.map((row) => (row[c] ?? '').length)),
  );
  const numeric = Array.from({ length: columns }, (_, c) =>
    rows.slice(1).every((row) => /^[\d.,]*( \S+)?$/.test(row[c] ?? '')),
  );
  return rows.map((row) =>
    row
      .map((cell, c) => (numeric[c] ? cell.padStart(widths[c] ?? 0) : cell.padEnd(widths[c] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/** Names and values under each other. */
export function fields(pairs: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(0, ...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}
