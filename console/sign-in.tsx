import { useState } from 'preact/hooks';
import { parseAgentId } from '../protocol/identity/agent-id.ts';
import { browserWallet } from './browser-wallet.ts';
import type { Place } from './gateway.ts';
import { Wrong } from './notice.tsx';
import { keepForTab, openSession, type Session } from './session.ts';

type Props = {
  readonly place: Place /** Why the visitor was signed out, where they did not ask for it. */;
  readonly reason: string | undefined;
  readonly onSession: (session: Session) => void;
};

/** With a session key, or with the wallet that owns the agent. */
export function SignIn({ place, reason, onSession }: Props) {
  const [error, setError] = useState(reason);
  return (
    <div class="sign-in">
      {error !== undefined && <Wrong>{error}</Wrong>}
      <ByKey onSession={onSession} onError={setError} />
      <ByWallet place={place} onSession={onSession} onError={setError} />
    </div>
  );
}

type PartProps = { onSession: (session: Session) => void; onError: (error: string | undefined) => void };

function ByKey({ onSession, onError }: PartProps) {
  const [key, setKey] = useState('');
  const [keeps, setKeeps] = useState(false);
  const [isBusy, setIsBusy] = useState(false);
  const submit = async () => {
    const session = openSession(key);
    if (!session.ok) return onError(session.error);
    setIsBusy(true);
    onError(undefined);
    try {
      await session.value.get('/v1/account');
      if (keeps) keepForTab(key);
      onSession(session.value);
    } catch (error) {
      onError(error instanceof Error ? error.message : String(error));
    }
    setIsBusy(false);
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <h2>With a session key</h2>
      <p class="quiet">
        Made by <code>tallystick keys create</code>. It can read this account, and spend up to its cap.
      </p>
      <p class="field">
        <label for="session-key">Session key</label>
        <input
          id="session-key"
          type="password"
          autocomplete="off"
          spellcheck={false}
          placeholder="ts_…"
          value={key}
          onInput={(event) => setKey(event.currentTarget.value)}
        />
      </p>
      <label class="choice">
        <input type="checkbox" checked={keeps} onChange={(event) => setKeeps(event.currentTarget.checked)} />
        Keep it until this tab is closed
      </label>
      <div class="actions">
        <button type="submit" class="main" disabled={isBusy}>
          Sign in
        </button>
      </div>
    </form>
  );
}

function ByWallet({ place, onSession, onError }: PartProps & { place: Place }) {
  const chain = place.chains[0];
  const [agent, setAgent] = useState('');
  const [isBusy, setIsBusy] = useState(false);
  const provider = browserWallet();
  const full = /^\d+$/.test(agent.trim())
    ? `eip155:${chain?.chainId}:${chain?.registries[0]}:${agent.trim()}`
    : agent.trim();
  const submit = async () => {
    if (provider === undefined) return;
    const named = parseAgentId(full);
    if (!named.ok) return onError('That names no agent: its number, or eip155:<chain>:<registry>:<number>.');
    setIsBusy(true);
    onError(undefined);
    try {
      const { connect, pageKey } = await import('./wallet.ts');
      const wallet = await connect(provider, full);
      const session = openSession(await pageKey(wallet), wallet);
      if (session.ok) onSession(session.value);
      else onError(session.error);
    } catch (error) {
      onError(
        error instanceof Error ? error.message : String((error as { message?: unknown }).message ?? error),
      );
    }
    setIsBusy(false);
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <h2>With the agent’s wallet</h2>
      {provider === undefined ? (
        <p class="quiet">
          This browser has no wallet. With one that owns the agent, keys can be made and revoked here, too.
        </p>
      ) : (
        <>
          <p class="quiet">
            It signs once, and makes a key for this page: good for an hour, and with a cap of one base unit,
            so that it reads and does not spend.
          </p>
          <p class="field">
            <label for="agent">Agent</label>
            <input
              id="agent"
              spellcheck={false}
              autocomplete="off"
              placeholder="its number, or eip155:…"
              value={agent}
              onInput={(event) => setAgent(event.currentTarget.value)}
            />
          </p>
          <div class="actions">
            <button type="submit" class="main" disabled={isBusy || agent.trim() === ''}>
              Ask the wallet
            </button>
          </div>
        </>
      )}
    </form>
  );
}
