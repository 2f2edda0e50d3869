// What bench/account.ts runs in workerd: an agent's account, and callers that reserve and capture as the Worker does. Plain
// JavaScript, because it stands between two type environments: the benches' (Node) and the objects' (workerd).
import { AgentAccount } from '../durable-objects/account/agent-account.ts';
import { addressOfKey, signDigest } from '../protocol/ecdsa.ts';
import { zeroHash } from '../protocol/hex.ts';
import { voucherDigest } from '../protocol/money/voucher.ts';

const key = `0x${'11'.repeat(32)}`;
const owner = addressOfKey(key);

export class BenchAccount extends AgentAccount {
  constructor(ctx, env) {
    // A log that takes everything, and nobody who watches the chain.
    const append = async ({ firstSequence, digests }) => firstSequence + digests.length - 1;
    const RECEIPT_LOG = { getByName: () => ({ append }) };
    const CHAIN = { getByName: () => ({ watch: async () => undefined }) };
    super(ctx, Object.assign(Object.create(env), { RECEIPT_LOG, CHAIN }));
  }

  /** Nothing: what a round trip to the object costs by itself. */
  nothing() {
    return 0;
  }
}

const observed = (nowMs) => ({
  blockNumber: BigInt(Math.floor(nowMs / 1000)),
  blockHash: zeroHash,
  blockTime: Math.floor(nowMs / 1000),
  readAtMs: nowMs,
  owner,
  wallet: owner,
  ownerHasCode: false,
  walletHasCode: false,
  spender: owner,
  epoch: 0n,
  deposited: 10n ** 20n,
  arriving: 0n,
  claimed: 0n,
  withdrawn: 0n,
  withdrawing: 0n,
  epochEndsAt: 0n,
  authorized: 0n,
});

/** One call, its hold and its capture: two rounds to the object, each durable before it is answered. */
async function call(account, name) {
  const nowMs = Date.now();
  const requestId = crypto.randomUUID();
  const caller = {
    signer: owner,
    verifiedBy: 'ecdsa',
    nonce: { value: requestId, until: Math.floor(nowMs / 1000) + 90 },
  };
  const ask = { requestId, ceiling: 1_000n, deadlineMs: nowMs + 600_000, priceTable: zeroHash };
  let held = await account.reserve(caller, ask);
  if (!held.ok) {
    const [, chainId, vault, , registry, agentId] = /^eip155:(\d+):(0x\w+):((0x\w+)):(\d+)$/.exec(name) ?? [];
    const domain = { chainId: Number(chainId), vault };
    const voucher = { registry, agentId: BigInt(agentId), epoch: 0n, cumulative: 10n ** 20n };
    const signed = { voucher, signature: signDigest(voucherDigest(domain, voucher), key) };
    held = await account.reserve(caller, { ...ask, voucher: signed }, observed(nowMs));
    if (!held.ok) throw new Error(held.error.reason ?? String(held.error));
  }
  const captured = await account.capture(held.value.holdId, {
    requestId,
    cost: 500n,
    usage: { input: 100n, cachedInput: 0n, cacheCreation: 0n, output: 200n, thinking: 0n, estimated: false },
    authorizationKind: 1,
    authorization: zeroHash,
    requestHash: zeroHash,
    forwardedHash: zeroHash,
    responseHash: zeroHash,
    upstreamResponseHash: zeroHash,
    upstream: 'dashscope-intl',
    model: 'qwen-plus',
    upstreamId: `chatcmpl-${requestId}`,
    assurance: 0,
    evidence: zeroHash,
  });
  if (!captured.ok) throw new Error(captured.error);
}

export default {
  /** `?agents=1&parallel=16&ms=2000&what=call`: how many were done in that time. */
  async fetch(request, env) {
    const { searchParams } = new URL(request.url);
    const number = (name) => Number(searchParams.get(name));
    const endMs = Date.now() + number('ms');
    let done = 0;
    await Promise.all(
      Array.from({ length: number('parallel') }, async (_, caller) => {
        const name = `eip155:31337:0x${'aa'.repeat(20)}:0x${'bb'.repeat(20)}:${caller % number('agents')}`;
        const account = env.ACCOUNT.getByName(name);
        while (Date.now() < endMs) {
          if (searchParams.get('what') === 'call') await call(account, name);
          else await account.nothing();
          done += 1;
        }
      }),
    );
    return Response.json({ done });
  },
};
