// llama.cpp behind the chat endpoint of its own server, as far as the gateway asks for it: whole and streamed, usage, a seed, a
// limit. One question at a time. It ends with its parent.
//
//   node test/real-engine/server.ts <model.gguf>
//
// Prints its URL. GET /counts answers, for each question in order, what the engine's own meter counted.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getLlama, type Token } from 'node-llama-cpp';

type Message = { readonly role: string; readonly content: string };
type Question = {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
  readonly max_tokens?: number;
  readonly temperature?: number;
  readonly seed?: number;
  readonly chat_template_kwargs?: { readonly enable_thinking?: boolean };
};

const file = process.argv[2];
if (file === undefined) throw new Error('usage: node test/real-engine/server.ts <model.gguf>');

const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, progressLogs: false });
const model = await llama.loadModel({ modelPath: file });
const context = await model.createContext({ contextSize: 4_096, threads: 1 });
const sequence = context.getSequence();
const counts: { readonly prompt: number; readonly output: number }[] = [];

/** Qwen's ChatML. Marks are tokens of their own; what a message says never is one. */
function prompted({ messages, chat_template_kwargs: options }: Question): Token[] {
  const marks = (text: string) => model.tokenize(text, true);
  const said = (text: string) => model.tokenize(text, false);
  return [
    ...messages.flatMap(({ role, content }) => [
      ...marks('<|im_start|>'),
      ...said(`${role}\n${content}`),
      ...marks('<|im_end|>'),
      ...said('\n'),
    ]),
    ...marks('<|im_start|>'),
    ...said('assistant\n'),
    ...(options?.enable_thinking === false ? marks('<think>\n\n</think>\n\n') : []),
  ];
}

/** Tells each new piece of text; answers what it came to. Stops when the listener is gone. */
async function generate(question: Question, tell: (text: string) => void, gone: () => boolean) {
  await sequence.clearHistory();
  const before = sequence.tokenMeter.getState();
  const prompt = prompted(question);
  const most = question.max_tokens ?? 4_096 - prompt.length;
  const written: Token[] = [];
  let told = '';
  let finish: 'stop' | 'length' = 'length';
  // The end mark is generated too, and counted.
  const tokens = sequence.evaluate(prompt, {
    temperature: question.temperature ?? 1,
    seed: question.seed ?? 0,
    yieldEogToken: true,
  });
  for await (const token of tokens) {
    written.push(token);
    if (model.isEogToken(token)) {
      finish = 'stop';
      break;
    }
    // Bytes that are no character yet wait for the next token.
    const text = model.detokenize(written).replace(/\ufffd+$/, '');
    if (text.length > told.length && text.startsWith(told)) {
      tell(text.slice(told.length));
      told = text;
    }
    if (written.length >= most || gone()) break;
  }
  const meter = sequence.tokenMeter.diff(before);
  counts.push({ prompt: meter.usedInputTokens, output: meter.usedOutputTokens });
  const usage = {
    prompt_tokens: prompt.length,
    completion_tokens: written.length,
    total_tokens: prompt.length + written.length,
  };
  return { text: told, finish, usage };
}

async function answer(question: Question, response: ServerResponse): Promise<void> {
  const id = `chatcmpl-${crypto.randomUUID()}`;
  const about = { id, created: Math.floor(Date.now() / 1000), model: question.model };
  if (question.stream !== true) {
    const { text, finish, usage } = await generate(
      question,
      () => undefined,
      () => false,
    );
    const choice = { index: 0, finish_reason: finish, message: { role: 'assistant', content: text } };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ ...about, object: 'chat.completion', choices: [choice], usage }));
    return;
  }
  response.setHeader('content-type', 'text/event-stream');
  const send = (more: object): void => {
    response.write(`data: ${JSON.stringify({ ...about, object: 'chat.completion.chunk', ...more })}\n\n`);
  };
  const part = (delta: object, finish: string | null = null) => ({
    choices: [{ index: 0, finish_reason: finish, delta }],
  });
  send(part({ role: 'assistant', content: '' }));
  const { finish, usage } = await generate(
    question,
    (content) => send(part({ content })),
    () => response.closed,
  );
  send(part({}, finish));
  if (question.stream_options?.include_usage === true) send({ choices: [], usage });
  response.end('data: [DONE]\n\n');
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}

let queue = Promise.resolve();

const server = createServer((request, response) => {
  if (request.url === '/counts') {
    response.end(JSON.stringify(counts));
    return;
  }
  if (request.method !== 'POST' || request.url !== '/v1/chat/completions') {
    response.statusCode = 404;
    response.end(JSON.stringify({ error: { code: 404, message: 'Not here.', type: 'not_found_error' } }));
    return;
  }
  const body = bodyOf(request);
  queue = queue
    .then(async () => answer(JSON.parse(await body) as Question, response))
    .catch((error: unknown) => {
      response.statusCode = 500;
      response.end(JSON.stringify({ error: { code: 500, message: String(error), type: 'server_error' } }));
    });
});

process.stdin.on('end', () => process.exit()).resume();
server.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
