// The other end of bench/client.ts, in a process of its own: the tests' gateway, whose receipts are right, and a stock 402.
// Each answer says how long it took here (`x-ms`), so that what is left is the client's and the connection's.
import { createServer } from 'node:http';
import { privateKeyToAccount } from 'viem/accounts';
import { fakeGateway, origin } from '../test/fake-gateway.ts';

const spender = privateKeyToAccount(`0x${'21'.repeat(32)}`).address.toLowerCase() as `0x${string}`;
const gateway = fakeGateway(spender);
gateway.deposited = 10n ** 30n;

const answer = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  model: 'qwen-test',
  choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'Grüße, 你好' } }],
  usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
});
const demand = btoa(
  JSON.stringify({
    x402Version: 2,
    error: 'PAYMENT-SIGNATURE header is required',
    resource: { url: 'http://127.0.0.1/x402', description: '', mimeType: 'application/json' },
    accepts: [
      {
        scheme: 'exact',
        network: 'eip155:84532',
        amount: '1000',
        asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
        payTo: '0x209693Bc6afc0C5328bA36FaF03C514EF312287C',
        maxTimeoutSeconds: 60,
        extra: { name: 'USDC', version: '2' },
      },
    ],
  }),
);

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    void respond(request.url ?? '/', request.method ?? 'GET', new Headers(request.headers as never), parts);
  });
  async function respond(path: string, method: string, headers: Headers, body: readonly Buffer[]) {
    const began = performance.now();
    const say = (status: number, more: Record<string, string>, text: Uint8Array | string): void => {
      const took = (performance.now() - began).toFixed(3);
      response.writeHead(status, { ...more, 'content-type': 'application/json', 'x-ms': took }).end(text);
    };
    if (path === '/plain') return say(200, {}, answer);
    if (path === '/x402') {
      return headers.has('payment-signature')
        ? say(200, {}, answer)
        : say(402, { 'payment-required': demand }, '{}');
    }
    const init = method === 'GET' ? { method, headers } : { method, headers, body: Buffer.concat(body) };
    const given = await gateway.fetch(origin + path, init);
    const text = new Uint8Array(await given.arrayBuffer());
    gateway.seen.length = 0;
    return say(given.status, Object.fromEntries(given.headers), text);
  }
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) console.log(address.port);
});
process.on('disconnect', () => process.exit());
