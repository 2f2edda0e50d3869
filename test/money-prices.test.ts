// Prices: what is quoted is what is held, what is held is what a receipt names, each chain in its own asset at its own rate.
import { createHash } from 'node:crypto';
import { type Hex, parseEther } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { walletOf } from '../dev/clients.ts';
import { fund, fundAgent } from '../dev/contracts.ts';
import type { Stack } from '../dev/stack.ts';
import { quoteFromJson, quoteSigner } from '../protocol/money/quote.ts';
import { priceTableHash, readPriceTable } from '../protocol/price-table.ts';
import { prices, usdPrices } from '../protocol/prices.ts';
import { accountOf, ceilingOf, receiptIn } from './money.ts';
import { type RawAgent, rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

let stack: Stack;
let home: RawAgent;
let abroad: RawAgent;
const usdPerAsset = '0.7';

beforeAll(async () => {
  stack = await startTestStack({ agents: 1, secondChain: true });
  const far = stack.secondChain;
  const [local] = stack.agents;
  if (!local || !far) throw new Error('two chains');
  home = rawAgent(stack, local);
  const key: Hex = `0x${'32'.repeat(32)}`;
  const owner = walletOf(far.rpcUrl, far.chainId, privateKeyToAccount(key));
  await fund(far.reader, far.deployer, owner.account.address);
  const where = { registry: far.identityRegistry, vault: far.vault };
  const agentId = await fundAgent(far.reader, owner, where, 'data:,', parseEther('5'));
  abroad = rawAgent({ ...far, gatewayUrl: stack.gatewayUrl }, { agentId: `${agentId}`, privateKey: key });
  const asset = { symbol: 'DOT', decimals: 18 };
  const chains = stack.chains.map((chain) =>
    chain.chainId === far.chainId ? { ...chain, asset, usdPerAsset } : chain,
  );
  await stack.restartGateway({ CHAINS: JSON.stringify(chains) });
});
afterAll(() => stack?.close());

const get = async (path: string): Promise<unknown> => (await fetch(stack.gatewayUrl + path)).json();

const body = JSON.stringify({
  model: 'qwen-plus',
  max_tokens: 200,
  messages: [{ role: 'user', content: 'Hello.' }],
});

const quoteOf = async (chainId: number, asked = body) => {
  const response = await fetch(`${stack.gatewayUrl}/v1/quote?chainId=${chainId}`, {
    method: 'POST',
    body: asked,
  });
  const said = (await response.json()) as Record<string, unknown>;
  return { status: response.status, said, quote: quoteFromJson(said) };
};

test('a quote is the ceiling that will be held: signed, for this very body, for a while', async () => {
  const { status, said, quote } = await quoteOf(stack.chainId);
  expect(status).toBe(200);
  if (!quote) throw new Error('not a quote');
  const { log } = (await get('/.well-known/tallystick')) as { log: { receiptKey: string } };
  expect(quoteSigner(quote)).toBe(log.receiptKey);
  expect(quote.quote).toMatchObject({
    chainId: BigInt(stack.chainId),
    vault: stack.vault,
    requestHash: `0x${createHash('sha256').update(body).digest('hex')}`,
    model: 'qwen-plus',
    priceTable: priceTableHash(prices),
    ceiling: await ceilingOf(home, 'Hello.'),
  });
  const life = Number(quote.quote.validUntil) - Date.now() / 1000;
  expect(life > 200 && life <= 300).toBe(true);
  expect(said['lines']).toMatchObject({ asset: '0G', outputTokensMax: '216', thinkingPossible: false });

  const paid = await home.chat('Hello.', { headers: await home.payment(parseEther('5')) });
  const receipt = receiptIn(paid, await paid.text());
  expect(receipt?.receipt.requestHash).toBe(quote.quote.requestHash);
  expect(receipt?.receipt.priceTable).toBe(quote.quote.priceTable);
  expect((receipt?.receipt.amount ?? 0n) <= quote.quote.ceiling).toBe(true);
  // A changed quote is nobody's.
  expect(quoteSigner({ ...quote, quote: { ...quote.quote, ceiling: 1n } })).not.toBe(log.receiptKey);
});

test('what has no price, or no bound, is not quoted', async () => {
  expect((await quoteOf(stack.chainId, body.replace('qwen-plus', 'gpt-4o'))).said['reason']).toBe(
    'model_not_found',
  );
  expect((await quoteOf(stack.chainId, body.replace('{', '{"enable_search":true,'))).said['reason']).toBe(
    'unsupported_parameter',
  );
  expect((await quoteOf(1)).said['reason']).toBe('unsupported_chain');
});

test('another chain, another asset: the list in USD at the operator’s rate, which is in the hash', async () => {
  const far = stack.secondChain;
  if (!far) throw new Error('two chains');
  const asset = { symbol: 'DOT', decimals: 18 };
  const table = usdPrices({ chainId: far.chainId, asset, usdPerAsset });
  const shown = (await get(`/v1/prices?chainId=${far.chainId}`)) as { hash: string; table: unknown };
  expect(shown).toEqual({ hash: priceTableHash(table), table });
  expect(readPriceTable(shown.table).ok).toBe(true);
  expect(shown.hash).not.toBe(priceTableHash(prices));
  expect(priceTableHash(usdPrices({ chainId: far.chainId, asset, usdPerAsset: '0.71' }))).not.toBe(
    shown.hash,
  );
  // 0.40 USD a million at 0.7 USD to the asset is 0.571428… of it, rounded up in the last of 18 places.
  expect(table.models['qwen-plus']?.tiers[0]?.input).toBe('571428571428571429');
  // What was never priced in USD is not sold for it.
  expect(table.models['qwen-2.5-7b-instruct']).toBeUndefined();

  const answer = await abroad.chat('Hello.', { headers: await abroad.payment(parseEther('4')) });
  expect(answer.status).toBe(200);
  const receipt = receiptIn(answer, await answer.text());
  expect(receipt?.receipt.priceTable).toBe(shown.hash);
  expect((await accountOf(abroad)).captured).toBe(receipt?.receipt.amount);
  const unpriced = await abroad.chat('Hello.', { more: { model: 'qwen-2.5-7b-instruct' } });
  expect([unpriced.status, ((await unpriced.json()) as { reason: string }).reason]).toEqual([
    404,
    'model_not_found',
  ]);
});
