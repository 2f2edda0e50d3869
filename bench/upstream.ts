// The upstream of the benches, in a process of its own: the same answer each time, at once. Ends with its parent.
//
//   node bench/upstream.ts    prints its URL
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const words = 'A tally stick was split in two so that neither half could be changed alone .'.split(' ');
const about = { id: 'chatcmpl-bench', created: 1_800_000_000, model: 'qwen-plus', system_fingerprint: null };
const usage = {
  prompt_tokens: 24,
  completion_tokens: words.length,
  total_tokens: 24 + words.length,
  prompt_tokens_details: { cached_tokens: 0 },
};

const whole = JSON.stringify({
  ...about,
  object: 'chat.completion',
  choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: words.join(' ') } }],
  usage,
});

const event = (more: object): string =>
  `data: ${JSON.stringify({ ...about, object: 'chat.completion.chunk', ...more })}\n\n`;
const delta = (content: string, finish: string | null = null): string =>
  event({ choices: [{ index: 0, finish_reason: finish, delta: { role: 'assistant', content } }] });
const first = delta(words[0] ?? '');
const rest = words.slice(1).map((word) => delta(` ${word}`));
const end = `${delta('', 'stop')}${event({ choices: [], usage })}data: [DONE]\n\n`;

/** The first event at once, the others as they would come: one by one. */
function stream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(first);
  let at = 0;
  const next = (): void => {
    const one = rest[at++];
    if (one === undefined) response.end(end);
    else {
      response.write(one);
      setImmediate(next);
    }
  };
  setImmediate(next);
}

/** An answer of so many megabytes, as fast as it is taken. */
async function streamLong(response: ServerResponse, megabytes: number): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const piece = delta('x'.repeat(16_000));
  for (let left = megabytes * 1_048_576; left > 0; left -= piece.length) {
    if (response.closed) return;
    if (!response.write(piece))
      await new Promise<void>((resolve) => {
        const go = () => {
          response.off('drain', go);
          response.off('close', go);
          resolve();
        };
        response.once('drain', go);
        response.once('close', go);
      });
  }
  response.end(end);
}

/** Tokens as a model writes them, so many a second, until nobody takes them. */
function streamTokens(response: ServerResponse, perSecond: number): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const next = setInterval(() => response.write(delta(' word')), 1000 / perSecond);
  response.once('close', () => clearInterval(next));
}

const server = createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (part: string) => {
    body += part;
  });
  request.on('end', () => {
    const asked = JSON.parse(body) as { stream?: boolean; messages: { content: string }[] };
    const [, count, what] = /^(\d+) (MB|tokens a second)$/.exec(asked.messages[0]?.content ?? '') ?? [];
    if (asked.stream && what === 'tokens a second') streamTokens(response, Number(count));
    else if (asked.stream && what === 'MB') void streamLong(response, Number(count));
    else if (asked.stream) stream(response);
    else {
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(whole),
      });
      response.end(whole);
    }
  });
});
server.keepAliveTimeout = 60_000;
process.stdin.on('end', () => process.exit()).resume();
server.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
