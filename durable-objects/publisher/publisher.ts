// Evidence out. One commit at a time, in order, each step safe to repeat:
//
//   submitting   the blob's submission goes on chain (asked for by file root: a retry never pays twice)
//   uploading    its segments go to a storage node, until the node confirms it holds the file
//   anchoring    the head goes on chain with the DA reference; the contract checks the consistency proof
//   anchored     the log is told, and what these receipts earned is claimed from the vault
//
// Anchoring waits for the node's confirmation: a head on chain promises that its entries can be had. Nothing here holds up
// sealing: this object only reads what the log has committed.
import { DurableObject } from 'cloudflare:workers';
import { type Address, encodeFunctionData, type Hex } from 'viem';
import { receiptAnchorAbi } from '../../contracts-abi/generated/ReceiptAnchor.ts';
import { accountName } from '../../protocol/account-name.ts';
import { addressOfKey } from '../../protocol/ecdsa.ts';
import { decodeBlob } from '../../protocol/log/blob.ts';
import { encodeDaReference } from '../../protocol/zero-g/da-reference.ts';
import { type FileTree, fileTree } from '../../protocol/zero-g/file-tree.ts';
import {
  flowAbi,
  marketAbi,
  parseSubmitLog,
  storageFee,
  submitCalldata,
} from '../../protocol/zero-g/flow.ts';
import { AlarmClock } from '../alarm-clock.ts';
import { chainName } from '../chain/chain-name.ts';
import { nodeOf, reasonOf } from '../chain/node.ts';
import type { TransactionState } from '../chain/transactions.ts';
import { type Config, configOf, keyOf } from '../config.ts';
import { zeroGStorageNode } from '../da/zero-g-storage.ts';
import type { Env } from '../env.ts';
import type { Commit } from '../log/log-rows.ts';

/** Between two looks at a step under way. */
const pollMs = 500;
/** After a step failed: the next try, doubling up to a minute. */
const retryMinMs = 1_000;
const retryMaxMs = 60_000;

type Publication =
  | { readonly step: 'submitting'; readonly commit: number }
  | { readonly step: 'uploading'; readonly commit: number; readonly txSeq: string }
  | {
      readonly step: 'anchoring';
      readonly commit: number;
      readonly daReference: Hex;
      readonly attempt: number;
    };

export class Publisher extends DurableObject<Env> {
  readonly #alarm: AlarmClock;
  #failures = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#alarm = new AlarmClock(ctx.storage);
    void ctx.blockConcurrencyWhile(() => this.#alarm.load());
  }

  /** There may be commits to publish. */
  wake(): void {
    this.#alarm.noLaterThan(Date.now());
  }

  override async alarm(): Promise<void> {
    this.#alarm.rang();
    this.#alarm.noLaterThan(Date.now() + retryMaxMs);
    try {
      const more = await this.#step(configOf(this.env));
      this.#failures = 0;
      if (more) this.#alarm.noLaterThan(Date.now() + pollMs);
      else this.#alarm.clear();
    } catch (error) {
      const wait = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(this.#failures, 10));
      this.#failures += 1;
      this.#alarm.noLaterThan(Date.now() + wait);
      console.error(JSON.stringify({ event: 'publish_delayed', retryInMs: wait, error: reasonOf(error) }));
    }
  }

  /** Does what can be done now. Throws when something outside failed. @returns whether anything is left to do */
  async #step(config: Config): Promise<boolean> {
    const log = this.env.RECEIPT_LOG.getByName(config.log.logId);
    const done = this.ctx.storage.kv.get<number>('published') ?? 0;
    const commit = await log.commit(done + 1);
    if (commit === undefined) return false;
    const now = this.ctx.storage.kv.get<Publication>('publication') ?? {
      step: 'submitting',
      commit: commit.id,
    };
    switch (now.step) {
      case 'submitting':
        return this.#submit(config, commit);
      case 'uploading':
        return this.#upload(config, commit, BigInt(now.txSeq));
      case 'anchoring':
        return this.#anchor(config, commit, now.daReference, now.attempt);
    }
  }

  async #submit(config: Config, commit: Commit): Promise<boolean> {
    const tree = await this.#treeOf(config, commit);
    const submitter = addressOfKey(keyOf(this.env, 'OPERATOR_KEY'));
    const state = await this.#send(config, `storage:${tree.root}`, config.zeroG.flow, async () => ({
      data: submitCalldata(tree.submission, submitter),
      value: storageFee(tree.submission, await this.#pricePerSector(config)),
    }));
    if (state.state !== 'mined') return stillPending(state, 'storage submission');
    for (const entry of state.logs) {
      const event = parseSubmitLog(config.zeroG.flow, entry);
      if (event.ok && event.value.root === tree.root) {
        this.#next({ step: 'uploading', commit: commit.id, txSeq: `${event.value.txSeq}` });
        return true;
      }
    }
    throw new Error(`transaction ${state.hash} was mined without a Submit event for ${tree.root}`);
  }

  async #upload(config: Config, commit: Commit, txSeq: bigint): Promise<boolean> {
    const tree = await this.#treeOf(config, commit);
    const node = zeroGStorageNode({
      url: config.zeroG.storageUrl,
      fetch: (url, init) => fetch(url, init),
      network: { chainId: config.log.chainId, flow: config.zeroG.flow },
    });
    const uploaded = await node.uploadFile(tree, { txSeq });
    if (!uploaded.ok) {
      // The node follows the chain a moment behind: it has not seen the submission yet.
      if (uploaded.error.reason === 'unknown_file' || uploaded.error.reason === 'busy') return true;
      throw new Error(`storage node: ${JSON.stringify(uploaded.error)}`);
    }
    if (!uploaded.value.finalized) {
      const finalized = await node.isFinalized({ root: tree.root, txSeq });
      if (!finalized.ok) throw new Error(`storage node: ${JSON.stringify(finalized.error)}`);
      if (!finalized.value) return true;
    }
    const reference = encodeDaReference([
      { kind: '0g-storage', state: 'node-confirmed', root: tree.root, txSeq },
    ]);
    this.#next({ step: 'anchoring', commit: commit.id, daReference: reference, attempt: 1 });
    return true;
  }

  /** The proof is built against the head actually on chain, and again if that head has moved (a reorg). */
  async #anchor(config: Config, commit: Commit, daReference: Hex, attempt: number): Promise<boolean> {
    const { log } = config;
    const key = `anchor:${commit.id}:${attempt}`;
    const state = await this.#send(config, key, log.anchor, async () => {
      const { size } = await this.#headOnChain(config);
      const proof = await this.env.RECEIPT_LOG.getByName(log.logId).consistencyProof(size, commit.size);
      if (proof === undefined) {
        throw new Error(`the anchored head has ${size} entries, commit ${commit.id} only ${commit.size}`);
      }
      return {
        value: 0n,
        data: encodeFunctionData({
          abi: receiptAnchorAbi,
          functionName: 'anchor',
          args: [log.logId, BigInt(commit.size), commit.root, proof, commit.headSignature, daReference],
        }),
      };
    });
    if (state.state !== 'mined') return stillPending(state, 'anchor');
    const head = await this.#headOnChain(config);
    if (
      !state.success ||
      head.size < commit.size ||
      (head.size === commit.size && head.root !== commit.root)
    ) {
      // Mined, but the head is not there: reverted, or mined on a branch that is gone. Again, against what is there now.
      this.#next({ step: 'anchoring', commit: commit.id, daReference, attempt: attempt + 1 });
      return true;
    }
    await this.#finish(config, commit, {
      transaction: state.hash,
      blockNumber: `${state.blockNumber}`,
      daReference,
    });
    return true;
  }

  async #finish(
    config: Config,
    commit: Commit,
    anchored: { readonly transaction: Hex; readonly blockNumber: string; readonly daReference: Hex },
  ): Promise<void> {
    const log = this.env.RECEIPT_LOG.getByName(config.log.logId);
    await log.anchored(commit.id, anchored);
    for (const [chainId, dues] of await this.#duesOf(config, commit)) {
      await this.env.CHAIN.getByName(chainName(chainId)).settle(dues);
    }
    this.ctx.storage.transactionSync(() => {
      this.ctx.storage.kv.put('published', commit.id);
      this.ctx.storage.kv.delete('publication');
    });
  }

  async #headOnChain(config: Config): Promise<{ readonly size: number; readonly root: Hex }> {
    const [size, root] = await nodeOf(homeChain(config)).readContract({
      address: config.log.anchor,
      abi: receiptAnchorAbi,
      functionName: 'head',
      args: [config.log.logId],
    });
    return { size: Number(size), root };
  }

  /** What the committed claim sheet says each account owes: read back from the very bytes that were published. */
  async #duesOf(config: Config, commit: Commit) {
    const blob = decodeBlob(await this.#blobOf(config, commit));
    if (!blob.ok) throw new Error(`commit ${commit.id}: the stored blob does not read: ${blob.error}`);
    const dues = new Map<number, { account: string; cumulative: bigint }[]>();
    for (const { signed } of blob.value.claims) {
      const { vault, registry, agentId, cumulative } = signed.receipt;
      const chainId = Number(signed.receipt.chainId);
      const due = { account: accountName({ chainId, vault, registry, agentId }), cumulative };
      dues.set(chainId, [...(dues.get(chainId) ?? []), due]);
    }
    return dues;
  }

  /** Asks Chain for a transaction; builds it only when the answer is not already there. */
  async #send(
    config: Config,
    key: string,
    to: Address,
    build: () => Promise<{ data: Hex; value: bigint }>,
  ): Promise<TransactionState> {
    const chain = this.env.CHAIN.getByName(chainName(config.log.chainId));
    const known = await chain.stateOf(key);
    if (known !== undefined && known.state !== 'refused') return known;
    const { data, value } = await build();
    return chain.send({ key, to, data, value });
  }

  async #pricePerSector(config: Config): Promise<bigint> {
    const node = nodeOf(homeChain(config));
    const market = await node.readContract({
      address: config.zeroG.flow,
      abi: flowAbi,
      functionName: 'market',
    });
    return node.readContract({ address: market, abi: marketAbi, functionName: 'pricePerSector' });
  }

  async #blobOf(config: Config, commit: Commit): Promise<Uint8Array> {
    const blob = await this.env.RECEIPT_LOG.getByName(config.log.logId).blob(commit.id);
    if (blob === undefined) throw new Error(`commit ${commit.id} has no blob`);
    return blob;
  }

  async #treeOf(config: Config, commit: Commit): Promise<FileTree> {
    return fileTree(await this.#blobOf(config, commit));
  }

  #next(publication: Publication): void {
    this.ctx.storage.kv.put('publication', publication);
  }
}

function stillPending(state: Exclude<TransactionState, { state: 'mined' }>, what: string): boolean {
  if (state.state === 'refused') throw new Error(`${what} refused: ${state.error}`);
  return true;
}

function homeChain(config: Config) {
  const chain = config.chains.find(({ chainId }) => chainId === config.log.chainId);
  if (chain === undefined) throw new Error('the home chain is not configured');
  return chain;
}
