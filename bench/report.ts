// What every bench says at its end: rows with median and spread, aims with met or not; printed, and written to
// bench/results/<name>.json, from which docs/benchmarks.md is made.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const results = path.join(import.meta.dirname, 'results');

/** One measured quantity. */
export type Row = {
  readonly what: string;
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** How many measurements median, least and greatest are of. */
  readonly samples: number;
  /** What it is beside the bench's yardstick, such as "0.52 x direct". */
  readonly ratio?: string;
  /** What it was measured under, where a bench has several tables: rows that follow each other with the same one share a table. */
  readonly group?: string;
  /** Whose it is. A group whose rows all say so is printed with a line for each of them and a column for each quantity. */
  readonly of?: string;
};

/** What was aimed at, what was seen, and the reason where it was missed. */
export type Aim = {
  readonly aim: string;
  readonly seen: string;
  readonly met: boolean;
  readonly because?: string;
};

export type Report = {
  /** The file's name, and what `npm run bench -- <name>` calls it. */
  readonly name: string;
  readonly title: string;
  /** How it was measured, what is a stand-in, what the cost grows with: sentences. */
  readonly method: readonly string[];
  readonly rows: readonly Row[];
  readonly aims: readonly Aim[];
};

/** A row of repeated measurements. @throws when there is none: a bench that measured nothing is a bug */
export function rowOf(what: string, unit: string, samples: readonly number[], ratio?: string): Row {
  const sorted = samples.toSorted((a, b) => a - b);
  const [min, max] = [sorted[0], sorted.at(-1)];
  if (min === undefined || max === undefined) throw new Error(`${what}: nothing was measured`);
  if (!samples.every(Number.isFinite)) throw new Error(`${what}: ${samples.join(', ')} is no measurement`);
  return {
    what,
    unit,
    median: median(sorted),
    min,
    max,
    samples: sorted.length,
    ...(ratio ? { ratio } : {}),
  };
}

/** The middle measurement, or the mean of the two in the middle. */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  if (low === undefined || high === undefined) throw new Error('the median of nothing');
  return (low + high) / 2;
}

/** Three significant digits, or all of a whole number: what a reader compares. */
export function figure(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString('en');
  return Math.abs(value) >= 100
    ? Math.round(value).toLocaleString('en')
    : value.toLocaleString('en', { maximumSignificantDigits: 3 });
}

/** The rows as lines of Markdown, a table for each group; also read well in a terminal. */
export function tables(rows: readonly Row[]): string[] {
  const groups: Row[][] = [];
  for (const row of rows) {
    const last = groups.at(-1);
    if (last !== undefined && last[0]?.group === row.group) last.push(row);
    else groups.push([row]);
  }
  return groups.flatMap((some, at) => {
    const title = some[0]?.group;
    return [...(at > 0 ? [''] : []), ...(title === undefined ? [] : [`### ${title}`, '']), ...table(some)];
  });
}

function table(rows: readonly Row[]): string[] {
  if (rows.every(({ of }) => of !== undefined)) return matrix(rows);
  return aligned([
    ['what', 'median', 'spread', 'beside'],
    ...rows.map(({ what, unit, median: middle, min, max, samples, ratio }) => [
      what,
      `${figure(middle)} ${unit}`,
      samples === 1 ? '' : `${figure(min)} - ${figure(max)}`,
      ratio ?? '',
    ]),
  ]);
}

/** One cell a row: median, spread, and what it is beside the yardstick. */
function matrix(rows: readonly Row[]): string[] {
  const columns = [...new Set(rows.map(({ what, unit }) => `${what}, ${unit}`))];
  const lines = [...new Set(rows.map(({ of }) => of ?? ''))];
  const cell = (line: string, column: string): string => {
    const row = rows.find(({ of, what, unit }) => of === line && `${what}, ${unit}` === column);
    if (row === undefined) return '';
    const { median: middle, min, max, samples, ratio } = row;
    const spread = samples === 1 ? '' : ` (${figure(min)} - ${figure(max)})`;
    return `${figure(middle)}${spread}${ratio === undefined ? '' : `; ${ratio}`}`;
  };
  return aligned([
    ['median (spread); beside', ...columns],
    ...lines.map((line) => [line, ...columns.map((column) => cell(line, column))]),
  ]);
}

function aligned([head = [], ...cells]: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, i) =>
    Math.max([...title].length, ...cells.map((cell) => [...(cell[i] ?? '')].length)),
  );
  const line = (cell: readonly string[]): string =>
    `| ${cell.map((text, i) => text + ' '.repeat((widths[i] ?? 0) - [...text].length)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)];
}

/** What is kept of a run. */
export type Kept = Report & {
  /** What was measured; with a plus where files had been changed since. */
  readonly commit: string;
};

/** The commit that is checked out here. */
function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' }).trim();
  const isChanged = git('status', '--porcelain', '--untracked-files=no', '--', '..', ':!../docs') !== '';
  return `${git('rev-parse', '--short', 'HEAD')}${isChanged ? '+' : ''}`;
}

/** Prints a report and keeps it for docs/benchmarks.md. */
export function publish(report: Report): void {
  console.log(`\n${report.title}\n\n${tables(report.rows).join('\n')}\n`);
  for (const { aim, seen, met, because } of report.aims) {
    console.log(
      `${met ? 'met    ' : 'NOT MET'}  ${aim}: ${seen}${because === undefined ? '' : ` (${because})`}`,
    );
  }
  mkdirSync(results, { recursive: true });
  const kept: Kept = { ...report, commit: commit() };
  writeFileSync(path.join(results, `${report.name}.json`), `${JSON.stringify(kept, null, 2)}\n`);
}
