// The operator's view: what came in, what is at risk, whether the providers answer.
import { useState } from 'preact/hooks';
import { Amount } from './amount.tsx';
import { Figures } from './figures.tsx';
import { Hex } from './hex.tsx';
import { counted, grouped, moment, span } from './human.ts';
import { Waiting, Wrong } from './notice.tsx';
import { type OperatorSummary, operatorSummary } from './operator-summary.ts';
import { usePolled } from './polled.ts';
import { Scroll } from './scroll.tsx';

const everyMs = 10_000;

export function OperatorView() {
  // In memory only: it opens everything there is here.
  const [token, setToken] = useState<string | undefined>();
  return token === undefined ? (
    <AskToken onToken={setToken} />
  ) : (
    <Summary token={token} onLeave={() => setToken(undefined)} />
  );
}

function AskToken({ onToken }: { onToken: (token: string) => void }) {
  const [text, setText] = useState('');
  const [error, setError] = useState<string | undefined>();
  const submit = async () => {
    try {
      await operatorSummary(text.trim());
      onToken(text.trim());
    } catch (problem) {
      setError(problem instanceof Error ? problem.message : String(problem));
    }
  };
  return (
    <form
      class="sign-in"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      {error !== undefined && <Wrong>{error}</Wrong>}
      <p class="field">
        <label for="operator-token">Operator’s token</label>
        <input
          id="operator-token"
          type="password"
          autocomplete="off"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </p>
      <p class="quiet">
        The deployment’s secret <code>OPERATOR_TOKEN</code>. It is kept until this page is left.
      </p>
      <div class="actions">
        <button type="submit" class="main" disabled={text.trim() === ''}>
          Open
        </button>
      </div>
    </form>
  );
}

function Summary({ token, onLeave }: { token: string; onLeave: () => void }) {
  const { value, error } = usePolled(() => operatorSummary(token), everyMs, token);
  return (
    <>
      <p class="who">
        <span class="quiet">{value ? `As of ${moment(value.at)}` : ''}</span>
        <button type="button" onClick={onLeave}>
          Close
        </button>
      </p>
      {error !== undefined && <Wrong>{error}</Wrong>}
      {value === undefined && error === undefined && <Waiting>Asking the objects…</Waiting>}
      {value && <Upstreams list={value.upstreams} />}
      {value?.chains.map((chain) => (
        <Chain key={chain.chainId} chain={chain} value={value} />
      ))}
    </>
  );
}

function Upstreams({ list }: { list: OperatorSummary['upstreams'] }) {
  return (
    <section aria-labelledby="upstreams">
      <h2 id="upstreams">Upstreams</h2>
      <ul class="plain">
        {list.map(({ name, dialect, models, attempts, failuresInARow, leftAloneForMs }) => (
          <li key={name}>
            <strong>{name}</strong> <span class="quiet">{dialect}</span>{' '}
            {leftAloneForMs > 0 ? (
              <span class="false">left alone for {span(leftAloneForMs / 1000)}</span>
            ) : failuresInARow > 0 ? (
              <span class="false">{counted(failuresInARow, 'failure')} in a row</span>
            ) : (
              <span class="right">answers</span>
            )}{' '}
            <span class="quiet">
              {attempts
                .filter(({ times }) => times !== '0')
                .map(({ outcome, times }) => `${outcome.replaceAll('_', ' ')} ${grouped(BigInt(times))}`)
                .join(', ') || 'not asked yet'}
            </span>
            <span class="quiet">{models === null ? 'all models' : models.join(', ')}</span>
          </li>
        ))}
      </ul>
      <p class="quiet">
        Whether one is left alone, as the isolate that answered has seen it: others may have seen more.
      </p>
    </section>
  );
}

type ChainProps = { chain: OperatorSummary['chains'][number]; value: OperatorSummary };

function Chain({ chain, value }: ChainProps) {
  const { asset, gas, exposure, revenue, transactions } = chain;
  const { log, usage } = value;
  const isOnly = value.chains.length === 1;
  const unsent = exposure.reduce((sum, one) => sum + one.unsent, 0);
  const id = `chain-${chain.chainId}`;
  const risk = exposure.reduce((sum, { unclaimed }) => sum + BigInt(unclaimed), 0n);
  const held = exposure.reduce((sum, one) => sum + BigInt(one.held), 0n);
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{isOnly ? 'Money' : `Money on chain ${chain.chainId}`}</h2>
      <Figures
        list={[
          {
            name: 'Paid by the vault',
            value: <Amount value={BigInt(chain.claimed)} asset={asset} />,
            note: 'over all accounts',
          },
          {
            name: 'Earned, not yet paid',
            value: <Amount value={risk} asset={asset} />,
            note: `with ${counted(chain.accountsShown, 'account')} looked into, of ${grouped(chain.accounts)}`,
          },
          { name: 'Held', value: <Amount value={held} asset={asset} />, note: 'for calls in flight' },
          {
            name: 'For gas',
            value: gas.balance === null ? 'not known' : <Amount value={BigInt(gas.balance)} asset={asset} />,
            note:
              transactions.queued + transactions.sent > 0 ? (
                `${counted(transactions.queued + transactions.sent, 'transaction')} under way`
              ) : (
                <Hex value={chain.operator} />
              ),
          },
          {
            name: 'Receipts not yet in the log',
            value: grouped(unsent),
            note: `lately one waited ${span(log.outboxMs / 1000)} at most`,
          },
        ]}
      />
      {transactions.failing.length > 0 && (
        <p class="wrong">Failing when last tried: {transactions.failing.join(', ')}.</p>
      )}
      <h3>Revenue by model</h3>
      {revenue.length === 0 ? (
        <p class="quiet">Nothing yet.</p>
      ) : (
        <>
          <Scroll label="Revenue by model">
            <table>
              <thead>
                <tr>
                  <th scope="col">Model</th>
                  <th scope="col" class="number">
                    Calls
                  </th>
                  <th scope="col" class="number">
                    Tokens in
                  </th>
                  <th scope="col" class="number">
                    Tokens out
                  </th>
                  <th scope="col" class="number">
                    Earned
                  </th>
                </tr>
              </thead>
              <tbody>
                {revenue.map(({ model, amount }) => {
                  const used = usage.find((one) => one.model === model);
                  return (
                    <tr key={model}>
                      <th scope="row">{model}</th>
                      <td class="number">{grouped(BigInt(used?.calls ?? 0))}</td>
                      <td class="number">{grouped(BigInt(used?.input ?? 0))}</td>
                      <td class="number">{grouped(BigInt(used?.output ?? 0))}</td>
                      <td class="number">
                        <Amount value={BigInt(amount)} asset={asset} />
                      </td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </Scroll>
          <p class="quiet">
            Since the counters began{isOnly ? '' : ', calls and tokens over all chains'}. They may miss a
            minute: what was earned is what receipts and the vault say.
          </p>
        </>
      )}
      <h3>Exposure</h3>
      {exposure.length === 0 ? (
        <p class="quiet">No account has earned anything yet.</p>
      ) : (
        <Scroll label="Exposure">
          <table>
            <thead>
              <tr>
                <th scope="col">Agent</th>
                <th scope="col" class="number">
                  Calls
                </th>
                <th scope="col" class="number">
                  Not yet paid
                </th>
                <th scope="col" class="number">
                  Held
                </th>
                <th scope="col" class="number">
                  Paid
                </th>
              </tr>
            </thead>
            <tbody>
              {exposure.map((one) => (
                <tr key={one.agent}>
                  <th scope="row" title={one.agent}>
                    agent {one.agent.split(':').at(-1)}
                  </th>
                  <td class="number">{grouped(BigInt(one.calls))}</td>
                  <td class="number">
                    <Amount value={BigInt(one.unclaimed)} asset={asset} />
                  </td>
                  <td class="number">
                    <Amount value={BigInt(one.held)} asset={asset} />
                  </td>
                  <td class="number">
                    <Amount value={BigInt(one.claimed)} asset={asset} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </section>
  );
}
