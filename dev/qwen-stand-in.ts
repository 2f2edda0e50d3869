import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Hex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { prices } from '../protocol/prices.ts';
import {
  type ChatMessage,
  directivesIn,
  members,
  type Reply,
  reply,
  type ToolDefinition,
  textOf,
} from './qwen-answers.ts';
import { type Speech, type StandInDialect, speechOf } from './qwen-dialects.ts';
import {
  formatOf,
  messagesOf,
  responseBody,
  responseEvents,
  responseUsage,
  toolsOf,
} from './qwen-responses.ts';
import { countTokens, tokenise } from './qwen-tokens.ts';

/**
 * A stand-in for Alibaba Cloud Model Studio's OpenAI-compatible mode, for machines without a key: the documented
 * interface, errors and accounting, with `dev/qwen-answers.ts` in the place of the model. It charges nothing and knows
 * nothing. What it says about tokens is true of its own tokeniser (`dev/qwen-tokens.ts`).
 *
 * Anything that can go wrong with the real one can be asked for, in the prompt (`[[fault:429]]`, `[[slow:50]]`,
 * `[[split:1]]`) or from a test (`faults.next('cut')`).
 */
export type QwenStandIn = {
  /** The base URL an OpenAI client takes. */
  readonly url: string;
  /** Ends every connection, then the server. */
  close(): Promise<void>;
  readonly faults: Faults;
  readonly gate: Gate;
  /** What was asked, oldest first; the last 1,000. */
  readonly requests: readonly RecordedRequest[];
};

export type Faults = {
  /** The next `times` requests to /chat/completions or /embeddings go wrong this way. */
  next(fault: Fault, times?: number): void;
  clear(): void;
};

/** While it is shut, chat completions wait before they are looked at: a test can see many in flight at once. */
export type Gate = {
  shut(): void;
  open(): void;
  readonly waiting: number;
};

export type RecordedRequest = {
  readonly method: string;
  readonly path: string;
  readonly headers: { readonly [name: string]: string };
  /** The body's bytes. */
  readonly body: Uint8Array;
  /** 0 until answered. */
  status: number;
  /** `client-gone`: the connection was closed before the answer was complete. */
  outcome: 'open' | 'complete' | 'client-gone' | 'broken';
  /** Output tokens that were generated: what the real one would bill, also for a stream that was cut. */
  generatedTokens: number;
};

export type QwenStandInOptions = {
  /** 0, the default, takes any free port. */
  readonly port?: number;
  /** Where given, any other bearer token is refused. */
  readonly apiKey?: string;
  /** Between two chunks. Default 15, so that one can watch. */
  readonly chunkDelayMs?: number;
  /** Default 3: several, as the real one does. */
  readonly tokensPerChunk?: number;
  /** Whose interface it has. Default: Model Studio's. */
  readonly dialect?: StandInDialect;
  /** A TEE's key: answers are signed, and the signatures given out at `/signature/{key}` as 0G's brokers and Phala's do. */
  readonly teeKey?: Hex;
};

/** Faults before the answer, by HTTP status and the code Model Studio gives. */
const refusals = {
  '400': [
    400,
    'invalid_parameter_error',
    'invalid_request_error',
    'A parameter specified in the request is not valid.',
  ],
  '401': [401, 'invalid_api_key', 'invalid_request_error', 'Incorrect API key provided.'],
  '403': [
    403,
    'AccessDenied.Unpurchased',
    'AccessDenied.Unpurchased',
    'Access to model denied. Please make sure you are eligible for using the model.',
  ],
  '404': [
    404,
    'model_not_found',
    'invalid_request_error',
    'The model does not exist or you do not have access to it.',
  ],
  '429': [429, 'limit_requests', 'limit_requests', 'You exceeded your current requests list.'],
  burst: [429, 'Throttling.BurstRate', 'Throttling.BurstRate', 'Request rate increased too quickly.'],
  quota: [429, 'insufficient_quota', 'insufficient_quota', 'You exceeded your current quota.'],
  allocation: [429, 'Throttling.AllocationQuota', 'Throttling.AllocationQuota', 'Allocated quota exceeded.'],
  overdue: [429, 'PrepaidBillOverdue', 'PrepaidBillOverdue', 'The prepaid bill is overdue.'],
  postpaid: [429, 'PostpaidBillOverdue', 'PostpaidBillOverdue', 'The postpaid bill is overdue.'],
  unbought: [429, 'CommodityNotPurchased', 'CommodityNotPurchased', 'The commodity is not purchased.'],
  arrears: [400, 'Arrearage', 'Arrearage', 'Access denied, make sure your account is in good standing.'],
  inspected: [
    400,
    'data_inspection_failed',
    'data_inspection_failed',
    'Input data may contain inappropriate content.',
  ],
  '408': [408, 'RequestTimeOut', 'RequestTimeOut', 'Request timed out, please try again later.'],
  '500': [500, 'internal_error', 'internal_error', 'An internal error has occurred, please try again later.'],
  '503': [503, 'ModelUnavailable', 'ModelUnavailable', 'Model is unavailable, please try again later.'],
} as const;

/** Faults of an answer that has begun, or of its connection. Where nothing more comes, the connection stays until the client or `close` ends it. */
const breakages = [
  /** No answer at all, until the client gives up. */
  'silence',
  /** The connection is reset before any answer. */
  'reset',
  /** 200 and headers, then nothing. */
  'slow-first-byte',
  /** 200, and an error in the place of the answer. */
  'error-200',
  /** 200, and nothing. */
  'empty',
  /** Half way, the connection is reset in the middle of a character. */
  'cut-utf8',
  /** Everything but the usage chunk and `[DONE]`, then a reset. */
  'cut-before-usage',
  /** Half way, an event without an end. */
  'oversized',
  /** 400, with the caller's key in the message, as careless servers do. */
  'echo-key',
  /** The connection is reset half way. */
  'cut',
  /** The stream ends half way as if it were complete. */
  'eof',
  /** Half way, nothing more comes. */
  'stall',
  /** Half way, an event that is not JSON. The rest follows. */
  'garbage',
  /** Half way, an error frame, and the end. */
  'error-frame',
  /** No usage, although it was asked for. */
  'no-usage',
  /** No `[DONE]`. */
  'no-done',
  /** Up to ten tokens more than the limit, as the real one may. */
  'overrun',
] as const;

type Refusal = keyof typeof refusals;
type Breakage = (typeof breakages)[number];
export type Fault = Refusal | Breakage;

const isRefusal = (name: string): name is Refusal => Object.hasOwn(refusals, name);
const isFault = (name: string): name is Fault =>
  isRefusal(name) || breakages.some((breakage) => breakage === name);

const embeddingModel = 'text-embedding-v4';
const overrunTokens = 10;
const maxBodyBytes = 16 * 1_024 * 1_024;
const recordedRequests = 1_000;

/** Template text around a message and a request, in tokens. */
const perMessage = 5;
const perRequest = 3;
const perTools = 60;

export async function startQwenStandIn(options: QwenStandInOptions = {}): Promise<QwenStandIn> {
  const { port = 0, apiKey, chunkDelayMs = 15, tokensPerChunk = 3, dialect = 'dashscope', teeKey } = options;
  const speech = speechOf(dialect);
  const { basePath } = speech;
  const fail = (response: ServerResponse, id: string, failure: Failure): void =>
    send(response, failure[0], errorBody(speech, id, failure));
  const signatures = teeKey === undefined ? undefined : signaturesOf(teeKey);
  const requests: RecordedRequest[] = [];
  const queued: Fault[] = [];
  const cache = createPromptCache();
  const waiting = new Set<() => void>();
  let isShut = false;

  const server = createServer((request, response) => {
    const id = randomUUID();
    response.setHeader('x-request-id', id);
    // What a careless proxy in front of a model might send on.
    response.setHeader('x-upstream-authorization', request.headers.authorization ?? '');
    response.setHeader('set-cookie', 'session=upstream');
    signatures?.watch(response, id);
    handle(request, response, id).catch((error: unknown) => {
      // A client that leaves in the middle of its own body, or a mistake in this file: never a crash of the stack.
      if (!response.headersSent) fail(response, id, [500, 'internal_error', 'internal_error', String(error)]);
      else response.destroy();
    });
  });

  async function handle(request: IncomingMessage, response: ServerResponse, id: string): Promise<void> {
    const path = (request.url ?? '/').split('?')[0] ?? '/';
    const record: RecordedRequest = {
      method: request.method ?? '',
      path,
      headers: Object.fromEntries(
        Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
      ),
      body: await readBody(request),
      status: 0,
      outcome: 'open',
      generatedTokens: 0,
    };
    requests.push(record);
    if (requests.length > recordedRequests) requests.shift();
    response.on('close', () => {
      record.status = response.statusCode;
      if (record.outcome === 'open') record.outcome = response.writableFinished ? 'complete' : 'client-gone';
    });

    if (apiKey !== undefined && request.headers.authorization !== `Bearer ${apiKey}`)
      return fail(response, id, refusals['401']);
    if (signatures && record.method === 'GET' && path.includes('/signature/'))
      return signatures.answer(response, decodeURIComponent(path.split('/').at(-1) ?? ''));
    signatures?.asked(id, record.body);
    const route = `${record.method} ${path.startsWith(basePath) ? path.slice(basePath.length) : path}`;
    switch (route) {
      case 'GET /models':
        return send(response, 200, {
          object: 'list',
          data: Object.keys(prices.models).map((model) => ({
            id: model,
            object: 'model',
            created: 0,
            owned_by: 'stand-in',
          })),
        });
      case 'POST /chat/completions':
        return chat(record, response, id);
      case 'POST /embeddings':
        return embeddings(record, response, id);
      case 'POST /responses':
        return responses(record, response, id);
      default:
        return fail(response, id, [404, 'not_found', 'invalid_request_error', `No such path: ${route}`]);
    }
  }

  function parse(record: RecordedRequest): { [key: string]: unknown } | undefined {
    try {
      const value: unknown = JSON.parse(new TextDecoder().decode(record.body));
      const body = members(value);
      return body && record.path.endsWith('/chat/completions') ? speech.understand(body) : body;
    } catch {
      return undefined;
    }
  }

  async function chat(record: RecordedRequest, response: ServerResponse, id: string): Promise<void> {
    if (isShut) await new Promise<void>((resolve) => waiting.add(resolve));
    const body = parse(record);
    if (!body) return fail(response, id, badRequest('The request body is not a JSON object.'));
    const messages = body['messages'];
    if (!Array.isArray(messages) || messages.length === 0)
      return fail(response, id, badRequest("[] is too short - 'messages'"));
    const said = messages as readonly ChatMessage[];
    const last = textOf(said.findLast((message) => message.role === 'user')?.content);
    const wishes = directivesIn(last);
    const model = String(body['model']);

    // A fault is asked for by a test, by the prompt, or by a model of that name (`fault-429`).
    const wished =
      wishes.find((wish) => wish.name === 'fault')?.value ?? /^fault-(.+)$/.exec(model)?.[1] ?? '';
    const fault = queued.shift() ?? (isFault(wished) ? wished : undefined);
    if (await spoiled(fault, record, response, id, body['stream'] === true)) return;
    if (!Object.hasOwn(prices.models, model) && !isFault(model.replace(/^fault-/, '')))
      return fail(response, id, [
        404,
        'model_not_found',
        'invalid_request_error',
        `The model \`${model}\` does not exist or you do not have access to it.`,
      ]);

    const samples = body['n'] ?? 1;
    if (typeof samples !== 'number' || !Number.isInteger(samples) || samples < 1 || samples > 4)
      return fail(response, id, badRequest('Range of n should be [1, 4]'));
    for (const name of ['max_tokens', 'max_completion_tokens', 'thinking_budget'] as const) {
      const value = body[name] ?? 1;
      if (typeof value !== 'number' || !Number.isInteger(value) || value < 1)
        return fail(response, id, badRequest(`Range of ${name} should be [1, +∞)`));
    }

    const tools = (Array.isArray(body['tools']) ? body['tools'] : []) as readonly ToolDefinition[];
    const known = prices.models[model];
    const thinks = thinking(body, known?.thinking);
    const answers = Array.from({ length: samples }, (_, sample) =>
      limit(
        reply({
          messages: said,
          tools,
          toolChoice: body['tool_choice'],
          responseFormat: body['response_format'],
          sample,
        }),
        body,
        thinks,
        fault === 'overrun' ? overrunTokens : 0,
      ),
    );
    const prompt = countPrompt(said, tools, body['response_format']);
    const cached = cache.lookUp(model, said, prompt);
    const counted = usageOf(prompt, cached, answers, thinks);
    const created = Math.floor(Date.now() / 1_000);
    const shared = { created, system_fingerprint: null, model, id: `chatcmpl-${id}` };

    if (body['stream'] !== true) {
      record.generatedTokens = counted.completion_tokens;
      await sleep(Number(wishes.find((wish) => wish.name === 'work')?.value ?? 0));
      if (fault === 'oversized') {
        response.writeHead(200, { 'content-type': 'application/json' });
        const piece = ' '.repeat(1_048_576);
        for (let sent = 0; sent < 40 && !response.destroyed; sent += 1) await writeAll(response, piece, 0);
        response.end();
        return;
      }
      if (fault === 'cut' || fault === 'cut-utf8' || fault === 'cut-before-usage' || fault === 'stall') {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.write('{"choices":[');
        if (fault === 'stall') return;
        await sleep(20);
        record.outcome = 'broken';
        response.destroy();
        return;
      }
      if (fault === 'garbage') {
        response.writeHead(200, { 'content-type': 'application/json' }).end('<html>upstream</html>');
        return;
      }
      return send(response, 200, {
        choices: answers.map((answer, index) => ({
          message: speech.say({
            role: 'assistant',
            content: answer.calls.length > 0 ? '' : answer.text,
            ...(thinks ? { reasoning_content: answer.thinking } : {}),
            ...(answer.calls.length > 0 ? { tool_calls: answer.calls.map(callBody) } : {}),
          }),
          finish_reason: answer.finish,
          index,
          logprobs: body['logprobs'] === true ? logprobsOf(answer.text, body['top_logprobs']) : null,
        })),
        object: 'chat.completion',
        ...(fault === 'no-usage' ? {} : { usage: speech.countUsage(counted) }),
        ...shared,
      });
    }

    const wantsUsage = members(body['stream_options'])?.['include_usage'] === true && fault !== 'no-usage';
    const slow = Number(wishes.find((wish) => wish.name === 'slow')?.value ?? chunkDelayMs);
    const split = Number(wishes.find((wish) => wish.name === 'split')?.value ?? 0);
    const frames = streamFrames(answers, thinks, tokensPerChunk);
    const onTheWay =
      speech.countsOnTheWay && members(body['stream_options'])?.['continuous_usage_stats'] === true;
    response.writeHead(200, {
      'content-type': 'text/event-stream;charset=UTF-8',
      'cache-control': 'no-cache',
    });
    response.flushHeaders();
    const write = (text: string): Promise<boolean> => writeAll(response, text, split);
    const chunk = (choices: readonly unknown[], usage: unknown): string =>
      `data: ${JSON.stringify({ choices, object: 'chat.completion.chunk', ...(wantsUsage ? { usage } : {}), ...shared })}\n\n`;
    const usageNow = (): unknown =>
      onTheWay
        ? {
            prompt_tokens: prompt,
            completion_tokens: record.generatedTokens,
            total_tokens: prompt + record.generatedTokens,
          }
        : null;

    const half = Math.floor(frames.length / 2);
    for (const [index, frame] of frames.entries()) {
      if (index === half) {
        if (fault === 'stall') return;
        if (fault === 'garbage') await write('data: {"choices":[{"del\n\n');
        if (fault === 'oversized') {
          const piece = 'x'.repeat(262_144);
          await write('data: ');
          for (let sent = 0; sent < 40 && (await write(piece)); sent += 1);
          break;
        }
        if (fault === 'cut-utf8') {
          const bytes = new TextEncoder().encode('data: {"choices":[{"delta":{"content":"思');
          response.write(bytes.subarray(0, -1));
        }
        if (fault === 'cut' || fault === 'cut-utf8') {
          // Written is not sent: what is to arrive before the reset needs a moment.
          await sleep(20);
          record.outcome = 'broken';
          response.destroy();
          return;
        }
        if (fault === 'eof') break;
        if (fault === 'error-frame') {
          await write(`data: ${JSON.stringify(errorBody(speech, id, refusals['500']))}\n\n`);
          break;
        }
      }
      if (index > 0) await sleep(slow);
      const { delta, ...choice } = frame.choice;
      record.generatedTokens += frame.tokens;
      if (!(await write(chunk([{ delta: speech.say(delta), ...choice, logprobs: null }], usageNow()))))
        return;
    }
    if (fault === 'cut-before-usage') {
      await sleep(20);
      record.outcome = 'broken';
      response.destroy();
      return;
    }
    if (fault !== 'eof' && fault !== 'error-frame' && fault !== 'oversized') {
      if (wantsUsage) await write(chunk([], speech.countUsage(counted)));
      if (fault !== 'no-done') await write('data: [DONE]\n\n');
    }
    response.end();
  }

  async function embeddings(record: RecordedRequest, response: ServerResponse, id: string): Promise<void> {
    const body = parse(record);
    const fault = queued.shift();
    if (await spoiled(fault, record, response, id, false)) return;
    if (body?.['model'] !== embeddingModel)
      return fail(response, id, [
        404,
        'model_not_found',
        'invalid_request_error',
        'The model does not exist.',
      ]);
    const input = body['input'];
    const texts: unknown[] = Array.isArray(input) ? input : [input];
    if (
      texts.length === 0 ||
      texts.length > 10 ||
      !texts.every((text) => typeof text === 'string' && text !== '')
    )
      return fail(response, id, badRequest('input must be one to ten texts'));
    const dimensions = Number(body['dimensions'] ?? 1_024);
    if (!Number.isInteger(dimensions) || dimensions < 1 || dimensions > 2_048)
      return fail(response, id, badRequest('dimensions is not valid'));
    const total = texts.reduce<number>((sum, text) => sum + countTokens(String(text)), 0);
    send(response, 200, {
      data: texts.map((text, index) => ({
        embedding:
          body['encoding_format'] === 'base64'
            ? Buffer.from(Float32Array.from(embed(String(text), dimensions)).buffer).toString('base64')
            : embed(String(text), dimensions),
        index,
        object: 'embedding',
      })),
      model: embeddingModel,
      object: 'list',
      usage: { prompt_tokens: total, total_tokens: total },
      id,
    });
  }

  /** Faults that are the same at every endpoint. True where the answer has been given, or never will be. */
  async function spoiled(
    fault: Fault | undefined,
    record: RecordedRequest,
    response: ServerResponse,
    id: string,
    stream: boolean,
  ): Promise<boolean> {
    if (fault === undefined) return false;
    const head = () =>
      response.writeHead(200, { 'content-type': stream ? 'text/event-stream' : 'application/json' });
    if (isRefusal(fault)) {
      fail(response, id, refusals[fault]);
      return true;
    }
    switch (fault) {
      case 'silence':
        return true;
      case 'reset':
        record.outcome = 'broken';
        response.destroy();
        return true;
      case 'slow-first-byte':
        head().flushHeaders();
        return true;
      case 'empty':
        head().end();
        return true;
      case 'error-200': {
        const error = JSON.stringify(errorBody(speech, id, refusals['500']));
        head().end(stream ? `data: ${error}\n\n` : error);
        return true;
      }
      case 'echo-key':
        fail(response, id, badRequest(`Refused: ${record.headers['authorization'] ?? ''}`));
        return true;
      default:
        return false;
    }
  }

  async function responses(record: RecordedRequest, response: ServerResponse, id: string): Promise<void> {
    const body = parse(record);
    if (!body) return fail(response, id, badRequest('The request body is not a JSON object.'));
    const messages = messagesOf(body);
    if (messages.length === 0) return fail(response, id, badRequest("[] is too short - 'input'"));
    const wishes = directivesIn(textOf(messages.findLast(({ role }) => role === 'user')?.content));
    const wished = wishes.find((wish) => wish.name === 'fault')?.value ?? '';
    const fault = queued.shift() ?? (isFault(wished) ? wished : undefined);
    if (await spoiled(fault, record, response, id, body['stream'] === true)) return;
    const model = String(body['model']);
    const known = prices.models[model];
    if (!known)
      return fail(response, id, [404, 'model_not_found', 'invalid_request_error', 'No such model.']);
    const thinks = thinking(body, known.thinking);
    const tools = toolsOf(body['tools']);
    const format = formatOf(body['text']);
    const answer = limit(
      reply({ messages, tools, toolChoice: body['tool_choice'], responseFormat: format, sample: 0 }),
      { max_completion_tokens: body['max_output_tokens'] },
      thinks,
      0,
    );
    const prompt = countPrompt(messages, tools, format);
    const counted = usageOf(prompt, { read: 0, created: undefined }, [answer], thinks);
    const usage = responseUsage(counted);
    if (body['stream'] !== true) {
      record.generatedTokens = counted.completion_tokens;
      return send(response, 200, responseBody(id, model, answer, usage));
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const events = responseEvents(id, model, answer, usage, (text) =>
      pieces(text, tokensPerChunk).map((piece) => piece.text),
    );
    const half = Math.floor(events.length / 2);
    for (const [index, event] of events.entries()) {
      if (index === half && fault === 'cut') {
        record.outcome = 'broken';
        response.destroy();
        return;
      }
      if (index > 0) await sleep(chunkDelayMs);
      if (!(await writeAll(response, `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`, 0))) return;
    }
    record.generatedTokens = counted.completion_tokens;
    response.end();
  }

  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${bound}${basePath}`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
    faults: {
      next(fault, times = 1) {
        for (let made = 0; made < times; made += 1) queued.push(fault);
      },
      clear() {
        queued.length = 0;
      },
    },
    gate: {
      shut() {
        isShut = true;
      },
      open() {
        isShut = false;
        for (const goOn of waiting) goOn();
        waiting.clear();
      },
      get waiting() {
        return waiting.size;
      },
    },
    requests,
  };
}

type Answer = {
  readonly thinking: string;
  readonly text: string;
  readonly calls: Reply['calls'];
  readonly finish: 'stop' | 'length' | 'tool_calls';
  readonly thinkingTokens: number;
  readonly outputTokens: number;
};

/** Cuts a reply as the request's limits say: `max_tokens` the answer, `max_completion_tokens` thinking and answer. */
function limit(
  whole: Reply,
  body: { readonly [key: string]: unknown },
  thinks: boolean,
  overrun: number,
): Answer {
  const at = (name: string): number => (typeof body[name] === 'number' ? body[name] + overrun : Infinity);
  const both = at('max_completion_tokens');
  const thought = thinks ? tokenise(whole.thinking).slice(0, Math.min(both, at('thinking_budget'))) : [];
  const room = Math.min(at('max_tokens'), both - thought.length);
  const thinking = { thinking: thought.join(''), thinkingTokens: thought.length };

  if (whole.calls.length > 0) {
    // Tags and names of a call are tokens too.
    const tokens = whole.calls.reduce((sum, call) => sum + callTokens(call), 0);
    return tokens <= room
      ? {
          ...thinking,
          text: '',
          calls: whole.calls,
          finish: 'tool_calls',
          outputTokens: thought.length + tokens,
        }
      : { ...thinking, text: '', calls: [], finish: 'length', outputTokens: thought.length + room };
  }
  const text = overrun > 0 ? `${whole.text} ${'and so on '.repeat(20)}` : whole.text;
  const tokens = tokenise(text);
  const kept = tokens.slice(0, Math.max(0, room)).join('');
  const stopped = stopAt(kept, body['stop']);
  const finish = stopped === kept && tokens.length > room ? 'length' : 'stop';
  return {
    ...thinking,
    text: stopped,
    calls: [],
    finish,
    outputTokens: thought.length + countTokens(stopped),
  };
}

const callTokens = (call: Reply['calls'][number]): number =>
  countTokens(call.name) + countTokens(call.arguments) + 8;

/** The text up to the first stop sequence. */
function stopAt(text: string, stop: unknown): string {
  const sequences = (Array.isArray(stop) ? stop : [stop]).filter(
    (sequence): sequence is string => typeof sequence === 'string' && sequence !== '',
  );
  const found = sequences.map((sequence) => text.indexOf(sequence)).filter((index) => index >= 0);
  return found.length === 0 ? text : text.slice(0, Math.min(...found));
}

type Delta = { readonly [key: string]: unknown };
type Choice = { readonly delta: Delta; readonly finish_reason: string | null; readonly index: number };
type Frame = { readonly choice: Choice; readonly tokens: number };

/** The chunks of all samples, taking turns. */
function streamFrames(answers: readonly Answer[], thinks: boolean, tokensPerChunk: number): Frame[] {
  const tracks = answers.map((answer, index) => {
    const frame = (delta: Delta, tokens: number, finish: string | null = null): Frame => ({
      choice: { delta, finish_reason: finish, index },
      tokens,
    });
    const track = [
      frame(
        { content: thinks ? null : '', role: 'assistant', ...(thinks ? { reasoning_content: '' } : {}) },
        0,
      ),
    ];
    for (const piece of pieces(answer.thinking, tokensPerChunk))
      track.push(frame({ content: null, reasoning_content: piece.text }, piece.tokens));
    for (const piece of pieces(answer.text, tokensPerChunk))
      track.push(frame({ content: piece.text }, piece.tokens));
    for (const [position, call] of answer.calls.entries()) {
      const { id } = callBody(call, position);
      track.push(
        frame(
          { content: null, tool_calls: [toolDelta(id, position, call.name, '')] },
          countTokens(call.name) + 8,
        ),
      );
      // Only the first delta of a call has its id and name.
      for (const piece of pieces(call.arguments, tokensPerChunk))
        track.push(
          frame({ content: null, tool_calls: [toolDelta('', position, null, piece.text)] }, piece.tokens),
        );
    }
    track.push(frame({ content: '' }, 0, answer.finish));
    return track;
  });
  const frames: Frame[] = [];
  const longest = Math.max(...tracks.map((track) => track.length));
  for (let turn = 0; turn < longest; turn += 1)
    for (const track of tracks) {
      const frame = track[turn];
      if (frame) frames.push(frame);
    }
  return frames;
}

function pieces(text: string, tokensPerChunk: number): { text: string; tokens: number }[] {
  const tokens = tokenise(text);
  const cut: { text: string; tokens: number }[] = [];
  for (let start = 0; start < tokens.length; start += tokensPerChunk) {
    const piece = tokens.slice(start, start + tokensPerChunk);
    cut.push({ text: piece.join(''), tokens: piece.length });
  }
  return cut;
}

const toolDelta = (id: string, index: number, name: string | null, args: string): unknown => ({
  index,
  id,
  type: 'function',
  function: { name, arguments: args },
});

const callBody = (call: Reply['calls'][number], index: number) => ({
  id: `call_${createHash('sha256').update(`${index}${call.name}${call.arguments}`).digest('hex').slice(0, 22)}`,
  index,
  type: 'function',
  function: { name: call.name, arguments: call.arguments },
});

/** Tokens of the rendered prompt: texts, calls, tools and schemas, and the template around them. */
function countPrompt(
  messages: readonly ChatMessage[],
  tools: readonly ToolDefinition[],
  format: unknown,
): number {
  let total = perRequest;
  for (const message of messages) {
    total += perMessage + countTokens(message.role) + countTokens(textOf(message.content));
    const thought = members(message)?.['reasoning_content'];
    if (typeof thought === 'string') total += countTokens(thought);
    if (message.tool_calls) total += countTokens(pythonJson(message.tool_calls));
  }
  if (tools.length > 0)
    total += perTools + tools.reduce((sum, tool) => sum + countTokens(pythonJson(tool)), 0);
  const schema = members(format)?.['json_schema'];
  return schema === undefined ? total : total + perTools + countTokens(pythonJson(schema));
}

/** As Python's json.dumps writes it: spaces after `,` and `:`, ASCII only. */
function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  const object = members(value);
  if (object)
    return `{${Object.entries(object)
      .map(([key, member]) => `${pythonJson(key)}: ${pythonJson(member)}`)
      .join(', ')}}`;
  const escaped = (letter: string): string => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return (JSON.stringify(value) ?? 'null').replace(/[\u007f-\uffff]/g, escaped);
}

type Cached = { readonly read: number; readonly created: number | undefined };

/**
 * The two context caches. Implicit: a prompt that begins like an earlier one of 256 tokens or more. Explicit: everything up to
 * a text part marked `cache_control`, from 1,024 tokens.
 */
function createPromptCache() {
  const seen = new Map<string, number>();
  const keyOf = (model: string, messages: readonly ChatMessage[]): string =>
    createHash('sha256')
      .update(JSON.stringify([model, messages]))
      .digest('hex');
  return {
    lookUp(model: string, messages: readonly ChatMessage[], prompt: number): Cached {
      if (seen.size > 10_000) seen.clear();
      const marked = messages.findLastIndex(
        (message) =>
          Array.isArray(message.content) && message.content.some((part) => members(part)?.['cache_control']),
      );
      if (marked >= 0) {
        const prefix = messages.slice(0, marked + 1);
        const tokens = Math.min(prompt, countPrompt(prefix, [], undefined));
        if (tokens < 1_024) return { read: 0, created: 0 };
        const key = `explicit ${keyOf(model, prefix)}`;
        const hit = seen.has(key);
        seen.set(key, tokens);
        return hit ? { read: tokens, created: 0 } : { read: 0, created: tokens };
      }
      let read = 0;
      for (let length = messages.length; length > 0 && read === 0; length -= 1)
        read = Math.min(prompt, seen.get(keyOf(model, messages.slice(0, length))) ?? 0);
      seen.set(keyOf(model, messages), prompt);
      return { read: read >= 256 ? read - (read % 128) : 0, created: undefined };
    },
  };
}

function usageOf(prompt: number, cached: Cached, answers: readonly Answer[], thinks: boolean) {
  const completion = answers.reduce((sum, answer) => sum + answer.outputTokens, 0);
  const thinking = answers.reduce((sum, answer) => sum + answer.thinkingTokens, 0);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    ...(thinks
      ? { completion_tokens_details: { reasoning_tokens: thinking, text_tokens: completion - thinking } }
      : {}),
    prompt_tokens_details: {
      cached_tokens: cached.read,
      text_tokens: prompt,
      ...(cached.created === undefined
        ? {}
        : { cache_creation_input_tokens: cached.created, cache_type: 'ephemeral' }),
    },
  };
}

/** A unit vector that depends on the text alone. */
function embed(text: string, dimensions: number): number[] {
  const raw = Array.from({ length: dimensions }, () => 0);
  for (const token of tokenise(text.toLowerCase())) {
    const hash = createHash('sha256').update(token.trim()).digest();
    // Eight slots a token, so that two tokens hardly ever share all of theirs.
    for (let part = 0; part < 32; part += 4) {
      const slot = hash.readUInt16BE(part) % dimensions;
      raw[slot] = (raw[slot] ?? 0) + hash.readInt16BE(part + 2);
    }
  }
  const norm = Math.hypot(...raw) || 1;
  return raw.map((value) => value / norm);
}

type Failure = readonly [status: number, code: string, type: string, message: string];

const badRequest = (message: string): Failure => [
  400,
  'invalid_parameter_error',
  'invalid_request_error',
  `<400> InternalError.Algo.InvalidParameter: ${message}`,
];

const errorBody = (speech: Speech, id: string, [status, code, type, message]: Failure) => ({
  ...speech.complain({ message, type, param: null, code }, status),
  id: `chatcmpl-${id}`,
  request_id: id,
});

const thinking = (body: { readonly [key: string]: unknown }, known: string | undefined): boolean =>
  (body['enable_thinking'] ?? known === 'on') === true && known !== 'none';

/** The chosen tokens, each with as many others as were asked for. */
const logprobsOf = (text: string, top: unknown) => ({
  content: tokenise(text).map((token) => ({
    token,
    logprob: -0.1,
    bytes: [...new TextEncoder().encode(token)],
    top_logprobs: Array.from({ length: Number(top ?? 0) }, (_, rank) => ({
      token: rank === 0 ? token : `${token}${rank}`,
      logprob: -0.1 - rank,
      bytes: null,
    })),
  })),
});

/** What a TEE signs of each answer: hashes of exactly the bytes that came and went, as a personal message. */
function signaturesOf(key: Hex) {
  const account = privateKeyToAccount(key);
  const sha256 = (...parts: (string | Uint8Array)[]) => {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return hash.digest('hex');
  };
  const open = new Map<string, { request: string; response: ReturnType<typeof createHash> }>();
  return {
    watch(response: ServerResponse, id: string): void {
      const entry = { request: '', response: createHash('sha256') };
      open.set(id, entry);
      // A chat's answer goes by its id, which is in its body.
      open.set(`chatcmpl-${id}`, entry);
      response.setHeader('zg-res-key', id);
      const { write, end } = response;
      const note = (chunk: unknown) => {
        if (typeof chunk === 'string' || chunk instanceof Uint8Array) entry.response.update(chunk);
      };
      Object.assign(response, {
        write: (...args: Parameters<typeof write>) => {
          note(args[0]);
          return write.apply(response, args);
        },
        end: (...args: Parameters<typeof end>) => {
          note(args[0]);
          // `end` writes its last piece by itself: it must not be noted twice.
          return end.apply(response, args);
        },
      });
    },
    asked(id: string, body: Uint8Array): void {
      const entry = open.get(id);
      if (entry) entry.request = sha256(body);
    },
    async answer(response: ServerResponse, key: string): Promise<void> {
      const entry = open.get(key);
      if (!entry) return send(response, 404, { error: 'no such key' });
      const text = `${entry.request}:${entry.response.copy().digest('hex')}`;
      const signature = await account.signMessage({ message: text });
      send(response, 200, { text, signature, signing_address: account.address, signing_algo: 'ecdsa' });
    },
  };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** Writes with backpressure; in pieces of `split` bytes where that is not 0. False once the client is gone. */
async function writeAll(response: ServerResponse, text: string, split: number): Promise<boolean> {
  const bytes = new TextEncoder().encode(text);
  const step = split > 0 ? split : bytes.length;
  for (let start = 0; start < bytes.length; start += step) {
    if (response.destroyed) return false;
    const flushed = response.write(bytes.subarray(start, start + step));
    if (!flushed) await drainedOrGone(response);
    // Two writes in one turn may leave as one packet.
    else if (split > 0) await sleep(0);
  }
  return !response.destroyed;
}

const drainedOrGone = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const go = () => {
      response.off('drain', go);
      response.off('close', go);
      resolve();
    };
    response.once('drain', go);
    response.once('close', go);
  });

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > maxBodyBytes) throw new RangeError('body too large');
    chunks.push(chunk);
  }
  return Uint8Array.from(Buffer.concat(chunks));
}

if (import.meta.main) {
  const port = Number(process.argv[2] ?? 8_788);
  const standIn = await startQwenStandIn({ port });
  console.log(`Qwen stand-in: ${standIn.url}`);
}
