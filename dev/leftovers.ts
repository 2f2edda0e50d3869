import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type Process, processes } from './processes.ts';

/**
 * Processes a stack has started, kept in a file so that what a killed stack left behind can be ended at the next start. A
 * pid alone could be somebody else's by then, so its program is remembered and compared.
 */
export type Leftovers = {
  /**
   * Ends what an earlier stack in this folder left running. Throws when that stack still lives: two would share one folder.
   * @returns how many there were
   */
  reap(): number;
  /** Remembers this process and every one it has started so far. */
  remember(): void;
  clear(): void;
};

type Entry = Pick<Process, 'pid' | 'program'>;
type Remembered = { readonly owner?: Entry; readonly started: readonly Entry[] };

export function leftoversIn(file: string): Leftovers {
  return {
    reap() {
      const remembered = read(file);
      const running = processes();
      const lives = (entry: Entry) =>
        running.some(({ pid, program }) => pid === entry.pid && program === entry.program);
      if (remembered.owner && remembered.owner.pid !== process.pid && lives(remembered.owner)) {
        throw new Error(
          `A stack is already running here (process ${remembered.owner.pid}). End it with Ctrl-C, or start this one in another clone.`,
        );
      }
      const left = remembered.started.filter(lives);
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
      const running = processes();
      const entry = ({ pid, program }: Process): Entry => ({ pid, program });
      const owner = running.find(({ pid }) => pid === process.pid);
      const started = running.filter(({ parent }) => parent === process.pid).map(entry);
      writeFileSync(file, JSON.stringify({ ...(owner ? { owner: entry(owner) } : {}), started }));
    },
    clear() {
      rmSync(file, { force: true });
    },
  };
}

function read(file: string): Remembered {
  try {
    return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Remembered) : { started: [] };
  } catch {
    return { started: [] }; // half-written by a process that was killed: nothing to go by
  }
}
