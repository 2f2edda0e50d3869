/**
 * A stand-in for a 0G storage node and indexer, for one machine. It is not 0G's software.
 *
 * Real: it follows the Submit events of the Flow contract on the chain it is given, knows a file only once its submission
 * is there, and takes it back when the chain does; it checks every segment's length, Merkle proof and root as the real
 * node does; the JSON-RPC methods, JSON shapes, REST routes and error texts are those of 0g-storage-node and the indexer
 * in 0g-storage-client, close enough that 0G's own SDK uploads to it and downloads from it.
 *
 * Not real: nothing is mined or proved over time (no PoRA, no sector proofs), there is one shard, there are no peers, and
 * nothing is pruned. A real node also holds small files in memory ahead of their submission; this one refuses them, so
 * that nothing here comes to depend on it.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Address } from 'viem';
import { NodeError } from './storage-node/node-error.ts';
import { isRecord } from './storage-node/request-fields.ts';
import { restRoutes } from './storage-node/rest-routes.ts';
import { rpcMethods } from './storage-node/rpc-methods.ts';
import { segmentStore } from './storage-node/segment-store.ts';
import { storedFiles } from './storage-node/stored-files.ts';
import { followSubmissions } from './storage-node/submissions.ts';

export interface StorageNodeOptions {
  readonly rpcUrl: string;
  readonly flowAddress: Address;
  readonly chainId: number;
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** Keep segments in this folder as well as in memory. */
  readonly dir?: string;
  /** How often the chain is asked for submissions, in milliseconds; 0: before each answer instead. */
  readonly pollMs?: number;
}

/** What tests may break, at any time. */
export interface StorageNodeFaults {
  /** Connections are cut without an answer. */
  down: boolean;
  /** Uploads are refused the way a node at its write limit does. */
  refuseSegments: boolean;
  /** Every answer waits this long, in milliseconds. */
  stallMs: number;
  /** Files stay "not finalized", whatever was uploaded. */
  neverFinalize: boolean;
}

export interface StorageNode {
  /** One base URL for all of it: JSON-RPC of node and indexer by POST, REST below it. */
  readonly url: string;
  readonly faults: StorageNodeFaults;
  close(): Promise<void>;
}

const MAX_REQUEST_BYTES = 32 * 1024 * 1024;

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request) {
    parts.push(part);
    length += part.length;
    if (length > MAX_REQUEST_BYTES) throw new Error('request too large');
  }
  return Buffer.concat(parts).toString('utf8');
}

function send(
  response: ServerResponse,
  status: number,
  contentType: string,
  body: Uint8Array | string,
): void {
  response.writeHead(status, {
    'content-type': contentType,
    'access-control-allow-origin': '*',
    'access-control-allow-headers': '*',
  });
  response.end(body);
}

/** Starts the stand-in and resolves once it listens. It waits for the chain, however long that takes to appear. */
export async function startStorageNode(options: StorageNodeOptions): Promise<StorageNode> {
  const { rpcUrl, flowAddress, chainId, port = 0, dir, pollMs = 200 } = options;
  const faults: StorageNodeFaults = { down: false, refuseSegments: false, stallMs: 0, neverFinalize: false };
  const submissions = followSubmissions({ rpcUrl, flow: flowAddress, pollMs });
  const files = storedFiles(submissions.all, segmentStore(dir), faults);
  let url = '';
  const methods = rpcMethods(
    files,
    {
      chainId,
      flow: flowAddress,
      url: () => url,
      synced: submissions.synced,
      nextTxSeq: () => submissions.all().length,
    },
    faults,
  );
  const rest = restRoutes(files, faults);

  function answerRpc(request: unknown): unknown {
    const { id = null, method, params } = isRecord(request) ? request : {};
    const call = methods.get(String(method));
    if (call === undefined)
      return { jsonrpc: '2.0', id, error: { code: -32601, message: 'Method not found' } };
    try {
      return { jsonrpc: '2.0', id, result: call(Array.isArray(params) ? params : []) };
    } catch (error) {
      if (!(error instanceof NodeError)) throw error;
      const { code, message, data } = error;
      return { jsonrpc: '2.0', id, error: { code, message, ...(data !== undefined && { data }) } };
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (faults.down) {
      request.socket.destroy();
      return;
    }
    const text = await readBody(request);
    if (faults.stallMs > 0) await sleep(faults.stallMs);
    if (pollMs === 0) await submissions.catchUp();
    const target = new URL(request.url ?? '/', 'http://localhost');
    const method = request.method ?? 'GET';
    const parsed = (): unknown => JSON.parse(text);
    if (method === 'OPTIONS') {
      send(response, 200, 'text/plain', '');
      return;
    }

    if (method === 'POST' && target.pathname === '/') {
      const calls = parsed();
      const body = JSON.stringify(Array.isArray(calls) ? calls.map(answerRpc) : answerRpc(calls));
      send(response, 200, 'application/json', body);
      return;
    }
    const answered = rest(method, target, parsed);
    if (answered === undefined) send(response, 404, 'text/plain', '404 page not found');
    else send(response, answered.status, answered.contentType, answered.body);
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else send(response, 400, 'text/plain', String(error));
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the storage node has no port');
  url = `http://127.0.0.1:${address.port}`;

  return {
    url,
    faults,
    async close() {
      submissions.stop();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
