import type { SignedReceipt } from '../protocol/receipt.ts';
import type { Call } from './call.ts';
import type { ChatRequest } from './chat-request.ts';
import type { OpenHold } from './hold.ts';
import { createMeter, type StreamMeter } from './meter.ts';
import { type Problem, problemResponse } from './problem.ts';
import { receiptComment } from './receipt-header.ts';
import { estimateUsage } from './usage.ts';

/** Between two chunks upstream may be silent this long. */
const idleMs = 60_000;
/** A client that has left does not stop the meter, but the platform ends our work 30 s later: we end it ourselves before. */
const drainMs = 25_000;

type Chunk = { readonly done: boolean; readonly value?: Uint8Array | undefined };

const encoder = new TextEncoder();

/**
 * Streams an answer: content as it comes, then, when upstream has ended, the capture, the receipt's comment, and `[DONE]`,
 * which stock clients stop reading at.
 */
export async function deliverStream(
  call: Call,
  priced: ChatRequest,
  hold: OpenHold,
  upstream: Response,
  ending: AbortController,
): Promise<Response> {
  const meter = createMeter({ includeUsage: priced.includeUsage });
  const reader = (upstream.body ?? new ReadableStream<Uint8Array>()).getReader();

  // Nothing is promised before the first event has been looked at: an error there is still an ordinary refusal.
  const opening = await readOpening(reader, meter);
  const failure = openingFailure(upstream, meter, opening, ending);
  if (failure) {
    ending.abort();
    await hold.release();
    return problemResponse(failure, call.id, true);
  }

  // An IdentityTransformStream: of the stream shapes tried in workerd, one whose writer learns that the client has gone
  // and can go on reading upstream.
  const { readable, writable } = new IdentityTransformStream();
  call.waitUntil(
    pump(call, priced, hold, meter, reader, opening.out, writable.getWriter(), ending).catch(
      (error: unknown) => {
        console.error(JSON.stringify({ event: 'stream_failed', requestId: call.id, error: String(error) }));
      },
    ),
  );
  return new Response(readable, {
    headers: {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'x-request-id': call.id,
    },
  });
}

type Opening = { readonly out: readonly Uint8Array[]; readonly ended: boolean; readonly broken: boolean };

async function readOpening(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  meter: StreamMeter,
): Promise<Opening> {
  for (;;) {
    const chunk = await nextChunk(reader, idleMs);
    if (chunk === 'broken' || chunk === 'idle') return { out: [], ended: true, broken: true };
    const out = chunk.done ? meter.end() : meter.push(chunk.value ?? new Uint8Array());
    const { error, done, fault } = meter.seen;
    if (chunk.done || out.length > 0 || error || done || fault)
      return { out, ended: chunk.done, broken: false };
  }
}

function openingFailure(
  upstream: Response,
  meter: StreamMeter,
  opening: Opening,
  ending: AbortController,
): Problem | undefined {
  const { seen } = meter;
  if (ending.signal.aborted) {
    return {
      status: 504,
      code: 'upstream_timeout',
      detail: 'The model did not begin to answer in time. Nothing was charged.',
    };
  }
  if (seen.error) {
    return {
      status: 502,
      code: 'upstream_failed',
      detail: `The model failed: ${seen.error.message.slice(0, 500)}. Nothing was charged. Try again.`,
    };
  }
  const isStream = upstream.headers.get('content-type')?.includes('text/event-stream') ?? false;
  const empty = opening.ended && opening.out.length === 0 && seen.done === undefined;
  if (opening.broken || seen.fault || empty || (!isStream && seen.garbled > 0)) {
    return {
      status: 502,
      code: 'upstream_failed',
      detail:
        'The model’s answer is not an event stream, or broke off before it began. Nothing was charged. Try again.',
    };
  }
  return undefined;
}

async function pump(
  call: Call,
  priced: ChatRequest,
  hold: OpenHold,
  meter: StreamMeter,
  reader: ReadableStreamDefaultReader<Uint8Array>,
  opening: readonly Uint8Array[],
  writer: WritableStreamDefaultWriter<Uint8Array>,
  ending: AbortController,
): Promise<void> {
  const client = clientOf(call, writer);
  // Once the client has gone there is nobody to wait for: only upstream's last word, and that not for long.
  void client.gone.then(() => setTimeout(() => ending.abort(), drainMs));

  for (const bytes of opening) await client.write(bytes);
  for (;;) {
    const chunk = await nextChunk(reader, idleMs);
    if (chunk === 'broken' || chunk === 'idle') break;
    const out = chunk.done ? meter.end() : meter.push(chunk.value ?? new Uint8Array());
    for (const bytes of out) await client.write(bytes);
    if (chunk.done || meter.seen.fault) break;
  }
  for (const bytes of meter.end()) await client.write(bytes);

  const { seen } = meter;
  const complete = seen.done !== undefined || (seen.finished && seen.usage !== undefined);
  // A stream that broke must not look like one that ended.
  const errorFrame = complete || seen.error ? undefined : meter.send(brokenFrame);
  let receipt: SignedReceipt | undefined;
  try {
    const hashes = meter.hashes();
    receipt = await hold.capture({
      usage: seen.usage ?? estimateUsage(seen.observed, priced),
      upstreamId: seen.upstreamId ?? '',
      responseHash: hashes.response,
      upstreamResponseHash: hashes.upstream,
    });
  } catch (error) {
    console.error(JSON.stringify({ event: 'capture_failed', requestId: call.id, error: String(error) }));
  }
  // The receipt comes first: clients stop reading at an error frame as they do at [DONE].
  await client.write(receipt ? receiptComment(receipt) : receiptMissingFrame);
  const last = errorFrame ?? seen.done;
  if (last) await client.write(last);
  await client.close();
  if (!complete) ending.abort();
}

/** One read, bounded: `idle` when upstream is silent too long, `broken` when the connection is. */
async function nextChunk(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  timeoutMs: number,
): Promise<Chunk | 'idle' | 'broken'> {
  let timer = 0;
  const silence = new Promise<'idle'>((resolve) => {
    timer = setTimeout(() => resolve('idle'), timeoutMs);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } catch {
    return 'broken';
  } finally {
    clearTimeout(timer);
  }
}

/** The client's end of the stream: a write waits until it is taken, and does nothing once the client has gone. */
function clientOf(call: Call, writer: WritableStreamDefaultWriter<Uint8Array>) {
  let isGone = false;
  const gone = new Promise<void>((resolve) => {
    const leave = () => {
      isGone = true;
      resolve();
    };
    call.request.signal.addEventListener('abort', leave);
    writer.closed.catch(leave);
  });
  return {
    gone,
    async write(bytes: Uint8Array): Promise<void> {
      if (isGone) return;
      await Promise.race([writer.write(bytes).catch(() => undefined), gone]);
    },
    async close(): Promise<void> {
      if (!isGone) await Promise.race([writer.close().catch(() => undefined), gone]);
    },
  };
}

const errorFrameOf = (code: string, message: string): Uint8Array =>
  encoder.encode(
    `data: ${JSON.stringify({ error: { message, type: 'server_error', param: null, code } })}\n\n`,
  );

const brokenFrame = errorFrameOf(
  'upstream_interrupted',
  'The model’s answer broke off. What was generated until then is charged; the receipt says estimated.',
);
const receiptMissingFrame = errorFrameOf(
  'receipt_delayed',
  'The receipt could not be made. Ask for it: GET /v1/receipts.',
);
