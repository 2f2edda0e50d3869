// The agent's own view of its account: GET /v1/account, /v1/receipts, /v1/receipts/:sequence, …/proof; PUT /v1/account/voucher.

import { receiptsPage } from '../durable-objects/account/receipts-page.ts';
import { receiptKeyAt } from '../durable-objects/config.ts';
import { accountName } from '../protocol/account-name.ts';
import { formatAgentId } from '../protocol/identity/agent-id.ts';
import { voucherFromJson } from '../protocol/money/voucher.ts';
import { type Receipt, receiptDigest, receiptToJson, signReceipt } from '../protocol/receipt.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import { accountOf, askAccount } from './account-call.ts';
import { refreshAgentFacts, shownFacts } from './agent-facts.ts';
import { type Authenticated, authenticate } from './authenticate.ts';
import { readBody } from './body.ts';
import type { Call } from './call.ts';
import { json } from './json-response.ts';
import { type Problem, problemResponse } from './problem.ts';

const voucherBytesMax = 4096;

export const account = (call: Call): Promise<Response> =>
  reading(call, async (caller) => {
    const stub = accountOf(call, caller);
    const standing = await askAccount(call, caller, (who, observation) => stub.standing(who, observation));
    if (!standing.ok) return standing;
    call.waitUntil(refreshAgentFacts(call, caller));
    const facts = await stub.facts();
    const { account, chain } = caller;
    return ok({
      agent: formatAgentId({
        chainId: account.chainId,
        registry: account.registry,
        agentId: account.agentId,
      }),
      vault: account.vault,
      asset: chain.asset,
      ...decimals(standing.value),
      agentFacts: shownFacts(facts),
    });
  });

export const receipts = (call: Call): Promise<Response> =>
  reading(call, async (caller) => {
    const from = sequenceOf(call.url.searchParams.get('from') ?? '1');
    if (!from.ok) return from;
    const stub = accountOf(call, caller);
    const page = await askAccount(call, caller, (who, observation) =>
      stub.receipts(who, from.value, observation),
    );
    if (!page.ok) return page;
    const last = page.value.at(-1);
    return ok({
      receipts: page.value.map((receipt) => shown(call, receipt)),
      next: page.value.length === receiptsPage && last ? `${last.sequence + 1n}` : null,
    });
  });

export const receipt = (call: Call, sequence: string): Promise<Response> =>
  reading(call, async (caller) => {
    const found = await receiptOf(call, caller, sequence);
    if (!found.ok) return found;
    const placement = await logOf(call).placement(accountName(caller.account), Number(found.value.sequence));
    return ok({ ...shown(call, found.value), log: placement ?? null });
  });

/** A C2SP tlog-proof: in the checkpoint of `?size=`, else in the newest anchored one, else in the newest. */
export async function receiptProof(call: Call, sequence: string): Promise<Response> {
  const caller = await authenticate(call, new Uint8Array(), 'reads');
  if (!caller.ok) return problemResponse(caller.error, call.id, true);
  const found = await receiptOf(call, caller.value, sequence);
  if (!found.ok) return problemResponse(found.error, call.id, true);
  const size = call.url.searchParams.get('size');
  const wanted = size === null ? ok(undefined) : sequenceOf(size);
  if (!wanted.ok) return problemResponse(wanted.error, call.id, true);
  const proof = await logOf(call).proof(
    accountName(caller.value.account),
    Number(found.value.sequence),
    wanted.value,
  );
  if (proof === undefined) {
    return problemResponse(
      {
        status: 404,
        code: 'not_sealed_yet',
        detail: `Receipt ${sequence} is not in ${size === null ? 'a sealed checkpoint yet' : `the checkpoint of size ${size}, or there is none`}. It will be in an anchored one before its mergeBy. Try again shortly.`,
        headers: { 'retry-after': '2' },
      },
      call.id,
      true,
    );
  }
  return new Response(proof, {
    headers: {
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-store',
      'x-request-id': call.id,
    },
  });
}

export async function putVoucher(call: Call): Promise<Response> {
  const body = await readBody(call.request, voucherBytesMax);
  if (!body.ok) return problemResponse(body.error, call.id, true);
  const caller = await authenticate(call, body.value, 'spends');
  if (!caller.ok) return problemResponse(caller.error, call.id, true);
  const voucher = voucherFromJson(parseJson(body.value));
  if (voucher === undefined) {
    return problemResponse(
      {
        status: 400,
        code: 'voucher_malformed',
        detail:
          'The body is not {"voucher":{registry, agentId, epoch, cumulative},"signature"}: docs/protocol.md, section 3.',
      },
      call.id,
      true,
    );
  }
  const stub = accountOf(call, caller.value);
  const standing = await askAccount(call, caller.value, (who, observation) =>
    stub.putVoucher(who, voucher, observation),
  );
  return standing.ok ? json(call, decimals(standing.value)) : problemResponse(standing.error, call.id, true);
}

/** A signed read: the body is empty, the answer is JSON or a problem. */
async function reading(
  call: Call,
  read: (caller: Authenticated) => Promise<Result<unknown, Problem>>,
): Promise<Response> {
  const caller = await authenticate(call, new Uint8Array(), 'reads');
  if (!caller.ok) return problemResponse(caller.error, call.id, true);
  const answer = await read(caller.value);
  return answer.ok ? json(call, answer.value) : problemResponse(answer.error, call.id, true);
}

async function receiptOf(call: Call, caller: Authenticated, text: string): Promise<Result<Receipt, Problem>> {
  const sequence = sequenceOf(text);
  if (!sequence.ok) return sequence;
  const stub = accountOf(call, caller);
  const page = await askAccount(call, caller, (who, observation) =>
    stub.receipts(who, sequence.value, observation),
  );
  if (!page.ok) return page;
  const found = page.value[0];
  if (found?.sequence === BigInt(sequence.value)) return ok(found);
  return refuse({
    status: 404,
    code: 'receipt_not_found',
    detail: `This agent has no receipt ${text}. GET /v1/receipts lists those it has.`,
  });
}

function sequenceOf(text: string): Result<number, Problem> {
  const sequence = /^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined;
  return sequence === undefined
    ? refuse({
        status: 400,
        code: 'invalid_value',
        detail: `${JSON.stringify(text.slice(0, 40))} is not a receipt's sequence number: 1, 2, 3, …`,
      })
    : ok(sequence);
}

const shown = (call: Call, unsigned: Receipt) => ({
  id: `${unsigned.sequence}`,
  digest: receiptDigest(unsigned),
  ...receiptToJson(signReceipt(unsigned, receiptKeyAt(call.env, unsigned.time))),
});

const decimals = (figures: object) =>
  Object.fromEntries(
    Object.entries(figures).map(([name, value]) => [name, typeof value === 'bigint' ? `${value}` : value]),
  );

const logOf = (call: Call) => call.env.RECEIPT_LOG.getByName(call.config.log.logId);

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
