// Who is signed in. The key stays in this tab: in memory, and in sessionStorage only where that was asked for. Never in
// localStorage, never in the address.
import { type AgentId, formatAgentId } from '../protocol/identity/agent-id.ts';
import { parseSessionKey } from '../protocol/identity/session-key.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import { answerOf } from './gateway.ts';
import type { SigningWallet } from './wallet.ts';

export type Session = {
  readonly agent: AgentId;
  /** As `Agent-Id` writes it. */
  readonly agentText: string;
  readonly keyId: string;
  /** A read under /v1 with the key. Rejects with GatewayError. */
  readonly get: (path: string) => Promise<unknown>;
  /** The same, for what is not JSON. */
  readonly text: (path: string) => Promise<string>;
  /** Where the key was made by a wallet for this page: what keys are managed with. */
  readonly wallet?: SigningWallet;
};

const stored = 'tallystick session key';

/** Opens a session with a key. Nothing is asked of the gateway here. */
export function openSession(text: string, wallet?: SigningWallet): Result<Session, string> {
  const key = text.trim();
  const name = parseSessionKey(key);
  if (name === undefined) {
    return refuse('That is not a session key: one begins with ts_ and is made by `tallystick keys create`.');
  }
  const send = (path: string): Promise<Response> =>
    fetch(path, { headers: { authorization: `Bearer ${key}` }, redirect: 'error' });
  return ok({
    agent: name.agent,
    agentText: formatAgentId(name.agent),
    keyId: name.id,
    get: async (path) => answerOf(await send(path)),
    text: async (path) => {
      const response = await send(path);
      if (!response.ok) await answerOf(response);
      return response.text();
    },
    ...(wallet === undefined ? {} : { wallet }),
  });
}

/** Keeps the key until the tab is closed. */
export function keepForTab(key: string): void {
  try {
    sessionStorage.setItem(stored, key.trim());
  } catch {
    // storage is switched off: it lasts until the page is reloaded
  }
}

export function keptKey(): string | undefined {
  try {
    return sessionStorage.getItem(stored) ?? undefined;
  } catch {
    return undefined;
  }
}

export function forgetKey(): void {
  try {
    sessionStorage.removeItem(stored);
  } catch {
    // nothing was kept
  }
}
