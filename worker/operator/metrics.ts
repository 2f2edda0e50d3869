// GET /metrics: Prometheus text. Gauges are read from the objects' own rows and from the chain when they are asked for; counters
// are what isolates have handed to Counters. docs/runbook.md says what to do about each that has an alert.
import type { Address } from 'viem';
import { chainName } from '../../durable-objects/chain/chain-name.ts';
import { nodesOf } from '../../durable-objects/chain/node.ts';
import { type ChainConfig, configOf, keyOf } from '../../durable-objects/config.ts';
import { type Count, countersName } from '../../durable-objects/counters/count.ts';
import type { Env } from '../../durable-objects/env.ts';
import { addressOfKey } from '../../protocol/ecdsa.ts';
import { handOver, type Labels, seriesOf } from '../counting.ts';
import { usdUnits } from '../upstreams/upstream-cost.ts';

/** Gas of one publication: an anchor on a large log and a submission of some segments (docs/log.md). */
export const publicationGas = 400_000n;

/** Every metric there is: its type, and what it means. */
export const metrics = {
  tallystick_requests_total: ['counter', 'Responses by route and status'],
  tallystick_refusals_total: ['counter', 'Refusals by reason, the code of the problem'],
  tallystick_captures_total: ['counter', 'Calls that were charged'],
  tallystick_tokens_total: [
    'counter',
    'Tokens of charged calls; cachedInput is part of input, thinking of output',
  ],
  tallystick_revenue_base_units_total: ['counter', 'Charged, in base units of the chain’s asset'],
  tallystick_revenue_usd_total: ['counter', 'Charged, in USD at the configured rate'],
  tallystick_upstream_cost_usd_total: [
    'counter',
    'What upstreams charge for charged calls, where UPSTREAMS[].costs says',
  ],
  tallystick_margin_usd: ['gauge', 'Revenue less upstream cost of the calls whose cost is known'],
  tallystick_uncollected_base_units_total: [
    'counter',
    'Used but not charged: beyond the hold, late, or not captured',
  ],
  tallystick_upstream_attempts_total: ['counter', 'Attempts by upstream and outcome'],
  tallystick_upstream_left_alone_total: ['counter', 'Times an isolate’s breaker opened'],
  tallystick_up: ['gauge', '1 where the object or node answered, by part'],
  tallystick_log_entries: ['gauge', 'Receipts appended, sealed, and under an anchored head'],
  tallystick_log_waiting_seconds: ['gauge', 'Age of the oldest entry that waits for a seal'],
  tallystick_log_unanchored_seconds: ['gauge', 'Age of the oldest sealed commit under no anchored head'],
  tallystick_log_merge_overdue_seconds: [
    'gauge',
    'How long the earliest mergeBy of an unanchored receipt has passed',
  ],
  tallystick_seal_to_anchor_seconds: ['gauge', 'From seal to anchor, of the newest anchored commit'],
  tallystick_outbox_seconds: [
    'gauge',
    'Longest time a receipt that reached the log in the last ten minutes was in its outbox',
  ],
  tallystick_unsent_accounts: [
    'gauge',
    'Accounts found with a receipt in their outbox for more than a minute',
  ],
  tallystick_unsent_seconds: ['gauge', 'Age of the oldest receipt found in such an outbox'],
  tallystick_publisher_files: ['gauge', 'Files gathered, available on the DA layer, anchored'],
  tallystick_publisher_failures: ['gauge', 'Rounds of the publisher that failed, in a row'],
  tallystick_chain_transactions: ['gauge', 'Transactions queued, and sent but not mined'],
  tallystick_chain_failing_steps: ['gauge', 'Steps of the chain’s object that failed when last taken'],
  tallystick_exposure_base_units: ['gauge', 'Earned by published receipts and not yet paid by the vault'],
  tallystick_exposure_seconds: ['gauge', 'Age of the oldest claim that waits'],
  tallystick_challenges: ['gauge', 'Challenges to the log’s bond that are not answered yet'],
  tallystick_watched_accounts: ['gauge', 'Accounts that have earned something'],
  tallystick_rpc_head_age_seconds: ['gauge', 'Age of the newest block the node has'],
  tallystick_operator_balance_base_units: ['gauge', 'The transaction key’s balance'],
  tallystick_operator_publications_left: [
    'gauge',
    'Publications the balance pays for at the present gas price',
  ],
} as const satisfies Record<string, readonly ['counter' | 'gauge', string]>;

type Name = keyof typeof metrics;
type Sample = readonly [series: string, value: string];

/** Counted in 10^-12. */
const inUsdUnits: ReadonlySet<string> = new Set<Name>([
  'tallystick_revenue_usd_total',
  'tallystick_upstream_cost_usd_total',
  'tallystick_margin_usd',
]);

export async function metricsText(env: Env, nowMs: number): Promise<string> {
  const samples: Sample[] = [];
  const say = (name: Name, labels: Labels, value: number | bigint): void => {
    samples.push([seriesOf(name, labels), `${value}`]);
  };
  const ask = async (part: string, work: () => Promise<void>): Promise<void> => {
    const up = await work().then(
      () => 1,
      (error: unknown) => {
        console.warn(JSON.stringify({ event: 'metrics_incomplete', part, error: String(error) }));
        return 0;
      },
    );
    say('tallystick_up', { part }, up);
  };
  const config = configOf(env);
  const { logId } = config.log;
  const age = (sinceMs: number | undefined): number =>
    sinceMs === undefined ? 0 : Math.max(0, nowMs - sinceMs) / 1000;

  await handOver(env);
  const operator = addressOfKey(keyOf(env, 'OPERATOR_KEY'));
  await Promise.all([
    ask('log', async () => {
      const status = await env.RECEIPT_LOG.getByName(logId).status();
      say('tallystick_log_entries', { state: 'appended' }, status.appended);
      say('tallystick_log_entries', { state: 'sealed' }, status.sealed);
      say('tallystick_log_entries', { state: 'anchored' }, status.anchored);
      say('tallystick_log_waiting_seconds', {}, age(status.waitingSinceMs));
      say('tallystick_log_unanchored_seconds', {}, age(status.unanchoredSinceMs));
      const overdue = status.mergeBy === undefined ? 0 : Math.max(0, nowMs / 1000 - status.mergeBy);
      say('tallystick_log_merge_overdue_seconds', {}, overdue);
      if (status.sealToAnchorMs !== undefined)
        say('tallystick_seal_to_anchor_seconds', {}, status.sealToAnchorMs / 1000);
      say('tallystick_outbox_seconds', {}, status.outboxMs / 1000);
    }),
    ask('publisher', async () => {
      const { files, available, anchored, failures } = await env.PUBLISHER.getByName(logId).status();
      say('tallystick_publisher_files', { state: 'gathered' }, files);
      say('tallystick_publisher_files', { state: 'available' }, available);
      say('tallystick_publisher_files', { state: 'anchored' }, anchored);
      say('tallystick_publisher_failures', {}, failures);
    }),
    ask('counters', async () => {
      const counted: readonly Count[] = await env.COUNTERS.getByName(countersName).read();
      for (const { series, by } of counted) {
        const name = series.split('{')[0] ?? '';
        samples.push([series, inUsdUnits.has(name) ? decimal(by) : `${by}`]);
      }
    }),
    ...config.chains.flatMap((chain) => {
      const { chainId } = chain;
      const labels = { chain: `${chainId}` };
      return [
        ask(`chain ${chainId}`, async () => {
          const status = await env.CHAIN.getByName(chainName(chainId)).status();
          say('tallystick_chain_transactions', { ...labels, state: 'queued' }, status.queued);
          say('tallystick_chain_transactions', { ...labels, state: 'sent' }, status.sent);
          say('tallystick_chain_failing_steps', labels, status.failing.length);
          say('tallystick_exposure_base_units', labels, status.due);
          say('tallystick_exposure_seconds', labels, age(status.dueSinceMs));
          say('tallystick_watched_accounts', labels, status.watched);
          say('tallystick_challenges', labels, status.challenges);
          say('tallystick_unsent_accounts', labels, status.unsent);
          say('tallystick_unsent_seconds', labels, age(status.unsentSinceMs));
        }),
        ...nodesSaid(chain, operator, nowMs).map(({ part, read }) =>
          ask(part, async () => {
            for (const [name, value] of await read()) say(name, { ...labels, node: part.slice(4) }, value);
          }),
        ),
      ];
    }),
  ]);
  return format(samples);
}

/** What each of a chain's nodes says, by its host: the rest of its URL may be a key. */
function nodesSaid(chain: ChainConfig, operator: Address, nowMs: number) {
  return nodesOf(chain).map((node, at) => ({
    part: `rpc ${URL.parse(chain.rpcUrls[at] ?? '')?.host ?? at}`,
    read: async (): Promise<[Name, number | bigint][]> => {
      const [block, balance, gasPrice] = await Promise.all([
        node.getBlock({ blockTag: 'latest' }),
        node.getBalance({ address: operator }),
        node.getGasPrice(),
      ]);
      const perPublication = gasPrice * publicationGas;
      return [
        ['tallystick_rpc_head_age_seconds', Math.max(0, nowMs / 1000 - Number(block.timestamp))],
        ['tallystick_operator_balance_base_units', balance],
        ['tallystick_operator_publications_left', perPublication === 0n ? balance : balance / perPublication],
      ];
    },
  }));
}

function format(samples: readonly Sample[]): string {
  const lines: string[] = [];
  for (const [name, [type, help]] of Object.entries(metrics)) {
    const own = samples.filter(([series]) => series === name || series.startsWith(`${name}{`));
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    lines.push(...own.map(([series, value]) => `${series} ${value}`));
  }
  return `${lines.join('\n')}\n`;
}

function decimal(picoUsd: bigint): string {
  const sign = picoUsd < 0n ? '-' : '';
  const size = picoUsd < 0n ? -picoUsd : picoUsd;
  return `${sign}${size / usdUnits}.${`${size % usdUnits}`.padStart(12, '0')}`;
}
