// Sends transactions with one nonce sequence, and looks after them until they are deep enough to stay. docs/log.md draws
// the states. Unknown outcomes are resolved by reading the chain, never assumed; every step can be run twice.
import { type Address, type Hex, keccak256, type PublicClient } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import type { ChainConfig } from '../config.ts';
import { isRevert, nodeOf, reasonOf } from './node.ts';
import type { Fees, Mined, Transaction, TransactionRows } from './transactions.ts';

/** A transaction not mined by then is sent again with a higher fee. */
const bumpAfterMs = 30_000;
/** One sent with an earlier key is given this long. */
const oldKeyMs = 20_000;
/** Transactions in flight at once. */
const inFlightMax = 8;
/** What is urgent may cost this many times the cap. */
const urgentFactor = 5n;

type Ports = {
  readonly rows: TransactionRows;
  readonly operatorKey: Hex;
  /** Makes what was written durable before something is said to the world that rests on it. */
  readonly sync: () => Promise<void>;
};

export class Sender {
  readonly #config: ChainConfig;
  readonly #rows: TransactionRows;
  readonly #operator: ReturnType<typeof privateKeyToAccount>;
  readonly #sync: () => Promise<void>;
  readonly #node: PublicClient;
  readonly #sender: Address;

  constructor(config: ChainConfig, ports: Ports) {
    this.#config = config;
    this.#rows = ports.rows;
    this.#operator = privateKeyToAccount(ports.operatorKey);
    this.#sync = ports.sync;
    this.#node = nodeOf(config);
    this.#sender = this.#operator.address.toLowerCase() as Address;
    ports.rows.adopt(this.#sender);
  }

  /**
   * Asks the chain what has become of those that were sent. Throws when it cannot be asked.
   */
  async lookAfterSent(): Promise<void> {
    const open = this.#rows.open();
    if (open.length === 0) return;
    await this.#checkChain();
    const head = await this.#node.getBlockNumber({ cacheTime: 0 });
    const spent = await this.#noncesSpent('latest');
    await each(open, (transaction) =>
      transaction.sender === this.#sender
        ? this.#lookAfter(transaction, head, spent)
        : this.#lookAfterOld(transaction, head),
    );
    await this.#fillGaps(spent);
  }

  /** Simulates, signs and broadcasts what was asked for. One that cannot be sent now does not hold up the others. */
  async sendQueued(): Promise<void> {
    const room = inFlightMax - this.#rows.open().filter(({ state }) => state === 'sent').length;
    const queued = this.#rows.queued().slice(0, Math.max(0, room));
    if (queued.length === 0) return;
    await this.#checkChain();
    await each(queued, (transaction) => this.#send(transaction));
  }

  async #send(transaction: Transaction): Promise<void> {
    let estimate: bigint;
    try {
      estimate = await this.#node.estimateGas({
        account: this.#operator.address,
        ...wordsOf(transaction),
      });
    } catch (error) {
      if (!isRevert(error)) throw error;
      this.#rows.refused(transaction.id, reasonOf(error));
      return;
    }
    const fees = this.#capped(transaction, await this.#node.estimateFeesPerGas());
    const next = this.#rows.nextNonce(this.#sender);
    // The chain may know of nonces that this sequence does not (the key was used elsewhere). Never of fewer: those of ours
    // may be on their way.
    const spent = await this.#noncesSpent(next === undefined ? 'pending' : 'latest');
    const nonce = Math.max(spent, next ?? 0);
    await this.#broadcast(transaction, nonce, (estimate * 12n) / 10n, fees);
  }

  /** Signs, writes nonce, hash and bytes, then broadcasts. A broadcast that fails is looked into later like any other. */
  async #broadcast(transaction: Transaction, nonce: number, gas: bigint, fees: Fees): Promise<void> {
    const raw = await this.#operator.signTransaction({
      type: 'eip1559',
      chainId: this.#config.chainId,
      nonce,
      gas,
      ...wordsOf(transaction),
      ...fees,
    });
    const signed = { sender: this.#sender, nonce, hash: keccak256(raw), raw, gas, fees };
    this.#rows.sending(transaction, signed, Date.now());
    await this.#sync();
    await this.#push(transaction, raw);
  }

  async #push(transaction: Transaction, raw: Hex): Promise<void> {
    try {
      await this.#node.sendRawTransaction({ serializedTransaction: raw });
    } catch (error) {
      const { key, nonce } = transaction;
      console.warn(JSON.stringify({ event: 'broadcast_failed', key, nonce, error: reasonOf(error) }));
    }
  }

  async #lookAfter(transaction: Transaction, head: bigint, spent: number): Promise<void> {
    const { id, nonce = 0 } = transaction;
    const mined = await this.#minedOf(this.#node, transaction, head);
    if (mined) {
      if (mined.final || transaction.state === 'sent') this.#rows.mined(id, mined);
      return;
    }
    if (transaction.state === 'mined') {
      console.warn(JSON.stringify({ event: 'reorganised_away', key: transaction.key, nonce }));
      this.#rows.unmined(id);
    }
    if (nonce < spent) {
      if (await this.#isTakenByAnother(transaction, head)) {
        console.warn(JSON.stringify({ event: 'nonce_taken', key: transaction.key, nonce }));
        // Whoever asked for it knows how to see whether it is still needed.
        this.#rows.refused(id, 'its nonce was taken by another transaction');
      }
    } else if (!(await this.#isKnown(transaction))) {
      // Never arrived, was dropped, or went with its block: the same bytes again.
      if (transaction.raw !== undefined) await this.#push(transaction, transaction.raw);
      if (isStuck(transaction)) await this.#bump(transaction, nonce);
    } else if (isStuck(transaction)) {
      await this.#bump(transaction, nonce);
    }
  }

  /**
   * Sent with the key that was the operator's before: it is mined, or given up and asked for anew with the present key.
   * Anchors and claims do nothing the second time; a submission to 0G Storage may be paid for twice, once for each key.
   */
  async #lookAfterOld(transaction: Transaction, head: bigint): Promise<void> {
    const { id, key, sentMs, state } = transaction;
    const mined = await this.#minedOf(this.#node, transaction, head);
    if (mined) {
      if (mined.final || state === 'sent') this.#rows.mined(id, mined);
      return;
    }
    if (Date.now() - sentMs < oldKeyMs) return;
    console.warn(JSON.stringify({ event: 'old_key_given_up', key }));
    this.#rows.refused(id, 'it was sent with the key that was the operator’s before');
  }

  /** Same nonce, a fee at least an eighth higher (nodes refuse a replacement below a tenth), while the cap allows it. */
  async #bump(transaction: Transaction, nonce: number): Promise<void> {
    const market = await this.#node.estimateFeesPerGas();
    const raise = (paid: bigint, asked: bigint): bigint => maxOf((paid * 9n) / 8n + 1n, asked);
    const fees = {
      maxFeePerGas: raise(transaction.fees.maxFeePerGas, market.maxFeePerGas),
      maxPriorityFeePerGas: raise(transaction.fees.maxPriorityFeePerGas, market.maxPriorityFeePerGas),
    };
    await this.#broadcast(transaction, nonce, transaction.gas, this.#capped(transaction, fees));
  }

  /**
   * Whether its nonce is spent for good by a transaction that is not ours. The same words under another nonce might be paid
   * for twice, so this takes more than one node's word at one height: the nonce must be spent at the depth at
   * which blocks stay, and no node at all may know any of the hashes.
   */
  async #isTakenByAnother(transaction: Transaction, head: bigint): Promise<boolean> {
    const depth = BigInt(this.#config.depositDepth);
    if (head < depth) return false;
    const deep = await this.#node.getTransactionCount({
      address: this.#operator.address,
      blockNumber: head - depth,
    });
    if ((transaction.nonce ?? 0) >= deep) return false;
    for (const url of this.#config.rpcUrls) {
      const node = nodeOf({ ...this.#config, rpcUrls: [url] });
      if (await this.#minedOf(node, transaction, head)) return false;
    }
    return true;
  }

  /** A nonce between those spent and those in flight that nobody's transaction will ever use would block all above it. */
  async #fillGaps(spent: number): Promise<void> {
    const own = this.#rows.open().filter(({ sender }) => sender === this.#sender);
    const nonces = new Set(own.map(({ nonce }) => nonce));
    const highest = Math.max(-1, ...[...nonces].filter((nonce) => nonce !== undefined));
    for (let nonce = spent; nonce < highest; nonce++) {
      if (nonces.has(nonce)) continue;
      const key = `fill:${nonce}`;
      if (this.#rows.state(key)?.state === 'mined') continue;
      this.#rows.ask({ key, to: this.#operator.address, data: '0x', value: 0n });
      const filler = this.#rows.queued().find((queued) => queued.key === key);
      if (filler === undefined) continue;
      console.warn(JSON.stringify({ event: 'nonce_gap', nonce }));
      const fees = this.#capped(filler, await this.#node.estimateFeesPerGas());
      await this.#broadcast(filler, nonce, 21_000n, fees);
    }
  }

  async #minedOf(node: PublicClient, { hashes }: Transaction, head: bigint): Promise<Mined | undefined> {
    for (const hash of hashes.toReversed()) {
      const receipt = await node
        .getTransactionReceipt({ hash })
        .catch((error: Error) =>
          error.name === 'TransactionReceiptNotFoundError' ? undefined : Promise.reject(error),
        );
      if (receipt === undefined || receipt.transactionHash !== hash) continue;
      const deep = head - receipt.blockNumber >= BigInt(this.#config.depositDepth);
      // A receipt says in which block it was; the chain says whether that block is still part of it.
      const block = deep ? await node.getBlock({ blockNumber: receipt.blockNumber }) : undefined;
      return {
        state: 'mined',
        success: receipt.status === 'success',
        final: deep && block?.hash === receipt.blockHash,
        hash,
        blockNumber: receipt.blockNumber,
        logs: receipt.logs.map(({ address, topics, data }) => ({ address, topics, data })),
      };
    }
    return undefined;
  }

  async #isKnown({ hashes }: Transaction): Promise<boolean> {
    const hash = hashes.at(-1);
    if (hash === undefined) return false;
    return this.#node.getTransaction({ hash }).then(
      () => true,
      (error: Error) => (error.name === 'TransactionNotFoundError' ? false : Promise.reject(error)),
    );
  }

  /** What the operator is ready to pay per gas. Throws above it: then everything waits, and the transaction is not sent. */
  #capped(transaction: Transaction, fees: Fees): Fees {
    const cap = this.#config.maxFeePerGas * (transaction.urgent ? urgentFactor : 1n);
    if (fees.maxFeePerGas > cap) {
      throw new Error(`gas costs ${fees.maxFeePerGas} wei, more than the ${cap} it may cost`);
    }
    const { maxFeePerGas, maxPriorityFeePerGas } = fees;
    return {
      maxFeePerGas,
      maxPriorityFeePerGas: maxPriorityFeePerGas < maxFeePerGas ? maxPriorityFeePerGas : maxFeePerGas,
    };
  }

  #noncesSpent(blockTag: 'latest' | 'pending'): Promise<number> {
    return this.#node.getTransactionCount({ address: this.#operator.address, blockTag });
  }

  /** A URL that answers for another chain must not decide what becomes of this one's transactions. */
  async #checkChain(): Promise<void> {
    const chainId = await this.#node.getChainId();
    if (chainId !== this.#config.chainId) throw new Error(`the node answers for chain ${chainId}`);
  }
}

/** One after the other, none held up by another's failure; the first failure is thrown in the end. */
async function each(
  transactions: readonly Transaction[],
  work: (transaction: Transaction) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  for (const transaction of transactions) {
    await work(transaction).catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}

const wordsOf = ({ to, data, value }: Transaction) => ({ to, data, value });

const isStuck = (transaction: Transaction): boolean => Date.now() - transaction.sentMs > bumpAfterMs;

const maxOf = (a: bigint, b: bigint): bigint => (a > b ? a : b);
