import { type Receipt, receiptDigest } from '../protocol/receipt.ts';
import { Amount } from './amount.tsx';
import type { Place } from './gateway.ts';
import { Hex } from './hex.tsx';
import { type Asset, counted, moment } from './human.ts';

/** What a receipt says. Whether it is true is another question. */
export function ReceiptCard({ receipt, place }: { receipt: Receipt; place: Place }) {
  const asset = assetOf(receipt, place);
  const { usage } = receipt;
  return (
    <dl class="terms receipt">
      <dt>Receipt</dt>
      <dd>
        number {`${receipt.sequence}`} of agent {`${receipt.agentId}`} <Hex value={receiptDigest(receipt)} />
      </dd>
      <dt>Call</dt>
      <dd>
        {receipt.model}, answered by {receipt.upstream}, {moment(Number(receipt.time))}
      </dd>
      <dt>Used</dt>
      <dd>
        {counted(usage.input, 'token')} in{usage.cachedInput > 0n && ` (${usage.cachedInput} cached)`},{' '}
        {counted(usage.output, 'token')} out{usage.thinking > 0n && ` (${usage.thinking} thinking)`}
        {usage.estimated && ', estimated'}
      </dd>
      <dt>Cost</dt>
      <dd>
        <Amount value={receipt.amount} asset={asset} />; <Amount value={receipt.cumulative} asset={asset} />{' '}
        in all
      </dd>
    </dl>
  );
}

/** The asset of a receipt's vault; bare base units where the gateway does not know the chain. */
export const assetOf = ({ chainId, vault }: Receipt, { chains }: Place): Asset =>
  chains.find((chain) => BigInt(chain.chainId) === chainId && chain.vault === vault)?.asset ?? {
    symbol: 'base units',
    decimals: 0,
  };
