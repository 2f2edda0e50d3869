// The verifier inside workerd, with compiled recovery and hashing: the draft's positive vector byte for byte, the rows of its
// table that ask for another policy than the gateway's, and the compiled code against its plain twin.
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { hexToBytes } from 'viem';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runInWorkerd } from '../dev/workerd-script.ts';
import type { RecoverAsk, VerifyAsk } from './identity-worker.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);

let workerd: Awaited<ReturnType<typeof runInWorkerd>>;
beforeAll(async () => {
  workerd = await runInWorkerd('test/identity-worker.ts');
});
afterAll(() => workerd?.close());

const ask = async (path: string, body: BodyInit): Promise<unknown> => {
  const response = await fetch(workerd.url + path, { method: 'POST', body });
  expect(response.status).toBe(200);
  return response.json();
};

const SIGNATURE_INPUT =
  'request=("@scheme" "@authority" "@method" "@path" "@query" "content-digest" "content-type");created=1700000000;expires=1700000060;nonce="EjRWeJCrze8BI0VniavN7w";keyid="eip155:1:0x7e5f4552091a69125d5dfcb7b8c2659029395bdf";tag="erc8128"';
const SIGNATURE =
  'request=:/BpEToskxkMJ65uRmaNUPiBwbwwg6z3CxEDJJwEYREIx1Hwn85Z1L8XlRpILGx4q80yeiNugYzaUsVPWiPcB0Bs=:';

const vector: VerifyAsk = {
  method: 'POST',
  path: '/items',
  query: '?view=full',
  headers: [
    ['host', 'api.example'],
    ['content-type', 'application/json'],
    ['content-length', '17'],
    ['content-digest', 'sha-256=:k6I5cakU5erL8KjSUVTNownDwccvu5kU1Hxg88toFYg=:'],
    ['signature-input', SIGNATURE_INPUT],
    ['signature', SIGNATURE],
  ],
  body: '{"hello":"world"}',
  now: 1700000001,
  policy: {
    chains: [1],
    maxValiditySeconds: 60,
    skewSeconds: 30,
    requiredComponents: [],
    nonce: 'required',
    accounts: 'universal',
    code: 'ask',
  },
};
const verify = (change: Partial<VerifyAsk> = {}) => ask('/verify', JSON.stringify({ ...vector, ...change }));
const withField = (name: string, value: string): Partial<VerifyAsk> => ({
  headers: vector.headers.map(([key, text]) => [key, key === name ? value : text]),
});

describe('the draft', () => {
  test('the positive vector verifies byte for byte', async () => {
    const { signatureBase, digest, signature, keyid, account } = (await verify()) as Record<string, string>;
    expect(signatureBase).toBe(
      [
        '"@scheme": https',
        '"@authority": api.example',
        '"@method": POST',
        '"@path": /items',
        '"@query": ?view=full',
        '"content-digest": sha-256=:k6I5cakU5erL8KjSUVTNownDwccvu5kU1Hxg88toFYg=:',
        '"content-type": application/json',
        `"@signature-params": ${SIGNATURE_INPUT.slice('request='.length)}`,
      ].join('\n'),
    );
    expect(signatureBase).toHaveLength(449);
    const bytes = (text = '') => bytesToHex(Uint8Array.from(text.split(' '), Number));
    expect(bytes(digest)).toBe('a7a6074cd2ab23379c04a8839a3566e98689326367a0ad9cd8ef389a961f96de');
    expect(bytes(signature)).toBe(
      'fc1a444e8b24c64309eb9b9199a3543e20706f0c20eb3dc2c440c9270118444231d47c27f396752fc5e546920b1b1e2af34c9e88dba0633694b153d688f701d01b',
    );
    expect(keyid).toMatchObject({ text: 'eip155:1:0x7e5f4552091a69125d5dfcb7b8c2659029395bdf' });
    expect(account).toBe('eoa');
  });

  const wrapper = Buffer.from(hexToBytes(`0xaa${'6492'.repeat(16)}`)).toString('base64');
  test.each<[string, string, number, Partial<VerifyAsk>]>([
    [
      'EOA-only verification, an ERC-6492 wrapper',
      'unsupported_account',
      401,
      {
        ...withField('signature', `request=:${wrapper}:`),
        policy: { ...vector.policy, accounts: 'eoa-only' },
      },
    ],
    [
      'EOA-only verification, an account with code',
      'unsupported_account',
      401,
      { code: true, policy: { ...vector.policy, accounts: 'eoa-only' } },
    ],
    ['the clock at created - 31', 'request_not_yet_valid', 401, { now: 1699999969 }],
    ['the clock at expires + 31', 'request_expired', 401, { now: 1700000091 }],
    [
      'replayable signatures taken, but not here',
      'replayable_not_allowed',
      401,
      {
        ...withField('signature-input', SIGNATURE_INPUT.replace(/;nonce="[^"]*"/, '')),
        policy: { ...vector.policy, nonce: 'denied' },
      },
    ],
    ['another query', 'bad_signature', 401, { query: '?view=none' }],
    ['an account with code that says no', 'bad_signature', 401, { code: true }],
    [
      'account classification unavailable',
      'signature_verification_unavailable',
      503,
      { code: 'unavailable' },
    ],
    ['a principal that is not wanted', 'principal_not_allowed', 401, { principal: 'not this one' }],
  ])('%s: %s', async (_, code, status, change) => {
    expect(await verify(change)).toMatchObject({ ok: false, error: { code, status } });
  });

  test('the clock at both ends of the window', async () => {
    expect(await verify({ now: 1699999970 })).toMatchObject({ ok: true });
    expect(await verify({ now: 1700000090 })).toMatchObject({ ok: true });
  });
});

describe('compiled recovery and its plain twin', () => {
  const order = secp256k1.Point.CURVE().n;
  const prime = secp256k1.Point.CURVE().p;
  const hex32 = (value: bigint) => value.toString(16).padStart(64, '0');
  const both = async (cases: RecoverAsk) =>
    (await ask('/recover', JSON.stringify(cases))) as [string | null, string | null][];

  const word = fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map((bytes) => BigInt(`0x${bytesToHex(bytes)}`));
  /** Values around everything the algorithm compares with. */
  const edge = fc
    .tuple(
      fc.constantFrom(
        0n,
        1n,
        order,
        order >> 1n,
        prime,
        prime - order,
        2n ** 256n - 1n,
        2n ** 128n,
        2n ** 255n,
      ),
      fc.bigInt(-3n, 3n),
    )
    .map(([value, by]) => (value + by + 2n ** 256n) % 2n ** 256n);
  const value = fc.oneof({ weight: 3, arbitrary: word }, { weight: 1, arbitrary: edge });
  const v = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(27, 28) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }) },
  );
  const signed = fc.tuple(word, word, fc.boolean()).map(([z, key, flip]) => {
    const secret = Buffer.from(hex32((key % (order - 1n)) + 1n), 'hex');
    const [recovery = 0, ...rs] = secp256k1.sign(Buffer.from(hex32(z), 'hex'), secret, {
      prehash: false,
      format: 'recovered',
    });
    return {
      digest: hex32(z),
      signature: bytesToHex(Uint8Array.from([...rs, 27 + (flip ? 1 - recovery : recovery)])),
    };
  });
  const assembled = fc.record({ z: value, r: value, s: value, v }).map((each) => ({
    digest: hex32(each.z),
    signature: hex32(each.r) + hex32(each.s) + each.v.toString(16).padStart(2, '0'),
  }));
  const rubbish = fc
    .tuple(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 130 }))
    .map(([digest, signature]) => ({ digest: bytesToHex(digest), signature: bytesToHex(signature) }));

  test('agree on signatures, on values at every edge and on rubbish', async () => {
    let recovered = 0;
    const asked = runs(1);
    for (let batch = 0; batch < asked; batch += 1) {
      const cases = fc.sample(
        fc.oneof(
          { weight: 4, arbitrary: signed },
          { weight: 5, arbitrary: assembled },
          { weight: 1, arbitrary: rubbish },
        ),
        { seed: 0x8128 + batch, numRuns: 500 },
      );
      const answers = await both(cases);
      for (const [index, [compiled, plain]] of answers.entries()) {
        expect([cases[index], compiled]).toEqual([cases[index], plain]);
        if (plain !== null) recovered += 1;
      }
    }
    expect(recovered).toBeGreaterThan(150 * asked);
    expect(recovered).toBeLessThan(450 * asked);
  });

  test('agree that the point at infinity is nobody', async () => {
    // R = kG and z = s k: then s R - z G = 0.
    for (const [k, s] of [
      [1n, 1n],
      [5n, 7n],
      [0x1234567890abcdefn, 3n],
    ] as const) {
      const point = secp256k1.Point.BASE.multiply(k).toAffine();
      const digest = hex32((s * k) % order);
      const signature = hex32(point.x) + hex32(s) + (point.y % 2n === 0n ? '1b' : '1c');
      expect(await both([{ digest, signature }])).toEqual([[null, null]]);
      // With one more in z the point is there.
      const [[compiled, plain] = []] = await both([{ digest: hex32((s * k + 1n) % order), signature }]);
      expect(compiled).toBe(plain);
      expect(plain).not.toBeNull();
    }
  });

  test('agree where sums meet their own terms: every small combination of G and a small multiple of it', async () => {
    // R = kG, and s and z so that Q = u G + w R for chosen u and w: additions of equal and of opposite points come up at
    // every place in the multiplication, which random values never show.
    const cases: { digest: string; signature: string }[] = [];
    const scalars = [0n, 1n, 2n, 3n, 5n, 15n, 16n, 17n, 31n, 511n, 1023n, 2n ** 128n, 2n ** 128n - 1n];
    for (const k of [1n, 2n, 3n, 15n, 16n, 2n ** 128n % order]) {
      const { x: r, y } = secp256k1.Point.BASE.multiply(k).toAffine();
      for (const u of [...scalars, ...scalars.map((scalar) => -scalar)]) {
        for (const w of scalars.slice(1)) {
          const z = (((-u * r) % order) + order) % order;
          const s = (w * r) % order;
          // A high s is the low one with -R.
          const [low, odd] = s > order >> 1n ? [order - s, y % 2n === 0n] : [s, y % 2n === 1n];
          cases.push({ digest: hex32(z), signature: hex32(r) + hex32(low) + (odd ? '1c' : '1b') });
        }
      }
    }
    let nobody = 0;
    for (const [index, [compiled, plain]] of (await both(cases)).entries()) {
      expect([cases[index], compiled]).toEqual([cases[index], plain]);
      if (plain === null) nobody += 1;
    }
    expect(nobody).toBeGreaterThan(10);
    expect(nobody).toBeLessThan(cases.length / 10);
  });

  test('the compiled one knows the vector', async () => {
    const [[compiled] = []] = await both([
      {
        digest: 'a7a6074cd2ab23379c04a8839a3566e98689326367a0ad9cd8ef389a961f96de',
        signature:
          'fc1a444e8b24c64309eb9b9199a3543e20706f0c20eb3dc2c440c9270118444231d47c27f396752fc5e546920b1b1e2af34c9e88dba0633694b153d688f701d01b',
      },
    ]);
    expect(compiled).toBe('0x7e5f4552091a69125d5dfcb7b8c2659029395bdf');
  });
});

test('hashes of every length, on both sides of where another takes over', async () => {
  for (const length of [
    0, 1, 55, 56, 63, 64, 65, 135, 136, 137, 271, 272, 1023, 1024, 1025, 70_000, 300_000,
  ]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 255);
    for (const [platform, plain] of (await ask('/hashes', bytes)) as [string, string][]) {
      expect(platform).toBe(plain);
    }
  }
});
