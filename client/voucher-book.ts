// The vouchers one agent signs for one account: which is current, when a new one is due, and how far it may go.
import type { Account } from '../protocol/account-name.ts';
import type { SignedVoucher, Voucher } from '../protocol/money/voucher.ts';
import { AgentError } from './agent-error.ts';
import type { FirstContact } from './gateway-link.ts';
import type { PaymentDemand } from './payment-demand.ts';
import type { VaultReading } from './vault-on-chain.ts';
import {
  DailyLimit,
  type KnownSpending,
  spentOf,
  VoucherLimitError,
  type VoucherLimits,
  voucherBound,
} from './voucher-limit.ts';

export type VoucherPorts = {
  readonly limits: VoucherLimits;
  /** Cumulative the developer remembers from before; counts as known to be spent. */
  readonly spentBefore: bigint;
  readonly contact: () => Promise<FirstContact>;
  /** Reads the chain again; undefined where none is asked. */
  readonly readVault: ((account: Account) => Promise<VaultReading>) | undefined;
  /** Looks for receipts that never arrived, before a limit is called reached. */
  readonly reconcile: () => Promise<void>;
  readonly sign: (account: Account, voucher: Voucher) => Promise<SignedVoucher>;
  /** Milliseconds. */
  readonly now: () => number;
};

/** What could be lost, and to what. Base units. */
export type Exposure = {
  readonly epoch: bigint;
  /** Known to be spent, without the gateway's word. */
  readonly spent: bigint;
  /** The highest cumulative signed by this client; 0 for none. */
  readonly signed: bigint;
  /** `signed - spent`: what the operator could take without having answered. */
  readonly atRisk: bigint;
};

export class VoucherBook {
  readonly #ports: VoucherPorts;
  #opening: Promise<FirstContact> | undefined;
  #opened: FirstContact | undefined;
  #known: KnownSpending = { baseline: 0n, receipts: 0n };
  #epoch = 0n;
  #current: SignedVoucher | undefined;
  #highestSigned = 0n;
  /** The current voucher went along with a call that was admitted: the gateway has it. */
  #delivered = false;
  /** Vouchers start to be renewed when less than this is left, in base units. */
  #lowWater: bigint;
  readonly #daily: DailyLimit;
  /** One decision at a time, so that parallel calls share its voucher. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(ports: VoucherPorts) {
    this.#ports = ports;
    this.#lowWater = ports.limits.perVoucher / 2n;
    this.#daily = new DailyLimit(ports.limits.perDay);
  }

  /** First contact, once; after a failure the next call tries again. */
  open(): Promise<FirstContact> {
    this.#opening ??= this.#ports.contact().then(
      (contact) => {
        this.#opened = contact;
        this.#epoch = contact.vault?.epoch ?? contact.standing.epoch;
        this.#known = { baseline: baselineOf(this.#ports, contact), receipts: 0n };
        this.#daily.beginAt(this.#known.baseline);
        return contact;
      },
      (error: unknown) => {
        this.#opening = undefined;
        throw error;
      },
    );
    return this.#opening;
  }

  get contact(): FirstContact | undefined {
    return this.#opened;
  }

  get epoch(): bigint | undefined {
    return this.#opened && this.#epoch;
  }

  get exposure(): Exposure {
    const spent = spentOf(this.#known);
    const signed = this.#highestSigned;
    return { epoch: this.#epoch, spent, signed, atRisk: signed > spent ? signed - spent : 0n };
  }

  /** A checked receipt: its amount is known to be spent. */
  spend(amount: bigint): void {
    this.#known = { ...this.#known, receipts: this.#known.receipts + amount };
  }

  /** A call with this voucher was admitted. */
  delivered(voucher: SignedVoucher): void {
    if (voucher === this.#current) this.#delivered = true;
  }

  /**
   * The voucher to send along with a call, so that it need not be sent twice; undefined while the one the gateway has will
   * do. Asks for nothing and cannot fail for want of limits: that is for the demand to show.
   */
  attach(): Promise<SignedVoucher | undefined> {
    return this.#inTurn(async () => {
      const { account, standing } = await this.open();
      const spent = spentOf(this.#known);
      const bound = this.#bound();
      const current = this.#current;
      if (current === undefined) {
        // The gateway says it has one from before. If that is not so it will say that, too.
        const left = standing.voucher - standing.captured - standing.held - this.#known.receipts;
        const helps = bound > standing.captured + this.#known.receipts && bound > standing.voucher;
        return left < this.#lowWater && helps ? this.#renew(account, bound) : undefined;
      }
      const { cumulative } = current.voucher;
      const low = cumulative < spent + this.#lowWater;
      // A gain of less than a quarter is not worth a signature and a row at the gateway.
      if (low && bound - cumulative >= this.#ports.limits.perVoucher / 4n) return this.#renew(account, bound);
      return this.#delivered ? undefined : current;
    });
  }

  /**
   * The voucher that answers a demand. Throws VoucherLimitError when it is beyond the limits and AgentError
   * `payment_mismatch` when it is for an epoch that nobody but the gateway knows of.
   */
  answer(demand: PaymentDemand): Promise<SignedVoucher> {
    return this.#inTurn(async () => {
      const { account } = await this.open();
      if (demand.epoch !== this.#epoch) await this.#changeEpoch(account, demand);
      if (demand.required > this.#bound()) await this.#ports.reconcile();
      const bound = this.#bound();
      const spent = spentOf(this.#known);
      if (demand.required > bound) {
        throw new VoucherLimitError({
          required: demand.required,
          bound,
          spent,
          limits: this.#ports.limits,
          claimedCeiling: demand.ceiling,
          claimedHeld: demand.held,
          claimedCaptured: demand.captured,
        });
      }
      const wanted = demand.required - spent;
      if (wanted > this.#lowWater) this.#lowWater = wanted;
      const current = this.#current;
      return current && current.voucher.cumulative >= demand.required ? current : this.#renew(account, bound);
    });
  }

  #bound(): bigint {
    return voucherBound(this.#ports.limits, this.#known, this.#daily.bound(this.#ports.now()));
  }

  /** Epochs change with withdrawals and spender changes. A voucher for one that the chain does not know is not signed. */
  async #changeEpoch(account: Account, demand: PaymentDemand): Promise<void> {
    const vault = await this.#ports.readVault?.(account);
    if (vault?.epoch !== demand.epoch) {
      throw new AgentError(
        'payment_mismatch',
        `A voucher for epoch ${demand.epoch} is asked for, and ${vault ? `the chain says ${vault.epoch}` : `the account was in ${this.#epoch}`}. Nothing was signed. ${vault ? 'Try again when the gateway has caught up.' : 'If a withdrawal or a spender change was completed, start a new client, or give rpcUrl so that the chain can be asked.'}`,
      );
    }
    this.#epoch = vault.epoch;
    this.#current = undefined;
    this.#delivered = false;
  }

  async #renew(account: Account, cumulative: bigint): Promise<SignedVoucher> {
    const { registry, agentId } = account;
    const signed = await this.#ports.sign(account, { registry, agentId, epoch: this.#epoch, cumulative });
    this.#current = signed;
    this.#delivered = false;
    if (cumulative > this.#highestSigned) this.#highestSigned = cumulative;
    this.#daily.signed(cumulative, this.#ports.now());
    return signed;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }
}

/**
 * What counts as spent at first contact. The chain's word, or the developer's. Only where `limits.total` caps everything
 * anyway is the gateway's word taken: it then decides how fast the cap is reached, not where it is.
 */
function baselineOf({ limits, spentBefore }: VoucherPorts, { standing, vault }: FirstContact): bigint {
  const believed = vault?.claimed ?? (limits.total === undefined ? 0n : standing.captured);
  return believed > spentBefore ? believed : spentBefore;
}
