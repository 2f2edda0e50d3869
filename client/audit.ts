// An audit of a receipt log with the chain and the DA layer alone: the gateway may be gone, or lying.
//
//   1  the chain: every anchor begins where the one before ended, and the head is the last one's
//   2  the files: each that an anchor names, down to its last byte; the tree grown again from their entries
//   3  the claim sheets: each receipt disclosed is signed, in the log, and consistent with those before
//   4  the vaults: every claim paid rests on a receipt that was committed to before
//   5  an agent's receipts: its bill is exactly them
//   6  a gateway, where one is given: the tiles it serves are that tree
import {
  type Address,
  createPublicClient,
  type Hex,
  hexToBytes,
  http,
  keccak256,
  type PublicClient,
} from 'viem';
import { parseAccountName } from '../protocol/account-name.ts';
import { toHex } from '../protocol/hex.ts';
import { type Blob, decodeFile, verifyBlob } from '../protocol/log/blob.ts';
import { headNoteKey } from '../protocol/log/checkpoint.ts';
import { logIdOf } from '../protocol/log/head.ts';
import { emptyRoot, leafHash, sameHash, verifyInclusion } from '../protocol/log/merkle.ts';
import { ed25519NoteKey, type NoteKey, parseVerifierKey } from '../protocol/log/note.ts';
import { receiptDigest, type SignedReceipt } from '../protocol/receipt.ts';
import { decodeDaReference } from '../protocol/zero-g/da-reference.ts';
import {
  accountOf,
  checkBill,
  checkVault,
  type Disclosed,
  disclose,
  isSigned,
  type VaultBook,
} from './audit-accounts.ts';
import { type AnchoredEvent, type LogOnChain, readHead, readLog, readVault } from './audit-chain.ts';
import { type DaEndpoint, downloadFile } from './audit-files.ts';
import type { AuditResult, Bill, Finding, FindingCode, Severity } from './audit-findings.ts';
import { AuditedGateway } from './audit-gateway.ts';
import { AuditTree, type TreeState } from './audit-tree.ts';

export type AuditOptions = {
  /** An RPC URL of the chain that the log is anchored on. */
  readonly rpcUrl: string;
  /** RPC URLs of other chains with vaults, by chain id. */
  readonly otherRpcUrls?: Readonly<Record<string, string>>;
  readonly anchor: Address;
  readonly logId: Hex;
  /** Where published files are asked for, in order. */
  readonly da: readonly DaEndpoint[];
  /**
   * Other logs on the same anchor whose receipts the same vaults have paid: the one this log continues, or one that
   * continues it. They are audited, too, but for bills and gateways.
   */
  readonly otherLogs?: readonly Hex[];
  /** An agent's receipts, or several agents'. */
  readonly receipts?: readonly SignedReceipt[];
  /** A gateway whose checkpoint and tiles are compared. */
  readonly gateway?: string;
  /** C2SP vkey of the log, if its Ed25519 signatures are to be checked, too. The chain does not know it. */
  readonly checkpointKey?: string;
  /** Where to begin reading events; default the chain's beginning. */
  readonly fromBlock?: bigint;
  /** Blocks below the newest that are not looked at: they may still be reorganised away. Default 0. */
  readonly depth?: number;
  /** What an earlier run handed to `keep`: the files it has read are not read again. */
  readonly state?: string;
  /** Called after each anchor with what the next run may begin from. */
  readonly keep?: (state: string) => void;
  readonly progress?: (step: AuditProgress) => void;
  readonly fetch?: typeof globalThis.fetch;
};

export type AuditProgress = {
  readonly step: 'chain' | 'files' | 'vaults' | 'bills' | 'gateway';
  readonly done: number;
  readonly of: number;
};

/** What is kept between runs. */
type Kept = {
  readonly version: 1;
  /** Of what it is the state: the log, and the receipts that were looked for. */
  readonly of: string;
  readonly tree: TreeState;
  readonly disclosed: readonly (readonly [string, Disclosed[]])[];
  readonly found: readonly (readonly [string, number])[];
  readonly findings: readonly Finding[];
  readonly counts: {
    readonly files: number;
    readonly bytes: number;
    readonly blobs: number;
    readonly claims: number;
    readonly tiles: number;
  };
};

/**
 * Audits a log up to the newest block. Rejects only when the chain cannot be asked; everything else is in the result.
 */
export async function audit(options: AuditOptions): Promise<AuditResult> {
  return new Audit(options).run();
}

class Audit {
  readonly #options: AuditOptions;
  readonly #client: PublicClient;
  readonly #fetch: typeof globalThis.fetch;
  readonly #findings: Finding[] = [];
  readonly #wanted: ReadonlyMap<string, SignedReceipt>;
  readonly #gateway: AuditedGateway | undefined;
  #tree = new AuditTree();
  #disclosed = new Map<string, Disclosed[]>();
  /** By the other logs. */
  readonly #others = new Map<string, Disclosed[]>();
  #found = new Map<string, number>();
  #counts = { files: 0, bytes: 0, blobs: 0, claims: 0, tiles: 0 };
  #keys: readonly NoteKey[] = [];

  constructor(options: AuditOptions) {
    this.#options = options;
    this.#fetch = options.fetch ?? globalThis.fetch;
    this.#client = clientOf(options.rpcUrl);
    this.#wanted = new Map((options.receipts ?? []).map((signed) => [receiptDigest(signed.receipt), signed]));
    this.#gateway =
      options.gateway === undefined ? undefined : new AuditedGateway(options.gateway, this.#fetch);
  }

  async run(): Promise<AuditResult> {
    const { anchor, logId, fromBlock = 0n, depth = 0 } = this.#options;
    this.#progress('chain', 0, 1);
    const chainId = await this.#client.getChainId();
    const head = await this.#client.getBlock({ blockTag: 'latest' });
    const to = head.number - BigInt(depth);
    const log = await readLog(this.#client, anchor, logId, { from: fromBlock, to });
    this.#keys = this.#keysOf(chainId, log);
    await this.#checkChain(chainId, log, to);
    this.#progress('chain', 1, 1);

    this.#resume(log);
    const isWhole = await this.#readFiles(log);
    for (const other of this.#options.otherLogs ?? [])
      await this.#readOther(other, chainId, { from: fromBlock, to });
    const vaults = await this.#readVaults(chainId, { from: fromBlock, to });
    const bills = this.#checkBills(log, vaults, head.timestamp);
    await this.#checkGateway();

    const last = log.anchored.at(-1);
    const findings = [...this.#findings, ...(this.#gateway?.findings ?? [])];
    return {
      ok: findings.length === 0,
      log: { chainId, anchor, logId, origin: log.opened?.origin ?? '' },
      through: { block: to, size: last?.size ?? 0, root: last?.root ?? toHex(emptyRoot()) },
      counts: {
        ...this.#counts,
        anchors: log.anchored.length,
        entries: this.#tree.size,
        vaultClaims: [...vaults.values()].reduce((sum, { claims }) => sum + claims, 0),
        tiles: this.#counts.tiles + (this.#gateway?.tiles ?? 0),
      },
      bills,
      findings,
      ...conclusions({ findings, bills, isWhole, hasGateway: this.#gateway !== undefined }),
    };
  }

  /** What another log has disclosed counts for the vaults as well. */
  async #readOther(
    logId: Hex,
    chainId: number,
    blocks: { readonly from: bigint; readonly to: bigint },
  ): Promise<void> {
    const { gateway: _g, receipts: _r, state: _s, keep: _k, checkpointKey: _c, ...rest } = this.#options;
    const other = new Audit({ ...rest, logId });
    const log = await readLog(this.#client, rest.anchor, logId, blocks);
    other.#keys = other.#keysOf(chainId, log);
    await other.#checkChain(chainId, log, blocks.to);
    await other.#readFiles(log);
    this.#findings.push(
      ...other.#findings.map((finding) => ({ ...finding, where: `log ${logId}: ${finding.where}` })),
    );
    for (const [account, list] of other.#disclosed) {
      this.#others.set(account, [...(this.#others.get(account) ?? []), ...list]);
    }
  }

  #keysOf(chainId: number, log: LogOnChain): NoteKey[] {
    const { anchor, logId, checkpointKey } = this.#options;
    const origin = log.opened?.origin ?? '';
    const vkey = checkpointKey === undefined ? undefined : parseVerifierKey(checkpointKey);
    return [...new Set(log.headKeys)]
      .map((key) => headNoteKey(origin, { chainId, anchor, logId }, key))
      .concat(vkey === undefined ? [] : [ed25519NoteKey(vkey.name, vkey.publicKey)]);
  }

  /** The contract has checked each consistency proof; what is left is that no event is missing or made up. */
  async #checkChain(chainId: number, log: LogOnChain, to: bigint): Promise<void> {
    const { anchor, logId } = this.#options;
    if (log.opened === undefined) {
      this.#say(
        'wrong',
        'log_unknown',
        logId,
        `${anchor} has no such log, or not after the first block read`,
      );
    } else if (logIdOf({ chainId, anchor, ...log.opened }) !== logId) {
      this.#say('wrong', 'log_id', logId, 'the id is not that of this chain, anchor, owner and origin');
    }
    let [size, root] = [0, toHex(emptyRoot())];
    for (const event of log.anchored) {
      if (event.previousSize !== size || event.previousRoot !== root || event.size <= size) {
        const detail = `the head before it had ${size} entries, it says ${event.previousSize}`;
        this.#say('wrong', 'anchors_do_not_chain', `anchor of ${event.size} in block ${event.block}`, detail);
      }
      [size, root] = [event.size, event.root];
    }
    const held = await readHead(this.#client, anchor, logId, to);
    if (log.opened !== undefined && (held.size !== size || (size > 0 && held.root !== root))) {
      const detail = `the contract holds ${held.size} entries, the events lead to ${size}`;
      this.#say('wrong', 'head_differs', `block ${to}`, detail);
    }
  }

  /** @returns whether every file was read and the tree rebuilt to the head */
  async #readFiles(log: LogOnChain): Promise<boolean> {
    const todo = log.anchored.filter(({ size }) => size > this.#tree.size);
    const done = log.anchored.length - todo.length;
    let isWhole = true;
    for (const [at, event] of todo.entries()) {
      this.#progress('files', done + at, log.anchored.length);
      const blobs = await this.#blobsOf(event);
      if (isWhole && blobs === undefined && event !== todo.at(-1)) {
        const detail =
          'entries before them are missing, so the tree cannot be grown: that later heads extend it rests on the contract';
        this.#say('unchecked', 'tree_interrupted', `entries from ${event.size} on`, detail);
      }
      isWhole &&= blobs !== undefined;
      // Where the tree has ended, what follows is still read for its own sake.
      for (const blob of blobs ?? []) await this.#readBlob(blob, event, log, isWhole);
      isWhole &&= this.#isAtHead(event);
      if (isWhole) this.#options.keep?.(this.#state());
    }
    this.#progress('files', log.anchored.length, log.anchored.length);
    return isWhole;
  }

  /** The blobs an anchor names; `undefined` when a file cannot be had or read. */
  async #blobsOf(event: AnchoredEvent): Promise<Blob[] | undefined> {
    const entries = `entries ${event.previousSize} to ${event.size - 1}`;
    const items = decodeDaReference(event.daReference);
    if (!items.ok) {
      this.#say('wrong', 'da_reference', entries, `it cannot be read: ${items.error}`);
      return undefined;
    }
    const blobs: Blob[] = [];
    for (const item of items.value) {
      const name = item.kind === '0g-storage' ? `file ${item.root}` : `blob ${item.commitment}`;
      const where = `${name} (${entries})`;
      const file = await downloadFile(item, this.#options.da, this.#fetch);
      if (!file.ok) {
        const { reason, detail } = file.error;
        if (reason === 'altered') this.#say('wrong', 'file_altered', where, detail);
        else this.#say('withheld', 'file_withheld', where, detail);
        return undefined;
      }
      this.#counts.files += 1;
      this.#counts.bytes += file.value.length;
      const read = decodeFile(file.value);
      if (!read.ok) {
        this.#say('wrong', 'blob_malformed', where, read.error);
        return undefined;
      }
      blobs.push(...read.value);
    }
    return blobs;
  }

  /** Checks what a blob says, and grows the tree by its entries where it can be grown. */
  async #readBlob(blob: Blob, event: AnchoredEvent, log: LogOnChain, canGrow: boolean): Promise<void> {
    this.#counts.blobs += 1;
    const last = blob.first + blob.entries.length - 1;
    const where = `blob of entries ${blob.first} to ${last}`;
    if (blob.logId !== this.#options.logId || (canGrow && blob.first !== this.#tree.size)) {
      const detail = canGrow
        ? `entry ${this.#tree.size} of this log should come next`
        : `it is of log ${blob.logId}`;
      this.#say('wrong', 'blob_misplaced', where, detail);
      return;
    }
    const checkpoint = verifyBlob({ ...blob, claims: [] }, this.#keys);
    if (!checkpoint.ok) this.#say('wrong', 'checkpoint_bad', where, checkpoint.error);
    this.#look(blob);
    if (canGrow) {
      const full = this.#tree.add(blob.entries);
      await this.#gateway?.compare(full);
      if (checkpoint.ok && !sameHash(checkpoint.value.root, this.#tree.root)) {
        const detail = `its checkpoint says ${toHex(checkpoint.value.root)}, its entries make ${toHex(this.#tree.root)}`;
        this.#say('wrong', 'root_differs', where, detail);
      }
    }
    if (checkpoint.ok) this.#readClaims(blob, checkpoint.value.root, last + 1, event, log);
  }

  #readClaims(blob: Blob, root: Uint8Array, size: number, event: AnchoredEvent, log: LogOnChain): void {
    const claimed = new Set<string>();
    for (const claim of blob.claims) {
      this.#counts.claims += 1;
      const { signed, index, proof } = claim;
      const account = accountOf(signed.receipt);
      const where = `claim of ${account} sequence ${signed.receipt.sequence}, entry ${index}`;
      const digest = receiptDigest(signed.receipt);
      const entry = blob.entries[index - blob.first];
      if (entry === undefined || toHex(entry) !== digest || signed.receipt.logId !== blob.logId) {
        this.#say('wrong', 'claim_misplaced', where, `the entry there is not this receipt, ${digest}`);
        continue;
      }
      if (!verifyInclusion({ root, size, index, leaf: leafHash(entry), proof })) {
        this.#say('wrong', 'claim_unproven', where, 'its proof does not lead to the checkpoint');
      }
      if (!isSigned(signed, index, log.receiptKeys)) {
        this.#say('wrong', 'claim_signer', where, 'it is not signed by a receipt key of the log');
        continue;
      }
      claimed.add(account);
      this.#findings.push(...disclose(this.#disclosed, claim, event));
    }
    this.#missingClaims(blob, claimed);
  }

  /** Of the receipts given: a commit with one of an account must disclose the account's last. */
  #missingClaims(blob: Blob, claimed: ReadonlySet<string>): void {
    const inBlob = blob.entries
      .map((entry) => this.#wanted.get(toHex(entry)))
      .filter((signed) => signed !== undefined);
    for (const account of new Set(inBlob.map(({ receipt }) => accountOf(receipt)))) {
      if (claimed.has(account)) continue;
      const where = `blob of entries ${blob.first} to ${blob.first + blob.entries.length - 1}`;
      this.#say('wrong', 'claim_missing', where, `${account} has receipts in it, and none is disclosed`);
    }
  }

  /** Finds the receipts given among the entries. */
  #look(blob: Blob): void {
    if (this.#wanted.size === 0) return;
    for (const [at, bytes] of blob.entries.entries()) {
      const entry = toHex(bytes);
      if (!this.#wanted.has(entry)) continue;
      const before = this.#found.get(entry);
      if (before !== undefined) {
        this.#say('wrong', 'entry_repeated', `entries ${before} and ${blob.first + at}`, `both are ${entry}`);
      } else this.#found.set(entry, blob.first + at);
    }
  }

  #isAtHead(event: AnchoredEvent): boolean {
    if (this.#tree.size === event.size && toHex(this.#tree.root) === event.root) return true;
    const detail = `the published entries make ${this.#tree.size} with root ${toHex(this.#tree.root)}, anchored is ${event.root}`;
    this.#say('wrong', 'root_differs', `anchor of ${event.size} in block ${event.block}`, detail);
    return false;
  }

  /** Every vault that a disclosed or given receipt names. */
  async #readVaults(
    home: number,
    blocks: { readonly from: bigint; readonly to: bigint },
  ): Promise<Map<string, VaultBook>> {
    const names = [
      ...this.#disclosed.keys(),
      ...[...this.#wanted.values()].map(({ receipt }) => accountOf(receipt)),
    ];
    const vaults = new Map(
      names.flatMap((name) => {
        const account = parseAccountName(name);
        return account === undefined ? [] : [[`${account.chainId}:${account.vault}`, account] as const];
      }),
    );
    const books = new Map<string, VaultBook>();
    for (const [name, { chainId, vault }] of vaults) {
      this.#progress('vaults', books.size, vaults.size);
      const isHome = chainId === home;
      const url = isHome ? this.#options.rpcUrl : this.#options.otherRpcUrls?.[`${chainId}`];
      if (url === undefined) {
        this.#say('unchecked', 'vault_unread', `vault ${vault}`, `no RPC URL for chain ${chainId} was given`);
        continue;
      }
      const client = isHome ? this.#client : clientOf(url);
      const to = isHome ? blocks.to : await client.getBlockNumber({ cacheTime: 0 });
      const events = await readVault(client, vault, { from: isHome ? blocks.from : 0n, to });
      const all = new Map(this.#disclosed);
      for (const [account, list] of this.#others) all.set(account, [...(all.get(account) ?? []), ...list]);
      const book = checkVault({ chainId, vault, isHome }, events, all);
      this.#findings.push(...book.findings);
      books.set(name, book);
    }
    this.#progress('vaults', vaults.size, vaults.size);
    return books;
  }

  #checkBills(log: LogOnChain, vaults: ReadonlyMap<string, VaultBook>, now: bigint): Bill[] {
    const byAccount = Map.groupBy(this.#options.receipts ?? [], ({ receipt }) => accountOf(receipt));
    return [...byAccount].map(([account, receipts]) => {
      const parsed = parseAccountName(account);
      const { bill, findings } = checkBill(account, receipts, {
        logId: this.#options.logId,
        found: this.#found,
        receiptKeys: log.receiptKeys,
        disclosed: this.#disclosed.get(account) ?? [],
        vault: parsed && vaults.get(`${parsed.chainId}:${parsed.vault}`),
        now,
      });
      this.#findings.push(...findings);
      return bill;
    });
  }

  async #checkGateway(): Promise<void> {
    if (this.#gateway === undefined) return;
    this.#progress('gateway', 0, 1);
    await this.#gateway.compare(this.#tree.partialTiles());
    await this.#gateway.compareCheckpoint(this.#tree, this.#keys);
    this.#progress('gateway', 1, 1);
  }

  /** Goes on from an earlier run, if that was of the same things and what it had rebuilt is what is anchored. */
  #resume(log: LogOnChain): void {
    const { state } = this.#options;
    if (state === undefined) return;
    const kept = JSON.parse(state) as Kept;
    const isOurs = kept.version === 1 && kept.of === this.#of();
    const isAnchored = log.anchored.some(
      ({ size, root }) => size === kept.tree.size && root === kept.tree.root,
    );
    if (!isOurs || !isAnchored) return;
    this.#tree = AuditTree.from(kept.tree);
    this.#disclosed = new Map(kept.disclosed.map(([account, list]) => [account, [...list]]));
    this.#found = new Map(kept.found);
    this.#counts = { ...kept.counts };
    this.#findings.push(...kept.findings);
  }

  #state(): string {
    const kept: Kept = {
      version: 1,
      of: this.#of(),
      tree: this.#tree.toState(),
      disclosed: [...this.#disclosed],
      found: [...this.#found],
      findings: this.#findings,
      counts: { ...this.#counts, tiles: this.#counts.tiles + (this.#gateway?.tiles ?? 0) },
    };
    return JSON.stringify(kept);
  }

  /** Names what a state is of: another log, other receipts or another gateway begin anew. */
  #of(): string {
    const { anchor, logId, gateway = '', checkpointKey = '' } = this.#options;
    const receipts = [...this.#wanted.keys()].toSorted().join('');
    return keccak256(
      hexToBytes(toHex(new TextEncoder().encode(`${anchor}${logId}${gateway}${checkpointKey}${receipts}`))),
    );
  }

  #say(severity: Severity, code: FindingCode, where: string, detail: string): void {
    this.#findings.push({ severity, code, where, detail });
  }

  #progress(step: AuditProgress['step'], done: number, of: number): void {
    this.#options.progress?.({ step, done, of });
  }
}

/** What the result means, in sentences. */
function conclusions(of: {
  readonly findings: readonly Finding[];
  readonly bills: readonly Bill[];
  readonly isWhole: boolean;
  readonly hasGateway: boolean;
}): { readonly proves: readonly string[]; readonly doesNotProve: readonly string[] } {
  const has = (...codes: FindingCode[]): boolean => of.findings.some(({ code }) => codes.includes(code));
  const proves: string[] = [];
  if (of.isWhole && !has('root_differs', 'anchors_do_not_chain', 'head_differs', 'blob_misplaced')) {
    proves.push(
      'The log was never rewritten: every anchored head is the tree of the entries that were published.',
    );
  }
  if (!has('vault_claim_not_committed', 'vault_events_do_not_add_up', 'vault_unread', 'claim_signer')) {
    proves.push(
      'Every claim that the vault paid rests on a signed receipt that was published and anchored before.',
    );
  }
  for (const bill of of.bills) {
    if (!bill.exact) continue;
    proves.push(
      `The bill of ${bill.account} is exactly its ${bill.receipts} receipts: ${bill.total} in all, ${bill.claimed} claimed.`,
    );
  }
  const doesNotProve = [
    'That an answer was made by the model that was paid for: a receipt says what the gateway saw.',
    "That a receipt's price is right: compare its usage and its price table.",
  ];
  if (of.bills.length === 0) {
    doesNotProve.push(
      "That totals are right: without an agent's own receipts, only that they were committed to. Give --receipts.",
    );
  }
  if (!of.hasGateway) doesNotProve.push('Anything about what a gateway serves today. Give --gateway.');
  return { proves, doesNotProve };
}

const clientOf = (url: string): PublicClient =>
  createPublicClient({ transport: http(url, { timeout: 30_000, retryCount: 2 }) });
