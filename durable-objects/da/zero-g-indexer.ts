import { toBase64 } from '../../protocol/base64.ts';
import { ok, type Result, refuse } from '../../protocol/result.ts';
import { fileTree } from '../../protocol/zero-g/file-tree.ts';
import { judgeUploadError, type SegmentTaken, uploadMissing } from './missing-segments.ts';
import {
  exchange,
  exchangeJson,
  type Fetch,
  type FileRef,
  isRecord,
  parseAnswer,
  parseStoredFile,
  SMALL_ANSWER_BYTES,
  type StorageRefusal,
  type StorageResult,
  txSeqNumber,
  type ZeroGStorage,
} from './zero-g-wire.ts';

export interface ZeroGIndexerOptions {
  /** The indexer's base URL; REST and JSON-RPC live below it. */
  readonly url: string;
  readonly fetch: Fetch;
  /** Deadline for each exchange, in milliseconds. */
  readonly timeoutMs?: number;
  /** On how many full sets of nodes the indexer must store each segment. */
  readonly replicas?: number;
}

export interface ZeroGIndexer extends ZeroGStorage {
  /** URLs of the nodes that hold the whole or a shard of the file; `unknown_file` where the indexer has not seen it. */
  fileLocations(root: string): StorageResult<readonly string[]>;
}

/** The indexer's own error codes (`indexer/gateway/errors.go`). */
const NOT_FOUND = 101;
const PRUNED = 102;
const NOT_FINALIZED = 103;

/** `{code, message, data}`, whatever the HTTP status: 0 carries data, the rest are refusals. */
function judge(answer: Record<string, unknown>): Result<unknown, StorageRefusal> {
  const { code, message, data } = answer;
  if (typeof code !== 'number') return refuse({ reason: 'malformed', detail: 'answer without a code' });
  if (code === 0) return ok(data);
  if (code === NOT_FOUND) return refuse({ reason: 'unknown_file' });
  if (code === PRUNED) return refuse({ reason: 'pruned' });
  if (code === NOT_FINALIZED) return refuse({ reason: 'not_finalized' });
  const detail = typeof data === 'string' ? `${message}: ${data}` : String(message);
  return refuse({ reason: 'refused', code, detail });
}

/**
 * A client of a 0G storage indexer, over its REST gateway: the indexer chooses nodes and shards, so this is the way into
 * a sharded network from a Worker. The indexer is not trusted with content: what it serves is hashed again.
 */
export function zeroGIndexer(options: ZeroGIndexerOptions): ZeroGIndexer {
  const { fetch, timeoutMs = 20_000, replicas = 1 } = options;
  const url = options.url.replace(/\/+$/, '');
  const small = { timeoutMs, maxBytes: SMALL_ANSWER_BYTES };

  const indexer: ZeroGIndexer = {
    async fileLocations(root) {
      const request = { jsonrpc: '2.0', id: 1, method: 'indexer_getFileLocations', params: [root] };
      const answer = await exchangeJson(fetch, url, request, small);
      if (!answer.ok) return answer;
      const { result, error } = answer.value;
      if (isRecord(error)) {
        const detail = String(error['message']);
        const code = typeof error['code'] === 'number' ? error['code'] : 0;
        return refuse(
          detail === 'file not found' ? { reason: 'unknown_file' } : { reason: 'refused', code, detail },
        );
      }
      const locations = Array.isArray(result) ? result : [];
      return ok(locations.flatMap((node) => (isRecord(node) ? [String(node['url'])] : [])));
    },

    async find(file) {
      const cid = file.txSeq ?? file.root;
      const answer = await exchangeJson(fetch, `${url}/file/info/${cid}`, undefined, small);
      if (!answer.ok) return answer;
      const judged = judge(answer.value);
      if (!judged.ok) return judged.error.reason === 'unknown_file' ? ok(undefined) : judged;
      const found = parseStoredFile(judged.value);
      if (found === undefined) return refuse({ reason: 'malformed', detail: '/file/info' });
      if (found.root !== file.root) {
        return refuse({ reason: 'other_file', root: found.root, size: found.size });
      }
      return ok(found);
    },

    async isFinalized(file) {
      const found = await indexer.find(file);
      return found.ok ? ok(found.value?.finalized === true) : found;
    },

    async uploadFile(tree, { txSeq } = {}) {
      const file: FileRef = { root: tree.root, ...(txSeq !== undefined && { txSeq }) };
      const put = async (index: number): StorageResult<SegmentTaken> => {
        const segment = {
          root: tree.root,
          ...(txSeq !== undefined && { txSeq: txSeqNumber(txSeq) }),
          index,
          data: toBase64(tree.segmentBytes(index)),
          proof: tree.segmentProof(index),
          expectedReplica: replicas,
        };
        const answer = await exchangeJson(fetch, `${url}/file/segment`, segment, small);
        if (!answer.ok) return answer;
        const judged = judge(answer.value);
        if (judged.ok) return ok('stored');
        return judged.error.reason === 'refused'
          ? judgeUploadError(judged.error.code, judged.error.detail)
          : judged;
      };
      return uploadMissing(indexer, tree, file, put);
    },

    async download(file) {
      const query = file.txSeq === undefined ? `root=${file.root}` : `txSeq=${file.txSeq}`;
      // Errors come as JSON in the body's place, so even a tiny file leaves room for one.
      const maxBytes = Math.max(file.size, SMALL_ANSWER_BYTES);
      const answer = await exchange(
        fetch,
        `${url}/file?${query}`,
        { method: 'GET' },
        { timeoutMs, maxBytes },
      );
      if (!answer.ok) return answer;
      const { status, body } = answer.value;
      if (body.length === file.size && fileTree(body).root === file.root) return ok(body);
      const said = parseAnswer(status, body);
      if (!said.ok) return status === 200 ? refuse({ reason: 'bad_file' }) : said;
      const judged = judge(said.value);
      return judged.ok || judged.error.reason === 'malformed' ? refuse({ reason: 'bad_file' }) : judged;
    },
  };
  return indexer;
}
