// The console: one page for whoever looks before they read. Everything it shows comes from this gateway, or from the chain.
import 'uplot/dist/uPlot.min.css';
import './style.css';
import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { place } from './gateway.ts';
import { later } from './later.tsx';
import { LogView } from './log-view.tsx';
import { Waiting, Wrong } from './notice.tsx';
import { usePolled } from './polled.ts';
import { show, useView, type View, viewNames, views } from './route.ts';
import { forgetKey, keptKey, openSession, type Session } from './session.ts';
import { restore } from './theme.ts';
import { ThemeToggle } from './theme-toggle.tsx';

const AccountView = later(async () => (await import('./account-view.tsx')).AccountView);
const OperatorView = later(async () => (await import('./operator-view.tsx')).OperatorView);
const PricesView = later(async () => (await import('./prices-view.tsx')).PricesView);
const SignIn = later(async () => (await import('./sign-in.tsx')).SignIn);
const VerifyView = later(async () => (await import('./verify-view.tsx')).VerifyView);

const placeEveryMs = 600_000;

const leads: Readonly<Record<View, string>> = {
  log: 'Every call leaves a receipt. Receipts go into a log, and the chain holds its heads.',
  verify:
    'A receipt is one half of a split stick. See whether the other half, which the chain holds, matches it.',
  prices: 'What a million tokens cost.',
  account: 'Where an agent stands: its deposit, its calls, its receipts.',
  operator: 'What came in, what is at risk, and who answers.',
};

function keptSession(): Session | undefined {
  const key = keptKey();
  const session = key === undefined ? undefined : openSession(key);
  return session?.ok ? session.value : undefined;
}

function Page() {
  const view = useView();
  const { value: here, error } = usePolled(place, placeEveryMs);
  const [session, setSession] = useState(keptSession);
  const [reason, setReason] = useState<string | undefined>();
  const [handed, setHanded] = useState<string | undefined>();
  const heading = useRef<HTMLHeadingElement>(null);
  const isFirst = useRef(true);
  useEffect(() => {
    document.title = `${viewNames[view]} · tallystick`;
    // Somebody who does not see the page change has to hear it.
    if (!isFirst.current) heading.current?.focus();
    isFirst.current = false;
    if (view !== 'verify') setHanded(undefined);
  }, [view]);
  const verify = (text: string) => {
    setHanded(text);
    show('verify');
  };
  const leave = (why?: string) => {
    forgetKey();
    setSession(undefined);
    setReason(why);
  };
  return (
    <>
      <button type="button" class="skip" onClick={() => heading.current?.focus()}>
        Skip to the content
      </button>
      <header>
        <a class="wordmark" href="#/log">
          <span class="upper">tallystick</span>
          <span class="lower" aria-hidden="true">
            tallystick
          </span>
        </a>
        <nav aria-label="Views">
          <ul>
            {views.map((one) => (
              <li key={one}>
                <a href={`#/${one}`} {...(one === view ? { 'aria-current': 'page' as const } : {})}>
                  {viewNames[one]}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <ThemeToggle />
      </header>
      <main id="main">
        <h1 ref={heading} tabIndex={-1}>
          {viewNames[view]}
        </h1>
        <p class="lead">{leads[view]}</p>
        {error !== undefined && <Wrong>{error}</Wrong>}
        {here === undefined && error === undefined && <Waiting>Asking the gateway who it is…</Waiting>}
        {here && view === 'log' && <LogView place={here} />}
        {here && view === 'verify' && <VerifyView place={here} given={handed} key={handed ?? ''} />}
        {here && view === 'prices' && <PricesView place={here} />}
        {here && view === 'account' && session === undefined && (
          <SignIn place={here} reason={reason} onSession={setSession} />
        )}
        {here && view === 'account' && session && (
          <AccountView place={here} session={session} onVerify={verify} onLeave={leave} />
        )}
        {here && view === 'operator' && <OperatorView />}
      </main>
      <footer>
        <p>
          {here ? here.publicOrigin : location.origin} · the gateway’s word, but for what your browser reads
          from the chain
        </p>
      </footer>
    </>
  );
}

restore();
render(<Page />, document.body);
