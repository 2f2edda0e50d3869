// Many clients that take a long answer slowly, or not at all, and the memory of the process that serves them. Linux only.
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { processes } from '../dev/processes.ts';

/** Resident memory of a process, in megabytes. */
export function residentMb(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1024;
}

/** The workerd processes below this one. */
export function ourWorkerds(): readonly number[] {
  const all = processes();
  const parents = new Map(all.map(({ pid, parent }) => [pid, parent]));
  const isOurs = (pid: number): boolean => {
    const parent = parents.get(pid);
    return parent !== undefined && (parent === process.pid || isOurs(parent));
  };
  return all.filter(({ pid, program }) => program.endsWith('/workerd') && isOurs(pid)).map(({ pid }) => pid);
}

/** A POST as it goes over the wire. */
export type RawRequest = {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

/** Reads a piece, then waits for `pauseMs`; with Infinity it reads the first piece only. */
export class SlowReader {
  readonly #socket: Socket;
  bytes = 0;
  /** How the answer began. */
  head = '';

  constructor({ url, headers, body }: RawRequest, pauseMs: number) {
    const { hostname, port, host, pathname } = new URL(url);
    const lines = Object.entries({ ...headers, host, 'content-length': `${Buffer.byteLength(body)}` });
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    this.#socket = connect(Number(port), hostname);
    this.#socket.on('error', () => undefined);
    this.#socket.write(`POST ${pathname} HTTP/1.1\r\n${head}\r\n${body}`);
    this.#socket.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      if (this.head.length < 1_000) this.head += chunk.toString('latin1');
      this.#socket.pause();
      if (pauseMs !== Number.POSITIVE_INFINITY) setTimeout(() => this.#socket.resume(), pauseMs).unref();
    });
  }

  leave(): void {
    this.#socket.destroy();
  }
}

export type Watched = {
  /** Megabytes before the first client, the most while they were there, and each look in between. */
  readonly beforeMb: number;
  readonly mostMb: number;
  readonly duringMb: readonly number[];
  /** What all of them together had taken. */
  readonly takenMb: number;
  /** Some time after the last had left. */
  readonly afterMb: number;
};

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** All at once for so many seconds, then they leave. Throws when one of them was not answered. */
export async function watchSlowReaders(options: {
  readonly pid: number;
  readonly requests: readonly RawRequest[];
  readonly pauseMs: number;
  readonly seconds: number;
  readonly afterSeconds: number;
}): Promise<Watched> {
  const { pid, requests, pauseMs, seconds, afterSeconds } = options;
  const beforeMb = residentMb(pid);
  const readers = requests.map((request) => new SlowReader(request, pauseMs));
  const duringMb: number[] = [];
  for (let look = 0; look < 4 * seconds; look += 1) {
    await sleep(250);
    duringMb.push(residentMb(pid));
  }
  const takenMb = readers.reduce((sum, { bytes }) => sum + bytes, 0) / 1_048_576;
  const failed = readers.find(({ head }) => !head.startsWith('HTTP/1.1 200'));
  for (const reader of readers) reader.leave();
  if (failed) throw new Error(`a reader was not answered: ${failed.head.slice(0, 500) || 'nothing came'}`);
  await sleep(1000 * afterSeconds);
  return { beforeMb, mostMb: Math.max(...duringMb), duringMb, takenMb, afterMb: residentMb(pid) };
}
