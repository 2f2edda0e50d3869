import type { SignedReceipt } from '../protocol/receipt.ts';
import type { Call } from './call.ts';
import type { Ending } from './ending.ts';
import { evidenceComment, evidenceOf } from './evidence.ts';
import type { OpenHold } from './hold.ts';
import type { Allotment } from './in-flight.ts';
import type { PricedRequest } from './priced-request.ts';
import { receiptComment } from './receipt-header.ts';
import { nextChunk, type OpenStream } from './upstreams/attempt.ts';
import { withoutSecrets } from './upstreams/configured.ts';
import { estimateUsage } from './usage.ts';

/** When upstream is through and the client takes nothing, this long is waited for it to take the receipt. */
const lastWordsMs = 5_000;

/**
 * After so many bytes the timers get their turn, and so do other calls: reads that never have to wait (upstream is fast, the client has
 * left) would otherwise follow each other without end, past every timeout.
 */
const turnBytes = 256 * 1024;

const encoder = new TextEncoder();

/**
 * Streams an answer: content as it comes, then, when upstream has ended, the capture, the receipt's comment, and the event that
 * stock clients stop reading at.
 */
export function deliverStream(
  call: Call,
  priced: PricedRequest,
  hold: OpenHold,
  open: OpenStream,
  room: Allotment,
): Response {
  // An IdentityTransformStream: of the stream shapes tried in workerd, one whose writer learns that the client has gone
  // and can go on reading upstream.
  const { readable, writable } = new IdentityTransformStream();
  call.waitUntil(
    pump(call, priced, hold, open, room, writable.getWriter())
      .catch((error: unknown) => {
        console.error(JSON.stringify({ event: 'stream_failed', requestId: call.id, error: String(error) }));
      })
      .finally(room.release),
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

async function pump(
  call: Call,
  priced: PricedRequest,
  hold: OpenHold,
  open: OpenStream,
  room: Allotment,
  writer: WritableStreamDefaultWriter<Uint8Array>,
): Promise<void> {
  const { meter, reader, ending, upstream } = open;
  const { seen } = meter;
  const client = clientOf(call, writer, ending);

  let turn = 0;
  for (const bytes of open.opening) await client.write(bytes);
  while (ending.reason() === undefined && !seen.fault && !seen.error) {
    const chunk = await nextChunk(reader, upstream.timeouts.idleMs);
    if (chunk === 'broken' || chunk === 'idle') break;
    if (chunk.done) ending.finished();
    const out = chunk.done ? meter.end() : meter.push(chunk.value ?? new Uint8Array());
    for (const bytes of out) await client.write(bytes);
    if (chunk.done || !room.frame(meter.carried())) break;
    turn += chunk.value?.length ?? 0;
    if (turn < turnBytes) continue;
    turn = 0;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  for (const bytes of meter.end()) await client.write(bytes);
  ending.done();
  void reader.cancel().catch(() => undefined);

  const complete = !seen.error && (seen.done !== undefined || (seen.finished && seen.usage !== undefined));
  // A stream that broke must not look like one that ended.
  const last = complete ? seen.done : meter.send(errorFrame(call, seen.error));
  let evidence: Awaited<ReturnType<typeof evidenceOf>>;
  let receipt: SignedReceipt | undefined;
  try {
    const hashes = meter.hashes();
    if (complete) evidence = await evidenceOf(call, open, priced.model, seen.upstreamId, hashes.upstream);
    receipt = await hold.capture({
      usage: seen.usage ?? estimateUsage(seen.observed, priced),
      upstream: upstream.name,
      upstreamId: seen.upstreamId ?? '',
      forwardedHash: open.forwardedHash,
      responseHash: hashes.response,
      upstreamResponseHash: hashes.upstream,
      ...(evidence === undefined ? {} : { evidence: evidence.hash }),
    });
  } catch (error) {
    console.error(JSON.stringify({ event: 'capture_failed', requestId: call.id, error: String(error) }));
  }
  // The receipt comes first: clients stop reading at an error as they do at [DONE].
  if (evidence) await client.write(evidenceComment(evidence));
  await client.write(receipt ? receiptComment(receipt) : receiptMissing);
  if (last) await client.write(last);
  await client.close();
}

/**
 * The client's end of the stream. A write waits until it is taken: that is the backpressure. It does nothing once the client has
 * gone, and waits no longer for one that takes nothing once the attempt has ended.
 */
function clientOf(call: Call, writer: WritableStreamDefaultWriter<Uint8Array>, ending: Ending) {
  let isGone = false;
  /** Ends the wait for the step under way. Not a race: promises that last as long as the call would keep something of each write. */
  let stopWaiting: (() => void) | undefined;
  let patience: ReturnType<typeof setTimeout> | undefined;
  const leave = () => {
    isGone = true;
    stopWaiting?.();
  };
  const hurry = () => {
    patience ??= setTimeout(leave, lastWordsMs);
  };
  call.request.signal.addEventListener('abort', leave);
  writer.closed.catch(leave);
  if (call.request.signal.aborted) leave();
  void ending.came.then(() => {
    if (stopWaiting) hurry();
  });

  async function taken(step: Promise<unknown>): Promise<void> {
    // The attempt has ended: what is left are last words.
    if (ending.reason() !== undefined) hurry();
    await new Promise<void>((resolve) => {
      stopWaiting = resolve;
      step.then(
        () => resolve(),
        () => resolve(),
      );
    });
    stopWaiting = undefined;
  }
  return {
    async write(bytes: Uint8Array): Promise<void> {
      if (!isGone) await taken(writer.write(bytes));
    },
    async close(): Promise<void> {
      if (!isGone) await taken(writer.close());
      else await writer.abort().catch(() => undefined);
      if (patience !== undefined) clearTimeout(patience);
    },
  };
}

/** A mid-stream error as OpenAI's clients read it, whatever the upstream's spelling. */
function errorFrame(call: Call, error: OpenStream['meter']['seen']['error']): Uint8Array {
  const message = error
    ? `The model failed: ${withoutSecrets(call.env, error.message).slice(0, 500)} What was generated until then is charged; the receipt says how much.`
    : 'The model’s answer broke off. What was generated until then is charged; the receipt says estimated.';
  const code = error ? 'upstream_failed' : 'upstream_interrupted';
  return frameOf(code, message);
}

const frameOf = (code: string, message: string): Uint8Array =>
  encoder.encode(
    `data: ${JSON.stringify({ error: { message, type: 'server_error', param: null, code } })}\n\n`,
  );

const receiptMissing = frameOf(
  'receipt_delayed',
  'The receipt could not be made. Ask for it: GET /v1/receipts.',
);
