// GET /operator/summary: what the console's operator page shows. Read from the objects when it is asked for: nothing of it is
// on a request's path. What each metric is over time is /metrics' business.
import { chainName } from '../../durable-objects/chain/chain-name.ts';
import { nodeOf, reasonOf } from '../../durable-objects/chain/node.ts';
import { type ChainConfig, configOf, keyOf } from '../../durable-objects/config.ts';
import { type Count, countersName } from '../../durable-objects/counters/count.ts';
import type { Env } from '../../durable-objects/env.ts';
import { parseAccountName } from '../../protocol/account-name.ts';
import { addressOfKey } from '../../protocol/ecdsa.ts';
import { formatAgentId } from '../../protocol/identity/agent-id.ts';
import { handOver } from '../counting.ts';
import { seenHealth } from '../upstreams/breaker.ts';
import { upstreamsOf } from '../upstreams/configured.ts';

/** Accounts of a chain that are looked into: those that owe most. */
const accountsShown = 20;

/** JSON: amounts are base units as decimal strings. */
export async function operatorSummary(env: Env, nowMs: number): Promise<object> {
  const config = configOf(env);
  await handOver(env);
  const [log, counts, chains] = await Promise.all([
    env.RECEIPT_LOG.getByName(config.log.logId).status(),
    env.COUNTERS.getByName(countersName).read(),
    Promise.all(config.chains.map((chain) => chainSummary(env, chain))),
  ]);
  const counted = new Counted(counts);
  return {
    at: Math.floor(nowMs / 1000),
    log,
    chains: chains.map((chain) => ({ ...chain, revenue: revenueOn(counted, chain.chainId) })),
    usage: counted.values('tallystick_captures_total', 'model').map((model) => ({
      model,
      calls: `${counted.sum('tallystick_captures_total', { model })}`,
      input: `${counted.sum('tallystick_tokens_total', { model, kind: 'input' })}`,
      output: `${counted.sum('tallystick_tokens_total', { model, kind: 'output' })}`,
    })),
    upstreams: upstreamsOf(env).map((upstream) => ({
      name: upstream.name,
      dialect: upstream.dialect.name,
      models: upstream.models === undefined ? null : [...upstream.models.keys()],
      attempts: counted.values('tallystick_upstream_attempts_total', 'outcome').map((outcome) => ({
        outcome,
        times: `${counted.sum('tallystick_upstream_attempts_total', { upstream: upstream.name, outcome })}`,
      })),
      ...seenHealth(upstream, nowMs),
    })),
  };
}

async function chainSummary(env: Env, chain: ChainConfig) {
  const operator = addressOfKey(keyOf(env, 'OPERATOR_KEY'));
  const stub = env.CHAIN.getByName(chainName(chain.chainId));
  const [status, dues, gas] = await Promise.all([
    stub.status(),
    stub.dues(accountsShown),
    nodeOf(chain)
      .getBalance({ address: operator })
      .then(
        (balance) => ({ balance: `${balance}` }),
        (error: unknown) => ({ balance: null, error: reasonOf(error) }),
      ),
  ]);
  const paid = new Map(dues.top.map(({ account, claimed }) => [account, claimed]));
  const names = [...new Set([...paid.keys(), ...dues.watched])].slice(0, accountsShown);
  const exposure = await Promise.all(names.map(async (name) => exposureOf(env, name, paid.get(name) ?? 0n)));
  exposure.sort((a, b) => (a.unclaimed === b.unclaimed ? 0 : a.unclaimed > b.unclaimed ? -1 : 1));
  return {
    chainId: chain.chainId,
    asset: chain.asset,
    vault: chain.vault,
    operator,
    gas,
    transactions: { queued: status.queued, sent: status.sent, failing: status.failing },
    accounts: status.watched,
    accountsShown: names.length,
    claimed: `${dues.claimed}`,
    due: `${status.due}`,
    exposure: exposure.map(({ unclaimed, claimed, captured, held, ...rest }) => ({
      ...rest,
      unclaimed: `${unclaimed}`,
      claimed: `${claimed}`,
      captured: `${captured}`,
      held: `${held}`,
    })),
  };
}

async function exposureOf(env: Env, name: string, claimed: bigint) {
  const { cumulative, held, holds, sequence, unsent } = await env.AGENT_ACCOUNT.getByName(name).summary();
  const account = parseAccountName(name);
  return {
    agent: account === undefined ? name : formatAgentId(account),
    calls: `${sequence}`,
    holds,
    unsent,
    held,
    captured: cumulative,
    claimed,
    unclaimed: cumulative > claimed ? cumulative - claimed : 0n,
  };
}

/** What each model earned on a chain, the most first. */
function revenueOn(counted: Counted, chainId: number) {
  const name = 'tallystick_revenue_base_units_total';
  return counted
    .values(name, 'model')
    .map((model) => ({ model, amount: counted.sum(name, { chain: `${chainId}`, model }) }))
    .filter(({ amount }) => amount > 0n)
    .sort((a, b) => (a.amount > b.amount ? -1 : 1))
    .map(({ model, amount }) => ({ model, amount: `${amount}` }));
}

/** Series as Counters keeps them, by name and labels. */
class Counted {
  readonly #series: readonly { name: string; labels: ReadonlyMap<string, string>; by: bigint }[];

  constructor(counts: readonly Count[]) {
    this.#series = counts.map(({ series, by }) => ({
      name: series.split('{')[0] ?? '',
      labels: new Map(
        [...series.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', value = '']) => [
          label,
          value,
        ]),
      ),
      by,
    }));
  }

  /** Every value a label of this name has. */
  values(name: string, label: string): string[] {
    const found = this.#series.flatMap((one) => (one.name === name ? (one.labels.get(label) ?? []) : []));
    return [...new Set(found)].sort();
  }

  /** All of this name that have these labels. */
  sum(name: string, labels: Readonly<Record<string, string>>): bigint {
    return this.#series
      .filter(
        (one) =>
          one.name === name &&
          Object.entries(labels).every(([label, value]) => one.labels.get(label) === value),
      )
      .reduce((sum, { by }) => sum + by, 0n);
  }
}
