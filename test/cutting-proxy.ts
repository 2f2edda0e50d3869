// A TCP proxy that loses answers: what a bad network does to a client, below HTTP.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/**
 * - `answer`: the request arrives and is answered; not one byte of the answer comes back
 * - `body`: the answer's head and first bytes come back, then the connection breaks
 * - `both`: as soon as the request has gone up, both sides are cut: the server hears of it, too
 */
export type Cut = 'answer' | 'body' | 'both';

export type CuttingProxy = {
  readonly port: number;
  /** Where it leads; may be said later. */
  target: number;
  /** What happens to the next requests that begin with `POST`, in order. */
  readonly cuts: Cut[];
  /** How many there were. */
  made: number;
  close(): Promise<void>;
};

export async function startCuttingProxy(): Promise<CuttingProxy> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect(proxy.target, '127.0.0.1');
    let cut: Cut | undefined;
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('error', () => undefined).on('close', () => open.delete(socket));
    }
    client.on('data', (bytes) => {
      if (cut === undefined && bytes.subarray(0, 5).toString('latin1') === 'POST ') cut = proxy.cuts.shift();
      const isLast = bytes.at(-1) === 0x7d; // a JSON object's end
      upstream.write(bytes, () => {
        if (cut === 'both' && isLast && !client.destroyed) breakOff();
      });
    });
    const breakOff = (): void => {
      proxy.made += 1;
      client.destroy();
      if (cut === 'both') upstream.destroy();
    };
    let answered = 0;
    upstream.on('data', (bytes) => {
      if (client.destroyed) return; // read to its end, for nobody
      answered += 1;
      if (cut === 'answer') return breakOff();
      if (cut === 'body' && answered > 1) return breakOff();
      const head = bytes.indexOf('\r\n\r\n');
      const shown =
        cut === 'body' && head >= 0 ? bytes.subarray(0, Math.min(head + 30, bytes.length)) : bytes;
      client.write(shown, () => {
        if (shown.length < bytes.length) breakOff();
      });
    });
    upstream.on('end', () => client.end());
    client.on('end', () => upstream.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const proxy: CuttingProxy = {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    target: 0,
    cuts: [],
    made: 0,
    async close() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
