// POST /mcp: the same identity, metering and receipts for programs that speak the Model Context Protocol (streamable HTTP).
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import {
  CallToolRequestSchema,
  type CallToolResult,
  ListToolsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { CfWorkerJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/cfworker-provider.js';
import { sha256Hex } from '../compiled/platform-hashes.ts';
import { priceOf, priceTableHash } from '../protocol/price-table.ts';
import { prices } from '../protocol/prices.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import { accountOf, askAccount } from './account-call.ts';
import { authenticate } from './authenticate.ts';
import { busy, readBody } from './body.ts';
import type { Call } from './call.ts';
import { pricesOf } from './chain-prices.ts';
import { readChatRequest } from './chat-request.ts';
import { type Begun, begin, outliving } from './completions.ts';
import { captureWhole } from './deliver-whole.ts';
import { readEmbeddingsRequest } from './embeddings-request.ts';
import { type Allotment, allot } from './in-flight.ts';
import { parseJson } from './json.ts';
import { tools } from './mcp-tools.ts';
import type { PricedRequest } from './priced-request.ts';
import { type Problem, problemResponse } from './problem.ts';
import { defaultRequestLimits } from './request-limits.ts';
import type { WholeAnswer } from './upstreams/attempt.ts';

const priceTable = priceTableHash(prices);

/** It interprets schemas: `new Function` is not there in a Worker. */
const validator = new CfWorkerJsonSchemaValidator();
const argumentsOf = new Map(
  tools.map((tool) => [tool.name, validator.getValidator(tool.inputSchema as Record<string, unknown>)]),
);

/** A paid answer whose receipt can only be made when the bytes that carry it are known. */
type Due = {
  readonly priced: PricedRequest;
  readonly hold: Begun['hold'];
  readonly answer: WholeAnswer;
};

/** What a tool handler leaves for its HTTP response. */
type Slip = { due?: Due; problem?: Problem };

export const mcp = (call: Call): Promise<Response> => outliving(call, serveMcp(call));

/** There are no sessions and no server-sent streams: a client that asks for one is told so, as the protocol has it. */
export const mcpElsewise = (call: Call): Response =>
  problemResponse(
    {
      status: 405,
      code: 'method_not_allowed',
      detail: 'Only POST: this server keeps no session and sends nothing unasked.',
      headers: { allow: 'POST' },
    },
    call.id,
    false,
  );

async function serveMcp(call: Call): Promise<Response> {
  const refused = (problem: Problem) => problemResponse(problem, call.id, true);
  const room = allot(0);
  if (!room) return refused(busy);
  const slip: Slip = {};
  try {
    const body = await readBody(call.request, defaultRequestLimits.maxBodyBytes, { room });
    if (!body.ok) return refused(body.error);
    // The SDK's parser takes what ours refuses, such as one name twice: what is signed must mean one thing.
    const strict = parseJson(body.value);
    if (!strict.ok) return refused(malformed('The body is not one JSON value without duplicate names.'));
    const message: unknown = JSON.parse(new TextDecoder().decode(body.value));
    if (Array.isArray(message)) return refused(malformed('One message a request: batches have no receipt.'));

    const server = serverFor(call, body.value, slip, room);
    const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true });
    await server.connect(transport as Parameters<typeof server.connect>[0]);
    const response = await transport.handleRequest(bare(call), { parsedBody: message });
    const answer = new Uint8Array(await response.arrayBuffer());
    await server.close();

    // Who may call, and who pays, is said in HTTP: clients that sign and pay read it there.
    if (slip.problem) return refused(slip.problem);
    const headers = slip.due
      ? await captureWhole(call, slip.due.priced, slip.due.hold, slip.due.answer, answer)
      : { 'x-request-id': call.id };
    delete slip.due;
    return new Response(answer.length === 0 ? null : answer, {
      status: response.status,
      headers: {
        ...(answer.length === 0 ? {} : { 'content-type': 'application/json' }),
        'cache-control': 'no-store',
        ...headers,
      },
    });
  } finally {
    // An answer that could not be delivered was not charged.
    if (slip.due) await slip.due.hold.release();
    room.release();
  }
}

const malformed = (detail: string): Problem => ({ status: 400, code: 'invalid_json', detail });

/** The transport looks at method and headers; the body it is given. */
const bare = ({ request }: Call): Request =>
  new Request(request.url, { method: 'POST', headers: new Headers(request.headers) });

function serverFor(call: Call, body: Uint8Array, slip: Slip, room: Allotment): Server {
  const server = new Server(
    { name: 'tallystick', version: '1' },
    {
      capabilities: { tools: {} },
      jsonSchemaValidator: validator,
      instructions:
        'Qwen, paid per token from an agent’s deposit. Requests are signed (ERC-8128) or carry a session key; each paid call answers a receipt.',
    },
  );
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [...tools] }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }): Promise<CallToolResult> => {
    const given = params.arguments ?? {};
    const valid = argumentsOf.get(params.name)?.(given);
    if (valid === undefined) return failure(`There is no tool ${params.name.slice(0, 100)}.`);
    if (!valid.valid) return failure(`The arguments do not fit: ${valid.errorMessage ?? 'see inputSchema'}.`);
    const done = await use(call, params.name, given, body, slip, room);
    if (done.ok) return done.value;
    const { status, detail } = done.error;
    // About the caller or its money: the HTTP response says it. About the request or the model: the caller's model reads it.
    if (status === 401 || status === 402 || status === 403 || status === 409) slip.problem = done.error;
    return failure(detail);
  });
  return server;
}

const failure = (text: string): CallToolResult => ({ isError: true, content: [{ type: 'text', text }] });

async function use(
  call: Call,
  tool: string,
  given: Record<string, unknown>,
  body: Uint8Array,
  slip: Slip,
  room: Allotment,
): Promise<Result<CallToolResult, Problem>> {
  switch (tool) {
    case 'prices': {
      const { model } = given;
      const one = typeof model === 'string' ? priceOf(prices, model) : undefined;
      if (typeof model === 'string' && !one)
        return refuse({
          status: 404,
          code: 'model_not_found',
          detail: `No price for ${model.slice(0, 100)}.`,
        });
      const models = one ? { [String(model)]: one } : prices.models;
      return ok(structured({ hash: priceTable, asset: prices.asset, perTokens: 1_000_000, models }));
    }
    case 'balance': {
      const caller = await authenticate(call, body, 'reads');
      if (!caller.ok) return caller;
      const stub = accountOf(call, caller.value);
      const standing = await askAccount(call, caller.value, (who, observation) =>
        stub.standing(who, observation),
      );
      if (!standing.ok) return standing;
      const figures = Object.entries(standing.value).map(([name, value]) => [
        name,
        typeof value === 'bigint' ? `${value}` : value,
      ]);
      return ok(structured({ asset: caller.value.chain.asset, ...Object.fromEntries(figures) }));
    }
    default: {
      const caller = await authenticate(call, body, 'spends');
      if (!caller.ok) return caller;
      const asked = new TextEncoder().encode(JSON.stringify(given));
      const { table } = pricesOf(caller.value.chain);
      const read = tool === 'chat' ? readChatRequest(asked, table) : readEmbeddingsRequest(asked, table);
      if (!read.ok)
        return refuse({ ...read.error, detail: `${read.error.param ?? ''}: ${read.error.message}` });
      const begun = await begin(call, caller.value, read.value, await sha256Hex(body), room);
      if (!begun.ok) return begun;
      const { hold, answer } = begun.value;
      if (answer.kind === 'stream') throw new TypeError('the schema allows no stream');
      slip.due = { priced: read.value, hold, answer };
      const json = JSON.parse(new TextDecoder().decode(answer.body)) as Record<string, unknown>;
      return ok(tool === 'chat' ? said(json) : structured(json));
    }
  }
}

/** The text for whoever reads texts, the whole answer for whoever reads members. */
function said(json: Record<string, unknown>): CallToolResult {
  const choices = Array.isArray(json['choices'])
    ? (json['choices'] as { message?: { content?: unknown } }[])
    : [];
  const texts = choices.map(({ message }) => message?.content).filter((text) => typeof text === 'string');
  return { content: texts.map((text) => ({ type: 'text', text })), structuredContent: json };
}

const structured = (json: Record<string, unknown>): CallToolResult => ({
  content: [{ type: 'text', text: JSON.stringify(json) }],
  structuredContent: json,
});
