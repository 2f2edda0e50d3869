import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

export type Process = { readonly pid: number; readonly parent: number; readonly program: string };

/** The processes of this machine that can be seen: from /proc, or from `ps` where there is none (macOS). */
export function processes(): Process[] {
  if (!existsSync('/proc/self/stat')) return fromPs();
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        // The command stands in parentheses and may hold anything; the parent is the second field after it.
        const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
        return [{ pid: Number(name), parent, program: readlinkSync(`/proc/${name}/exe`) }];
      } catch {
        return []; // ended, or somebody else's
      }
    });
}

function fromPs(): Process[] {
  return execFileSync('ps', ['-A', '-o', 'pid=,ppid=,comm='], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => {
      const [, pid, parent, program] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
      return pid && parent && program ? [{ pid: Number(pid), parent: Number(parent), program }] : [];
    });
}

/** The workerd processes that this one started: one, but while miniflare replaces one that was killed. */
export const startedWorkerds = (): number[] =>
  processes()
    .filter(({ parent, program }) => parent === process.pid && /workerd/.test(program))
    .map(({ pid }) => pid);

/** Resident memory of a whole process, megabytes. Linux only. NaN for one that has just ended. */
export const residentMb = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

/** Processor time a whole process has taken, milliseconds. Linux only. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return 10 * (Number(fields[11]) + Number(fields[12]));
}
