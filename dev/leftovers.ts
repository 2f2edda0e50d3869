import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type Process, processes } from './processes.ts';

/**
 * Processes a stack has started, kept in a file so that what a killed stack left behind can be ended at the next start. A
 * pid alone could be somebody else's by then, so its program is remembered and compared.
 */
export type Leftovers = {
  /** Ends what an earlier stack in this folder left running. @returns how many there were */
  reap(): number;
  /** Remembers every process that this one has started so far. */
  remember(): void;
  clear(): void;
};

type Entry = Pick<Process, 'pid' | 'program'>;

export function leftoversIn(file: string): Leftovers {
  return {
    reap() {
      const remembered = read(file);
      const left = processes().filter((running) =>
        remembered.some((entry) => entry.pid === running.pid && entry.program === running.program),
      );
      for (const { pid } of left) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // ended in the meantime
        }
      }
      rmSync(file, { force: true });
      return left.length;
    },
    remember() {
      const children = processes().filter((running) => running.parent === process.pid);
      writeFileSync(file, JSON.stringify(children.map(({ pid, program }) => ({ pid, program }))));
    },
    clear() {
      rmSync(file, { force: true });
    },
  };
}

function read(file: string): Entry[] {
  try {
    return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Entry[]) : [];
  } catch {
    return []; // half-written by a process that was killed: nothing to go by
  }
}
