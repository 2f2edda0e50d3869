// Paste or drop a receipt, and see it checked against the chain, one check after the other.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { Check } from '../client/receipt-evidence.ts';
import { parseAddress, parseHex } from '../protocol/hex.ts';
import { CheckList } from './check-list.tsx';
import type { Place } from './gateway.ts';
import { Waiting, Wrong } from './notice.tsx';
import { type Pasted, readPasted } from './pasted-receipt.ts';
import { ReceiptCard } from './receipt-card.tsx';
import { SplitStick } from './split-stick.tsx';

type State =
  | { readonly step: 'empty' }
  | { readonly step: 'wrong'; readonly why: string; readonly pasted?: Pasted }
  | { readonly step: 'asking'; readonly pasted: Pasted }
  | {
      readonly step: 'checked';
      readonly pasted: Pasted;
      readonly checks: readonly Check[];
      readonly done: boolean;
    };

/** `given`: a receipt handed over by another view, to be verified at once. */
export function VerifyView({ place, given }: { place: Place; given: string | undefined }) {
  const [text, setText] = useState(given ?? '');
  const [state, setState] = useState<State>({ step: 'empty' });
  const [isOver, setIsOver] = useState(false);
  const [look, setLook] = useState({
    node: place.nodes.get(place.log.chainId)?.[0] ?? '',
    anchor: place.log.anchor as string,
    logId: place.log.logId as string,
  });
  const run = useRef(0);

  const verify = useCallback(
    async (what: string) => {
      const mine = ++run.current;
      const tell = (next: State) => {
        if (run.current === mine) setState(next);
      };
      const pasted = readPasted(what);
      if (!pasted.ok) return tell({ step: 'wrong', why: pasted.error });
      const anchor = parseAddress(look.anchor.trim().toLowerCase());
      const logId = parseHex(look.logId.trim().toLowerCase(), 32);
      if (anchor === undefined || logId === undefined)
        return tell({ step: 'wrong', why: 'The anchor is an address, the log’s id 32 bytes of 0x hex.' });
      tell({ step: 'asking', pasted: pasted.value });
      const isOurs = anchor === place.log.anchor && logId === place.log.logId;
      const checkpointKey = isOurs ? place.log.checkpointKey : pasted.value.checkpointKey;
      try {
        const { verifyPasted } = await import('./receipt-verification.ts');
        const log = { rpcUrl: look.node, anchor, logId };
        const checks = await verifyPasted(pasted.value, log, checkpointKey);
        tell({ step: 'checked', pasted: pasted.value, checks, done: false });
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        tell({ step: 'wrong', why, pasted: pasted.value });
      }
    },
    [look, place],
  );
  const begun = useRef(false);
  useEffect(() => {
    if (given === undefined || begun.current) return;
    begun.current = true;
    void verify(given);
  }, [given, verify]);
  const done = useCallback(
    () => setState((now) => (now.step === 'checked' && !now.done ? { ...now, done: true } : now)),
    [],
  );

  // A verdict is about what was verified, and must not stand beside anything else.
  const edit = (what: string) => {
    run.current += 1;
    setText(what);
    setState({ step: 'empty' });
  };
  const take = async (file: File | undefined) => {
    if (file === undefined) return;
    const read = await file.text();
    setText(read);
    await verify(read);
  };
  const nodes = place.nodes.get(place.log.chainId) ?? [];
  return (
    <>
      <form
        class={`drop${isOver ? ' over' : ''}`}
        onSubmit={(event) => {
          event.preventDefault();
          void verify(text);
        }}
        onDragOver={(event) => {
          event.preventDefault();
          setIsOver(true);
        }}
        onDragLeave={() => setIsOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setIsOver(false);
          void take(event.dataTransfer?.files[0]);
        }}
      >
        <label for="receipt">A receipt: its file, its JSON, or the base64 of its header</label>
        <textarea
          id="receipt"
          rows={6}
          spellcheck={false}
          autocomplete="off"
          placeholder="Paste it here, or drop the file"
          value={text}
          onInput={(event) => edit(event.currentTarget.value)}
        />
        <div class="actions">
          <button type="submit" class="main">
            Verify
          </button>
          <label class="button">
            Choose a file
            <input
              type="file"
              class="unseen"
              accept=".json,application/json,text/plain"
              onChange={(event) => void take(event.currentTarget.files?.[0])}
            />
          </label>
        </div>
        <details>
          <summary>Whose word is taken</summary>
          <p class="quiet">
            The contract and the log are named by this gateway: put in those you know from elsewhere. The
            receipt’s own word on where to look is ignored.
          </p>
          <p class="field">
            <label for="node">Node of chain {place.log.chainId}</label>
            <select
              id="node"
              value={look.node}
              onChange={(e) => setLook({ ...look, node: e.currentTarget.value })}
            >
              {nodes.map((node) => (
                <option key={node}>{node}</option>
              ))}
            </select>
          </p>
          <p class="field">
            <label for="anchor">ReceiptAnchor</label>
            <input
              id="anchor"
              spellcheck={false}
              value={look.anchor}
              onInput={(e) => setLook({ ...look, anchor: e.currentTarget.value })}
            />
          </p>
          <p class="field">
            <label for="log-id">Log</label>
            <input
              id="log-id"
              spellcheck={false}
              value={look.logId}
              onInput={(e) => setLook({ ...look, logId: e.currentTarget.value })}
            />
          </p>
        </details>
      </form>
      <Outcome state={state} place={place} onDone={done} />
      <p class="quiet">
        Your browser asks the chain’s node, and takes tiles from this gateway only to build proofs that must
        lead to the root the chain holds. But this page itself comes from the operator. Whoever doubts that,
        too, runs <code>tallystick verify receipt.json</code> with a node of their own.
      </p>
    </>
  );
}

function Outcome({ state, place, onDone }: { state: State; place: Place; onDone: () => void }) {
  if (state.step === 'empty') return null;
  if (state.step === 'wrong')
    return (
      <>
        <Wrong>{state.why}</Wrong>
        {state.pasted && <ReceiptCard receipt={state.pasted.signed.receipt} place={place} />}
      </>
    );
  if (state.step === 'asking')
    return (
      <section class="outcome">
        <Waiting>Asking the chain…</Waiting>
        <ReceiptCard receipt={state.pasted.signed.receipt} place={place} />
      </section>
    );
  const failed = state.checks.filter(({ ok }) => !ok);
  const isVerified = state.checks.length > 0 && failed.length === 0;
  return (
    <section class="outcome" aria-labelledby="verdict">
      <SplitStick matches={!state.done ? undefined : isVerified} />
      <div role="status">
        <h2 id="verdict" class={!state.done ? '' : isVerified ? 'right' : 'false'}>
          {!state.done ? 'Checking…' : isVerified ? 'The halves match.' : 'The halves do not match.'}
        </h2>
      </div>
      {state.done && (
        <p>
          {isVerified
            ? 'The operator signed exactly this and cannot take it back: the chain holds a head that covers it. It does not say which model’s weights ran.'
            : `${failed.length === 1 ? 'One check fails' : `${failed.length} checks fail`}. Whatever this is, it is not a receipt that this log holds.`}
        </p>
      )}
      <ReceiptCard receipt={state.pasted.signed.receipt} place={place} />
      <CheckList checks={state.checks} onDone={onDone} />
    </section>
  );
}
