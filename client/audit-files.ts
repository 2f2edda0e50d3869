// Published files, from whoever has them: nobody is believed.
import type { Hex } from 'viem';
import { fromBase64 } from '../protocol/base64.ts';
import { parseHex } from '../protocol/hex.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import type { DaReference } from '../protocol/zero-g/da-reference.ts';
import { CHUNK_BYTES, fileShape, fileTree, SEGMENT_BYTES } from '../protocol/zero-g/file-tree.ts';
import { checkSegment } from '../protocol/zero-g/segment-check.ts';

/** Where files are asked for: a 0G storage node, an indexer, or 0G DA's HTTP side-car. */
export type DaEndpoint = { readonly kind: 'node' | 'indexer' | 'side-car'; readonly url: string };

/** `withheld`: nobody gave it. `altered`: what was given is not it. */
export type FileFault = { readonly reason: 'withheld' | 'altered'; readonly detail: string };

type Answer = Promise<Result<Uint8Array, FileFault>>;

/** No published file is near this long; a node that says so is not believed. */
const fileBytesMax = 64 * 2 ** 20;
const timeoutMs = 60_000;

/**
 * Downloads a file from the first endpoint that has it. Bytes from 0G Storage are proven against the reference's root; those
 * from 0G DA are what the side-car says, and prove themselves by what is in them.
 */
export async function downloadFile(
  item: DaReference,
  endpoints: readonly DaEndpoint[],
  fetch: typeof globalThis.fetch,
): Answer {
  const wanted = endpoints.filter(({ kind }) => (kind === 'side-car') === (item.kind === '0g-da'));
  let fault: FileFault = { reason: 'withheld', detail: `no endpoint for ${item.kind} was given` };
  for (const { kind, url } of wanted) {
    const base = url.replace(/\/+$/, '');
    const answer = await fileFrom(item, kind, base, fetch).catch(
      (error: unknown): Result<Uint8Array, FileFault> =>
        refuse({ reason: 'withheld', detail: reasonOf(error) }),
    );
    if (answer.ok) return answer;
    // Something that is not the file says more than nothing.
    if (fault.reason === 'withheld') fault = { ...answer.error, detail: `${url}: ${answer.error.detail}` };
  }
  return refuse(fault);
}

function fileFrom(
  item: DaReference,
  kind: DaEndpoint['kind'],
  url: string,
  fetch: typeof globalThis.fetch,
): Answer {
  if (item.kind === '0g-da') return wholeFile(`${url}/get/${item.commitment}`, fetch);
  return kind === 'indexer' ? fromIndexer(item, url, fetch) : fromNode(item, url, fetch);
}

async function wholeFile(url: string, fetch: typeof globalThis.fetch): Answer {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
  if (!response.ok) return refuse({ reason: 'withheld', detail: `HTTP ${response.status}` });
  return ok(new Uint8Array(await response.arrayBuffer()));
}

async function fromIndexer(
  { root, txSeq }: { readonly root: Hex; readonly txSeq: bigint },
  url: string,
  fetch: typeof globalThis.fetch,
): Answer {
  const answer = await wholeFile(`${url}/file?txSeq=${txSeq}`, fetch);
  if (!answer.ok) return answer;
  const bytes = answer.value;
  if (bytes.length > 0 && fileTree(bytes).root === root) return answer;
  // The indexer's errors come with status 200, as JSON.
  const said = new TextDecoder().decode(bytes.subarray(0, 300));
  return refuse(
    /^\{"code":[1-9]/.test(said)
      ? { reason: 'withheld', detail: said }
      : { reason: 'altered', detail: `the bytes served do not have root ${root}` },
  );
}

async function fromNode(
  { root, txSeq }: { readonly root: Hex; readonly txSeq: bigint },
  url: string,
  fetch: typeof globalThis.fetch,
): Answer {
  const call = async (method: string, params: readonly unknown[]): Promise<Record<string, unknown>> => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const answer = (await response.json()) as { result?: unknown; error?: { message?: unknown } };
    if (answer.error !== undefined) throw new Error(String(answer.error.message));
    return (answer.result ?? {}) as Record<string, unknown>;
  };
  const number = Number(txSeq);
  const { tx } = await call('zgs_getFileInfoByTxSeq', [number]);
  const { dataMerkleRoot, size } = (tx ?? {}) as { dataMerkleRoot?: unknown; size?: unknown };
  if (dataMerkleRoot === undefined) return refuse({ reason: 'withheld', detail: 'unknown to the node' });
  if (dataMerkleRoot !== root) {
    return refuse({ reason: 'altered', detail: `submission ${txSeq} is of ${String(dataMerkleRoot)}` });
  }
  if (typeof size !== 'number' || !(size > 0 && size <= fileBytesMax)) {
    return refuse({ reason: 'altered', detail: `a file of ${String(size)} bytes` });
  }
  const { segments, chunks } = fileShape(size);
  const bytes = new Uint8Array(chunks * CHUNK_BYTES);
  for (let index = 0; index < segments; index++) {
    const segment = await call('zgs_downloadSegmentWithProofByTxSeq', [number, index]);
    const data = typeof segment['data'] === 'string' ? fromBase64(segment['data']) : undefined;
    if (data === undefined) return refuse({ reason: 'withheld', detail: `segment ${index} is not there` });
    const proof = proofOf(segment['proof']);
    const checked = proof && checkSegment({ root, size }, { index, bytes: data, proof });
    if (!checked?.ok) {
      return refuse({ reason: 'altered', detail: `segment ${index}: ${checked?.error ?? 'no proof'}` });
    }
    bytes.set(data, index * SEGMENT_BYTES);
  }
  return ok(bytes.subarray(0, size));
}

function proofOf(json: unknown): { lemma: Hex[]; path: boolean[] } | undefined {
  const { lemma, path } = (json ?? {}) as { lemma?: unknown; path?: unknown };
  if (!Array.isArray(lemma) || !Array.isArray(path)) return undefined;
  const hashes = lemma.map((hash) => parseHex(hash, 32)).filter((hash) => hash !== undefined);
  const sides = path.filter((side) => typeof side === 'boolean');
  return hashes.length === lemma.length && sides.length === path.length
    ? { lemma: hashes, path: sides }
    : undefined;
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
