import type { Address, Hex } from 'viem';
import { fromBase64, toBase64 } from '../../protocol/base64.ts';
import { parseAddress } from '../../protocol/hex.ts';
import { ok, refuse } from '../../protocol/result.ts';
import { CHUNK_BYTES, fileShape, SEGMENT_BYTES } from '../../protocol/zero-g/file-tree.ts';
import { checkSegment } from '../../protocol/zero-g/segment-check.ts';
import { judgeUploadError, type SegmentTaken, sameFile, uploadMissing } from './missing-segments.ts';
import {
  exchangeJson,
  type Fetch,
  type FileRef,
  isRecord,
  parseCount,
  parseProof,
  parseStoredFile,
  SEGMENT_ANSWER_BYTES,
  SMALL_ANSWER_BYTES,
  type StorageResult,
  txSeqNumber,
  type ZeroGStorage,
} from './zero-g-wire.ts';

export interface ZeroGStorageNodeOptions {
  /** The node's JSON-RPC endpoint. */
  readonly url: string;
  readonly fetch: Fetch;
  /** Deadline for each exchange, in milliseconds. */
  readonly timeoutMs?: number;
  /** The network the node must serve. Checked before every upload where given. */
  readonly network?: { readonly chainId: number; readonly flow: Address };
}

export interface NodeStatus {
  readonly chainId: number;
  readonly flow: Address;
  /** The newest block the node has read submissions from. */
  readonly syncedBlock: number;
  readonly nextTxSeq: bigint;
}

export interface ZeroGStorageNode extends ZeroGStorage {
  status(): StorageResult<NodeStatus>;
  /** Refuses `wrong_chain`, `wrong_flow` or `sharded`; says nothing where no network was configured. */
  checkNetwork(): StorageResult<undefined>;
}

/**
 * A client of one 0G storage node, over its JSON-RPC (`zgs_*`). Nothing but `fetch`: it runs in a Worker. It moves bytes
 * only; the submission on chain, which the node waits for and which costs the fee, is somebody else's transaction.
 */
export function zeroGStorageNode(options: ZeroGStorageNodeOptions): ZeroGStorageNode {
  const { url, fetch, timeoutMs = 20_000, network } = options;

  async function call(method: string, params: readonly unknown[], maxBytes: number): StorageResult<unknown> {
    const request = { jsonrpc: '2.0', id: 1, method, params };
    const answer = await exchangeJson(fetch, url, request, { timeoutMs, maxBytes });
    if (!answer.ok) return answer;
    const { result, error } = answer.value;
    if (isRecord(error)) {
      const { code, message, data } = error;
      const detail = [message, data].filter((part) => typeof part === 'string').join(': ');
      return refuse({ reason: 'refused', code: typeof code === 'number' ? code : 0, detail });
    }
    return result === undefined
      ? refuse({ reason: 'malformed', detail: `${method}: no result` })
      : ok(result);
  }

  /** A method that exists by root and by transaction sequence number, called by whichever is known. */
  const named = (method: string, file: FileRef): readonly [string, Hex | number] =>
    file.txSeq === undefined ? [method, file.root] : [`${method}ByTxSeq`, txSeqNumber(file.txSeq)];

  const node: ZeroGStorageNode = {
    async status() {
      const answer = await call('zgs_getStatus', [], SMALL_ANSWER_BYTES);
      if (!answer.ok) return answer;
      const status = isRecord(answer.value) ? answer.value : {};
      const identity = isRecord(status['networkIdentity']) ? status['networkIdentity'] : {};
      const chainId = parseCount(identity['chainId']);
      const flow = parseAddress(String(identity['flowAddress']).toLowerCase());
      const syncedBlock = parseCount(status['logSyncHeight']);
      const nextTxSeq = parseCount(status['nextTxSeq']);
      if (
        chainId === undefined ||
        flow === undefined ||
        syncedBlock === undefined ||
        nextTxSeq === undefined
      ) {
        return refuse({ reason: 'malformed', detail: 'zgs_getStatus' });
      }
      return ok({ chainId, flow, syncedBlock, nextTxSeq: BigInt(nextTxSeq) });
    },

    async checkNetwork() {
      if (network === undefined) return ok(undefined);
      const status = await node.status();
      if (!status.ok) return status;
      const { chainId, flow } = status.value;
      const expected = network.flow.toLowerCase() as Address;
      if (chainId !== network.chainId) {
        return refuse({ reason: 'wrong_chain', expected: network.chainId, found: chainId });
      }
      if (flow !== expected) return refuse({ reason: 'wrong_flow', expected, found: flow });

      const config = await call('zgs_getShardConfig', [], SMALL_ANSWER_BYTES);
      if (!config.ok) return config;
      const shards = isRecord(config.value) ? parseCount(config.value['numShard']) : undefined;
      if (shards === undefined) return refuse({ reason: 'malformed', detail: 'zgs_getShardConfig' });
      return shards === 1 ? ok(undefined) : refuse({ reason: 'sharded', shards });
    },

    async find(file) {
      const [method, key] = named('zgs_getFileInfo', file);
      // The second parameter of the by-root form hides pruned files; we want to know that they are pruned.
      const params = typeof key === 'number' ? [key] : [key, false];
      const answer = await call(method, params, SMALL_ANSWER_BYTES);
      if (!answer.ok) return answer;
      if (answer.value === null) return ok(undefined);
      const found = parseStoredFile(answer.value);
      if (found === undefined) return refuse({ reason: 'malformed', detail: method });
      if (found.root !== file.root) {
        return refuse({ reason: 'other_file', root: found.root, size: found.size });
      }
      return ok(found);
    },

    async isFinalized(file) {
      const found = await node.find(file);
      return found.ok ? ok(found.value?.finalized === true) : found;
    },

    async uploadFile(tree, { txSeq } = {}) {
      const right = await node.checkNetwork();
      if (!right.ok) return right;
      const file: FileRef = { root: tree.root, ...(txSeq !== undefined && { txSeq }) };

      const put = async (index: number): StorageResult<SegmentTaken> => {
        const segment = {
          root: tree.root,
          data: toBase64(tree.segmentBytes(index)),
          index,
          proof: tree.segmentProof(index),
          fileSize: tree.size,
        };
        const [method, key] = named('zgs_uploadSegment', file);
        const params = typeof key === 'number' ? [segment, key] : [segment];
        const answer = await call(method, params, SMALL_ANSWER_BYTES);
        if (answer.ok) return ok('stored');
        return answer.error.reason === 'refused'
          ? judgeUploadError(answer.error.code, answer.error.detail)
          : answer;
      };
      return uploadMissing(node, tree, file, put);
    },

    async download(file) {
      const found = await node.find(file);
      if (!found.ok) return found;
      const known = sameFile(file, found.value);
      if (!known.ok) return known;
      if (!known.value.finalized) return refuse({ reason: 'not_finalized' });

      const { segments, chunks } = fileShape(file.size);
      const bytes = new Uint8Array(chunks * CHUNK_BYTES);
      const [method, key] = named('zgs_downloadSegmentWithProof', file);
      for (let index = 0; index < segments; index++) {
        const answer = await call(method, [key, index], SEGMENT_ANSWER_BYTES);
        if (!answer.ok) return answer;
        if (answer.value === null) return refuse({ reason: 'not_finalized' });
        const segment = isRecord(answer.value) ? answer.value : {};
        const data = typeof segment['data'] === 'string' ? fromBase64(segment['data']) : undefined;
        const proof = parseProof(segment['proof']);
        if (data === undefined || proof === undefined) return refuse({ reason: 'malformed', detail: method });
        const checked = checkSegment(file, { index, bytes: data, proof });
        if (!checked.ok) return refuse({ reason: 'bad_segment', index, fault: checked.error });
        bytes.set(data, index * SEGMENT_BYTES);
      }
      // The proofs cover the last chunk's padding too: bytes there belong to a longer file of the same root.
      if (bytes.subarray(file.size).some((byte) => byte !== 0)) return refuse({ reason: 'bad_file' });
      return ok(bytes.subarray(0, file.size));
    },
  };
  return node;
}
