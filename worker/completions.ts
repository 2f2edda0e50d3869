// POST /v1/chat/completions, /v1/embeddings, /v1/responses: the story of a request, in order.
import type { Hex } from 'viem';
import { sha256Hex } from '../compiled/platform-hashes.ts';
import type { SignedVoucher } from '../protocol/money/voucher.ts';
import { parsePaymentSignature, paymentSignatureHeader } from '../protocol/money/x402.ts';
import type { PriceTable } from '../protocol/price-table.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import { usedWhenAbandoned } from './abandoned.ts';
import { type Authenticated, authenticate } from './authenticate.ts';
import { busy, readBody } from './body.ts';
import type { Call } from './call.ts';
import { pricesOf } from './chain-prices.ts';
import { readChatRequest } from './chat-request.ts';
import { deliverStream } from './deliver-stream.ts';
import { deliverWhole } from './deliver-whole.ts';
import { readEmbeddingsRequest } from './embeddings-request.ts';
import { type OpenHold, reserve, type Unreserved } from './hold.ts';
import { answerAgain } from './idempotency.ts';
import { type Allotment, allot } from './in-flight.ts';
import type { PricedRequest } from './priced-request.ts';
import { type Problem, problemResponse } from './problem.ts';
import { defaultRequestLimits } from './request-limits.ts';
import type { RequestRefusal } from './request-refusal.ts';
import { readResponsesRequest } from './responses-request.ts';
import type { OpenStream, WholeAnswer } from './upstreams/attempt.ts';
import { openUpstream } from './upstreams/open.ts';

/** Reads and prices a body: what may be asked at one endpoint. */
type ReadRequest = (body: Uint8Array, table: PriceTable) => Result<PricedRequest, RequestRefusal>;

export const completions = (call: Call): Promise<Response> => outliving(call, serve(call, readChatRequest));
export const embeddings = (call: Call): Promise<Response> =>
  outliving(call, serve(call, readEmbeddingsRequest));
export const responses = (call: Call): Promise<Response> =>
  outliving(call, serve(call, readResponsesRequest));

/** Work that goes on when the client has left: a hold that was made is captured or released. */
export function outliving(call: Call, work: Promise<Response>): Promise<Response> {
  call.waitUntil(work.catch(() => undefined));
  return work;
}

async function serve(call: Call, read: ReadRequest): Promise<Response> {
  const refused = (problem: Problem) => problemResponse(problem, call.id, true);

  const room = allot(0);
  if (!room) return refused(busy);
  let kept = false;
  try {
    const body = await readBody(call.request, defaultRequestLimits.maxBodyBytes, { room });
    if (!body.ok) return refused(body.error);

    const caller = await authenticate(call, body.value, 'spends'); //  1 identity
    if (!caller.ok) return refused(caller.error);

    const priced = read(body.value, pricesOf(caller.value.chain).table); //       2 pricing
    if (!priced.ok) return refused({ ...priced.error, detail: priced.error.message });

    const delivered = await fulfil(call, caller.value, priced.value, await sha256Hex(body.value), room);
    if (!delivered.ok) return refused(delivered.error);
    kept = delivered.value.keepsRoom;
    return delivered.value.response;
  } finally {
    if (!kept) room.release();
  }
}

/** From a priced request to its answer and receipt. `keepsRoom`: the stream gives its room back itself. */
async function fulfil(
  call: Call,
  caller: Authenticated,
  priced: PricedRequest,
  requestHash: Hex,
  room: Allotment,
): Promise<Result<{ readonly response: Response; readonly keepsRoom: boolean }, Problem>> {
  const begun = await begin(call, caller, priced, requestHash, room);
  if (!begun.ok) {
    const { kept } = begun.error;
    return kept ? ok({ response: answerAgain(call, kept), keepsRoom: false }) : begun;
  }
  const { hold, answer } = begun.value;
  // 5 meter, 6 capture, 7 deliver
  const keepsRoom = answer.kind === 'stream';
  const response =
    answer.kind === 'stream'
      ? deliverStream(call, priced, hold, answer, room)
      : await deliverWhole(call, priced, hold, answer);
  for (const [name, value] of Object.entries(hold.headers())) response.headers.set(name, value);
  return ok({ response, keepsRoom });
}

/** A hold, and the answer it is for: whoever has them has to capture. */
export type Begun = { readonly hold: OpenHold; readonly answer: OpenStream | WholeAnswer };

/** Sets the ceiling aside and asks upstream. A refusal leaves nothing held. */
export async function begin(
  call: Call,
  caller: Authenticated,
  priced: PricedRequest,
  requestHash: Hex,
  room: Allotment,
): Promise<Result<Begun, Unreserved>> {
  const voucher = voucherOf(call, caller.account.chainId);
  if (!voucher.ok) return voucher;
  const hold = await reserve(call, caller, priced, pricesOf(caller.chain).hash, requestHash, voucher.value); // 3 reserve
  if (!hold.ok) return hold;
  if (call.request.signal.aborted) {
    // Nothing has been sent for a client that has already gone.
    await hold.value.release();
    return refuse(clientLeft);
  }
  const opened = await openUpstream(call, priced, room, hold.value.endUpstreamMs).catch(
    async (error: unknown) => {
      await hold.value.release();
      throw error;
    },
  ); //                                                                                        4 forward
  if (!opened.ok) {
    await hold.value.release();
    return opened;
  }
  const answer = opened.value;
  if (answer.kind !== 'abandoned') return ok({ hold: hold.value, answer });
  await hold.value.capture(usedWhenAbandoned(priced, answer));
  return refuse(clientLeft);
}

/** A voucher that came along. One that cannot be read is refused rather than ignored: the agent meant to pay with it. */
function voucherOf(call: Call, chainId: number): Result<SignedVoucher | undefined, Problem> {
  const header = call.request.headers.get(paymentSignatureHeader);
  if (header === null) return ok(undefined);
  const voucher = parsePaymentSignature(header, chainId);
  if (voucher !== undefined) return ok(voucher);
  return refuse({
    status: 400,
    code: 'payment_malformed',
    detail: `PAYMENT-SIGNATURE is not an x402 v2 payment of scheme agent-vault on eip155:${chainId}. See docs/protocol.md, section 3.`,
  });
}

/** Nobody reads this; logs do. */
const clientLeft: Problem = { status: 499, code: 'client_left', detail: 'The client closed the connection.' };
