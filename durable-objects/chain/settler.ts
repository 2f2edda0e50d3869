// Asks the vault for what published receipts have earned, one settlement at a time: chosen, read, simulated, sent, and
// struck off only when the vault itself shows it paid.
import { type Address, encodeFunctionData, type Hex } from 'viem';
import { agentVaultAbi } from '../../contracts-abi/generated/AgentVault.ts';
import { parseAccountName } from '../../protocol/account-name.ts';
import { type ClaimRow, compactSignature } from '../../protocol/money/claim.ts';
import type { ChainConfig } from '../config.ts';
import type { ClaimRows } from './claim-rows.ts';
import { nodeOf } from './node.ts';
import type { Observation } from './observation.ts';
import { readObservation } from './observe.ts';
import { chooseClaims, nextRoundMs, type WaitingClaim } from './settlement.ts';
import type { TransactionRows } from './transactions.ts';

/** After a settlement that reverted, or would. */
const retryMs = 60_000;
/** Chain reads at once: a Worker has six connections. */
const readsAtOnce = 5;
/** Statuses of a row that moves money: AgentVault's `Paid` and `PaidInPart`. */
const statusPaidMax = 1;

/** What an account's object answers and takes. */
export type SettledAccount = {
  observe(observation: Observation): Promise<unknown>;
  claimable(cumulative: bigint): Promise<Claimable | undefined> | Claimable | undefined;
};

export type Claimable = {
  readonly registry: Address;
  readonly agentId: bigint;
  readonly epoch: bigint;
  readonly voucherCumulative: bigint;
  readonly cumulative: bigint;
  readonly signature: Hex;
};

type Ports = {
  readonly claims: ClaimRows;
  readonly transactions: TransactionRows;
  readonly operator: Address;
  readonly accountOf: (name: string) => SettledAccount;
};

type Row = { readonly account: string; readonly registry: Address; readonly claim: ClaimRow };

export class Settler {
  readonly #config: ChainConfig;
  readonly #ports: Ports;

  constructor(config: ChainConfig, ports: Ports) {
    this.#config = config;
    this.#ports = ports;
  }

  /** Takes the next step. @returns when to be called again, if at all. Throws when the chain cannot be asked */
  async step(nowMs: number): Promise<number | undefined> {
    const { claims, transactions } = this.#ports;
    const { settlement } = claims;
    if (settlement !== undefined) {
      const state = transactions.state(settlement.key);
      // Looked at again when the transaction is: it is the sender's now.
      if (state?.state === 'pending' || (state?.state === 'mined' && !state.final)) return undefined;
      if (state?.state !== 'mined' || !state.success) claims.notBeforeMs = nowMs + retryMs;
      const waiting = claims.waiting(nowMs).filter(({ account }) => settlement.accounts.includes(account));
      await this.#readAll(waiting);
      claims.end();
    }
    if (nowMs < claims.notBeforeMs) return claims.notBeforeMs;
    const chosen = chooseClaims(claims.waiting(nowMs), this.#config.settlement, nowMs);
    if (chosen.length > 0) await this.#settle(chosen, nowMs);
    if (claims.settlement !== undefined) return nowMs;
    return nextRoundMs(claims.waiting(nowMs), this.#config.settlement);
  }

  async #settle(chosen: readonly WaitingClaim[], nowMs: number): Promise<void> {
    const { claims, transactions } = this.#ports;
    const read = await this.#readAll(chosen);
    // Now that the chain has said what is paid already: chosen once more.
    const worthwhile = chooseClaims(claims.waiting(nowMs), this.#config.settlement, nowMs);
    const all = read.filter((row) => worthwhile.some(({ account }) => account === row.account));
    // A settlement is of one registry's agents; those of another take the next one.
    const registry = all[0]?.registry;
    const rows = await this.#simulated(all.filter((row) => row.registry === registry));
    if (registry === undefined || rows.length === 0) return;
    const urgent = chosen.some((claim) => claim.urgent);
    const data = encodeFunctionData({
      abi: agentVaultAbi,
      functionName: 'settle',
      args: [registry, rows.map(({ claim }) => claim)],
    });
    claims.begin(
      rows.map(({ account }) => account),
      (key) => transactions.ask({ key, to: this.#config.vault, value: 0n, data, urgent }),
    );
  }

  /** Reads each account's standing, strikes off what is paid or cannot be had, and makes rows of the rest. */
  async #readAll(waiting: readonly WaitingClaim[]): Promise<Row[]> {
    const rows: Row[] = [];
    for (let at = 0; at < waiting.length; at += readsAtOnce) {
      const read = await Promise.all(waiting.slice(at, at + readsAtOnce).map((claim) => this.#read(claim)));
      rows.push(...read.filter((row) => row !== undefined));
    }
    return rows;
  }

  async #read(due: WaitingClaim): Promise<Row | undefined> {
    const account = parseAccountName(due.account);
    if (account === undefined) throw new Error(`not an account: ${due.account}`);
    const observed = await readObservation(this.#config, account, Date.now);
    if (!observed.ok) throw new Error(observed.error);
    const stub = this.#ports.accountOf(due.account);
    await stub.observe(observed.value);
    const claim = await stub.claimable(due.cumulative);
    const { claimed, deposited, arriving, withdrawn, epoch } = observed.value;
    const funds = deposited + arriving - withdrawn;
    const payable = minOf(claim?.cumulative ?? 0n, funds);
    // Paid already, of an epoch that is over, or not covered: asking again would change nothing. The account's next
    // published receipt brings the sum up again.
    const isHopeless = due.epoch !== epoch || claim?.epoch !== epoch || payable <= claimed;
    this.#ports.claims.read(due.account, claimed, isHopeless ? null : due.sinceMs);
    if (isHopeless || claim === undefined) {
      if (due.epoch === epoch && claimed < due.cumulative) {
        const { account: name, cumulative } = due;
        console.warn(
          JSON.stringify({
            event: 'claim_not_covered',
            account: name,
            cumulative: `${cumulative}`,
            claimed: `${claimed}`,
          }),
        );
      }
      return undefined;
    }
    const { agentId, voucherCumulative, registry, signature } = claim;
    return {
      account: due.account,
      registry,
      claim: { agentId, epoch, voucherCumulative, cumulative: payable, ...compactSignature(signature) },
    };
  }

  /** The rows that would move money now: the others would only cost gas. */
  async #simulated(rows: readonly Row[]): Promise<Row[]> {
    const [first] = rows;
    if (first === undefined) return [];
    const { result } = await nodeOf(this.#config).simulateContract({
      account: this.#ports.operator,
      address: this.#config.vault,
      abi: agentVaultAbi,
      functionName: 'settle',
      args: [first.registry, rows.map(({ claim }) => claim)],
    });
    return rows.filter(({ account }, at) => {
      const status = result[at] ?? Number.POSITIVE_INFINITY;
      if (status <= statusPaidMax) return true;
      console.error(JSON.stringify({ event: 'claim_rejected', account, status }));
      this.#ports.claims.strike(account);
      return false;
    });
  }
}

const minOf = (a: bigint, b: bigint): bigint => (a < b ? a : b);
