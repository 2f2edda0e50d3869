// Tells accounts what happened to them on chain, and sees to it that what an epoch has earned is claimed before it ends: an
// agent that starts to withdraw may never call again.
import { parseAccountName } from '../../protocol/account-name.ts';
import type { ChainConfig } from '../config.ts';
import { KnownAccounts } from './known-accounts.ts';
import type { Observation } from './observation.ts';
import { readObservation } from './observe.ts';
import type { ClaimDue } from './settlement.ts';
import { Watch } from './watch.ts';

/** Accounts read again in one step: transactions wait no longer than that takes. */
const readsPerStep = 20;
/** Between two steps while there is more to do. */
const moreMs = 500;
/** Where the watch has got to is written down this often, in blocks, when nothing happened. */
const seenEveryBlocks = 500n;

type Ports = {
  readonly accountOf: (name: string) => {
    /** @returns what has been captured in the vault's present epoch, if anything */
    observe(observation: Observation): Promise<bigint | undefined>;
  };
  readonly settle: (dues: readonly ClaimDue[]) => void;
  readonly settleNow: (account: string, untilMs: number) => void;
};

export class Watcher {
  readonly #storage: DurableObjectStorage;
  readonly #ports: Ports;
  readonly #known: KnownAccounts;
  /** Accounts to be read again. */
  readonly #touched = new Set<string>();
  #watch: Watch | undefined;
  #nextLookMs = 0;

  constructor(storage: DurableObjectStorage, ports: Ports) {
    this.#storage = storage;
    this.#ports = ports;
    this.#known = new KnownAccounts(storage.sql);
  }

  get watched(): number {
    return this.#known.size;
  }

  /** Some of their names. */
  someWatched(limit: number): readonly string[] {
    return this.#known.some(limit);
  }

  /** In order of their names, those after one. */
  watchedAfter(account: string, limit: number): readonly string[] {
    return this.#known.after(account, limit);
  }

  /** An account that earns something here: from now on it is watched. What happened until now is read. */
  know(account: string): void {
    if (this.#known.add(account)) this.#touched.add(account);
  }

  /** Looks once, if it is time. @returns when to be called again; `undefined` while there is nobody to watch for */
  async step(config: ChainConfig, nowMs: number): Promise<number | undefined> {
    if (this.#known.isEmpty) return undefined;
    if (nowMs >= this.#nextLookMs) await this.#look(config, nowMs);
    for (const account of this.#known.closing(nowMs)) this.#touched.add(account);
    for (const name of [...this.#touched].slice(0, readsPerStep)) await this.#readAgain(config, name);
    return this.#touched.size > 0 ? nowMs + moreMs : this.#nextLookMs;
  }

  async #look(config: ChainConfig, nowMs: number): Promise<void> {
    this.#nextLookMs = nowMs + config.watchEveryMs;
    const stored = this.#storage.kv.get<string>('seen');
    this.#watch ??= new Watch(config, stored === undefined ? undefined : BigInt(stored));
    const look = await this.#watch.look(Date.now);
    if (!look.ok) throw new Error(look.error);
    const { seen, touched, behind } = look.value;
    for (const account of touched) if (this.#known.has(account)) this.#touched.add(account);
    if (this.#touched.size > 0 || seen.block - BigInt(stored ?? 0) >= seenEveryBlocks) {
      this.#storage.kv.put('seen', `${seen.block}`);
    }
    if (behind) this.#nextLookMs = nowMs + moreMs;
  }

  /** What cannot be read now stays touched, and is read again at the next step. */
  async #readAgain(config: ChainConfig, name: string): Promise<void> {
    const account = parseAccountName(name);
    if (account === undefined) throw new Error(`not an account: ${name}`);
    const observed = await readObservation(config, account, Date.now);
    if (!observed.ok) throw new Error(observed.error);
    const { epoch, epochEndsAt, claimed } = observed.value;
    const owed = await this.#ports.accountOf(name).observe(observed.value);
    const endsMs = Number(epochEndsAt) * 1000;
    if (endsMs !== 0) {
      // Published or not: waiting for the log could cost all of it.
      if (owed !== undefined && owed > claimed) {
        this.#ports.settle([{ account: name, epoch, cumulative: owed }]);
      }
      this.#ports.settleNow(name, endsMs);
    }
    this.#known.closes(name, endsMs, config.terms.settleMarginMs, Date.now());
    this.#touched.delete(name);
  }
}
