import { useState } from 'preact/hooks';
import { formatReceiptFile } from '../client/receipt-file.ts';
import { receiptDigest, receiptToJson, type SignedReceipt } from '../protocol/receipt.ts';
import { Amount } from './amount.tsx';
import type { Place } from './gateway.ts';
import { Hex } from './hex.tsx';
import { type Asset, counted, grouped, moment, shortMoment } from './human.ts';
import { Wrong } from './notice.tsx';
import { Scroll } from './scroll.tsx';
import type { Session } from './session.ts';

const shownAtOnce = 25;

type Props = {
  readonly receipts: readonly SignedReceipt[];
  readonly total: bigint;
  readonly asset: Asset;
  readonly place: Place;
  readonly session: Session;
  /** Hands a receipt to the verifier. */
  readonly onVerify: (text: string) => void;
};

/** The newest first, and those that a word is found in. */
export function ReceiptsList({ receipts, total, asset, place, session, onVerify }: Props) {
  const [words, setWords] = useState('');
  const [shown, setShown] = useState(shownAtOnce);
  const [error, setError] = useState<string | undefined>();
  const wanted = words.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const found = [...receipts].reverse().filter((signed) => matches(signed, wanted));

  const verify = async (signed: SignedReceipt) => {
    setError(undefined);
    onVerify(JSON.stringify({ digest: receiptDigest(signed.receipt), ...receiptToJson(signed) }, null, 2));
  };
  const save = async (signed: SignedReceipt) => {
    setError(undefined);
    try {
      const { sequence } = signed.receipt;
      const proof = await session.text(`/v1/receipts/${sequence}/proof`);
      const { chainId, anchor, logId, checkpointKey } = place.log;
      const file = formatReceiptFile({
        signed,
        proof,
        anchor: { chainId, address: anchor, logId },
        checkpointKey,
      });
      download(`receipt-${sequence}.json`, file);
    } catch (problem) {
      setError(problem instanceof Error ? problem.message : String(problem));
    }
  };
  return (
    <>
      <p class="field">
        <label for="search">Search by number, model, digest or upstream’s id</label>
        <input
          id="search"
          type="search"
          value={words}
          onInput={(event) => setWords(event.currentTarget.value)}
        />
      </p>
      <p class="quiet" role="status">
        {wanted.length > 0 ? `${counted(found.length, 'receipt')} found. ` : ''}
        {total > BigInt(receipts.length)
          ? `The newest ${grouped(receipts.length)} of ${grouped(total)}: the command line has all of them.`
          : `${counted(total, 'receipt')} in all.`}
      </p>
      {error !== undefined && <Wrong>{error}</Wrong>}
      <Scroll label="List of receipts">
        <table class="receipts">
          <thead>
            <tr>
              <th scope="col" class="number">
                No.
              </th>
              <th scope="col">When</th>
              <th scope="col">Model</th>
              <th scope="col" class="number">
                In
              </th>
              <th scope="col" class="number">
                Out
              </th>
              <th scope="col" class="number">
                Cost
              </th>
              <th scope="col">Digest</th>
              <th scope="col">
                <span class="unseen">What to do with it</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {found.slice(0, shown).map((signed) => {
              const { sequence, time, model, usage, amount } = signed.receipt;
              return (
                <tr key={`${sequence}`}>
                  <th scope="row" class="number">{`${sequence}`}</th>
                  <td class="when" title={moment(Number(time))}>
                    {shortMoment(Number(time))}
                  </td>
                  <td>{model}</td>
                  <td class="number">{grouped(usage.input)}</td>
                  <td class="number">
                    {grouped(usage.output)}
                    {usage.estimated && <abbr title="estimated: upstream’s figure was never seen">≈</abbr>}
                  </td>
                  <td class="number">
                    <Amount value={amount} asset={asset} />
                  </td>
                  <td>
                    <Hex value={receiptDigest(signed.receipt)} />
                  </td>
                  <td class="do">
                    <button
                      type="button"
                      onClick={() => void verify(signed)}
                      aria-label={`Verify receipt ${sequence}`}
                    >
                      Verify
                    </button>{' '}
                    <button
                      type="button"
                      onClick={() => void save(signed)}
                      aria-label={`Save receipt ${sequence}`}
                    >
                      Save
                    </button>
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </Scroll>
      {found.length > shown && (
        <button type="button" onClick={() => setShown(shown + 4 * shownAtOnce)}>
          Show more
        </button>
      )}
    </>
  );
}

function matches({ receipt }: SignedReceipt, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const text = `${receipt.sequence} ${receipt.model} ${receipt.upstream} ${receipt.upstreamId} ${receiptDigest(receipt)}`;
  return words.every((word) => text.toLowerCase().includes(word));
}

function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
