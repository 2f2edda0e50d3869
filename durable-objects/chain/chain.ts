// The only background voice to one chain. It sends transactions with one durable nonce sequence, asks the vault to pay
// what published receipts have earned, tells accounts what it reads, and answers challenges to the log's bond. docs/log.md
// draws the states.
import { DurableObject } from 'cloudflare:workers';
import { addressOfKey } from '../../protocol/ecdsa.ts';
import { AlarmClock } from '../alarm-clock.ts';
import { type ChainConfig, configOf, keyOf } from '../config.ts';
import type { Env } from '../env.ts';
import { Answerer } from './answerer.ts';
import { chainName } from './chain-name.ts';
import { ChallengeRows } from './challenge-rows.ts';
import { ClaimRows, type Dues } from './claim-rows.ts';
import { reasonOf } from './node.ts';
import { Outboxes } from './outboxes.ts';
import { Sender } from './sender.ts';
import type { ClaimDue } from './settlement.ts';
import { Settler } from './settler.ts';
import { type TransactionRequest, TransactionRows, type TransactionState } from './transactions.ts';
import { Watcher } from './watcher.ts';

/** Between two looks at the chain while something is under way. */
const pollMs = 500;
/** After the node could not be asked. */
const retryMs = 3_000;
/** If an alarm dies on its way. */
const fallbackMs = 30_000;

export type ChainStatus = {
  /** Transactions asked for and not sent yet, and those sent and not mined. */
  readonly queued: number;
  readonly sent: number;
  /** What published receipts have earned and the vault, when it was last read, had not paid: base units. */
  readonly due: bigint;
  /** Since when the oldest claim waits. */
  readonly dueSinceMs: number | undefined;
  /** Accounts that are watched. */
  readonly watched: number;
  /** Challenges to the log's bond that are not answered yet. */
  readonly challenges: number;
  /** Accounts whose outbox was found not to empty. */
  readonly unsent: number;
  /** Since when the oldest of their receipts waits. */
  readonly unsentSinceMs: number | undefined;
  /** Steps that failed when they were last taken. */
  readonly failing: readonly string[];
};

/** One thing this object does on its alarm. @returns when to be called again, if it knows */
type Step = (config: ChainConfig) => Promise<number | undefined>;

export class Chain extends DurableObject<Env> {
  readonly #transactions: TransactionRows;
  readonly #claims: ClaimRows;
  readonly #watcher: Watcher;
  readonly #answerer: Answerer;
  readonly #outboxes: Outboxes;
  readonly #alarm: AlarmClock;
  /**
   * Steps that failed when they were last taken. In memory is enough: while one fails the alarm rings every three seconds, so
   * this object is not idle for the ten after which it would be out of memory.
   */
  readonly #failing = new Set<string>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#transactions = new TransactionRows(ctx.storage);
    this.#claims = new ClaimRows(ctx.storage);
    this.#alarm = new AlarmClock(ctx.storage);
    this.#watcher = new Watcher(ctx.storage, {
      accountOf: (name) => env.AGENT_ACCOUNT.getByName(name),
      settle: (dues) => this.settle(dues),
      settleNow: (account, untilMs) => this.settleNow(account, untilMs),
    });
    this.#answerer = new Answerer({
      rows: new ChallengeRows(ctx.storage),
      transactions: this.#transactions,
      show: async (digest, size) => env.RECEIPT_LOG.getByName(configOf(env).log.logId).show(digest, size),
    });
    this.#outboxes = new Outboxes(ctx.storage, {
      accountOf: (name) => env.AGENT_ACCOUNT.getByName(name),
      accountsAfter: (account, limit) => this.#watcher.watchedAfter(account, limit),
    });
    void ctx.blockConcurrencyWhile(() => this.#alarm.load());
  }

  /** Asks for a transaction, or after the one asked for before under this key. Returns at once; ask again to learn more. */
  send(request: TransactionRequest): TransactionState {
    const state = this.#transactions.ask(request);
    if (state.state === 'pending') this.#alarm.noLaterThan(Date.now());
    return state;
  }

  /** What has become of a transaction asked for under a key; `undefined` when none was. */
  stateOf(key: string): TransactionState | undefined {
    const state = this.#transactions.state(key);
    // Whoever asks relies on it being looked after, whatever became of the alarm it was queued with.
    if (state?.state === 'pending') this.#alarm.noLaterThan(Date.now() + pollMs);
    return state;
  }

  status(): ChainStatus {
    // Whoever looks (each scrape of the metrics does) brings back an alarm that was lost: withdrawals have to be seen in time.
    const everyMs = this.#config()?.watchEveryMs;
    if (everyMs !== undefined && this.#watcher.watched > 0) this.#alarm.noLaterThan(Date.now() + everyMs);
    const open = this.#transactions.open().filter(({ state }) => state === 'sent');
    const queued = this.#transactions.queued();
    return {
      queued: queued.length,
      sent: open.length,
      ...this.#claims.totals(),
      watched: this.#watcher.watched,
      challenges: this.#answerer.open,
      ...this.#outboxes.totals(),
      failing: [...this.#failing],
    };
  }

  /** Takes note of what published receipts have earned; it is claimed from the vault when that is worth its gas. */
  settle(dues: readonly ClaimDue[]): void {
    const nowMs = Date.now();
    this.ctx.storage.transactionSync(() => {
      for (const due of dues) this.#claims.note(due, nowMs);
    });
    if (dues.length > 0) this.#alarm.noLaterThan(nowMs);
  }

  /** Watches an account from now on: something was captured there, so what happens to it on chain matters. */
  watch(account: string): void {
    this.#watcher.know(account);
    this.#alarm.noLaterThan(Date.now());
  }

  /**
   * An account's epoch is about to end (a withdrawal, another spender), and with it its voucher: whatever it owes, now and
   * until that time, is claimed without waiting for company.
   */
  settleNow(account: string, untilMs: number): void {
    const nowMs = Date.now();
    this.#claims.hurry(account, untilMs, nowMs);
    this.#alarm.noLaterThan(nowMs);
  }

  /** For the operator's page: what was paid, and the accounts to look into. */
  dues(limit: number): Dues & { readonly watched: readonly string[] } {
    return { ...this.#claims.dues(limit), watched: this.#watcher.someWatched(limit) };
  }

  /** The next time first; then each step by itself, so that one that fails holds up no other. */
  override async alarm(): Promise<void> {
    this.#alarm.rang(Date.now() + fallbackMs);
    const config = this.#config();
    if (config === undefined) return;
    const steps: readonly [name: string, step: Step][] = [
      ['sent', (chain) => this.#lookAfterSent(chain)],
      ['queued', (chain) => this.#sendQueued(chain)],
      ['settlement', (chain) => this.#settle(chain)],
      ['watch', (chain) => this.#watcher.step(chain, Date.now())],
      ['challenges', (chain) => this.#answer(chain)],
      ['outboxes', (chain) => this.#outboxes.step(chain.watchEveryMs, Date.now())],
    ];
    for (const [name, step] of steps) {
      try {
        const againMs = await step(config);
        this.#failing.delete(name);
        if (againMs !== undefined) this.#alarm.noLaterThan(againMs);
      } catch (error) {
        this.#failing.add(name);
        this.#alarm.noLaterThan(Date.now() + retryMs);
        const { chainId } = config;
        console.error(
          JSON.stringify({ event: 'chain_delayed', chainId, step: name, error: reasonOf(error) }),
        );
      }
    }
    this.#alarm.clear();
  }

  /**
   * `undefined` for a chain that is no longer configured, which has nothing to say, and while the configuration does not read:
   * then the alarm rings again. Throwing would lose it after some tries, and with it the watch over withdrawals.
   */
  #config(): ChainConfig | undefined {
    try {
      return configOf(this.env).chains.find((chain) => this.ctx.id.name === chainName(chain.chainId));
    } catch (error) {
      console.error(JSON.stringify({ event: 'chain_delayed', step: 'configuration', error: String(error) }));
      return undefined;
    }
  }

  async #lookAfterSent(config: ChainConfig): Promise<number | undefined> {
    await this.#sender(config).lookAfterSent();
    return undefined;
  }

  async #sendQueued(config: ChainConfig): Promise<number | undefined> {
    await this.#sender(config).sendQueued();
    return this.#transactions.isBusy() ? Date.now() + pollMs : undefined;
  }

  /** The log's bond is where its anchor is. */
  async #answer(config: ChainConfig): Promise<number | undefined> {
    const { log } = configOf(this.env);
    if (log.bond === undefined || log.chainId !== config.chainId) return undefined;
    return this.#answerer.step(config, log, log.bond, Date.now());
  }

  #sender(config: ChainConfig): Sender {
    return new Sender(config, {
      rows: this.#transactions,
      operatorKey: keyOf(this.env, 'OPERATOR_KEY'),
      sync: () => this.ctx.storage.sync(),
    });
  }

  async #settle(config: ChainConfig): Promise<number | undefined> {
    const settler = new Settler(config, {
      claims: this.#claims,
      transactions: this.#transactions,
      operator: addressOfKey(keyOf(this.env, 'OPERATOR_KEY')),
      accountOf: (name) => this.env.AGENT_ACCOUNT.getByName(name),
    });
    return settler.step(Date.now());
  }
}
