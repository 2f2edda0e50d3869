// What bench/log.ts runs in workerd: the receipt log itself, and somebody who sends it receipts as accounts do. Plain
// JavaScript, because it stands between two type environments: the benches' (Node) and the objects' (workerd).
import { ReceiptLog } from '../durable-objects/log/receipt-log.ts';
import { zeroHash } from '../protocol/hex.ts';

const lastReceipt = {
  logId: zeroHash,
  chainId: 31_337n,
  vault: `0x${'aa'.repeat(20)}`,
  registry: `0x${'bb'.repeat(20)}`,
  agentId: 0n,
  epoch: 0n,
  sequence: 1n,
  previous: zeroHash,
  authorizationKind: 1,
  authorization: zeroHash,
  requestHash: zeroHash,
  forwardedHash: zeroHash,
  responseHash: zeroHash,
  upstreamResponseHash: zeroHash,
  upstream: 'dashscope-intl',
  model: 'qwen-plus',
  upstreamId: 'chatcmpl-0123456789abcdef0123456789abcdef',
  usage: {
    input: 1200n,
    cachedInput: 0n,
    cacheCreation: 0n,
    output: 800n,
    thinking: 0n,
    estimated: false,
  },
  priceTable: zeroHash,
  amount: 1_000_000n,
  cumulative: 1_000_000_000n,
  time: 1_800_000_000n,
  mergeBy: 1_800_003_600n,
  assurance: 0,
  evidence: zeroHash,
};

export class BenchLog extends ReceiptLog {
  constructor(ctx, env) {
    // Nobody publishes here.
    const PUBLISHER = { getByName: () => ({ wake: async () => undefined }) };
    super(ctx, Object.assign(Object.create(env), { PUBLISHER }));
  }

  /** Takes receipts as one account after the other would send them, `each` at a time. */
  fill(accounts, each, from, first = 0) {
    for (let account = first; account < first + accounts; account++) {
      const last = this.append(batchOf(account, each, from));
      if (last !== from + each - 1)
        throw new Error(`account ${account} has ${last} after ${each} from ${from}`);
    }
    return this.status().appended;
  }

  /** Seals all that waits, now. */
  sealAll() {
    while (this.status().waitingSinceMs !== undefined) this.alarm();
    return this.status().sealed;
  }

  databaseBytes() {
    return this.ctx.storage.sql.databaseSize;
  }
}

function batchOf(account, each, from) {
  const bytes = crypto.getRandomValues(new Uint8Array(each * 32));
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return {
    account: `eip155:31337:0x${'aa'.repeat(20)}:0x${'bb'.repeat(20)}:${account}`,
    firstSequence: from,
    digests: Array.from({ length: each }, (_, at) => `0x${hex.slice(at * 64, (at + 1) * 64)}`),
    lastReceipt,
    mergeBy: 1_800_003_600,
  };
}

export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    const number = (name) => Number(searchParams.get(name));
    const log = env.LOG.getByName(searchParams.get('log') ?? '');
    switch (pathname) {
      case '/fill':
        return Response.json(await log.fill(number('accounts'), number('each'), number('from')));
      case '/seal':
        return Response.json(await log.sealAll());
      case '/status':
        return Response.json({ ...(await log.status()), bytes: await log.databaseBytes() });
      case '/send': {
        // Each account sends its batches one after the other, as an outbox does; the accounts do so at once.
        const [accounts, each, batches] = [number('accounts'), number('each'), number('batches')];
        const from = number('from') || 1;
        await Promise.all(
          Array.from({ length: accounts }, async (_, account) => {
            for (let batch = 0; batch < batches; batch++) {
              await log.append(batchOf(account, each, from + batch * each));
            }
          }),
        );
        return Response.json(await log.status());
      }
      case '/prove': {
        // Spread over the whole log, one call each, as readers ask.
        const count = number('count');
        for (let at = 0; at < count; at++) {
          const { account } = batchOf(at % number('accounts'), 0, 1);
          if (!(await log.proof(account, 1 + at * 7))) throw new Error(`no proof for ${account}`);
        }
        return Response.json({ made: count });
      }
      case '/together':
        return Response.json({
          last: (
            await log.appendAll(
              Array.from({ length: number('accounts') }, (_, at) => batchOf(number('first') + at, 1, 1)),
            )
          ).length,
        });
      default:
        return new Response(null, { status: 404 });
    }
  },
};
