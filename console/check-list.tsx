// The checks of one receipt, one after the other, in words.
import { useEffect, useState } from 'preact/hooks';
import type { Check } from '../client/receipt-evidence.ts';

const titles: Readonly<Record<Check['name'], readonly [right: string, wrong: string]>> = {
  digest: ['It is the receipt it is known as', 'It is not the receipt it is known as'],
  log: ['It is for this log', 'It is for another log'],
  receipt_signature: ['It is signed', 'It is not signed'],
  receipt_key: ['The contract knows the signer as the receipt key', 'The contract does not know the signer'],
  proof_format: ['A proof came with it', 'What came with it is no proof'],
  checkpoint_ed25519: ['The log signed the checkpoint', 'The log did not sign this checkpoint'],
  checkpoint_head: ['The head key signed it, too', 'The head key did not sign it'],
  inclusion: ['It is an entry of the log’s tree', 'It is not an entry of the log’s tree'],
  anchored: ['The chain holds that tree’s head', 'The chain does not hold that tree’s head'],
  blob_file: ['The published file is the one named', 'The published file is another'],
  blob: ['The published bytes are of this log', 'The published bytes are not of this log'],
  blob_root: ['The published entries lead to the root', 'The published entries do not lead to the root'],
  blob_entry: ['It is among the published entries', 'It is not among the published entries'],
};

const betweenMs = 140;
const isStill = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches;

/** Shows one check after the other; all at once for whoever prefers no motion. `onDone` when the last one stands there. */
export function CheckList({ checks, onDone }: { checks: readonly Check[]; onDone: () => void }) {
  const [shown, setShown] = useState(isStill() ? checks.length : 1);
  useEffect(() => {
    if (shown >= checks.length) {
      onDone();
      return;
    }
    const timer = setTimeout(() => setShown(shown + 1), betweenMs);
    return () => clearTimeout(timer);
  }, [shown, checks, onDone]);
  return (
    <ol class="checks" aria-label="Checks">
      {checks.slice(0, shown).map(({ name, ok, detail }) => (
        <li key={name} class={ok ? 'right' : 'false'} data-check={name}>
          <span class="mark" role="img" aria-label={ok ? 'holds' : 'fails'}>
            {ok ? '✓' : '✗'}
          </span>
          <div>
            <strong>{titles[name][ok ? 0 : 1]}</strong>
            <p>{detail}</p>
          </div>
        </li>
      ))}
    </ol>
  );
}
