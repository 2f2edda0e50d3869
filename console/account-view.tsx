// The agent's own view: where it stands, what it spent, every receipt.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { SignedReceipt } from '../protocol/receipt.ts';
import { receiptsUpTo, type Standing, standing } from './account.ts';
import { Amount } from './amount.tsx';
import { DepositBar } from './deposit-bar.tsx';
import { Figures } from './figures.tsx';
import { GatewayError, type Place } from './gateway.ts';
import { Hex } from './hex.tsx';
import { moment } from './human.ts';
import { KeysList } from './keys-list.tsx';
import { Waiting, Wrong } from './notice.tsx';
import { usePolled } from './polled.ts';
import { ReceiptsList } from './receipts-list.tsx';
import type { Session } from './session.ts';
import { SpendPlot } from './spend-plot.tsx';
import { Withdrawal } from './withdrawal.tsx';

const everyMs = 3_000;

type Props = {
  readonly place: Place;
  readonly session: Session;
  readonly onVerify: (text: string) => void;
  /** Signs out; the reason is told where it was not asked for. */
  readonly onLeave: (reason?: string) => void;
};

export function AccountView({ place, session, onVerify, onLeave }: Props) {
  const asked = usePolled(
    () =>
      standing(session).catch((error: unknown) => {
        // A key that has ended or was revoked opens nothing any more.
        if (error instanceof GatewayError && error.status === 401) onLeave(error.message);
        throw error;
      }),
    everyMs,
    session,
  );
  const { receipts, error } = useReceipts(session, asked.value?.sequence);
  const { value: now } = asked;
  return (
    <>
      <p class="who">
        <span>
          Agent {`${session.agent.agentId}`} <span class="quiet">{session.agentText}</span>
        </span>
        <button type="button" onClick={() => onLeave()}>
          Sign out
        </button>
      </p>
      {asked.error !== undefined && <Wrong>{asked.error}</Wrong>}
      {error !== undefined && <Wrong>{error}</Wrong>}
      {now === undefined && asked.error === undefined && <Waiting>Asking where the account stands…</Waiting>}
      {now && (
        <>
          <Money now={now} />
          <section aria-labelledby="spend">
            <h2 id="spend">Spend</h2>
            {receipts === undefined ? (
              <Waiting>Reading receipts…</Waiting>
            ) : receipts.length === 0 ? (
              <p class="quiet">No calls yet.</p>
            ) : (
              <SpendPlot receipts={receipts} asset={now.asset} />
            )}
          </section>
          <section aria-labelledby="receipts">
            <h2 id="receipts">Receipts</h2>
            {receipts && receipts.length > 0 ? (
              <ReceiptsList
                receipts={receipts}
                total={now.sequence}
                asset={now.asset}
                place={place}
                session={session}
                onVerify={onVerify}
              />
            ) : (
              <p class="quiet">None yet: every call that costs something leaves one.</p>
            )}
          </section>
          <div class="pair">
            <section aria-labelledby="voucher">
              <h2 id="voucher">Voucher</h2>
              <Voucher now={now} />
            </section>
            <section aria-labelledby="withdrawal">
              <h2 id="withdrawal">Withdrawal</h2>
              <Withdrawal place={place} session={session} asset={now.asset} />
            </section>
          </div>
          <section aria-labelledby="session-keys">
            <h2 id="session-keys">Session keys</h2>
            <KeysList session={session} asset={now.asset} />
          </section>
        </>
      )}
    </>
  );
}

function Money({ now }: { now: Standing }) {
  const { asset } = now;
  return (
    <>
      <Figures
        list={[
          {
            name: 'Available',
            value: <Amount value={now.available} asset={asset} />,
            note: 'for the next calls',
          },
          {
            name: 'Held',
            value: <Amount value={now.held} asset={asset} />,
            note: 'set aside for calls in flight',
          },
          { name: 'Spent', value: <Amount value={now.captured} asset={asset} />, note: 'in this epoch' },
          {
            name: 'Deposited',
            value: <Amount value={now.deposited} asset={asset} />,
            note: 'over the account’s life',
          },
        ]}
      />
      <DepositBar standing={now} />
      {now.epochEndsAt > 0 && (
        <p class="wrong">
          This epoch ends at {moment(now.epochEndsAt)} at the earliest: a withdrawal or another spender is
          under way, and with it this voucher ends.
        </p>
      )}
    </>
  );
}

function Voucher({ now }: { now: Standing }) {
  const { asset } = now;
  const left = now.voucher - now.captured - now.held;
  return (
    <dl class="terms">
      <dt>The operator may have taken</dt>
      <dd>
        {now.voucher === 0n ? (
          'nothing: no voucher has been given'
        ) : (
          <>
            <Amount value={now.voucher} asset={asset} /> in all
          </>
        )}
      </dd>
      <dt>Left of it</dt>
      <dd>
        <Amount value={left > 0n ? left : 0n} asset={asset} />
      </dd>
      <dt>Claimed on chain</dt>
      <dd>
        <Amount value={now.claimed} asset={asset} />
      </dd>
      <dt>Signed by</dt>
      <dd>
        <Hex value={now.spender} />, the vault’s spender, for epoch {`${now.epoch}`}
      </dd>
    </dl>
  );
}

/** The newest receipts; whatever comes after is added as the account's number grows. One reading at a time, to its end. */
function useReceipts(session: Session, sequence: bigint | undefined) {
  const [state, setState] = useState<{ receipts?: readonly SignedReceipt[]; error?: string }>({});
  const wanted = useRef(sequence);
  wanted.current = sequence;
  const isReading = useRef(false);
  const isOver = useRef(false);
  useEffect(
    () => () => {
      isOver.current = true;
    },
    [],
  );
  useEffect(() => {
    if (sequence === undefined || isReading.current) return;
    isReading.current = true;
    const read = async () => {
      let known = state.receipts ?? [];
      let upTo: bigint | undefined;
      try {
        while (!isOver.current && wanted.current !== undefined && wanted.current !== upTo) {
          upTo = wanted.current;
          known = await receiptsUpTo(session, upTo, known);
          if (!isOver.current) setState({ receipts: known });
        }
      } catch (error) {
        const said = error instanceof Error ? error.message : String(error);
        if (!isOver.current) setState({ receipts: known, error: said });
      }
      isReading.current = false;
    };
    void read();
    // What was read before is where it goes on, and no reason to read again.
  }, [session, sequence]);
  return state;
}
