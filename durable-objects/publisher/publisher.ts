// Evidence out. docs/log.md draws the states.
//
//   gather   committed blobs become a file: from here on it is always the same bytes
//   store    the file goes to the DA layer, until that confirms it can be had
//   anchor   the newest head whose files can all be had goes on chain, and stays under watch until it is deep enough
//   hand on  the log is told, and what these receipts earned is handed to the vault's chain
//
// Anchoring waits for the layer's confirmation: a head on chain promises that its entries can be had. One anchor at a time,
// built against the head that is on chain and naming every file from there on: so if a reorganisation takes one away, the
// next names its files again. Nothing here holds up sealing: this object only reads what the log has committed.
import { DurableObject } from 'cloudflare:workers';
import { concatBytes, hexToBytes } from '@noble/hashes/utils.js';
import { encodeFunctionData, type Hex, type PublicClient } from 'viem';
import { receiptAnchorAbi } from '../../contracts-abi/generated/ReceiptAnchor.ts';
import { accountName } from '../../protocol/account-name.ts';
import { addressOfKey } from '../../protocol/ecdsa.ts';
import { decodeFile } from '../../protocol/log/blob.ts';
import { headDigest, signHead } from '../../protocol/log/head.ts';
import { TILE_WIDTH } from '../../protocol/log/tiles.ts';
import { decodeDaReference, encodeDaReference } from '../../protocol/zero-g/da-reference.ts';
import { flowAbi, marketAbi } from '../../protocol/zero-g/flow.ts';
import { AlarmClock } from '../alarm-clock.ts';
import { chainName } from '../chain/chain-name.ts';
import { nodeOf, reasonOf } from '../chain/node.ts';
import type { TransactionRequest } from '../chain/transactions.ts';
import { type Config, chainOf, configOf, keyOf } from '../config.ts';
import type { DaLayer } from '../da/da-port.ts';
import { storageLayer } from '../da/storage-layer.ts';
import { daEntranceAbi, zeroGDaLayer } from '../da/zero-g-da.ts';
import { zeroGIndexer } from '../da/zero-g-indexer.ts';
import { zeroGStorageNode } from '../da/zero-g-storage.ts';
import type { Fetch } from '../da/zero-g-wire.ts';
import type { Env } from '../env.ts';
import type { Commit } from '../log/log-rows.ts';
import { copyFullTiles } from '../log/tile-bucket.ts';
import { gather } from './gather.ts';
import { type AnchorUnderWay, PublicationRows, type PublishedFile } from './publication-rows.ts';

/** Between two looks at something under way. */
const pollMs = 500;
/** After something failed: the next try, doubling up to a minute. */
const retryMinMs = 1_000;
const retryMaxMs = 60_000;
/** Commits looked at when a file is gathered, and files named by one anchor. */
const commitsMax = 1_024;
const anchorFilesMax = 64;
/** Tiles copied to the bucket in one round. */
const tilesAtOnce = 64;

export type PublisherStatus = {
  /** Files gathered; those that can be had from the DA layer; those under an anchored head. */
  readonly files: number;
  readonly available: number;
  readonly anchored: number;
  /** Rounds that failed, in a row. */
  readonly failures: number;
};

const platformFetch: Fetch = (url, init) => fetch(url, init);

export class Publisher extends DurableObject<Env> {
  readonly #alarm: AlarmClock;
  readonly #rows: PublicationRows;
  #layer: DaLayer | undefined;
  /** The file being stored: it is asked about many times. */
  #held: { readonly file: number; readonly bytes: Uint8Array } | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#rows = new PublicationRows(ctx.storage);
    this.#alarm = new AlarmClock(ctx.storage);
    void ctx.blockConcurrencyWhile(() => this.#alarm.load());
  }

  status(): PublisherStatus {
    const { done } = this.#rows;
    const files = this.#rows.lastFile()?.id ?? 0;
    const available = (this.#rows.nextToStore()?.id ?? files + 1) - 1;
    return { files, available, anchored: done, failures: this.#rows.failures };
  }

  /** There may be commits to publish. */
  wake(): void {
    this.#alarm.noLaterThan(Date.now());
  }

  /**
   * The next time first, then what can be done now: each step by itself, so that one that fails holds up no other. Anchors
   * come before files, because storing one may take minutes.
   */
  override async alarm(): Promise<void> {
    this.#alarm.rang(Date.now() + retryMaxMs);
    const failures: string[] = [];
    for (const step of [this.#gather, this.#anchor, this.#copyTiles, this.#store]) {
      try {
        const againMs = await step.call(this, configOf(this.env));
        if (againMs !== undefined) this.#alarm.noLaterThan(againMs);
      } catch (error) {
        failures.push(reasonOf(error));
      }
    }
    if (failures.length === 0) {
      this.#rows.failures = 0;
      this.#alarm.clear();
      return;
    }
    const wait = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(this.#rows.failures, 10));
    this.#rows.failures += 1;
    this.#alarm.noLaterThan(Date.now() + wait);
    console.error(JSON.stringify({ event: 'publish_delayed', retryInMs: wait, errors: failures }));
  }

  // Each step answers when to be called again; `undefined` when it has nothing to do.

  /** Commits not in a file yet become the next one, when it is time. */
  async #gather(config: Config): Promise<number | undefined> {
    const last = this.#rows.lastFile();
    const waiting = await this.#log(config).commits((last?.lastCommit ?? 0) + 1, commitsMax);
    const { commits, againMs } = gather(waiting, config.log, Date.now());
    const [oldest, newest] = [commits[0], commits.at(-1)];
    if (oldest === undefined || newest === undefined) return againMs;
    this.#rows.addFile({
      firstCommit: oldest.id,
      lastCommit: newest.id,
      first: last?.size ?? 0,
      size: newest.size,
    });
    return commits.length < waiting.length ? Date.now() : undefined;
  }

  /** Full tiles go to the bucket, if the deployment has one. */
  async #copyTiles(config: Config): Promise<number | undefined> {
    const { TILES: bucket } = this.env;
    if (bucket === undefined) return undefined;
    const log = this.#log(config);
    const { sealed } = await log.status();
    const copied = this.#rows.tilesCopied;
    const now = await copyFullTiles(bucket, config.log.logId, log, copied, sealed, tilesAtOnce);
    if (now !== copied) this.#rows.tilesCopied = now;
    return (now + 1) * TILE_WIDTH <= sealed ? Date.now() : undefined;
  }

  async #store(config: Config): Promise<number | undefined> {
    const file = this.#rows.nextToStore();
    if (file === undefined) return undefined;
    if (this.#held?.file !== file.id) {
      this.#held = { file: file.id, bytes: await this.#bytesOf(config, file) };
    }
    this.#layer ??= this.#layerOf(config);
    const { bytes } = this.#held;
    const outcome = await this.#layer.advance({ name: `${file.id}`, bytes }, file.progress);
    if (!outcome.ok) throw new Error(outcome.error);
    if (outcome.value.state === 'available') {
      this.#rows.stored(file.id, encodeDaReference([outcome.value.item]));
      this.#held = undefined;
      return Date.now();
    }
    const { progress } = outcome.value;
    const hasMoved = JSON.stringify(progress) !== JSON.stringify(file.progress);
    if (hasMoved) this.#rows.progressed(file.id, progress);
    return Date.now() + pollMs;
  }

  async #anchor(config: Config): Promise<number | undefined> {
    const anchor = this.#rows.anchor ?? (await this.#beginAnchor(config));
    if (anchor === undefined) return undefined;
    const file = this.#rows.file(anchor.file);
    const commit = file && (await this.#commitOf(config, file));
    if (file === undefined || commit === undefined) throw new Error(`file ${anchor.file} is not there`);

    const key = `anchor:${anchor.number}`;
    const chain = this.#home(config);
    let state = await chain.stateOf(key);
    if (state === undefined) {
      const head = await this.#headOnChain(config);
      if (head.size !== anchor.fromSize) {
        // Another head than the one it was built against: what it names would not begin where the head ends.
        this.#rows.dropAnchor();
        return Date.now();
      }
      state = await chain.send({ key, ...(await this.#anchorCall(config, anchor, file, commit)) });
    }
    if (state.state === 'refused' || (state.state === 'mined' && state.final && !state.success)) {
      this.#rows.dropAnchor();
      throw new Error(state.state === 'refused' ? `the anchor would revert: ${state.error}` : 'it reverted');
    }
    if (state.state === 'pending' || !state.final) return Date.now() + pollMs;
    const head = await this.#headOnChain(config);
    if (head.size < file.size || (head.size === file.size && head.root !== commit.root)) {
      throw new Error(`the head on chain has ${head.size} entries after an anchor of ${file.size}`);
    }
    const { hash, blockNumber } = state;
    const { daReference } = anchor;
    await this.#handOn(config, file, commit, {
      transaction: hash,
      blockNumber: `${blockNumber}`,
      daReference,
    });
    return Date.now();
  }

  /** Fixes what the next anchor says: every file that can be had, from the head on chain on. */
  async #beginAnchor(config: Config): Promise<AnchorUnderWay | undefined> {
    if (this.#rows.file(this.#rows.done + 1)?.reference === undefined) return undefined;
    const { size: fromSize } = await this.#headOnChain(config);
    const files: PublishedFile[] = [];
    for (const file of this.#rows.filesFrom(fromSize, anchorFilesMax)) {
      if (file.reference === undefined) break;
      files.push(file);
    }
    // No file beyond the head: it is an anchor of ours that was not noted down. Sent again, it changes nothing.
    const last = files.at(-1) ?? this.#rows.fileOfSize(fromSize);
    if (last?.reference === undefined || (files[0] !== undefined && files[0].first !== fromSize)) {
      throw new Error(`the head on chain, ${fromSize}, is not where a file of this log begins`);
    }
    const items = (files.length === 0 ? [last] : files).flatMap(itemsOf);
    return this.#rows.beginAnchor({ file: last.id, fromSize, daReference: encodeDaReference(items) });
  }

  async #anchorCall(
    config: Config,
    { fromSize, daReference }: AnchorUnderWay,
    file: PublishedFile,
    commit: Commit,
  ): Promise<Omit<TransactionRequest, 'key'>> {
    const { logId, anchor } = config.log;
    const proof = await this.#log(config).consistencyProof(fromSize, file.size);
    if (proof === undefined) throw new Error(`no proof from ${fromSize} entries to ${file.size}`);
    // Not the commit's own: the head key may have been exchanged since, and the contract hears the present one only.
    const root = hexToBytes(commit.root.slice(2));
    const digest = headDigest({ chainId: config.log.chainId, anchor, logId, size: file.size, root });
    const headSignature = signHead(digest, keyOf(this.env, 'HEAD_KEY'));
    const data = encodeFunctionData({
      abi: receiptAnchorAbi,
      functionName: 'anchor',
      args: [logId, BigInt(file.size), commit.root, proof, headSignature, daReference],
    });
    return { to: anchor, value: 0n, data };
  }

  /** Tells the log, and hands the dues of every file that is anchored now to their chains. Safe to repeat. */
  async #handOn(
    config: Config,
    file: PublishedFile,
    commit: Commit,
    anchored: { readonly transaction: Hex; readonly blockNumber: string; readonly daReference: Hex },
  ): Promise<void> {
    const { size, root } = commit;
    for (let id = this.#rows.done + 1; id <= file.id; id++) {
      const one = this.#rows.file(id);
      if (one === undefined) throw new Error(`file ${id} is not there`);
      for (const [chainId, dues] of await this.#duesOf(config, one)) {
        await this.env.CHAIN.getByName(chainName(chainId)).settle(dues);
      }
    }
    await this.#log(config).anchored({ size, root, commit: commit.id, ...anchored });
    this.#rows.anchored(file.id);
  }

  /** What the committed claim sheets say each account owes: read back from the very bytes that were published. */
  async #duesOf(config: Config, file: PublishedFile) {
    const blobs = decodeFile(await this.#bytesOf(config, file));
    if (!blobs.ok) throw new Error(`file ${file.id}: the stored blobs do not read: ${blobs.error}`);
    const dues = new Map<number, { account: string; epoch: bigint; cumulative: bigint }[]>();
    for (const { signed } of blobs.value.flatMap(({ claims }) => claims)) {
      const { vault, registry, agentId, epoch, cumulative } = signed.receipt;
      const chainId = Number(signed.receipt.chainId);
      const due = { account: accountName({ chainId, vault, registry, agentId }), epoch, cumulative };
      dues.set(chainId, [...(dues.get(chainId) ?? []), due]);
    }
    return dues;
  }

  async #bytesOf(config: Config, file: PublishedFile): Promise<Uint8Array> {
    const blobs: Uint8Array[] = [];
    for (let id = file.firstCommit; id <= file.lastCommit; id++) {
      const blob = await this.#log(config).blob(id);
      if (blob === undefined) throw new Error(`commit ${id} has no blob`);
      blobs.push(blob);
    }
    return concatBytes(...blobs);
  }

  async #commitOf(config: Config, file: PublishedFile): Promise<Commit | undefined> {
    return (await this.#log(config).commits(file.lastCommit, 1))[0];
  }

  async #headOnChain(config: Config): Promise<{ readonly size: number; readonly root: Hex }> {
    const [size, root] = await homeNode(config).readContract({
      address: config.log.anchor,
      abi: receiptAnchorAbi,
      functionName: 'head',
      args: [config.log.logId],
    });
    return { size: Number(size), root };
  }

  #layerOf(config: Config): DaLayer {
    const { da, log } = config;
    if (da.kind === 'zero-g-da') {
      return zeroGDaLayer({
        url: da.url,
        fetch: platformFetch,
        hasEntrance: async () => {
          const code = await homeNode(config).getCode({ address: da.entrance });
          return code !== undefined && code !== '0x';
        },
        commitmentExists: ({ root, epoch, quorumId }) =>
          homeNode(config).readContract({
            address: da.entrance,
            abi: daEntranceAbi,
            functionName: 'commitmentExists',
            args: [root, epoch, quorumId],
          }),
      });
    }
    const { flow, storage } = da;
    return storageLayer({
      storage:
        storage.kind === 'indexer'
          ? zeroGIndexer({ url: storage.url, fetch: platformFetch })
          : zeroGStorageNode({
              url: storage.url,
              fetch: platformFetch,
              network: { chainId: log.chainId, flow },
            }),
      flow,
      submitter: addressOfKey(keyOf(this.env, 'OPERATOR_KEY')),
      pricePerSector: async () => {
        const node = homeNode(config);
        const market = await node.readContract({ address: flow, abi: flowAbi, functionName: 'market' });
        return node.readContract({ address: market, abi: marketAbi, functionName: 'pricePerSector' });
      },
      stateOf: async (key) => this.#home(config).stateOf(key),
      send: async (key, call) => this.#home(config).send({ key, ...call }),
    });
  }

  #log(config: Config) {
    return this.env.RECEIPT_LOG.getByName(config.log.logId);
  }

  #home(config: Config) {
    return this.env.CHAIN.getByName(chainName(config.log.chainId));
  }
}

function itemsOf(file: PublishedFile) {
  const items = decodeDaReference(file.reference ?? '0x');
  if (!items.ok) throw new Error(`file ${file.id}: the reference kept does not read: ${items.error}`);
  return items.value;
}

function homeNode(config: Config): PublicClient {
  const chain = chainOf(config, config.log.chainId);
  if (chain === undefined) throw new Error('the home chain is not configured');
  return nodeOf(chain);
}
