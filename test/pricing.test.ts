import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ModelPrice,
  type PriceTable,
  priceOf,
  priceTableHash,
  readPriceTable,
} from '../protocol/price-table.ts';
import { prices } from '../protocol/prices.ts';
import { ceilingCost, cost, type Usage } from '../protocol/pricing.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);

const model = (id: string): ModelPrice => {
  const price = priceOf(prices, id);
  if (!price) throw new Error(`no price for ${id}`);
  return price;
};

const usage = (part: Partial<Usage>): Usage => ({
  input: 0n,
  cachedInput: 0n,
  cacheCreation: 0n,
  output: 0n,
  thinking: 0n,
  estimated: false,
  ...part,
});

const rate = fc.bigInt({ min: 0n, max: 10n ** 20n }).map(String);

/** Any table a validator would take, also one whose longer inputs are cheaper, or whose cache costs more than input. */
const anyModel = fc
  .tuple(
    fc.uniqueArray(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 5 }),
    fc.array(fc.tuple(rate, rate, rate, rate, rate), { minLength: 5, maxLength: 5 }),
  )
  .map(
    ([limits, rates]): ModelPrice => ({
      ...model('qwen-plus'),
      tiers: limits
        .toSorted((a, b) => a - b)
        .map((upToInputTokens, index) => {
          const [input = '0', cachedInput = '0', cacheCreation = '0', output = '0', thinkingOutput = '0'] =
            rates[index] ?? [];
          return { upToInputTokens, input, cachedInput, cacheCreation, output, thinkingOutput };
        }),
    }),
  );

const upTo = (most: bigint) => fc.bigInt({ min: 0n, max: most });

describe('the ceiling', () => {
  const bounded = fc
    .tuple(anyModel, fc.bigInt({ min: 0n, max: 8_000n }), upTo(8_000n), fc.boolean())
    .chain(([price, inputBound, outputBound, thinkingPossible]) =>
      fc.record({
        price: fc.constant(price),
        bound: fc.constant({ inputBound, outputBound, thinkingPossible }),
        input: fc.oneof(upTo(inputBound), fc.constant(inputBound)),
        output: fc.oneof(upTo(outputBound), fc.constant(outputBound)),
        // Parts may be larger than their whole: an upstream can say anything.
        cachedInput: upTo(9_000n),
        cacheCreation: upTo(9_000n),
        thinking: thinkingPossible ? upTo(9_000n) : fc.constant(0n),
        estimated: fc.boolean(),
      }),
    );

  test('is at least the cost of every usage within the bounds', () => {
    fc.assert(
      fc.property(bounded, ({ price, bound, ...used }) => {
        const spent = cost(price, used);
        expect(spent).toBeGreaterThanOrEqual(0n);
        expect(spent).toBeLessThanOrEqual(ceilingCost(price, bound));
      }),
      { numRuns: runs(2_000), seed: 20_261 },
    );
  });

  test('is reached: no smaller number would do', () => {
    const price = model('qwen-plus');
    const ceiling = ceilingCost(price, { inputBound: 300_000n, outputBound: 500n, thinkingPossible: true });
    const worst = usage({ input: 300_000n, cacheCreation: 300_000n, output: 500n, thinking: 500n });
    expect(cost(price, worst)).toBe(ceiling);
  });

  test('counts a dearer tier below the bound', () => {
    const tier = model('qwen-plus').tiers[0];
    if (!tier) throw new Error('no tier');
    const dearFirst: ModelPrice = {
      ...model('qwen-plus'),
      tiers: [
        { ...tier, upToInputTokens: 1_000, input: '9000000', cachedInput: '0', cacheCreation: '0' },
        { ...tier, upToInputTokens: 9_000, input: '1000000', cachedInput: '0', cacheCreation: '0' },
      ],
    };
    // 2,000 tokens at 1 are cheaper than 1,000 at 9.
    expect(ceilingCost(dearFirst, { inputBound: 2_000n, outputBound: 0n, thinkingPossible: false })).toBe(
      9_000n,
    );
  });
});

describe('the cost', () => {
  test('is what the list says', () => {
    // One million in at 0.80 0G, one million out at 4.80 0G would be the listing; these are within its first tier.
    expect(cost(model('qwen3.6-plus'), usage({ input: 200_000n, output: 10_000n }))).toBe(
      160_000_000_000_000_000n + 48_000_000_000_000_000n,
    );
    expect(cost(model('qwen-2.5-7b-instruct'), usage({ input: 1_000n, output: 1_000n }))).toBe(
      150_000_000_000_000n,
    );
  });

  test('prices parts at their own rates', () => {
    const spent = cost(
      model('qwen-plus'),
      usage({ input: 100n, cachedInput: 40n, cacheCreation: 10n, output: 20n, thinking: 5n }),
    );
    // 0.64 / 0.128 / 0.8 / 1.92 / 6.4 0G per million.
    expect(spent).toBe((50n * 640n + 40n * 128n + 10n * 800n + 15n * 1_920n + 5n * 6_400n) * 10n ** 9n);
  });

  test('changes tier at the limit and not before it', () => {
    const price = model('qwen3-max');
    expect(cost(price, usage({ input: 32_768n }))).toBe((32_768n * 192n * 10n ** 16n) / 1_000_000n);
    expect(cost(price, usage({ input: 32_769n }))).toBe((32_769n * 384n * 10n ** 16n) / 1_000_000n);
    // Beyond the last limit the last tier goes on.
    expect(cost(price, usage({ input: 400_000n }))).toBe((400_000n * 480n * 10n ** 16n) / 1_000_000n);
  });

  test('is rounded once, up', () => {
    const tier = model('qwen-plus').tiers[0];
    if (!tier) throw new Error('no tier');
    const tiny: ModelPrice = {
      ...model('qwen-plus'),
      tiers: [
        { ...tier, input: '1', cachedInput: '1', cacheCreation: '1', output: '1', thinkingOutput: '1' },
      ],
    };
    expect(cost(tiny, usage({ input: 1n, cachedInput: 1n, output: 2n, thinking: 1n }))).toBe(1n);
    expect(cost(tiny, usage({ input: 1_000_000n, output: 1n }))).toBe(2n);
    expect(cost(tiny, usage({}))).toBe(0n);
  });
});

describe('the table', () => {
  test('is valid, and its hash is part of the record', () => {
    expect(readPriceTable(JSON.parse(JSON.stringify(prices)))).toEqual({ ok: true, value: prices });
    // A change here is a change of prices: raise the version with it.
    expect([prices.version, priceTableHash(prices)]).toMatchInlineSnapshot(`
      [
        2,
        "0xb8e9507e69e29f739e20024f12e162d233410c9d137272a3b0f46b5dfe59459a",
      ]
    `);
  });

  test('has one hash, however its members are ordered', () => {
    const turned = Object.fromEntries(Object.entries(prices).toReversed()) as unknown as PriceTable;
    expect(priceTableHash(turned)).toBe(priceTableHash(prices));
    expect(priceTableHash({ ...prices, version: 99 })).not.toBe(priceTableHash(prices));
  });

  test('does not price what it does not list', () => {
    for (const id of ['qwen-unknown', 'toString', '__proto__', 'constructor', ''])
      expect(priceOf(prices, id)).toBe(undefined);
  });

  const first = Object.values(prices.models)[0];
  const spoiled = (change: object) => ({ ...prices, models: { m: { ...first, ...change } } });
  test.each<[string, unknown]>([
    ['not an object', []],
    ['version', { ...prices, version: 0 }],
    ['extra', { ...prices, extra: 1 }],
    ['models', { ...prices, models: {} }],
    ['chainIds', { ...prices, chainIds: ['1'] }],
    ['models.m.licence', spoiled({ licence: '' })],
    ['models.m.contextTokens', spoiled({ contextTokens: 1.5 })],
    ['models.m.thinking', spoiled({ thinking: 'yes' })],
    ['models.m.maxThinkingTokens', spoiled({ thinking: 'none' })],
    ['models.m.defaultOutputTokens', spoiled({ defaultOutputTokens: 65_537 })],
    ['models.m.tiers', spoiled({ tiers: [] })],
    ['models.m.tiers[0].input', spoiled({ tiers: [{ ...first?.tiers[0], input: 0.5 }] })],
    ['models.m.tiers[0].output', spoiled({ tiers: [{ ...first?.tiers[0], output: '-1' }] })],
    ['models.m.tiers[1].upToInputTokens', spoiled({ tiers: [first?.tiers[1], first?.tiers[0]] })],
    ['models.m.rebate', spoiled({ rebate: true })],
  ])('refuses a table with a wrong %s', (where, table) => {
    const read = readPriceTable(table);
    expect(read.ok ? '' : read.error).toContain(where);
  });
});
