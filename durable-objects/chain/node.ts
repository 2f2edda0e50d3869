import { createPublicClient, fallback, type Hex, http, type PublicClient } from 'viem';
import type { ChainConfig } from '../config.ts';

/** Longest wait for one RPC answer. */
const rpcTimeoutMs = 10_000;

/** A client over the chain's RPC URLs, in order of preference. The platform's `fetch`, no retries hidden in a library. */
export function nodeOf(chain: Pick<ChainConfig, 'chainId' | 'rpcUrls'>): PublicClient {
  return createPublicClient({
    transport: fallback(
      chain.rpcUrls.map((url) => http(url, { timeout: rpcTimeoutMs, retryCount: 0 })),
      { retryCount: 0 },
    ),
  });
}

/** One client for each of the chain's RPC URLs, for asking them the same thing. Shorter patience: somebody may be waiting. */
export const nodesOf = (chain: Pick<ChainConfig, 'rpcUrls'>): PublicClient[] =>
  chain.rpcUrls.map((url) =>
    createPublicClient({ transport: http(url, { timeout: rpcTimeoutMs / 2, retryCount: 0 }) }),
  );

/**
 * Whether an RPC error means the transaction itself cannot succeed (it reverts), as opposed to the node being unreachable,
 * busy or wrong. Only the first is an answer.
 */
export function isRevert(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at.name === 'ExecutionRevertedError' || at.name === 'CallExecutionError') return true;
    const code = (at as { code?: unknown }).code;
    if (code === 3) return true; // JSON-RPC: execution reverted
  }
  return false;
}

/** One line of an RPC error, without the URL (it may carry a key) and without the calldata. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const short = (error as { shortMessage?: unknown }).shortMessage;
  const details = (error as { details?: unknown }).details;
  const line = [short, details].filter((part) => typeof part === 'string').join(': ') || error.message;
  return (
    line
      .replace(/https?:\/\/\S+/g, '<rpc>')
      .split('\n')[0]
      ?.slice(0, 300) ?? ''
  );
}

export const lower = <T extends Hex>(hex: T): T => hex.toLowerCase() as T;
