// 0G Storage: a transaction that pays, then the bytes over HTTP.
//
//   (nothing) -> paid -> uploaded -> node-confirmed
//
// What is paid for is asked for by the file's root, which is also the transaction's key: a retry never pays twice. A file
// the storage network knows already (its submission was ours, or anybody's) is not paid for at all.
import type { Address, Hex } from 'viem';
import { ok, type Result, refuse } from '../../protocol/result.ts';
import { type FileTree, fileTree } from '../../protocol/zero-g/file-tree.ts';
import { parseSubmitLog, type RawLog, storageFee, submitCalldata } from '../../protocol/zero-g/flow.ts';
import type { DaFile, DaLayer, DaOutcome, DaProgress } from './da-port.ts';
import type { ZeroGStorage } from './zero-g-wire.ts';

/** What has become of a transaction somebody asked for. */
export type PaymentState =
  | { readonly state: 'pending' }
  | {
      readonly state: 'mined';
      readonly success: boolean;
      readonly final: boolean;
      readonly logs: readonly RawLog[];
    }
  | { readonly state: 'refused'; readonly error: string };

export type StorageLayerPorts = {
  readonly storage: ZeroGStorage;
  readonly flow: Address;
  /** Named in the submission as its sender. */
  readonly submitter: Address;
  /** Wei a sector of 256 bytes costs now. */
  readonly pricePerSector: () => Promise<bigint>;
  readonly stateOf: (key: string) => Promise<PaymentState | undefined>;
  /** Asks for a transaction, once per key, or again for one that was refused. */
  readonly send: (
    key: string,
    call: { readonly to: Address; readonly data: Hex; readonly value: bigint },
  ) => Promise<PaymentState>;
};

/** The layer over 0G Storage, through a node or an indexer. */
export function storageLayer(ports: StorageLayerPorts): DaLayer {
  const { storage, flow, submitter } = ports;
  let last: { readonly name: string; readonly tree: FileTree } | undefined;
  /** A file is asked about many times while it is under way: its tree is made once. */
  const treeOf = (file: DaFile): FileTree => {
    if (last?.name !== file.name) last = { name: file.name, tree: fileTree(file.bytes) };
    return last.tree;
  };

  async function pay(tree: FileTree, progress: DaProgress): Promise<Result<DaOutcome, string>> {
    const attempt = Number(progress['attempt'] ?? '1');
    const key = `storage:${tree.root}:${attempt}`;
    let state = await ports.stateOf(key);
    if (state === undefined || state.state === 'refused') {
      // Before anything is paid: is it there already? Whatever was refused or lost may have come through after all.
      const known = await storage.find({ root: tree.root });
      if (!known.ok && known.error.reason !== 'other_file') {
        return refuse(`storage cannot be asked, so it is not paid: ${JSON.stringify(known.error)}`);
      }
      if (known.ok && known.value?.size === tree.size && !known.value.pruned) {
        return ok({ state: 'waiting', progress: { txSeq: `${known.value.txSeq}` } });
      }
      const before = state;
      state = await ports.send(key, {
        to: flow,
        data: submitCalldata(tree.submission, submitter),
        value: storageFee(tree.submission, await ports.pricePerSector()),
      });
      if (before?.state === 'refused') return refuse(`the submission was refused: ${before.error}`);
    }
    const again = { attempt: `${attempt}` };
    // The submission's number may change while its block can still be reorganised away.
    if (state.state !== 'mined' || !state.final) return ok({ state: 'waiting', progress: again });
    if (!state.success) return ok({ state: 'waiting', progress: { attempt: `${attempt + 1}` } });
    for (const log of state.logs) {
      const event = parseSubmitLog(flow, log);
      if (event.ok && event.value.root === tree.root) {
        return ok({ state: 'waiting', progress: { txSeq: `${event.value.txSeq}` } });
      }
    }
    return refuse(`the submission was mined without a Submit event for ${tree.root}`);
  }

  async function upload(tree: FileTree, txSeq: bigint): Promise<Result<DaOutcome, string>> {
    const waiting: DaOutcome = { state: 'waiting', progress: { txSeq: `${txSeq}` } };
    const uploaded = await storage.uploadFile(tree, { txSeq });
    if (!uploaded.ok) {
      const { reason } = uploaded.error;
      // The node follows the chain a moment behind, or writes as fast as it can.
      if (reason === 'unknown_file' || reason === 'busy') return ok(waiting);
      return refuse(`storage: ${JSON.stringify(uploaded.error)}`);
    }
    if (!uploaded.value.finalized) return ok(waiting);
    const item = { kind: '0g-storage', state: 'node-confirmed', root: tree.root, txSeq } as const;
    return ok({ state: 'available', item });
  }

  return {
    advance(file, progress = {}) {
      const tree = treeOf(file);
      const txSeq = progress['txSeq'];
      return txSeq === undefined ? pay(tree, progress) : upload(tree, BigInt(txSeq));
    },
  };
}
