import { useState } from 'preact/hooks';
import type { ModelPrice, PriceTier } from '../protocol/price-table.ts';
import { Amount } from './amount.tsx';
import { type Place, prices } from './gateway.ts';
import { Hex } from './hex.tsx';
import { type Asset, tokens } from './human.ts';
import { Waiting, Wrong } from './notice.tsx';
import { usePolled } from './polled.ts';
import { Scroll } from './scroll.tsx';

const everyMs = 300_000;

/** What a call costs, by the table whose hash every receipt names. */
export function PricesView({ place }: { place: Place }) {
  const [chainId, setChainId] = useState(place.log.chainId);
  const { value, error } = usePolled(() => prices(chainId), everyMs, chainId);
  const asset = place.chains.find((chain) => chain.chainId === chainId)?.asset;
  return (
    <>
      {place.chains.length > 1 && (
        <p class="field">
          <label for="chain">Deposits on</label>
          <select
            id="chain"
            value={chainId}
            onChange={(event) => setChainId(Number(event.currentTarget.value))}
          >
            {place.chains.map((chain) => (
              <option key={chain.chainId} value={chain.chainId}>
                chain {chain.chainId}
                {chain.asset ? `, ${chain.asset.symbol}` : ''}
              </option>
            ))}
          </select>
        </p>
      )}
      {error !== undefined && <Wrong>{error}</Wrong>}
      {value === undefined && error === undefined && <Waiting>Reading the price table…</Waiting>}
      {value && asset && (
        <>
          <p class="quiet">
            {asset.symbol} per million tokens. A call costs what it used by this table, rounded up once, and
            never more than its ceiling. Every receipt names the table: <Hex value={value.hash} />, version{' '}
            {value.table.version}.
          </p>
          <Scroll label="Prices">
            <table class="prices">
              <thead>
                <tr>
                  <th scope="col">Model</th>
                  <th scope="col" class="number">
                    For input of
                  </th>
                  <th scope="col" class="number">
                    Input
                  </th>
                  <th scope="col" class="number">
                    Cached
                  </th>
                  <th scope="col" class="number">
                    Output
                  </th>
                  <th scope="col" class="number">
                    Thinking
                  </th>
                  <th scope="col" class="number">
                    Context
                  </th>
                  <th scope="col">Licence</th>
                </tr>
              </thead>
              <tbody>
                {Object.entries(value.table.models).flatMap(([id, model]) =>
                  model.tiers.map((tier, index) => (
                    <TierRow
                      key={`${id} ${index}`}
                      id={id}
                      model={model}
                      tier={tier}
                      index={index}
                      asset={asset}
                    />
                  )),
                )}
              </tbody>
            </table>
          </Scroll>
        </>
      )}
    </>
  );
}

type TierProps = { id: string; model: ModelPrice; tier: PriceTier; index: number; asset: Asset };

function TierRow({ id, model, tier, index, asset }: TierProps) {
  const isLast = index === model.tiers.length - 1;
  const length = isLast
    ? `> ${tokens(model.tiers[index - 1]?.upToInputTokens ?? 0)}`
    : `≤ ${tokens(tier.upToInputTokens)}`;
  return (
    <tr class={index === 0 ? '' : 'more'}>
      <th scope="row" title={model.basis}>
        {index === 0 ? id : <span class="unseen">{id}</span>}
      </th>
      <td class="number upto">{model.tiers.length > 1 ? length : 'any'}</td>
      <td class="number">
        <Amount value={BigInt(tier.input)} asset={asset} />
      </td>
      <td class="number">
        <Amount value={BigInt(tier.cachedInput)} asset={asset} />
      </td>
      <td class="number">
        {model.serves === 'embeddings' ? '–' : <Amount value={BigInt(tier.output)} asset={asset} />}
      </td>
      <td class="number">
        {model.thinking === 'none' ? '–' : <Amount value={BigInt(tier.thinkingOutput)} asset={asset} />}
      </td>
      <td class="number">{index === 0 && tokens(model.contextTokens)}</td>
      <td>{index === 0 && model.licence}</td>
    </tr>
  );
}
