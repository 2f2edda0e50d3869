// Many clients that take a long answer slowly, or not at all, and the memory of the process that serves them. Linux only.
import { connect, type Socket } from 'node:net';
import { processes } from '../dev/processes.ts';

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

/** Every `pauseMs` it takes what has come, 64 KB at most; with Infinity it takes the first piece only. */
export class SlowReader {
  readonly #socket: Socket;
  readonly #taking: NodeJS.Timeout | undefined;
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
    const take = (): void => {
      const chunk = this.#socket.read() as Buffer | null;
      this.bytes += chunk?.length ?? 0;
      if (this.head.length < 1_000) this.head += chunk?.toString('latin1') ?? '';
    };
    this.#socket.on('readable', () => {
      if (this.head === '') take();
    });
    if (pauseMs !== Number.POSITIVE_INFINITY) this.#taking = setInterval(take, pauseMs);
  }

  leave(): void {
    clearInterval(this.#taking);
    this.#socket.destroy();
  }
}
