// A load generator that costs little: requests are bytes made beforehand, answers are read only as far as their end. It shares the
// machine with what it measures.
import { connect, type Socket } from 'node:net';

export type Prepared = { readonly bytes: Buffer };

/** A POST as it goes over the wire. */
export function prepared(url: string, headers: Readonly<Record<string, string>>, body: string): Prepared {
  const { host, pathname } = new URL(url);
  const length = Buffer.byteLength(body);
  const lines = Object.entries({ host, 'content-length': `${length}`, ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return { bytes: Buffer.from(`POST ${pathname} HTTP/1.1\r\n${lines.join('')}\r\n${body}`) };
}

export type Answered = {
  readonly status: number;
  /** Milliseconds from the request's first byte to the first byte of the answer's body, and to its end. */
  readonly firstByteMs: number;
  readonly totalMs: number;
  readonly text: string;
};

const headEnd = '\r\n\r\n';

/** One connection, one request at a time. */
class Connection {
  readonly #socket: Socket;
  #waiting:
    | { readonly resolve: (answer: Answered) => void; readonly reject: (error: Error) => void }
    | undefined;
  #parts: Buffer[] = [];
  #head: string | undefined;
  #beganMs = 0;
  #firstByteMs: number | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    const broken = (error?: Error): void => {
      this.#waiting?.reject(error ?? new Error('the connection was closed in the middle of an answer'));
      this.#waiting = undefined;
    };
    socket.on('error', broken);
    socket.on('close', () => broken());
  }

  static open(url: string): Promise<Connection> {
    const { hostname, port } = new URL(url);
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname);
      socket.once('connect', () => resolve(new Connection(socket)));
      socket.once('error', reject);
    });
  }

  ask({ bytes }: Prepared): Promise<Answered> {
    this.#parts = [];
    this.#head = undefined;
    this.#firstByteMs = undefined;
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#beganMs = performance.now();
      this.#socket.write(bytes);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#parts.push(chunk);
    if (this.#head === undefined || this.#firstByteMs === undefined) {
      const text = Buffer.concat(this.#parts).toString('latin1');
      const at = text.indexOf(headEnd);
      if (at < 0) return;
      this.#head = text.slice(0, at).toLowerCase();
      if (text.length > at + headEnd.length) this.#firstByteMs = performance.now() - this.#beganMs;
    }
    const length = /\ncontent-length: *(\d+)/.exec(this.#head)?.[1];
    const received = this.#parts.reduce((sum, part) => sum + part.length, 0) - this.#head.length - 4;
    const whole =
      length === undefined
        ? Buffer.concat(this.#parts.slice(-2)).subarray(-7).toString('latin1').endsWith('\r\n0\r\n\r\n')
        : received >= Number(length);
    if (!whole) return;
    const totalMs = performance.now() - this.#beganMs;
    const answer = {
      status: Number(this.#head.slice(9, 12)),
      firstByteMs: this.#firstByteMs ?? totalMs,
      totalMs,
      text: Buffer.concat(this.#parts).toString('utf8'),
    };
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(answer);
  }
}

/** Asks everything over so many connections. Throws when an answer is not what `good` takes. */
export async function askAll(
  url: string,
  requests: readonly Prepared[],
  connections: number,
  good: (answer: Answered) => boolean,
): Promise<{ readonly seconds: number; readonly answers: readonly Omit<Answered, 'text'>[] }> {
  const open = await Promise.all(Array.from({ length: connections }, () => Connection.open(url)));
  const answers: Omit<Answered, 'text'>[] = [];
  let next = 0;
  const began = performance.now();
  await Promise.all(
    open.map(async (connection) => {
      for (let request = requests[next++]; request; request = requests[next++]) {
        const answer = await connection.ask(request);
        if (!good(answer)) throw new Error(`${url}: ${answer.text.slice(0, 2_000)}`);
        const { status, firstByteMs, totalMs } = answer;
        answers.push({ status, firstByteMs, totalMs });
      }
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  for (const connection of open) connection.close();
  return { seconds, answers };
}
