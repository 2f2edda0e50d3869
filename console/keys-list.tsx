import { useState } from 'preact/hooks';
import { parseUint } from '../protocol/decimal.ts';
import { Amount } from './amount.tsx';
import { type Asset, moment } from './human.ts';
import { Waiting, Wrong } from './notice.tsx';
import { Scroll } from './scroll.tsx';
import type { Session } from './session.ts';
import type { SigningWallet } from './wallet.ts';

type Key = {
  readonly id: string;
  readonly label: string;
  /** Unix seconds. */
  readonly expiresAt: number;
  readonly spendCap: string;
  readonly spent: string;
  readonly held: string;
  readonly models: readonly string[] | null;
};

/** The agent's session keys. Only the agent's own signature lists, makes or revokes one, so each of these asks the wallet. */
export function KeysList({ session, asset }: { session: Session; asset: Asset }) {
  if (session.wallet === undefined) {
    return (
      <p class="quiet">
        Signed in with key <code>{session.keyId}</code>. A key cannot see or change keys: sign in with the
        agent’s wallet, or run <code>tallystick keys</code>.
      </p>
    );
  }
  return <WithWallet session={session} asset={asset} wallet={session.wallet} />;
}

function WithWallet({ session, asset, wallet }: { session: Session; asset: Asset; wallet: SigningWallet }) {
  const [keys, setKeys] = useState<readonly Key[] | undefined>();
  const [made, setMade] = useState<string | undefined>();
  const [isBusy, setIsBusy] = useState(false);
  const [error, setError] = useState<string | undefined>();
  const asking = async (work: () => Promise<void>) => {
    setIsBusy(true);
    setError(undefined);
    try {
      await work();
    } catch (problem) {
      setError(
        problem instanceof Error ? problem.message : String((problem as { message?: unknown }).message),
      );
    }
    setIsBusy(false);
  };
  const list = async () => {
    const { keys: listed } = (await wallet.call('GET', '/v1/keys')) as { keys: Key[] };
    setKeys(listed);
  };
  const revoke = async (id: string) => {
    await wallet.call('DELETE', `/v1/keys/${id}`);
    setKeys(keys?.filter((key) => key.id !== id));
  };
  return (
    <>
      {error !== undefined && <Wrong>{error}</Wrong>}
      {isBusy && <Waiting>Waiting for the wallet…</Waiting>}
      {keys === undefined ? (
        <button type="button" disabled={isBusy} onClick={() => void asking(list)}>
          List keys
        </button>
      ) : (
        <Scroll label="List of session keys">
          <table>
            <thead>
              <tr>
                <th scope="col">Key</th>
                <th scope="col" class="number">
                  Spent
                </th>
                <th scope="col" class="number">
                  Cap
                </th>
                <th scope="col">Ends</th>
                <th scope="col">Models</th>
                <th scope="col">
                  <span class="unseen">Revoke</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {keys.map((key) => (
                <tr key={key.id}>
                  <th scope="row">
                    {key.label || 'no label'} <code class="hex">{key.id.slice(0, 12)}…</code>
                    {key.id === session.keyId && <small>this page’s</small>}
                  </th>
                  <td class="number">
                    <Amount value={BigInt(key.spent)} asset={asset} />
                  </td>
                  <td class="number">
                    <Amount value={BigInt(key.spendCap)} asset={asset} />
                  </td>
                  <td>{moment(key.expiresAt)}</td>
                  <td>{key.models === null ? 'all' : key.models.join(', ')}</td>
                  <td class="do">
                    <button
                      type="button"
                      disabled={isBusy}
                      onClick={() => void asking(() => revoke(key.id))}
                      aria-label={`Revoke ${key.label || key.id}`}
                    >
                      Revoke
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      <MakeKey
        asset={asset}
        isBusy={isBusy}
        onMake={(bounds) =>
          void asking(async () => {
            const { key } = (await wallet.call('POST', '/v1/keys', bounds)) as { key: string };
            setMade(key);
            if (keys !== undefined) await list();
          })
        }
      />
      {made !== undefined && (
        <div class="made" role="status">
          <p>Copy it now: it is shown once, and kept by nobody.</p>
          <code class="hex long">{made}</code>
          <button type="button" onClick={() => setMade(undefined)}>
            Hide it
          </button>
        </div>
      )}
    </>
  );
}

type MakeProps = { asset: Asset; isBusy: boolean; onMake: (bounds: object) => void };

function MakeKey({ asset, isBusy, onMake }: MakeProps) {
  const [cap, setCap] = useState('0.1');
  const [days, setDays] = useState('7');
  const [label, setLabel] = useState('');
  const spendCap = baseUnits(cap, asset);
  const life = /^\d{1,2}$/.test(days) ? Number(days) : 0;
  const isGood = spendCap !== undefined && spendCap > 0n && life > 0 && life <= 90;
  return (
    <details>
      <summary>Make a key</summary>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isGood)
            onMake({
              expiresAt: Math.floor(Date.now() / 1000) + life * 86_400,
              spendCap: `${spendCap}`,
              label,
            });
        }}
      >
        <p class="field">
          <label for="key-label">Label</label>
          <input
            id="key-label"
            maxLength={64}
            value={label}
            onInput={(e) => setLabel(e.currentTarget.value)}
          />
        </p>
        <p class="field">
          <label for="key-cap">May spend, in {asset.symbol}</label>
          <input
            id="key-cap"
            inputMode="decimal"
            value={cap}
            onInput={(e) => setCap(e.currentTarget.value)}
          />
        </p>
        <p class="field">
          <label for="key-days">Days, at most 90</label>
          <input
            id="key-days"
            inputMode="numeric"
            value={days}
            onInput={(e) => setDays(e.currentTarget.value)}
          />
        </p>
        <div class="actions">
          <button type="submit" class="main" disabled={isBusy || !isGood}>
            Ask the wallet
          </button>
        </div>
      </form>
    </details>
  );
}

/** Exact, or nothing. */
function baseUnits(text: string, { decimals }: Asset): bigint | undefined {
  const [, whole, fraction = ''] = /^(\d{1,30})(?:\.(\d+))?$/.exec(text.trim()) ?? [];
  if (whole === undefined || fraction.length > decimals) return undefined;
  return parseUint(`${whole}${fraction.padEnd(decimals, '0')}`.replace(/^0+(?=\d)/, ''));
}
