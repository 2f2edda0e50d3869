// The only background voice to one chain. It sends transactions with one durable nonce sequence, asks the vaults to pay
// what published receipts have earned, and tells accounts what it reads.
//
//   asked -> queued -> (simulated) -> nonce and hash written -> broadcast -> mined
//                 \-> refused          \-> resent with a higher fee    \-> nonce taken by another: queued again
//
// Unknown outcomes are resolved by reading the chain, never assumed. Every step can be run twice with the effect of once.
import { DurableObject } from 'cloudflare:workers';
import { type Address, encodeFunctionData, type Hex, keccak256, type PublicClient } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { agentVaultAbi } from '../../contracts-abi/generated/AgentVault.ts';
import { parseAccountName } from '../../protocol/account-name.ts';
import { type ClaimRow, compactSignature } from '../../protocol/money/claim.ts';
import { AlarmClock } from '../alarm-clock.ts';
import { type ChainConfig, configOf, keyOf } from '../config.ts';
import type { Env } from '../env.ts';
import { chainName } from './chain-name.ts';
import { isRevert, nodeOf, reasonOf } from './node.ts';
import { readObservation } from './observe.ts';
import {
  type Transaction,
  type TransactionRequest,
  TransactionRows,
  type TransactionState,
} from './transactions.ts';

/** Between two looks at the chain while something is under way. */
const pollMs = 500;
/** After the node could not be asked. */
const retryMs = 3_000;
/** A transaction not mined by then is sent again with a higher fee. */
const bumpAfterMs = 30_000;
/** Transactions in flight at once. */
const inFlightMax = 8;
/** Claims in one settlement transaction. */
const claimsMax = 100;

/** What one account owes: its captures up to `cumulative` are in an anchored head. */
export type ClaimDue = { readonly account: string; readonly cumulative: bigint };

export class Chain extends DurableObject<Env> {
  readonly #rows: TransactionRows;
  readonly #alarm: AlarmClock;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#rows = new TransactionRows(ctx.storage);
    this.#alarm = new AlarmClock(ctx.storage);
    ctx.storage.sql.exec(
      'CREATE TABLE IF NOT EXISTS claims_due (account TEXT PRIMARY KEY, cumulative TEXT NOT NULL) WITHOUT ROWID',
    );
    void ctx.blockConcurrencyWhile(() => this.#alarm.load());
  }

  /** Asks for a transaction, or after the one asked for before under this key. Returns at once; ask again to learn more. */
  send(request: TransactionRequest): TransactionState {
    const state = this.#rows.ask(request);
    if (state.state !== 'mined') this.#alarm.noLaterThan(Date.now());
    return state;
  }

  /** What has become of a transaction asked for under a key; `undefined` when none was. */
  stateOf(key: string): TransactionState | undefined {
    return this.#rows.state(key);
  }

  /** Takes note of what published receipts have earned; it is claimed from the vault soon after. */
  settle(dues: readonly ClaimDue[]): void {
    for (const { account, cumulative } of dues) {
      const known = this.ctx.storage.sql
        .exec<{ cumulative: string }>('SELECT cumulative FROM claims_due WHERE account = ?', account)
        .toArray()[0];
      if (known && BigInt(known.cumulative) >= cumulative) continue;
      this.ctx.storage.sql.exec(
        'INSERT OR REPLACE INTO claims_due (account, cumulative) VALUES (?, ?)',
        account,
        `${cumulative}`,
      );
    }
    if (dues.length > 0) this.#alarm.noLaterThan(Date.now());
  }

  override async alarm(): Promise<void> {
    this.#alarm.rang();
    const config = configOf(this.env).chains.find((chain) => this.ctx.id.name === chainName(chain.chainId));
    if (config === undefined) return; // a chain that is no longer configured has nothing to say
    // First the next time: if this run dies, another follows.
    this.#alarm.noLaterThan(Date.now() + retryMs);
    try {
      const node = nodeOf(config);
      await this.#lookAfterSent(config, node);
      await this.#sendQueued(config, node);
      await this.#settleDue(config);
      if (this.#isBusy()) this.#alarm.noLaterThan(Date.now() + pollMs);
      else this.#alarm.clear();
    } catch (error) {
      console.error(
        JSON.stringify({ event: 'chain_delayed', chainId: config.chainId, error: reasonOf(error) }),
      );
    }
  }

  #isBusy(): boolean {
    return this.#rows.queued().length > 0 || this.#rows.sent().length > 0 || this.#dues().length > 0;
  }

  async #sendQueued(config: ChainConfig, node: PublicClient): Promise<void> {
    const operator = privateKeyToAccount(keyOf(this.env, 'OPERATOR_KEY'));
    const room = inFlightMax - this.#rows.sent().length;
    for (const transaction of this.#rows.queued().slice(0, Math.max(0, room))) {
      const call = {
        account: operator,
        to: transaction.to,
        data: transaction.data,
        value: transaction.value,
      };
      let gas: bigint;
      try {
        gas = await node.estimateGas(call);
      } catch (error) {
        if (!isRevert(error)) throw error;
        this.#rows.refused(transaction.id, reasonOf(error));
        continue;
      }
      const nonce =
        this.#rows.nextNonce ??
        (await node.getTransactionCount({ address: operator.address, blockTag: 'pending' }));
      const fees = await node.estimateFeesPerGas();
      await this.#broadcast(config, node, transaction, nonce, (gas * 12n) / 10n, fees);
    }
  }

  /** Signs, writes nonce and hash, then broadcasts. A broadcast that fails is looked into later like any other. */
  async #broadcast(
    config: ChainConfig,
    node: PublicClient,
    transaction: Transaction,
    nonce: number,
    gas: bigint,
    fees: { readonly maxFeePerGas: bigint; readonly maxPriorityFeePerGas: bigint },
  ): Promise<void> {
    const operator = privateKeyToAccount(keyOf(this.env, 'OPERATOR_KEY'));
    const raw = await operator.signTransaction({
      type: 'eip1559',
      chainId: config.chainId,
      nonce,
      to: transaction.to,
      data: transaction.data,
      value: transaction.value,
      gas,
      maxFeePerGas: fees.maxFeePerGas,
      maxPriorityFeePerGas: fees.maxPriorityFeePerGas,
    });
    this.ctx.storage.transactionSync(() => {
      const hashes = [...transaction.hashes, keccak256(raw)];
      this.#rows.sending(transaction.id, nonce, hashes, fees.maxFeePerGas, Date.now());
      if (transaction.nonce === undefined) this.#rows.nextNonce = nonce + 1;
    });
    await this.ctx.storage.sync();
    try {
      await node.sendRawTransaction({ serializedTransaction: raw });
    } catch (error) {
      console.warn(
        JSON.stringify({ event: 'broadcast_failed', key: transaction.key, nonce, error: reasonOf(error) }),
      );
    }
  }

  async #lookAfterSent(config: ChainConfig, node: PublicClient): Promise<void> {
    const sent = this.#rows.sent();
    if (sent.length === 0) return;
    const operator = privateKeyToAccount(keyOf(this.env, 'OPERATOR_KEY'));
    const spentNonces = await node.getTransactionCount({ address: operator.address, blockTag: 'latest' });
    for (const transaction of sent) {
      const nonce = transaction.nonce ?? 0;
      const mined = await this.#minedOf(node, transaction.hashes);
      if (mined) {
        this.#rows.mined(transaction.id, mined);
      } else if (nonce < spentNonces) {
        // Asked again after the count was read: only then is "no receipt" an answer about a nonce that is spent.
        const late = await this.#minedOf(node, transaction.hashes);
        if (late) this.#rows.mined(transaction.id, late);
        else {
          this.ctx.storage.transactionSync(() => {
            this.#rows.requeue(transaction.id);
            this.#rows.nextNonce = Math.max(spentNonces, this.#rows.nextNonce ?? 0);
          });
        }
      } else if (Date.now() - transaction.sentMs > bumpAfterMs) {
        await this.#resend(config, node, transaction, nonce);
      }
    }
  }

  /** Same nonce, a fee at least an eighth higher (nodes refuse a replacement below a tenth). */
  async #resend(
    config: ChainConfig,
    node: PublicClient,
    transaction: Transaction,
    nonce: number,
  ): Promise<void> {
    const operator = privateKeyToAccount(keyOf(this.env, 'OPERATOR_KEY'));
    const market = await node.estimateFeesPerGas();
    const raised = (transaction.maxFeePerGas * 9n) / 8n + 1n;
    const maxFeePerGas = market.maxFeePerGas > raised ? market.maxFeePerGas : raised;
    const gas = await node
      .estimateGas({
        account: operator,
        to: transaction.to,
        data: transaction.data,
        value: transaction.value,
      })
      .catch((error: unknown) => (isRevert(error) ? 1_000_000n : Promise.reject(error)));
    await this.#broadcast(config, node, transaction, nonce, (gas * 12n) / 10n, {
      maxFeePerGas,
      maxPriorityFeePerGas: (market.maxPriorityFeePerGas * 9n) / 8n + 1n,
    });
  }

  async #minedOf(
    node: PublicClient,
    hashes: readonly Hex[],
  ): Promise<(TransactionState & { state: 'mined' }) | undefined> {
    for (const hash of hashes.toReversed()) {
      const receipt = await node
        .getTransactionReceipt({ hash })
        .catch((error: Error) =>
          error.name === 'TransactionReceiptNotFoundError' ? undefined : Promise.reject(error),
        );
      if (receipt === undefined) continue;
      return {
        state: 'mined',
        success: receipt.status === 'success',
        hash,
        blockNumber: receipt.blockNumber,
        logs: receipt.logs.map(({ address, topics, data }) => ({ address, topics, data })),
      };
    }
    return undefined;
  }

  #dues(): ClaimDue[] {
    return this.ctx.storage.sql
      .exec<{ account: string; cumulative: string }>(
        'SELECT * FROM claims_due ORDER BY account LIMIT ?',
        claimsMax,
      )
      .toArray()
      .map((row) => ({ account: row.account, cumulative: BigInt(row.cumulative) }));
  }

  /**
   * One settlement at a time: claims are gathered when it is sent, and struck off when the vault shows them paid. A row
   * the vault would reject is left out (and kept due: a later voucher may cover it).
   */
  async #settleDue(config: ChainConfig): Promise<void> {
    const dues = this.#dues();
    if (dues.length === 0) return;
    const key = this.ctx.storage.kv.get<string>('settlement');
    if (key !== undefined) {
      const state = this.#rows.state(key);
      if (state?.state === 'pending') return;
      this.ctx.storage.kv.delete('settlement');
      if (state?.state === 'refused') throw new Error(`settlement refused: ${state.error}`);
    }
    const claims: { readonly registry: Address; readonly row: ClaimRow }[] = [];
    for (const due of dues) {
      const account = parseAccountName(due.account);
      const stub = this.env.AGENT_ACCOUNT.getByName(due.account);
      const observed = account && (await readObservation(config, account, Date.now));
      if (!observed?.ok) throw new Error(observed?.error ?? `not an account: ${due.account}`);
      await stub.observe(observed.value);
      const claim = await stub.claimable(due.cumulative);
      const { claimed, deposited, withdrawn, epoch } = observed.value;
      const funds = deposited - withdrawn;
      const payable = claim === undefined ? 0n : claim.cumulative < funds ? claim.cumulative : funds;
      // Paid already, or of an epoch that is over, or not covered: asking again would not change it. The account's next
      // published receipt brings the sum up again.
      if (claim?.epoch !== epoch || payable <= claimed) this.#strikeOff(due);
      else {
        const { agentId, voucherCumulative, registry } = claim;
        const row = {
          agentId,
          epoch,
          voucherCumulative,
          cumulative: payable,
          ...compactSignature(claim.signature),
        };
        claims.push({ registry, row });
      }
    }
    const registry = claims[0]?.registry;
    if (registry === undefined) return;
    // A settlement is of one registry's agents; those of another take the next one.
    const rows = claims.filter((claim) => claim.registry === registry).map((claim) => claim.row);
    const number = (this.ctx.storage.kv.get<number>('settlements') ?? 0) + 1;
    const settlement = `settle:${number}`;
    this.ctx.storage.transactionSync(() => {
      this.ctx.storage.kv.put('settlements', number);
      this.ctx.storage.kv.put('settlement', settlement);
      this.#rows.ask({
        key: settlement,
        to: config.vault,
        value: 0n,
        data: encodeFunctionData({ abi: agentVaultAbi, functionName: 'settle', args: [registry, rows] }),
      });
    });
  }

  #strikeOff(due: ClaimDue): void {
    this.ctx.storage.sql.exec(
      'DELETE FROM claims_due WHERE account = ? AND cumulative = ?',
      due.account,
      `${due.cumulative}`,
    );
  }
}
