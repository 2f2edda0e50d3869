import { Amount } from './amount.tsx';
import type { Place } from './gateway.ts';
import { Hex } from './hex.tsx';
import { type Asset, grouped, span } from './human.ts';
import { Waiting, Wrong } from './notice.tsx';
import { usePolled } from './polled.ts';
import type { Session } from './session.ts';
import type { VaultState } from './vault-state.ts';

const everyMs = 15_000;

/** What the vault says, read from the chain; and how to take the deposit back, which needs no gateway. */
export function Withdrawal({ place, session, asset }: { place: Place; session: Session; asset: Asset }) {
  const { agent } = session;
  const vault = place.chains.find(({ chainId }) => chainId === agent.chainId)?.vault;
  const node = place.nodes.get(agent.chainId)?.[0];
  const { value, error } = usePolled<VaultState>(
    async () => {
      if (vault === undefined || node === undefined)
        throw new Error(`This gateway names no public node of chain ${agent.chainId}.`);
      const { readVaultState } = await import('./vault-state.ts');
      return readVaultState(node, vault, agent);
    },
    everyMs,
    session,
  );
  return (
    <>
      {error !== undefined && <Wrong>The chain could not be asked: {error}</Wrong>}
      {value === undefined && error === undefined && <Waiting>Asking the chain…</Waiting>}
      {value && <State value={value} asset={asset} />}
      <p class="quiet">
        Started and completed by the agent’s owner, on the chain: nobody can stop it, and the gateway need not
        be there.
      </p>
      <pre>
        tallystick withdraw start all{'\n'}
        tallystick withdraw complete --wait
      </pre>
    </>
  );
}

function State({ value, asset }: { value: VaultState; asset: Asset }) {
  const { withdrawal, time, delay } = value;
  const left = withdrawal && withdrawal.readyAt - time;
  return (
    <dl class="terms">
      <dt>In the vault</dt>
      <dd>
        <Amount value={value.deposited - value.claimed - value.withdrawn} asset={asset} />, at block{' '}
        {grouped(value.blockNumber)}
      </dd>
      <dt>Under way</dt>
      <dd>
        {withdrawal === undefined ? (
          `nothing; a withdrawal takes ${span(delay)}`
        ) : (
          <>
            at most <Amount value={withdrawal.amount} asset={asset} /> to <Hex value={withdrawal.recipient} />
            , {left !== undefined && left > 0 ? `ready in ${span(left)}` : 'ready to be completed'}
          </>
        )}
      </dd>
    </dl>
  );
}
