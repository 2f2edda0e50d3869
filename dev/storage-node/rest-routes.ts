import type { SubmitEvent } from '../../protocol/zero-g/flow.ts';
import { NodeError } from './node-error.ts';
import { base64, count, hash, isRecord, proof } from './request-fields.ts';
import type { StoredFiles } from './stored-files.ts';

export interface RestAnswer {
  readonly status: number;
  readonly body: Uint8Array | string;
  readonly contentType: string;
}

/** The gateway answers 200 with a code in the body, except for errors of its own: those have this status. */
const GATEWAY_ERROR = 600;

const json = (status: number, code: number, message: string, data: unknown): RestAnswer => ({
  status,
  body: JSON.stringify({ code, message, data }),
  contentType: 'application/json; charset=utf-8',
});
const success = (data: unknown): RestAnswer => json(200, 0, 'Success', data);
const invalid = (data: unknown): RestAnswer => json(200, 1, 'Invalid parameter', data);
const notFound = json(200, 101, 'File not found', null);
const notFinalized = json(200, 103, 'File not finalized yet', null);

/** The indexer's REST gateway, on top of this one node. `undefined` for a path it does not have. */
export function restRoutes(
  files: StoredFiles,
  faults: { refuseSegments: boolean },
): (method: string, url: URL, body: () => unknown) => RestAnswer | undefined {
  const byCid = (cid: string): SubmitEvent | undefined =>
    /^\d+$/.test(cid) ? files.byTxSeq(Number(cid)) : files.byRoot(hash(cid, 'root'));

  function uploadSegment(request: unknown): RestAnswer {
    if (!isRecord(request)) return invalid('not an object');
    const { root, txSeq, index, data } = request;
    const bytes = base64(data);
    if (bytes.length === 0) return invalid('Segment data is empty');
    const file = typeof txSeq === 'number' ? files.byTxSeq(txSeq) : files.byRoot(hash(root, 'root'));
    if (file === undefined) return notFound;
    if (faults.refuseSegments) {
      return json(GATEWAY_ERROR, 2, 'Internal server error', 'too many data writing: 16');
    }
    const stored = files.put(file, {
      root: file.root,
      index: count(index, 'index'),
      fileSize: Number(file.submission.length),
      bytes,
      proof: proof(request['proof']),
    });
    const already =
      !stored.ok && /already (been )?uploaded/.test(`${stored.error.message} ${stored.error.data}`);
    if (stored.ok || already) return success('Succeeded to upload segment');
    return invalid(`Failed to validate merkle proof: ${stored.error.data ?? stored.error.message}`);
  }

  function download(query: URLSearchParams): RestAnswer {
    const cid = query.get('txSeq') ?? query.get('root');
    if (cid === null) return invalid("Either 'root' or 'txSeq' must be provided");
    const file = byCid(cid);
    if (file === undefined) return notFound;
    const body = files.content(file);
    return body === undefined ? notFinalized : { status: 200, body, contentType: 'application/octet-stream' };
  }

  function route(method: string, url: URL, body: () => unknown): RestAnswer | undefined {
    const cid = /^\/file\/info\/([^/]+)$/.exec(url.pathname)?.[1];
    if (method === 'GET' && cid !== undefined) {
      const file = byCid(cid);
      return file === undefined ? notFound : success(files.describe(file));
    }
    if (method === 'GET' && url.pathname === '/file') return download(url.searchParams);
    if (method === 'POST' && url.pathname === '/file/segment') return uploadSegment(body());
    return undefined;
  }

  return (method, url, body) => {
    try {
      return route(method, url, body);
    } catch (error) {
      if (error instanceof NodeError) return invalid(error.data ?? error.message);
      throw error;
    }
  };
}
