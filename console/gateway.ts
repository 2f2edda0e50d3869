// What anybody may ask this gateway. Its answers are read as strictly as any client reads them.
import { type Deployment, type KnownPrices, readDeployment, readPrices } from '../client/deployment.ts';

/** `GET /healthz`. */
export type Health = {
  readonly ok: boolean;
  readonly log: {
    readonly appended: number;
    readonly sealed: number;
    readonly anchored: number;
    readonly commits: number;
    readonly waitingMs: number;
    /** Unix seconds; the earliest promise that is still open. */
    readonly mergeBy?: number;
    readonly sealing: boolean;
    readonly merging: boolean;
  };
};

/** The gateway's description of itself, and the nodes of each chain that it sends browsers to. */
export type Place = Deployment & { readonly nodes: ReadonlyMap<number, readonly string[]> };

export class GatewayError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = 'GatewayError';
    this.status = status;
    this.code = code;
  }
}

/** The answer's JSON. Rejects with GatewayError, in the gateway's own words. */
export async function answerOf(response: Response): Promise<unknown> {
  const json: unknown = await response.json().catch(() => undefined);
  if (response.ok) return json;
  const { reason, detail } = (json ?? {}) as { reason?: unknown; detail?: unknown };
  throw new GatewayError(
    response.status,
    typeof reason === 'string' ? reason : 'unknown',
    typeof detail === 'string' ? detail : `The gateway answered ${response.status}.`,
  );
}

export async function health(): Promise<Health> {
  const response = await fetch('/healthz');
  const json = (await response.json()) as Health;
  if (typeof json?.log?.sealed !== 'number') throw new Error('The gateway does not say how it is.');
  return json;
}

export const place = once(async (): Promise<Place> => {
  const json = await answerOf(await fetch('/.well-known/tallystick'));
  const read = readDeployment(json);
  if (!read.ok) throw new Error(`The gateway's description of itself does not read: ${read.error}`);
  const { chains } = json as { chains: { chainId: number; publicRpcUrls?: unknown }[] };
  const nodes = chains.map(({ chainId, publicRpcUrls }) => [chainId, textsOf(publicRpcUrls)] as const);
  return { ...read.value, nodes: new Map(nodes) };
});

/** A chain's price list. */
export async function prices(chainId: number): Promise<KnownPrices> {
  const read = readPrices(await answerOf(await fetch(`/v1/prices?chainId=${chainId}`)));
  if (!read.ok) throw new Error(`The price list does not read: ${read.error}`);
  return read.value;
}

/** A file of the log (C2SP tlog-tiles). */
export async function logFile(path: string): Promise<Uint8Array> {
  const response = await fetch(`/log/${path}`);
  if (!response.ok) throw new Error(`The log does not give out ${path}: it answered ${response.status}.`);
  return new Uint8Array(await response.arrayBuffer());
}

const textsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];

/** Kept once it has succeeded. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= work().catch((error: unknown) => {
      result = undefined;
      throw error;
    });
    return result;
  };
}
