import { createHash } from 'node:crypto';
import { httpbis } from 'http-message-signatures';
import { type Hex, hashMessage, hexToBytes, recoverAddress, toHex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { describe, expect, test, vi } from 'vitest';
import { type ContractAccount, proveAccount } from '../protocol/identity/account-proof.ts';
import { verifyAgentRequest } from '../protocol/identity/agent-request.ts';
import { discoveryDocument } from '../protocol/identity/discovery.ts';
import { type NonceUse, type Ports, verifyRequest } from '../protocol/identity/erc8128.ts';
import { authorizationHash, personalMessageHash } from '../protocol/identity/personal-message.ts';
import type { Policy } from '../protocol/identity/policy.ts';
import { type ReceivedRequest, targetOf } from '../protocol/identity/received-request.ts';
import { recoverWithNoble } from '../protocol/identity/recover.ts';
import { type RefusalCode, refusalHeaders, refusalProblem } from '../protocol/identity/refusal.ts';
import { signRequest } from '../protocol/identity/sign-request.ts';

// Test Cases of ERC-8128 (draft at slice-so/ERCs 0f738bf). The key is public.
const KEY = `0x${'1'.padStart(64, '0')}` as const;
const ACCOUNT = privateKeyToAccount(KEY);
const ADDRESS = '0x7e5f4552091a69125d5dfcb7b8c2659029395bdf';
const NOW = 1700000001;
const BODY = new TextEncoder().encode('{"hello":"world"}');
const COVERED = '("@scheme" "@authority" "@method" "@path" "@query" "content-digest" "content-type")';
const PARAMETERS = `created=1700000000;expires=1700000060;nonce="EjRWeJCrze8BI0VniavN7w";keyid="eip155:1:${ADDRESS}";tag="erc8128"`;
const INPUT = `request=${COVERED};${PARAMETERS}`;
const SIGNATURE =
  'request=:/BpEToskxkMJ65uRmaNUPiBwbwwg6z3CxEDJJwEYREIx1Hwn85Z1L8XlRpILGx4q80yeiNugYzaUsVPWiPcB0Bs=:';
const OFFICIAL: Readonly<Record<string, string>> = {
  host: 'api.example',
  'content-type': 'application/json',
  'content-length': '17',
  'content-digest': 'sha-256=:k6I5cakU5erL8KjSUVTNownDwccvu5kU1Hxg88toFYg=:',
  'signature-input': INPUT,
  signature: SIGNATURE,
};

type Change = {
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body?: Uint8Array | null;
  readonly method?: string;
  readonly query?: string;
};

/** The positive vector's request, changed. A header of `undefined` is removed, of several strings is several lines. */
const received = (change: Change = {}): ReceivedRequest => ({
  method: change.method ?? 'POST',
  scheme: 'https',
  authority: 'api.example',
  path: '/items',
  query: change.query ?? '?view=full',
  headers: Object.entries({ ...OFFICIAL, ...change.headers }).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((line): readonly [string, string] => [name, String(line)]),
  ),
  body: change.body === undefined ? BODY : change.body,
});

const input = (from: string | RegExp, to: string): Change => ({
  headers: { 'signature-input': INPUT.replace(from, to) },
});

const POLICY: Policy = {
  chains: [1],
  maxValiditySeconds: 60,
  skewSeconds: 30,
  requiredComponents: [],
  nonce: 'required',
  accounts: 'universal',
  code: 'ask',
};

const chain = (answers: Partial<ContractAccount> = {}): ContractAccount => ({
  hasCode: async () => false,
  isValidSignature: async () => {
    throw new Error('ERC-1271 was asked');
  },
  verify6492: async () => {
    throw new Error('ERC-6492 was asked');
  },
  ...answers,
});

const ports = (changes: Partial<Ports> = {}): Ports => ({
  now: NOW,
  recover: recoverWithNoble,
  contractAccount: chain(),
  ...changes,
});

/** The code of the refusal, or `verified`. */
const outcome = async (
  request: ReceivedRequest,
  policy: Partial<Policy> = {},
  changes: Partial<Ports> = {},
): Promise<RefusalCode | 'verified'> => {
  const result = await verifyRequest(request, { ...POLICY, ...policy }, ports(changes));
  return result.ok ? 'verified' : result.error.code;
};

/** Ports that make a test fail if anything is recovered or asked of a chain. */
const noCryptography: Partial<Ports> = {
  recover: () => {
    throw new Error('cryptography was reached');
  },
  contractAccount: chain({
    hasCode: async () => {
      throw new Error('the chain was asked');
    },
  }),
};
const failOnCryptography = (): { changes: Partial<Ports>; reached: () => number } => {
  const recover = vi.fn(() => undefined);
  const hasCode = vi.fn(async () => false);
  return {
    changes: { recover, contractAccount: chain({ hasCode }) },
    reached: () => recover.mock.calls.length + hasCode.mock.calls.length,
  };
};

const nonceMemory = () => {
  const used = new Map<string, number>();
  const consumeNonce = async ({ keyid, nonce, nonceExpiry }: NonceUse) => {
    const key = JSON.stringify([keyid.text, nonce]);
    if (used.has(key)) return 'reused' as const;
    used.set(key, nonceExpiry);
    return 'fresh' as const;
  };
  return { used, consumeNonce };
};

/** Re-signs the vector's request with other parameters, by viem alone over a base written out by hand. */
const resigned = async (parameters: string, covered = COVERED): Promise<ReceivedRequest> => {
  const base = [
    '"@scheme": https',
    '"@authority": api.example',
    '"@method": POST',
    '"@path": /items',
    '"@query": ?view=full',
    `"content-digest": ${OFFICIAL['content-digest']}`,
    '"content-type": application/json',
    `"@signature-params": ${covered};${parameters}`,
  ].join('\n');
  const signature = await ACCOUNT.signMessage({ message: base });
  return received({
    headers: {
      'signature-input': `request=${covered};${parameters}`,
      signature: `request=:${Buffer.from(hexToBytes(signature)).toString('base64')}:`,
    },
  });
};

describe('the positive vector', () => {
  test('verifies, byte for byte', async () => {
    const result = await verifyRequest(received(), POLICY, ports());
    if (!result.ok) throw new Error(result.error.message);
    const { value } = result;
    expect(Buffer.byteLength(value.signatureBase)).toBe(449);
    expect(toHex(value.digest)).toBe('0xa7a6074cd2ab23379c04a8839a3566e98689326367a0ad9cd8ef389a961f96de');
    expect(toHex(value.digest)).toBe(hashMessage(value.signatureBase));
    expect(toHex(value.signature)).toBe(
      '0xfc1a444e8b24c64309eb9b9199a3543e20706f0c20eb3dc2c440c9270118444231d47c27f396752fc5e546920b1b1e2af34c9e88dba0633694b153d688f701d01b',
    );
    expect(value).toMatchObject({
      keyid: { text: `eip155:1:${ADDRESS}`, chainId: 1, address: ADDRESS },
      created: 1700000000,
      expires: 1700000060,
      nonce: 'EjRWeJCrze8BI0VniavN7w',
      nonceExpiry: 1700000090,
      account: 'eoa',
      label: 'request',
      components: ['@scheme', '@authority', '@method', '@path', '@query', 'content-digest', 'content-type'],
    });
    expect(value.contentSha256).toEqual(new Uint8Array(createHash('sha256').update(BODY).digest()));
  });

  test('is what our own signer produces', async () => {
    const signed = await signRequest({
      request: {
        method: 'post',
        url: 'https://API.example:443/items?view=full#part',
        headers: [['Content-Type', 'application/json']],
        body: BODY,
      },
      keyid: { chainId: 1, address: ACCOUNT.address },
      signMessage: (raw) => ACCOUNT.signMessage({ message: { raw } }),
      nonce: 'EjRWeJCrze8BI0VniavN7w',
      created: 1700000000,
      expires: 1700000060,
    });
    expect(signed.headers).toEqual({
      'content-digest': OFFICIAL['content-digest'],
      'signature-input': INPUT,
      signature: SIGNATURE,
    });
  });

  test('has the authorization hash docs/protocol.md defines', async () => {
    const result = await verifyRequest(received(), POLICY, ports());
    if (!result.ok) throw new Error(result.error.message);
    const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest();
    const expected = sha256(
      Buffer.concat([sha256(result.value.signatureBase), sha256(result.value.signature)]),
    );
    expect(authorizationHash(result.value.signatureBase, result.value.signature)).toBe(
      `0x${expected.toString('hex')}`,
    );
  });
});

describe('the negative and classification vectors', () => {
  const wrapper = `0xaa${'6492'.repeat(16)}` as Hex;
  const wrapped = `request=:${Buffer.from(hexToBytes(wrapper)).toString('base64')}:`;
  const eightMoreParameters = Array.from({ length: 12 }, (_, i) => `;x${i}=1`).join('');
  const manyComponents = Array.from({ length: 26 }, (_, i) => ` "x-${i}"`).join('');
  const nineCandidates = Array.from({ length: 9 }, (_, i) => INPUT.replace('request', `r${i}`)).join(', ');

  const rows: [string, ReceivedRequest, RefusalCode, Partial<Policy>?, Partial<Ports>?][] = [
    ['1 no Signature', received({ headers: { signature: undefined } }), 'signature_missing'],
    ['1 no Signature-Input', received({ headers: { 'signature-input': undefined } }), 'signature_missing'],
    [
      '2 Signature-Input is no Dictionary',
      received(input('created=', 'created=;')),
      'signature_input_invalid',
    ],
    [
      '2 Signature is no Dictionary',
      received({ headers: { signature: 'request=:!:' } }),
      'signature_input_invalid',
    ],
    [
      '3 uncorrelated alone',
      received({ headers: { signature: `other${SIGNATURE.slice(7)}` } }),
      'signature_input_invalid',
    ],
    ['4 long Signature-Input', received(input(/$/, `, x="${'a'.repeat(16_384)}"`)), 'signature_too_large'],
    [
      '4 long Signature',
      received({ headers: { signature: `${SIGNATURE}, x="${'a'.repeat(16_384)}"` } }),
      'signature_too_large',
    ],
    [
      '4 long signature member',
      received({ headers: { signature: `request=:${Buffer.alloc(8193).toString('base64')}:` } }),
      'signature_too_large',
    ],
    [
      '4 33 components',
      received(input('"content-type")', `"content-type"${manyComponents})`)),
      'signature_too_large',
    ],
    ['4 17 parameters', received(input(/$/, eightMoreParameters)), 'signature_too_large'],
    ['4 9 candidates', received({ headers: { 'signature-input': nineCandidates } }), 'signature_too_large'],
    ['5 unknown tag', received(input('"erc8128"', '"erc9999"')), 'no_acceptable_signature'],
    ['6 checksummed keyid', received(input(ADDRESS, ACCOUNT.address)), 'invalid_keyid'],
    ['6 the old keyid', received(input('eip155:', 'erc8128:')), 'invalid_keyid'],
    ['6 leading zero', received(input('eip155:1:', 'eip155:01:')), 'invalid_keyid'],
    ['6 keyid a Token', received(input(/keyid="[^"]*"/, 'keyid=eip155:1')), 'invalid_keyid'],
    ['6 no keyid', received(input(/;keyid="[^"]*"/, '')), 'invalid_keyid'],
    [
      '7 a chain not served',
      received(input('eip155:1:', 'eip155:2:')),
      'unsupported_chain',
      {},
      noCryptography,
    ],
    [
      '7 a chain beyond 2^53',
      received(input('eip155:1:', 'eip155:90071992547409931:')),
      'unsupported_chain',
      {},
      noCryptography,
    ],
    [
      '8 EOA only, ERC-6492 wrapper',
      received({ headers: { signature: wrapped } }),
      'unsupported_account',
      { accounts: 'eoa-only' },
    ],
    [
      '8 EOA only, account with code',
      received(),
      'unsupported_account',
      { accounts: 'eoa-only' },
      { contractAccount: chain({ hasCode: async () => true }) },
    ],
    ['9 no created', received(input('created=1700000000;', '')), 'invalid_time'],
    ['9 no expires', received(input('expires=1700000060;', '')), 'invalid_time'],
    ['9 created a String', received(input('created=1700000000', 'created="1700000000"')), 'invalid_time'],
    ['9 created a Decimal', received(input('created=1700000000', 'created=1700000000.0')), 'invalid_time'],
    ['9 created a Date', received(input('created=1700000000', 'created=@1700000000')), 'invalid_time'],
    ['9 expires = created', received(input('expires=1700000060', 'expires=1700000000')), 'invalid_time'],
    ['10 one second before created - 30', received(), 'request_not_yet_valid', {}, { now: 1699999969 }],
    ['11 one second after expires + 30', received(), 'request_expired', {}, { now: 1700000091 }],
    ['13 nonce a Token', received(input(/nonce="[^"]*"/, 'nonce=abc')), 'invalid_nonce'],
    [
      '13 nonce of 129 bytes',
      received(input(/nonce="[^"]*"/, `nonce="${'a'.repeat(129)}"`)),
      'invalid_nonce',
    ],
    ['13 nonce beyond ASCII', received(input(/nonce="[^"]*"/, 'nonce=%"%c3%a9"')), 'invalid_nonce'],
    ['14 no @query covered', received(input(' "@query"', '')), 'insufficient_coverage'],
    ['14 no content-type covered', received(input(' "content-type"', '')), 'insufficient_coverage'],
    ['14 no content-digest covered', received(input(' "content-digest"', '')), 'insufficient_coverage'],
    ['14 @query with a parameter', received(input('"@query"', '"@query";req')), 'insufficient_coverage'],
    [
      '15 content without Content-Digest',
      received({ headers: { 'content-digest': undefined } }),
      'content_digest_required',
    ],
    [
      '16 other content',
      received({ body: new TextEncoder().encode('{"hello":"World"}') }),
      'bad_content_digest',
    ],
    ['16 no content', received({ body: null }), 'bad_content_digest'],
    [
      '16 malformed digest',
      received({ headers: { 'content-digest': 'sha-256=:k6I5' } }),
      'bad_content_digest',
    ],
    [
      '16 second, mismatching digest',
      received({
        headers: {
          'content-digest': [
            String(OFFICIAL['content-digest']),
            `sha-512=:${Buffer.alloc(64).toString('base64')}:`,
          ],
        },
      }),
      'bad_content_digest',
    ],
    ['17 no nonce where one is required', received(input(/nonce="[^"]*";/, '')), 'nonce_required'],
    [
      '19 no nonce where denied',
      received(input(/nonce="[^"]*";/, '')),
      'replayable_not_allowed',
      { nonce: 'denied' },
    ],
    [
      '19 no nonce, and no way to invalidate',
      received(input(/nonce="[^"]*";/, '')),
      'replayable_not_allowed',
      { nonce: 'optional' },
    ],
    ['20 alg', received(input(/$/, ';alg="ecdsa"')), 'unsupported_algorithm'],
    ['21 another query', received({ query: '?view=none' }), 'bad_signature'],
    [
      '22 the chain cannot be asked',
      received(),
      'signature_verification_unavailable',
      {},
      { contractAccount: chain({ hasCode: async () => 'unavailable' }) },
    ],
    ['22 asking the chain throws', received(), 'signature_verification_unavailable', {}, noCryptography],
    [
      '23 the account is not wanted',
      received(),
      'principal_not_allowed',
      {},
      { principal: () => 'not this account' },
    ],
  ];

  const WITH_CRYPTOGRAPHY = new Set<RefusalCode>([
    'bad_signature',
    'unsupported_account',
    'signature_verification_unavailable',
  ]);

  test.each(rows)('%s', async (_, request, code, policy = {}, changes = {}) => {
    const { used, consumeNonce } = nonceMemory();
    const result = await verifyRequest(
      request,
      { ...POLICY, ...policy },
      ports({ consumeNonce, ...changes }),
    );
    if (result.ok) throw new Error('verified');
    expect(result.error.code).toBe(code);
    expect(used.size).toBe(0);
    const status =
      code.startsWith('signature_input') || code.endsWith('too_large')
        ? 400
        : code.endsWith('unavailable')
          ? 503
          : 401;
    expect(result.error.status).toBe(status);

    if (WITH_CRYPTOGRAPHY.has(code)) return;
    const { changes: watched, reached } = failOnCryptography();
    expect(await outcome(request, policy, { ...changes, ...watched })).toBe(code);
    expect(reached()).toBe(0);
  });

  test('3 a first candidate without a signature does not mask a later good one', async () => {
    const headers = { 'signature-input': `lost=${COVERED};${PARAMETERS}, ${INPUT}` };
    const result = await verifyRequest(received({ headers }), POLICY, ports());
    expect(result).toMatchObject({ ok: true, value: { label: 'request' } });
  });

  test('12 a window longer than the route allows, properly signed', async () => {
    const parameters = PARAMETERS.replace('1700000060', '1700000061');
    const { changes, reached } = failOnCryptography();
    expect(await outcome(await resigned(parameters), {}, changes)).toBe('request_validity_too_long');
    expect(reached()).toBe(0);
    expect(await outcome(await resigned(parameters), { maxValiditySeconds: 61 })).toBe('verified');
  });

  test('18 the same request twice: the second is nonce_reused', async () => {
    const { used, consumeNonce } = nonceMemory();
    expect(await outcome(received(), {}, { consumeNonce })).toBe('verified');
    expect(await outcome(received(), {}, { consumeNonce })).toBe('nonce_reused');
    expect([...used.values()]).toEqual([1700000090]);
  });

  test('18 fifty at once: exactly one gets in', async () => {
    const { consumeNonce } = nonceMemory();
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, () => outcome(received(), {}, { consumeNonce })),
    );
    expect(outcomes.filter((each) => each === 'verified')).toHaveLength(1);
    expect(outcomes.filter((each) => each === 'nonce_reused')).toHaveLength(49);
  });

  test('24 well-formed failing candidates before a good one', async () => {
    const failing = INPUT.replace('request', 'first').replace('eip155:1:', 'eip155:2:');
    const forged = INPUT.replace('request', 'second').replace('EjRW', 'AAAA');
    const { used, consumeNonce } = nonceMemory();
    const request = received({
      headers: {
        'signature-input': `${failing}, ${forged}, ${INPUT}`,
        signature: [SIGNATURE.replace('request', 'first'), SIGNATURE.replace('request', 'second'), SIGNATURE],
      },
    });
    const result = await verifyRequest(request, POLICY, ports({ consumeNonce }));
    expect(result).toMatchObject({ ok: true, value: { label: 'request' } });
    expect([...used.keys()]).toEqual([JSON.stringify([`eip155:1:${ADDRESS}`, 'EjRWeJCrze8BI0VniavN7w'])]);
  });

  test('with no winner the first candidate speaks, unless a chain could not be asked', async () => {
    const other = INPUT.replace('request', 'second').replace('created=1700000000', 'created=1');
    const headers = (inputs: string) => ({
      'signature-input': inputs,
      signature: `${SIGNATURE}, ${SIGNATURE.replace('request', 'second')}`,
    });
    const badFirst = received({ query: '?x', headers: headers(`${INPUT}, ${other}`) });
    expect(await outcome(badFirst)).toBe('bad_signature');
    const timeFirst = received({ query: '?x', headers: headers(`${other}, ${INPUT}`) });
    expect(await outcome(timeFirst)).toBe('request_validity_too_long');
    const contractAccount = chain({ hasCode: async () => 'unavailable' });
    expect(await outcome(timeFirst, {}, { contractAccount })).toBe('signature_verification_unavailable');
  });
});

describe('time and replay', () => {
  test.each([
    [1699999970, 'verified'],
    [1700000090, 'verified'],
    [Number.NaN, 'request_not_yet_valid'],
  ] as const)('at %s: %s', async (now, expected) => {
    expect(await outcome(received(), {}, { now })).toBe(expected);
  });

  test('a nonce is to be remembered for as long as its request is accepted, skew included', async () => {
    for (const now of [1700000060, 1700000075, 1700000090]) {
      const result = await verifyRequest(received(), POLICY, ports({ now }));
      expect(result).toMatchObject({ ok: true, value: { nonceExpiry: 1700000090 } });
    }
    expect(await outcome(received(), {}, { now: 1700000090.5 })).toBe('request_expired');
  });

  test('without a nonce: accepted where the route says so, until its signer invalidates it', async () => {
    const request = await resigned(PARAMETERS.replace(/nonce="[^"]*";/, ''));
    const policy = { nonce: 'optional' } as const;
    const { used, consumeNonce } = nonceMemory();
    expect(await outcome(request, policy, { invalidated: async () => false, consumeNonce })).toBe('verified');
    expect(used.size).toBe(0);
    expect(await outcome(request, policy, { invalidated: async () => true })).toBe('replayable_not_allowed');
    const invalidated = async () => {
      throw new Error('store down');
    };
    expect(await outcome(request, policy, { invalidated })).toBe('signature_verification_unavailable');
  });

  test('a nonce store that fails is unavailable, not a pass', async () => {
    const consumeNonce = async () => {
      throw new Error('store down');
    };
    expect(await outcome(received(), {}, { consumeNonce })).toBe('signature_verification_unavailable');
  });

  test('an empty nonce is a nonce', async () => {
    const { consumeNonce } = nonceMemory();
    const request = await resigned(PARAMETERS.replace(/nonce="[^"]*"/, 'nonce=""'));
    expect(await outcome(request, {}, { consumeNonce })).toBe('verified');
    expect(await outcome(request, {}, { consumeNonce })).toBe('nonce_reused');
  });
});

describe('the account', () => {
  const withSignature = (signature: Uint8Array) =>
    received({ headers: { signature: `request=:${Buffer.from(signature).toString('base64')}:` } });
  const genuine = () => new Uint8Array(Buffer.from(SIGNATURE.slice(9, -1), 'base64'));
  const wrapped = hexToBytes(`0xaa${'6492'.repeat(16)}`);
  const digest = '0xa7a6074cd2ab23379c04a8839a3566e98689326367a0ad9cd8ef389a961f96de';

  test('an EOA signature has one encoding', async () => {
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const signature = genuine();
    const s = BigInt(toHex(signature.subarray(32, 64)));
    const highS = Uint8Array.from([
      ...signature.subarray(0, 32),
      ...hexToBytes(toHex(order - s, { size: 32 })),
      signature[64] === 27 ? 28 : 27,
    ]);
    const v = (value: number) => Uint8Array.from([...signature.subarray(0, 64), value]);
    for (const lenient of [highS, v(0)]) {
      // viem takes these for the signer's.
      const signer = await recoverAddress({ hash: digest, signature: toHex(lenient) });
      expect(signer.toLowerCase()).toBe(ADDRESS);
      expect(await outcome(withSignature(lenient))).toBe('bad_signature');
    }
    for (const eip155 of [v(37), v(38)]) {
      expect(await outcome(withSignature(eip155))).toBe('bad_signature');
    }
    expect(await outcome(withSignature(v(28)))).toBe('bad_signature');
    expect(await outcome(withSignature(signature.subarray(0, 64)))).toBe('bad_signature');
    expect(await outcome(withSignature(Uint8Array.from([...signature, 0])))).toBe('bad_signature');
    const zeroed = Uint8Array.from(signature).fill(0, 0, 32);
    expect(await outcome(withSignature(zeroed))).toBe('bad_signature');
    expect(await outcome(withSignature(Uint8Array.from(signature).fill(0, 32, 64)))).toBe('bad_signature');
    expect(await outcome(withSignature(Uint8Array.from(signature).fill(255, 0, 32)))).toBe('bad_signature');
  });

  test('a lenient recovery port changes nothing: the encoding is checked before it is asked', async () => {
    const recover = vi.fn(() => ADDRESS as Hex);
    const lax = Uint8Array.from([...genuine().subarray(0, 64), 0]);
    expect(await outcome(withSignature(lax), {}, { recover })).toBe('bad_signature');
    expect(recover).not.toHaveBeenCalled();
  });

  test('an ERC-6492 wrapper is verified before code is looked for, and never falls back', async () => {
    const hasCode = vi.fn(async () => false);
    const verify6492 = vi.fn(async () => 'valid' as const);
    const contractAccount = chain({ hasCode, verify6492 });
    const result = await verifyRequest(withSignature(wrapped), POLICY, ports({ contractAccount }));
    expect(result).toMatchObject({ ok: true, value: { account: 'contract' } });
    expect(verify6492.mock.calls).toEqual([[1, ADDRESS, digest, toHex(wrapped)]]);
    for (const [answer, code] of [
      ['invalid', 'bad_signature'],
      ['unavailable', 'signature_verification_unavailable'],
    ] as const) {
      const refused = chain({ hasCode, verify6492: async () => answer });
      expect(await outcome(withSignature(wrapped), {}, { contractAccount: refused })).toBe(code);
    }
    expect(hasCode).not.toHaveBeenCalled();
  });

  test('an account with code (deployed, or delegated under EIP-7702) is asked by ERC-1271, without ECDSA after', async () => {
    const recover = vi.fn(recoverWithNoble);
    const isValidSignature = vi.fn(async () => 'valid' as 'valid' | 'invalid' | 'unavailable');
    const contractAccount = chain({ hasCode: async () => true, isValidSignature });
    const opaque = new Uint8Array(300).fill(7);
    const result = await verifyRequest(withSignature(opaque), POLICY, ports({ contractAccount, recover }));
    expect(result).toMatchObject({ ok: true, value: { account: 'contract' } });
    expect(isValidSignature.mock.calls).toEqual([[1, ADDRESS, digest, toHex(opaque)]]);
    isValidSignature.mockResolvedValue('invalid');
    expect(await outcome(received(), {}, { contractAccount, recover })).toBe('bad_signature');
    isValidSignature.mockResolvedValue('unavailable');
    expect(await outcome(received(), {}, { contractAccount, recover })).toBe(
      'signature_verification_unavailable',
    );
    expect(recover).not.toHaveBeenCalled();
  });

  test('deferred: an EOA signature is answered without a chain, and says what it has not looked at', async () => {
    const hasCode = vi.fn(async () => true);
    const isValidSignature = vi.fn(async () => 'valid' as 'valid' | 'invalid');
    const contractAccount = chain({ hasCode, isValidSignature });
    const policy: Policy = { ...POLICY, code: 'deferred' };
    const eoa = await verifyRequest(received(), policy, ports({ contractAccount }));
    expect(eoa).toMatchObject({ ok: true, value: { account: 'eoa-unless-code' } });
    expect(hasCode).not.toHaveBeenCalled();
    if (!eoa.ok) throw new Error(eoa.error.message);
    // The caller finds code at the address: the account's own word decides.
    const { keyid, digest: hash, signature } = eoa.value;
    isValidSignature.mockResolvedValueOnce('invalid');
    expect(await proveAccount(keyid, hash, signature, POLICY, ports({ contractAccount }))).toMatchObject({
      ok: false,
      code: 'bad_signature',
    });
    const opaque = await verifyRequest(withSignature(new Uint8Array(66)), policy, ports({ contractAccount }));
    expect(opaque).toMatchObject({ ok: true, value: { account: 'contract' } });
  });

  test('without a chain port only 65-byte signatures are judged, and never called a plain EOA', async () => {
    const { contractAccount: _, ...noPort } = ports();
    const verify = async (request: ReceivedRequest) => verifyRequest(request, POLICY, noPort);
    expect(await verify(received())).toMatchObject({ ok: true, value: { account: 'eoa-unless-code' } });
    expect(await verify(received({ query: '?x' }))).toMatchObject({ error: { code: 'bad_signature' } });
    for (const signature of [new Uint8Array(64), new Uint8Array(0), wrapped]) {
      expect(await verify(withSignature(signature))).toMatchObject({
        error: { code: 'unsupported_account' },
      });
    }
  });
});

describe('coverage and the base', () => {
  test('legal parameter and component order is kept as received', async () => {
    const parameters = PARAMETERS.split(';').reverse().join(';');
    expect(await outcome(await resigned(`${parameters};x-own=?0;y`))).toBe('verified');
  });

  test('odd but legal white space, several field lines: the same parse, the same base', async () => {
    const spaced = INPUT.replace('("@scheme" ', '(  "@scheme"   ').replaceAll(';', ';  ');
    const headers = {
      'signature-input': ['other=("@method")', `  ${spaced}\t`],
      signature: ['other=:AA==:', SIGNATURE],
    };
    expect(await outcome(received({ headers }))).toBe('verified');
  });

  test('several lines of a covered field are signed as one, joined by comma and space', async () => {
    const keyid = { chainId: 1, address: ACCOUNT.address };
    const request = { method: 'GET', url: 'https://api.example/', body: null };
    const headers: [string, string][] = [
      ['Agent-Id', ' a'],
      ['agent-id', 'b\r\n\t c  d '],
    ];
    const signed = await signRequest({
      request: { ...request, headers },
      keyid,
      signMessage: (raw) => ACCOUNT.signMessage({ message: { raw } }),
      nonce: 'n',
      created: NOW,
      expires: NOW + 60,
    });
    expect(signed.signatureBase).toContain('\n"agent-id": a, b c  d\n');
    const both = [...headers, ...Object.entries(signed.headers)];
    const sent = { ...targetOf(request.url), method: 'GET', body: null };
    expect(await outcome({ ...sent, headers: both })).toBe('verified');
    const [first, second, ...rest] = both;
    if (first === undefined || second === undefined) throw new Error('headers are gone');
    expect(await outcome({ ...sent, headers: [second, first, ...rest] })).toBe('bad_signature');
  });

  test.each([
    ['a component twice', '"@path" "@path"', 'signature_input_invalid'],
    ['a component that is no String', '"@path" path', 'signature_input_invalid'],
    ['an upper-case field name', '"@path" "Content-Type"', 'signature_input_invalid'],
    ['the parameters themselves', '"@path" "@signature-params"', 'signature_input_invalid'],
    ['a field that was not sent', '"@path" "x-absent"', 'bad_signature'],
    ['a response component', '"@path" "@status"', 'bad_signature'],
    ['a field with ;sf', '"@path" "content-type";sf', 'bad_signature'],
    ['a field with ;bs', '"@path" "content-type";bs', 'bad_signature'],
    ['a field with ;tr', '"@path" "content-type";tr', 'bad_signature'],
    ['a field with ;req', '"@path" "content-type";req', 'bad_signature'],
    ['a member with ;key', '"@path" "content-digest";key="sha-256"', 'bad_signature'],
    ['a query parameter', '"@path" "@query-param";name="view"', 'bad_signature'],
  ] as const)('covering %s', async (_, replacement, code) => {
    const { changes, reached } = failOnCryptography();
    expect(await outcome(received(input('"@path"', replacement)), {}, changes)).toBe(code);
    expect(reached()).toBe(0);
  });

  test('a line break in a covered field cannot forge a line of the base', async () => {
    const { changes, reached } = failOnCryptography();
    for (const contentType of [
      'application/json\n"x": y',
      'application/json\r\nx: y',
      'text/plain\u0000',
      'é',
    ]) {
      expect(await outcome(received({ headers: { 'content-type': contentType } }), {}, changes)).toBe(
        'bad_signature',
      );
    }
    expect(reached()).toBe(0);
  });

  test('a member that is no list, or a signature that is no Byte Sequence, is skipped as invalid', async () => {
    const notList = received({ headers: { 'signature-input': 'request=1;tag="erc8128"' } });
    expect(await outcome(notList)).toBe('signature_input_invalid');
    const notBytes = received({ headers: { signature: 'request="abc"' } });
    expect(await outcome(notBytes)).toBe('signature_input_invalid');
  });

  test('a repeated tag counts by its last value', async () => {
    expect(await outcome(received(input(/$/, ';tag="other"')))).toBe('no_acceptable_signature');
    expect(await outcome(received(input(';tag="erc8128"', ';tag=erc8128')))).toBe('no_acceptable_signature');
  });

  test('the authority is the configured origin, not what a header says', () => {
    expect(targetOf('http://10.0.0.1:8080/a%20b?x=1', 'https://API.example:443')).toEqual({
      scheme: 'https',
      authority: 'api.example',
      path: '/a%20b',
      query: '?x=1',
    });
  });
});

describe('digests', () => {
  const digestOf = (algorithm: string, body: Uint8Array) =>
    `${algorithm}=:${createHash(algorithm.replace('-', '')).update(body).digest('base64')}:`;

  const signedWith = async (digest: string, body: Uint8Array | null = BODY): Promise<ReceivedRequest> => {
    const headers: [string, string][] = [['content-digest', digest]];
    const url = 'https://api.example/items';
    const signed = await signRequest({
      request: { method: 'POST', url, headers, body },
      keyid: { chainId: 1, address: ADDRESS },
      signMessage: (raw) => ACCOUNT.signMessage({ message: { raw } }),
      nonce: 'n',
      created: NOW,
      expires: NOW + 60,
    });
    return {
      ...targetOf(url),
      method: 'POST',
      headers: [...headers, ...Object.entries(signed.headers)],
      body,
    };
  };

  const sha256 = digestOf('sha-256', BODY);
  const sha512 = digestOf('sha-512', BODY);
  test.each([
    ['sha-256 only', sha256, 'verified'],
    ['sha-512 only', sha512, 'verified'],
    ['both', `${sha256}, ${sha512}`, 'verified'],
    ['both and an unknown one', `md5=:AAAA:, ${sha512}, ${sha256};p=1, unixsum=3`, 'verified'],
    ['a repeated member, last one right', `sha-256=:AAAA:, ${sha256}`, 'verified'],
    ['a repeated member, last one wrong', `${sha256}, sha-256=:AAAA:`, 'bad_content_digest'],
    [
      'right sha-256, wrong sha-512',
      `${sha256}, ${digestOf('sha-512', new Uint8Array())}`,
      'bad_content_digest',
    ],
    ['only unknown ones', 'md5=:AAAA:', 'bad_content_digest'],
    ['a String', `sha-256="${sha256.slice(9, -1)}"`, 'bad_content_digest'],
    ['a short Byte Sequence', 'sha-256=:AAAA:', 'bad_content_digest'],
    ['an inner list', 'sha-256=()', 'bad_content_digest'],
    ['nothing', '', 'bad_content_digest'],
  ] as const)('%s', async (_, digest, expected) => {
    expect(await outcome(await signedWith(digest))).toBe(expected);
  });

  test('empty content needs no digest, but one that is there is verified', async () => {
    expect(await outcome(await signedWith(digestOf('sha-256', new Uint8Array()), null))).toBe('verified');
    expect(await outcome(await signedWith(digestOf('sha-256', new Uint8Array()), new Uint8Array()))).toBe(
      'verified',
    );
    expect(await outcome(await signedWith(sha256, null))).toBe('bad_content_digest');
  });
});

describe('an independent client: http-message-signatures and viem', () => {
  const signedBy = async (method: string, url: string, headers: Record<string, string>, fields: string[]) => {
    const signed = await httpbis.signMessage(
      {
        name: 'x',
        key: {
          id: `eip155:1:${ADDRESS}`,
          sign: async (data) =>
            Buffer.from(hexToBytes(await ACCOUNT.signMessage({ message: { raw: data } }))),
        },
        fields: ['@scheme', '@authority', '@method', '@path', '@query', ...fields],
        params: ['created', 'expires', 'nonce', 'keyid', 'tag'],
        paramValues: {
          created: new Date(NOW * 1000),
          expires: new Date((NOW + 60) * 1000),
          nonce: 'a "quoted\\" nonce',
          tag: 'erc8128',
        },
      },
      { method, url, headers },
    );
    return Object.entries(signed.headers).map(([name, value]): [string, string] => [name, String(value)]);
  };

  test('GET without a query: @query is covered as "?"', async () => {
    const url = 'https://api.example/v1/models';
    const headers = await signedBy('GET', url, {}, []);
    const request = { ...targetOf(url), method: 'GET', headers, body: null };
    const result = await verifyRequest(request, POLICY, ports());
    if (!result.ok) throw new Error(result.error.message);
    expect(result.value.signatureBase).toContain('"@query": ?\n');
    expect(result.value.nonce).toBe('a "quoted\\" nonce');
    expect(await outcome({ ...request, query: '?x' })).toBe('bad_signature');
  });

  test('a bodyless POST with Content-Length: 0', async () => {
    const url = 'https://api.example:8443/v1/keys/1/revoke?a=%20b';
    const headers = await signedBy('POST', url, { 'content-length': '0' }, []);
    for (const body of [null, new Uint8Array()]) {
      expect(await outcome({ ...targetOf(url), method: 'POST', headers, body })).toBe('verified');
    }
  });

  test('a POST with content', async () => {
    const url = 'https://api.example/v1/chat/completions';
    const sent = {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Digest': `sha-256=:${createHash('sha256').update(BODY).digest('base64')}:`,
    };
    const headers = await signedBy('POST', url, sent, ['content-digest', 'content-type']);
    const request = { ...targetOf(url), method: 'POST', headers, body: BODY };
    expect(await outcome(request)).toBe('verified');
    expect(await outcome({ ...request, method: 'DELETE' })).toBe('bad_signature');
  });

  test('http-message-signatures rebuilds the base our signer signed', async () => {
    const url = 'https://api.example/v1/chat/completions?x=1';
    const body = BODY;
    const agentId = 'eip155:1:0x8004a169fb4a3325136eb29fa0ceb6d2e539a432:0';
    const signed = await signRequest({
      request: { method: 'POST', url, headers: [['content-type', 'application/json']], body },
      keyid: { chainId: 1, address: ADDRESS },
      signMessage: (raw) => ACCOUNT.signMessage({ message: { raw } }),
      agentId,
      nonce: 'n',
      created: NOW,
      expires: NOW + 60,
    });
    let seen = '';
    const verified = await httpbis.verifyMessage(
      {
        tolerance: 2 ** 31,
        notAfter: new Date((NOW + 1) * 1000),
        keyLookup: async () => ({
          verify: async (data) => {
            seen = data.toString();
            return true;
          },
        }),
      },
      { method: 'POST', url, headers: { 'content-type': 'application/json', ...signed.headers } },
    );
    expect(verified).toBe(true);
    expect(seen).toBe(signed.signatureBase);
    expect(signed.headers['agent-id']).toBe(agentId);
  });
});

describe('the agent', () => {
  const AGENT = 'eip155:1:0x8004a169fb4a3325136eb29fa0ceb6d2e539a432:0';
  const url = 'https://api.example/v1/balance';
  const signedFor = async (agentId: string | undefined, chainId = 1) => {
    const signed = await signRequest({
      request: { method: 'GET', url, headers: [], body: null },
      keyid: { chainId, address: ADDRESS },
      signMessage: (raw) => ACCOUNT.signMessage({ message: { raw } }),
      ...(agentId === undefined ? {} : { agentId }),
      nonce: 'n',
      created: NOW,
      expires: NOW + 60,
    });
    return Object.entries(signed.headers);
  };
  const verify = (headers: [string, string][], changes: Partial<Ports> = {}) =>
    verifyAgentRequest(
      { ...targetOf(url), method: 'GET', headers: headers.values(), body: null },
      { ...POLICY, chains: [1, 2] },
      ports(changes),
    );

  test('is bound into the request', async () => {
    expect(await verify(await signedFor(AGENT))).toMatchObject({
      ok: true,
      value: {
        agent: { chainId: 1, registry: '0x8004a169fb4a3325136eb29fa0ceb6d2e539a432', agentId: 0n },
        components: ['@scheme', '@authority', '@method', '@path', '@query', 'agent-id'],
      },
    });
  });

  test('cannot be exchanged after signing', async () => {
    const headers = await signedFor(AGENT);
    const other = headers.map(([name, value]): [string, string] =>
      name === 'agent-id' ? [name, AGENT.replace(/0$/, '1')] : [name, value],
    );
    expect(await verify(other)).toMatchObject({ ok: false, error: { code: 'bad_signature' } });
  });

  test('must be covered: the challenge says so', async () => {
    const headers: [string, string][] = [...(await signedFor(undefined)), ['agent-id', AGENT]];
    expect(await verify(headers)).toMatchObject({
      ok: false,
      error: {
        code: 'insufficient_coverage',
        acceptSignature:
          'request=("@scheme" "@authority" "@method" "@path" "@query" "agent-id");created;expires;tag="erc8128"',
      },
    });
  });

  test.each([
    ['on another chain than the keyid', AGENT.replace('eip155:1:', 'eip155:2:')],
    ['in another spelling', AGENT.replace('0x8004a', '0x8004A')],
    ['empty', ''],
  ])('%s: principal_not_allowed, before cryptography', async (_, agentId) => {
    const { changes, reached } = failOnCryptography();
    const result = await verify(await signedFor(agentId), changes);
    expect(result).toMatchObject({ ok: false, error: { code: 'principal_not_allowed', status: 401 } });
    expect(reached()).toBe(0);
  });

  test('sent twice names no agent', async () => {
    const headers = await signedFor(AGENT);
    expect(await verify([['Agent-Id', AGENT], ...headers])).toMatchObject({
      ok: false,
      error: { code: 'principal_not_allowed' },
    });
  });

  test('a keyid on the other chain, with the agent there, is fine', async () => {
    const other = AGENT.replace('eip155:1:', 'eip155:2:');
    expect(await verify(await signedFor(other, 2))).toMatchObject({
      ok: true,
      value: { agent: { chainId: 2 } },
    });
  });
});

describe('what a refusal says on HTTP', () => {
  const refusal = async (
    request: ReceivedRequest,
    policy: Partial<Policy> = {},
    changes: Partial<Ports> = {},
  ) => {
    const result = await verifyRequest(request, { ...POLICY, chains: [1, 8453], ...policy }, ports(changes));
    if (result.ok) throw new Error('verified');
    return result.error;
  };

  test('a 401 carries a challenge and names the chains; the body repeats the code', async () => {
    const error = await refusal(received({ query: '?x' }));
    expect(refusalHeaders(error)).toEqual({
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      'www-authenticate': 'ERC8128 error="bad_signature", chains="eip155:1 eip155:8453", account="universal"',
    });
    expect(refusalProblem(error)).toEqual({
      type: 'about:blank',
      title: 'bad signature',
      status: 401,
      detail: error.message,
      reason: 'bad_signature',
    });
  });

  test('Accept-Signature lists exactly what a repaired request must cover', async () => {
    const error = await refusal(received(input(' "@query"', '')), { requiredComponents: ['agent-id'] });
    expect(error.acceptSignature).toBe(
      'request=("@scheme" "@authority" "@method" "@path" "@query" "agent-id" "content-digest" "content-type");created;expires;tag="erc8128"',
    );
    expect(await refusal(received({ query: '?x' }), {})).not.toHaveProperty('acceptSignature');
    const missing = await refusal(
      received({ headers: { 'content-digest': undefined, 'content-type': undefined } }),
      { requiredComponents: ['agent-id'] },
    );
    expect(missing.acceptSignature).toContain('"agent-id" "content-digest")');
  });

  test('400 and 503 carry none', async () => {
    const large = await refusal(received({ headers: { signature: 'a'.repeat(20_000) } }), {
      requiredComponents: ['agent-id'],
    });
    expect(Object.keys(refusalHeaders(large))).toEqual(['content-type', 'cache-control']);
    const contractAccount = chain({ hasCode: async () => 'unavailable' });
    const down = await refusal(received(), {}, { contractAccount });
    expect(down.status).toBe(503);
    expect(refusalHeaders(down)).not.toHaveProperty('www-authenticate');
  });
});

test('the discovery document says what the policy does', () => {
  const open: Policy = { ...POLICY, nonce: 'optional', accounts: 'eoa-only' };
  expect(
    discoveryDocument({
      policy: { ...POLICY, requiredComponents: ['agent-id'] },
      name: 'A gateway',
      paymentChallenges: true,
      routes: { '/v1/balance': [{ methods: ['GET'], policy: open }] },
    }),
  ).toEqual({
    max_validity_sec: 60,
    chains: ['eip155:1'],
    account_verification: 'universal',
    name: 'A gateway',
    payment_challenges: true,
    route_policies: {
      default: [
        {
          max_validity_sec: 60,
          required_components: ['agent-id'],
          replay: 'non-replayable',
          content_digest: 'request-body',
          account_verification: 'universal',
        },
      ],
      '/v1/balance': [
        {
          methods: ['GET'],
          max_validity_sec: 60,
          required_components: [],
          replay: 'either',
          content_digest: 'request-body',
          account_verification: 'eoa-only',
        },
      ],
    },
  });
});

test('the signer refuses what no verifier would accept', async () => {
  const sign = (changes: object) =>
    signRequest({
      request: { method: 'GET', url: 'https://api.example/', headers: [], body: null },
      keyid: { chainId: 1, address: ADDRESS },
      signMessage: (raw) => ACCOUNT.signMessage({ message: { raw } }),
      nonce: 'n',
      created: 1,
      expires: 61,
      ...changes,
    });
  await expect(sign({})).resolves.toBeDefined();
  for (const changes of [
    { expires: 1 },
    { created: 0.5 },
    { nonce: 'a'.repeat(129) },
    { nonce: 'é' },
    { label: 'Request' },
    { keyid: { chainId: 1, address: '0x1' } },
    { agentId: 'a\nb' },
    { request: { method: 'GET', url: '/relative', headers: [], body: null } },
  ]) {
    await expect(sign(changes)).rejects.toThrow(TypeError);
  }
});

test('the ERC-191 hash is over bytes, not characters', () => {
  const message = new TextEncoder().encode('é'.repeat(60));
  expect(toHex(personalMessageHash(message))).toBe(hashMessage({ raw: message }));
});
