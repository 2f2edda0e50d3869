import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { toHex } from '../hex.ts';
import { type AgentId, parseAgentId } from './agent-id.ts';

/*
 * A session key is a bearer secret for clients that cannot sign. Its text names the agent, so that whoever receives it
 * knows whose account to ask, and nothing else about it is readable:
 *
 *   ts_<chain id>_<registry, 40 hex digits>_<agent id>_<secret, 64 hex digits>
 */

/** What is kept of a session key: never the key. */
export type SessionKeyName = {
  readonly agent: AgentId;
  /** SHA-256 of the key's whole text: what it is looked up by, so that no comparison can leak a byte of it. */
  readonly hash: Hex;
  /** What it is called in lists, in receipts and when it is revoked. */
  readonly id: string;
};

const prefix = 'ts_';
// "ts_", 16 digits, 40, 78 digits and 64, with three separators.
const lengthMax = 3 + 16 + 1 + 40 + 1 + 78 + 1 + 64;

/** Writes a key. `secret` is 32 random bytes. */
export function formatSessionKey(agent: AgentId, secret: Uint8Array): string {
  if (secret.length !== 32) throw new TypeError('a session key has 32 secret bytes');
  return `${prefix}${agent.chainId}_${agent.registry.slice(2)}_${agent.agentId}_${toHex(secret).slice(2)}`;
}

/** Whether a bearer token means to be a session key. */
export const isSessionKey = (token: string): boolean => token.startsWith(prefix);

/** Reads {@link formatSessionKey}'s text; `undefined` for any other. */
export function parseSessionKey(text: string): SessionKeyName | undefined {
  if (text.length > lengthMax) return undefined;
  const [, chainId, registry, agentId] = /^ts_(\d+)_([0-9a-f]{40})_(\d+)_[0-9a-f]{64}$/.exec(text) ?? [];
  const agent = parseAgentId(`eip155:${chainId}:0x${registry}:${agentId}`);
  if (!agent.ok) return undefined;
  const hash = toHex(sha256(utf8ToBytes(text)));
  // Half of the hash of 256 random bits: it finds the key in a list and tells nobody what it is.
  return { agent: agent.value, hash, id: `key_${hash.slice(2, 34)}` };
}

/** What a receipt says of a call with a key (docs/protocol.md section 4): SHA-256 of the key's id. */
export const sessionKeyAuthorization = (id: string): Hex => toHex(sha256(utf8ToBytes(id)));
