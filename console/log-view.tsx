// The public face: is the gateway keeping its promises, and how has the log grown, by the chain's word.
import { useEffect, useState } from 'preact/hooks';
import { Figures } from './figures.tsx';
import { type Health, health, type Place } from './gateway.ts';
import type { ChainView, Head } from './heads.ts';
import { Hex } from './hex.tsx';
import { counted, grouped, span } from './human.ts';
import { Waiting, Wrong } from './notice.tsx';
import { usePolled } from './polled.ts';
import { Scroll } from './scroll.tsx';
import { type Cut, Stick } from './stick.tsx';

const healthEveryMs = 4_000;
const headsShown = 12;

export function LogView({ place }: { place: Place }) {
  const asked = usePolled(health, healthEveryMs);
  const chain = useHeads(place, asked.value?.log.anchored);
  const { value: now } = asked;
  return (
    <>
      <Statement now={now} error={asked.error} />
      {now && (
        <>
          <div class="tally">
            <p class="edge">the gateway’s half: {counted(now.log.sealed, 'receipt')} sealed</p>
            <Stick cuts={cutsOf(chain.value, now)} label={stickLabel(now)} />
            <p class="edge">
              the chain’s half: {counted(now.log.anchored, 'receipt')} under an anchored head
            </p>
          </div>
          <Figures
            list={[
              { name: 'Receipts in the log', value: grouped(now.log.appended) },
              { name: 'Under a head on chain', value: grouped(now.log.anchored) },
              { name: 'On their way', value: grouped(now.log.appended - now.log.anchored) },
              {
                name: 'Next promise due',
                value: now.log.mergeBy === undefined ? 'none open' : dueText(now.log.mergeBy),
                note: `each receipt is under an anchored head within ${span(place.log.mergeDelay)}`,
              },
            ]}
          />
        </>
      )}
      <section aria-labelledby="heads">
        <h2 id="heads">Heads the chain holds</h2>
        <Heads chain={chain} />
      </section>
      <section aria-labelledby="keys">
        <h2 id="keys">What to hold it to</h2>
        <Terms place={place} />
      </section>
    </>
  );
}

function Statement({ now, error }: { now: Health | undefined; error: string | undefined }) {
  if (error !== undefined) return <Wrong>The gateway does not answer: {error}</Wrong>;
  if (now === undefined) return <Waiting>Asking the gateway…</Waiting>;
  const { sealing, merging } = now.log;
  return (
    <div role="status" class={`statement ${now.ok ? 'kept' : 'broken'}`}>
      <p>
        {now.ok
          ? 'Every promise is kept.'
          : merging
            ? 'Receipts have waited too long for their seal.'
            : 'A receipt is overdue: its time has passed, and no head on chain covers it.'}
      </p>
      {!sealing && <small>The oldest has waited {span(now.log.waitingMs / 1000)}.</small>}
    </div>
  );
}

/** The heads, read again whenever the gateway says there is another one. */
function useHeads(place: Place, anchored: number | undefined) {
  const [state, setState] = useState<{ value?: ChainView; error?: string }>({});
  useEffect(() => {
    if (anchored === undefined) return;
    const { chainId, anchor, logId } = place.log;
    const rpcUrl = place.nodes.get(chainId)?.[0];
    if (rpcUrl === undefined) {
      setState({ error: `This gateway names no public node of chain ${chainId}.` });
      return;
    }
    let isOver = false;
    import('./heads.ts')
      .then(({ readHeads }) => readHeads({ rpcUrl, anchor, logId }))
      .then(
        (value) => !isOver && setState({ value }),
        (error: unknown) =>
          !isOver &&
          setState((before) => ({ ...before, error: error instanceof Error ? error.message : `${error}` })),
      );
    return () => {
      isOver = true;
    };
  }, [place, anchored]);
  return state;
}

function cutsOf(chain: ChainView | undefined, { log }: Health): Cut[] {
  const heads: readonly Head[] = chain?.heads ?? [];
  const anchored = heads.map(({ size, previousSize }) => ({ entries: size - previousSize, onChain: true }));
  const begun =
    anchored.length === 0 && log.anchored > 0 ? [{ entries: log.anchored, onChain: true }] : anchored;
  const sealed = log.sealed - log.anchored;
  return sealed > 0 ? [...begun, { entries: sealed, onChain: false }] : begun;
}

const stickLabel = ({ log }: Health): string =>
  log.sealed === log.anchored
    ? `A tally stick whose halves match: all ${counted(log.sealed, 'sealed receipt')} are under a head on chain.`
    : `A tally stick: ${counted(log.sealed, 'receipt')} cut into the gateway’s half, ${grouped(log.anchored)} of them into the chain’s.`;

function dueText(mergeBy: number): string {
  const left = mergeBy - Date.now() / 1000;
  return left < 0 ? `${span(-left)} ago` : `in ${span(left)}`;
}

function Heads({ chain: { value, error } }: { chain: { value?: ChainView; error?: string } }) {
  if (error !== undefined) return <Wrong>{error}</Wrong>;
  if (value === undefined) return <Waiting>Asking the chain…</Waiting>;
  const newest = [...value.heads].reverse().slice(0, headsShown);
  if (newest.length === 0) {
    return (
      <p class="quiet">
        {value.size === 0
          ? 'None yet: nothing has been anchored.'
          : `A head of ${counted(value.size, 'receipt')}, older than the last ${grouped(value.block - value.from)} blocks.`}
      </p>
    );
  }
  return (
    <>
      <Scroll label="List of heads">
        <table>
          <thead>
            <tr>
              <th scope="col" class="number">
                Block
              </th>
              <th scope="col" class="number">
                Receipts
              </th>
              <th scope="col" class="number">
                New
              </th>
              <th scope="col">Root</th>
              <th scope="col">Published as</th>
            </tr>
          </thead>
          <tbody>
            {newest.map((head) => (
              <tr key={head.size}>
                <td class="number">{grouped(head.blockNumber)}</td>
                <td class="number">{grouped(head.size)}</td>
                <td class="number">+{grouped(head.size - head.previousSize)}</td>
                <td>
                  <Hex value={head.root} />
                </td>
                <td>
                  {head.publications.map(({ where, state, name }) => (
                    <span class="publication" key={name}>
                      {where} <Hex value={name} /> <span class="state">{state}</span>
                    </span>
                  ))}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      <p class="quiet">
        Read from the chain by your browser, blocks {grouped(value.from)} to {grouped(value.block)}: the
        gateway was not asked. The contract took each head only with a proof that it extends the one before.
      </p>
    </>
  );
}

function Terms({ place }: { place: Place }) {
  const { log, chains } = place;
  return (
    <dl class="terms">
      <dt>Log</dt>
      <dd>
        {log.origin} <Hex value={log.logId} />
      </dd>
      <dt>Anchor</dt>
      <dd>
        <Hex value={log.anchor} /> on chain {log.chainId}
      </dd>
      <dt>Receipts signed by</dt>
      <dd>
        <Hex value={log.receiptKey} />
      </dd>
      <dt>Heads signed by</dt>
      <dd>
        <Hex value={log.headKey} />
      </dd>
      <dt>Checkpoint key</dt>
      <dd>
        <code class="hex long">{log.checkpointKey}</code>
      </dd>
      {chains.map(({ chainId, vault, asset }) => (
        <>
          <dt>Vault{asset ? `, ${asset.symbol}` : ''}</dt>
          <dd>
            <Hex value={vault} /> on chain {chainId}
          </dd>
        </>
      ))}
    </dl>
  );
}
