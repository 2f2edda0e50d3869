// Whether a change made the gateway faster: the Worker as it is here beside the Worker of earlier commits, in turns, in one run, state on
// tmpfs. What is printed is not kept; docs/performance.md quotes it.
//
//   node bench/before-after.ts <commit> ...
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { buildWorker } from '../dev/gateway.ts';
import { startScript } from './child.ts';
import { type Ours, startOurs, throwAway } from './contenders.ts';
import { tables } from './report.ts';
import { type Measured, measure, middle, rowsOf, type Setting } from './rounds.ts';

const rounds = 6;
const settings: readonly Setting[] = [
  { name: '1 connection', connections: 1, requests: 200, streams: 100 },
  { name: '16 connections', connections: 16, requests: 1_200, streams: 160 },
];
const root = path.resolve(import.meta.dirname, '..');
const git = (...args: string[]): string =>
  execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();

const commits = process.argv.slice(2).map((name) => git('rev-parse', '--short', name));
if (commits.length === 0) {
  console.error('node bench/before-after.ts <commit> ...: which Workers are measured beside this one?');
  process.exit(2);
}

/** The Worker of a commit, built by that commit's own code. */
function buildThen(commit: string, bundleDir: string, closers: (() => unknown)[]): void {
  const tree = path.join(throwAway(closers), 'tree');
  git('worktree', 'add', '--detach', tree, commit);
  closers.push(() => git('worktree', 'remove', '--force', tree));
  symlinkSync(path.join(root, 'node_modules'), path.join(tree, 'node_modules'));
  const build = `await (await import('./dev/gateway.ts')).buildWorker(${JSON.stringify(bundleDir)})`;
  execFileSync(process.execPath, ['--input-type=module', '-e', build], { cwd: tree, stdio: 'inherit' });
}

async function bench(): Promise<void> {
  const closers: (() => unknown)[] = [];
  try {
    const upstream = await startScript('upstream.ts');
    closers.push(upstream.close);
    const all: { readonly name: string; readonly ours: Ours }[] = [];
    const today = await buildWorker(throwAway(closers));
    for (const commit of [...commits, undefined]) {
      const bundleDir = commit === undefined ? today : throwAway(closers);
      if (commit !== undefined) {
        buildThen(commit, bundleDir, closers);
        // An early commit's bundle does not say how it is to be run: as today's.
        const how = 'wrangler-options.json';
        if (!existsSync(path.join(bundleDir, how)))
          copyFileSync(path.join(today, how), path.join(bundleDir, how));
      }
      const name = commit ?? 'now';
      all.push({
        name,
        ours: await startOurs({ where: 'tmpfs', bundleDir, upstreamUrl: upstream.url, name }, closers),
      });
    }
    const ways = ['signed', 'byKey'] as const;
    const contenders = ways.flatMap((way) => all.map(({ ours }) => ours[way]));
    for (const setting of settings) {
      const measured = await measure(contenders, setting, rounds);
      for (const way of ways) {
        const names = all.map(({ ours }) => ours[way].what);
        const mine: Measured = new Map([...measured].filter(([name]) => names.includes(name)));
        const [first = ''] = names;
        const beside = (unit: 'perSecond' | 'latencyMs' | 'cpuMs' | 'firstByteMs') => (median: number) =>
          `${(median / middle(mine, first, unit)).toFixed(2)} x ${commits[0]}`;
        const rows = rowsOf(setting.name, mine, {
          perSecond: beside('perSecond'),
          latencyMs: beside('latencyMs'),
          cpuMs: beside('cpuMs'),
          firstByteMs: beside('firstByteMs'),
        });
        console.log(`\n${tables(rows).join('\n')}\n`);
      }
    }
  } finally {
    for (const end of closers.toReversed()) await end();
  }
}

await bench();
process.exit();
