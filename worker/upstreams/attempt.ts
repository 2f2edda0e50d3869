import type { Hex } from 'viem';
import { sha256Hex } from '../../compiled/platform-hashes.ts';
import { ok, type Result, refuse } from '../../protocol/result.ts';
import { chatEvents } from '../chat-events.ts';
import type { UpstreamError } from '../dialects/dialect.ts';
import { anyError } from '../dialects/error-body.ts';
import { type Ending, endingOf } from '../ending.ts';
import type { Allotment } from '../in-flight.ts';
import { joined } from '../joined.ts';
import { type JsonObject, serializeJson } from '../json.ts';
import { createMeter, parsed, type StreamMeter } from '../meter.ts';
import { piecesOf } from '../pieces.ts';
import type { PricedRequest } from '../priced-request.ts';
import { responseEvents } from '../response-events.ts';
import { silence } from '../silence.ts';
import { type Answer, readAnswer } from '../whole-answer.ts';
import { keyFor } from './configured.ts';
import type { Upstream } from './upstream.ts';
import type { UpstreamCall } from './upstream-call.ts';
import { failedInBand, timedOut, unreachable, unusable, type Verdict, verdictOf } from './verdict.ts';

/** What every answer has. */
type Sent = {
  readonly upstream: Upstream;
  readonly forwardedHash: Hex;
  readonly ending: Ending;
  /** Under which its signature can be asked for, where upstream has one. */
  readonly evidenceKey: string | undefined;
};

/** A stream whose first event is there and is no error. */
export type OpenStream = Sent & {
  readonly kind: 'stream';
  readonly meter: StreamMeter;
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  /** What the meter has passed so far. */
  readonly opening: readonly Uint8Array[];
};

/** An answer that is there as a whole. */
export type WholeAnswer = Sent & {
  readonly kind: 'whole';
  readonly body: Uint8Array<ArrayBuffer>;
  readonly answer: Answer;
};

/** The client left and upstream did not finish in the time that is left to us then: what it generated is never known. */
export type Abandoned = Sent & {
  readonly kind: 'abandoned';
  readonly bytes: number;
  readonly workedMs: number;
};

export type Opened = OpenStream | WholeAnswer | Abandoned;

/** Of an error's body no more than this is read. */
const errorBytesMax = 64 * 1024;
/** An answer longer than this is no answer. */
const answerBytesMax = 16 * 1024 * 1024;

/** No more than this is read in one go, before it is known to have room. */
const oneGoBytesMax = 64 * 1024;

const encoder = new TextEncoder();

/**
 * One attempt at one upstream, up to the first event of a stream or the whole of an answer. Only headers made here go up:
 * nothing the agent sent, least of all its signature.
 */
export async function attempt(
  call: UpstreamCall,
  request: PricedRequest,
  upstream: Upstream,
  room: Allotment,
  deadlineMs: number,
): Promise<Result<Opened, Verdict>> {
  const key = keyFor(call.env, upstream);
  const body = encoder.encode(serializeJson(spelled(request, upstream)));
  const forwardedHash = await sha256Hex(body);
  const startedMs = call.now();
  const ending = endingOf(call, upstream.timeouts, deadlineMs);
  const fail = (verdict: Verdict) => {
    ending.done();
    return refuse(verdict);
  };

  const headersDue = new AbortController();
  // A whole answer's headers may come only when it is finished: for it, the total is the limit.
  const timer = request.stream
    ? setTimeout(() => headersDue.abort(), upstream.timeouts.headersMs)
    : undefined;
  let response: Response;
  try {
    response = await fetch(`${upstream.baseUrl}/${request.endpoint}`, {
      method: 'POST',
      headers: {
        accept: request.stream ? 'text/event-stream' : 'application/json',
        'content-type': 'application/json',
        'x-request-id': call.id,
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      },
      body,
      redirect: 'manual',
      signal: request.stream ? AbortSignal.any([ending.signal, headersDue.signal]) : ending.signal,
    });
  } catch (error) {
    const why = ending.reason();
    // A stream's headers come before it generates; the silence of a whole answer is the model at work.
    if (why === 'client_left' && !request.stream)
      return ok({ kind: 'abandoned', ...sent(), bytes: 0, workedMs: call.now() - startedMs });
    if (why !== undefined || headersDue.signal.aborted) return fail(timedOut);
    console.warn(
      JSON.stringify({
        event: 'upstream_unreachable',
        requestId: call.id,
        upstream: upstream.name,
        error: String(error),
      }),
    );
    return fail(unreachable);
  } finally {
    if (timer !== undefined) clearTimeout(timer);
  }

  if (response.status !== 200) {
    const error = await readError(response, upstream);
    console.warn(
      JSON.stringify({
        event: 'upstream_refused',
        requestId: call.id,
        upstream: upstream.name,
        status: response.status,
        code: error?.code?.slice(0, 100),
        upstreamRequestId: response.headers.get('x-request-id')?.slice(0, 100),
      }),
    );
    return fail(verdictOf(response.status, error, response.headers.get('retry-after')));
  }
  return request.stream ? openStream() : readAll();

  function sent(evidenceKey?: string): Sent {
    return { upstream, forwardedHash, ending, evidenceKey };
  }

  async function openStream(): Promise<Result<Opened, Verdict>> {
    const readEvent =
      request.endpoint === 'responses' ? responseEvents : chatEvents({ includeUsage: request.includeUsage });
    const meter = createMeter({ readEvent });
    const reader = readerOf(response);
    let opening: readonly Uint8Array[] = [];
    for (;;) {
      const chunk = await nextChunk(reader, upstream.timeouts.firstByteMs);
      if (chunk === 'idle') return fail(timedOut);
      if (chunk === 'broken') return fail(ending.reason() === undefined ? unusable : timedOut);
      opening = chunk.done ? meter.end() : meter.push(chunk.value ?? new Uint8Array());
      const { seen } = meter;
      if (seen.error) return fail(failedInBand(seen.error));
      if (seen.fault || !room.frame(meter.carried())) return fail(unusable);
      if (opening.length > 0 || seen.done) break;
      if (chunk.done) return fail(unusable);
    }
    const isStream = response.headers.get('content-type')?.includes('text/event-stream') ?? false;
    if (!isStream && meter.seen.garbled > 0) return fail(unusable);
    return ok({
      kind: 'stream',
      ...sent(response.headers.get('zg-res-key') ?? undefined),
      meter,
      reader,
      opening,
    });
  }

  async function readAll(): Promise<Result<Opened, Verdict>> {
    let whole: Uint8Array<ArrayBuffer> | undefined;
    let length = 0;
    let isSilent = false;
    const quiet = silence(upstream.timeouts.idleMs, call.now, () => {
      isSilent = true;
      ending.done();
    });
    const take = (bytes: number): boolean => {
      quiet.broken();
      length += bytes;
      return length <= answerBytesMax && room.grow(2 * bytes);
    };
    try {
      whole = isShort(response)
        ? new Uint8Array(await response.arrayBuffer())
        : await readParts(response, take);
      // An answer read in one go has not been asked for its place yet.
      if (whole && length === 0 && !take(whole.length)) whole = undefined;
    } catch {
      const why = ending.reason();
      if (why === 'client_left')
        return ok({ kind: 'abandoned', ...sent(), bytes: length, workedMs: call.now() - startedMs });
      return fail(why === undefined && !isSilent ? unusable : timedOut);
    } finally {
      quiet.end();
    }
    if (isSilent) return fail(timedOut);
    if (whole === undefined) return fail(unusable);
    ending.finished();
    const answer = readAnswer(whole);
    if (!answer.ok) return fail(unusable);
    if (answer.value.error) return fail(failedInBand(answer.value.error));
    return ok({
      kind: 'whole',
      ...sent(response.headers.get('zg-res-key') ?? undefined),
      body: whole,
      answer: answer.value,
    });
  }
}

/** The priced body as this upstream spells it, under the name it has for the model. */
function spelled(request: PricedRequest, { dialect, models }: Upstream): JsonObject {
  const body = dialect.spell(request);
  const name = models?.get(request.model) ?? request.model;
  return name === request.model ? body : new Map([...body, ['model', name]]);
}

const readerOf = (response: Response): ReadableStreamDefaultReader<Uint8Array> =>
  (response.body ?? new Response('').body ?? new ReadableStream<Uint8Array>()).getReader();

/** An answer of a known length, and a small one, is read in one go: a step instead of one for each piece and one for the end. */
const isShort = ({ headers }: Response): boolean =>
  !headers.has('content-encoding') && Number(headers.get('content-length') ?? Infinity) <= oneGoBytesMax;

/** All of an answer; `undefined` when `take` has no room for a piece of it. */
async function readParts(
  { body }: Response,
  take: (bytes: number) => boolean,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (body === null) return new Uint8Array();
  const pieces = piecesOf(body);
  const parts: Uint8Array[] = [];
  let length = 0;
  for (let part = await pieces.next(); part; part = await pieces.next()) {
    length += part.length;
    if (!take(part.length)) return undefined;
    parts.push(part);
  }
  return joined(parts, length);
}

type Chunk = { readonly done: boolean; readonly value?: Uint8Array | undefined };

/** One read, bounded: `idle` when upstream is silent too long, `broken` when the connection is, or was ended. */
export function nextChunk(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  timeoutMs: number,
): Promise<Chunk | 'idle' | 'broken'> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve('idle'), timeoutMs);
    const settle = (chunk: Chunk | 'broken'): void => {
      clearTimeout(timer);
      resolve(chunk);
    };
    reader.read().then(settle, () => settle('broken'));
  });
}

async function readError(response: Response, { dialect }: Upstream): Promise<UpstreamError | undefined> {
  try {
    const body = parsed((await readText(response)).slice(0, errorBytesMax));
    return dialect.readError(body) ?? anyError(body);
  } catch {
    return undefined; // the status has to say it all
  }
}

async function readText(response: Response): Promise<string> {
  const reader = readerOf(response);
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const chunk = await nextChunk(reader, 5_000);
    if (chunk === 'idle' || chunk === 'broken' || chunk.done || text.length > errorBytesMax) break;
    text += decoder.decode(chunk.value, { stream: true });
  }
  void reader.cancel().catch(() => undefined);
  return text;
}
