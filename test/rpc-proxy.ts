import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type RpcCall = { readonly method: string; readonly params: readonly unknown[] };
export type RpcAnswer = { result?: unknown; error?: unknown };

/**
 * A node between the gateway and the real one, that can lie, lose answers, or be down: `meddle` gets each call and the
 * answer to it, and says what is answered. `undefined` breaks the connection.
 */
export type RpcProxy = {
  readonly url: string;
  readonly calls: RpcCall[];
  meddle: (call: RpcCall, answer: RpcAnswer) => RpcAnswer | undefined;
  close(): Promise<void>;
};

export async function startRpcProxy(target: string): Promise<RpcProxy> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const call = JSON.parse(Buffer.concat(chunks).toString('utf8')) as RpcCall & { id: unknown };
    proxy.calls.push({ method: call.method, params: call.params });
    try {
      const upstream = await fetch(target, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(call),
      });
      const answer = proxy.meddle(call, (await upstream.json()) as RpcAnswer);
      if (answer === undefined) response.destroy();
      else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    } catch {
      response.destroy();
    }
  });
  const proxy: RpcProxy = {
    url: '',
    calls: [],
    meddle: (_, answer) => answer,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(proxy, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}
