import fc from 'fast-check';
import {
  parseDictionary as peerParse,
  serializeDictionary as peerSerialize,
  Token,
} from 'structured-headers';
import { privateKeyToAccount } from 'viem/accounts';
import { describe, expect, test } from 'vitest';
import { verifyAgentRequest } from '../protocol/identity/agent-request.ts';
import type { Ports } from '../protocol/identity/erc8128.ts';
import type { Policy } from '../protocol/identity/policy.ts';
import { type ReceivedRequest, targetOf } from '../protocol/identity/received-request.ts';
import { recoverWithNoble } from '../protocol/identity/recover.ts';
import { signRequest } from '../protocol/identity/sign-request.ts';
import { parseDictionary, serializeDictionary } from '../protocol/identity/structured-field.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);
const seeded = (n: number) => ({ seed: 8128, numRuns: runs(n) });

const ACCOUNT = privateKeyToAccount(`0x${'2'.padStart(64, '0')}`);
const NOW = 1700000000;
const AGENT = 'eip155:1:0x8004a169fb4a3325136eb29fa0ceb6d2e539a432:7';
const POLICY: Policy = {
  chains: [1],
  maxValiditySeconds: 60,
  skewSeconds: 30,
  requiredComponents: ['agent-id'],
  nonce: 'required',
  accounts: 'universal',
  code: 'ask',
};
const PORTS: Ports = {
  now: NOW,
  recover: recoverWithNoble,
  contractAccount: {
    hasCode: async () => false,
    isValidSignature: async () => 'invalid',
    verify6492: async () => 'invalid',
  },
};

type Parts = Omit<ReceivedRequest, 'headers'> & { readonly headers: Readonly<Record<string, string>> };

const sign = async (method: string, url: string, contentType: string, body: Uint8Array): Promise<Parts> => {
  const headers: Record<string, string> = { 'content-type': contentType };
  const signed = await signRequest({
    request: { method, url, headers: Object.entries(headers), body },
    keyid: { chainId: 1, address: ACCOUNT.address },
    signMessage: (raw) => ACCOUNT.signMessage({ message: { raw } }),
    agentId: AGENT,
    nonce: 'abc',
    created: NOW,
    expires: NOW + 60,
  });
  return { ...targetOf(url), method, body, headers: { ...headers, ...signed.headers } };
};

const verify = (parts: Parts) =>
  verifyAgentRequest({ ...parts, headers: Object.entries(parts.headers) }, POLICY, PORTS);

const asBinary = (bytes: Uint8Array | null) => Buffer.from(bytes ?? new Uint8Array()).toString('latin1');

describe('the Dictionary parser', () => {
  const fragment = fc.constantFrom(
    ...['a', 'b', '*k', 'a=', 'b=', '(', ')', ' ', '  ', '\t', ',', ', ', ';', ';p', ';p=', ';tag="erc8128"'],
    ...[
      '"x"',
      '"\\""',
      '"\\\\',
      '"',
      '1',
      '-1',
      '-',
      '1.5',
      '1.',
      '.5',
      '999999999999999',
      '1000000000000000',
    ],
    ...['tok', 'T/o:k*', '?1', '?0', '?2', ':YQ==:', ':YQ:', ':', '::', ':Y!:', 'é', '\n', '\u0000'],
    ...['%"a%c3%a9"', '%"%C3"', '%"%c3"', 'A=', '=', '("@path" "x";req)', '();created=1'],
  );

  // A mostly well-formed field with a fragment dropped into it now and then: both sides of the border get visited.
  const fieldText = fc
    .array(
      fc.oneof(
        {
          weight: 5,
          arbitrary: fc.constantFrom('a=1', 'b="x"', '*k', 'a=("@path" tok)', 'c=()', 'b=:YQ==:'),
        },
        {
          weight: 3,
          arbitrary: fc.constantFrom(', ', ',', '\t,  ', ';p', ';p=?0', ';q="\\""', ';p=tok', ';  q=-7'),
        },
        { weight: 1, arbitrary: fragment },
      ),
      { maxLength: 8 },
    )
    .map((parts) => parts.join(''));

  test('agrees with structured-headers on what is a Dictionary, and writes the same', () => {
    let accepted = 0;
    fc.assert(
      fc.property(fieldText, (text) => {
        const ours = parseDictionary(text);
        let theirs: string | undefined;
        try {
          theirs = peerSerialize(peerParse(text));
        } catch {
          theirs = undefined;
        }
        expect(ours.ok ? serializeDictionary(ours.value) : undefined).toBe(theirs);
        if (ours.ok && text.length > 3) accepted++;
      }),
      seeded(3000),
    );
    expect(accepted).toBeGreaterThan(runs(100));
    expect(accepted).toBeLessThan(runs(2900));
  });

  test('reads back whatever structured-headers writes', () => {
    const bare = fc.oneof(
      fc.integer({ min: -999_999_999_999_999, max: 999_999_999_999_999 }),
      fc.integer({ min: -9_999_999, max: 9_999_999 }).map((n) => (n * 10 + 1) / 1000),
      fc.string({ unit: 'binary-ascii' }).map((text) => text.replace(/[^ -~]/g, '')),
      fc.boolean(),
      fc.constantFrom('tok', '*/a', 'a:b').map((text) => new Token(text)),
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Uint8Array.from(bytes).buffer),
    );
    const key = fc.stringMatching(/^[a-z*][a-z0-9_.*-]{0,5}$/);
    const parameters = fc.array(fc.tuple(key, bare), { maxLength: 3 }).map((entries) => new Map(entries));
    const item = fc.tuple(bare, parameters);
    const member = fc.oneof(item, fc.tuple(fc.array(item, { maxLength: 3 }), parameters));
    fc.assert(
      fc.property(fc.array(fc.tuple(key, member), { maxLength: 4 }), (entries) => {
        const text = peerSerialize(new Map(entries));
        const ours = parseDictionary(text);
        expect(ours.ok && serializeDictionary(ours.value)).toBe(text);
      }),
      seeded(500),
    );
  });

  test.each([
    ['a Decimal stays one', 'a=1.0;b=-0.500', 'a=1.0;b=-0.5'],
    ['a Date may have parameters', 'a=@1700000000;b=1', 'a=@1700000000;b=1'],
    ['a repeated key: last value, first place', 'a=1, b=2, a=3;x;y;x=2', 'a=3;x=2;y, b=2'],
    ['a Display String', 'a=%"%25%22%c3%a9%61"', 'a=%"%25%22%c3%a9a"'],
  ])('%s', (_, text, canonical) => {
    const parsed = parseDictionary(text);
    expect(parsed.ok && serializeDictionary(parsed.value)).toBe(canonical);
  });

  test.each([
    'a=@1.5',
    'a=@',
    'a=1.2345',
    'a=1234567890123.1',
    'a=--1',
    'a=1,',
    ',a=1',
    'a=("x"\t"y")',
    'a=("x"',
    'a b',
  ])('refuses %s', (text) => {
    expect(parseDictionary(text).ok).toBe(false);
  });

  test('takes time linear in its input', () => {
    const started = performance.now();
    for (const piece of [
      '(',
      'a=(',
      '"\\"',
      'a="\\"',
      '%"%c3',
      'a;',
      ' ',
      '\t',
      ':A',
      'a=:A',
      '1',
      'a=1',
      '*',
      'a,',
    ]) {
      parseDictionary(piece.repeat(300_000 / piece.length));
      parseDictionary(`a=${piece.repeat(300_000 / piece.length)}`);
      parseDictionary(`a="${piece.repeat(300_000 / piece.length)}`);
    }
    // Quadratic behaviour on 300,000 characters would take minutes.
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

test('whatever is signed verifies', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('GET', 'post', 'PATCH', 'DELETE', 'x-own'),
      fc.webUrl({ withQueryParameters: true, withFragments: true }),
      fc.string({ unit: 'binary-ascii' }).map((text) => text.replace(/[^ -~]/g, '')),
      fc.uint8Array({ maxLength: 64 }),
      async (method, url, contentType, body) => {
        const sent = await sign(method, url, contentType, body);
        const asFetchSends = { ...sent, method: method === 'post' ? 'POST' : method };
        expect(await verify(asFetchSends)).toMatchObject({ ok: true, value: { agent: { agentId: 7n } } });
      },
    ),
    seeded(40),
  );
});

test('no changed request is accepted', async () => {
  const body = new TextEncoder().encode('{"model":"qwen-max"}');
  const original = await sign('POST', 'https://api.example/v1/chat?x=1', 'application/json', body);
  expect(await verify(original)).toMatchObject({ ok: true });

  const splice = fc.record({
    at: fc.nat(600),
    remove: fc.nat(3),
    insert: fc.oneof(
      fc.constant(''),
      fc.string({ unit: 'binary-ascii', maxLength: 3 }),
      fc.constantFrom(
        '"',
        ';',
        ',',
        ', ',
        ' ',
        '\r\n ',
        '\n',
        '=',
        ':',
        '0',
        '1',
        'a',
        '(',
        ')',
        ';alg="x"',
        ';tag="erc8128"',
      ),
    ),
  });
  const field = fc.constantFrom(
    ...(['method', 'scheme', 'authority', 'path', 'query', 'body'] as const),
    ...Object.keys(original.headers),
  );
  // What may differ without meaning anything, judged without our own code.
  const trimmed = (text: string) => text.replace(/^[ \t]+|[ \t]+$/g, '');
  const meaning: Record<string, (text: string) => string> = {
    scheme: (text) => text.toLowerCase(),
    authority: (text) => text.toLowerCase(),
    path: (text) => text || '/',
    query: (text) => text || '?',
    method: (text) => text,
    body: (text) => text,
    'signature-input': (text) => peerSerialize(peerParse(trimmed(text))),
    signature: (text) => {
      const member = peerParse(trimmed(text)).get('request');
      return member?.[0] instanceof ArrayBuffer ? asBinary(new Uint8Array(member[0])) : 'none';
    },
  };

  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(field, fc.array(splice, { minLength: 1, maxLength: 2 }), async (name, splices) => {
      const read = (parts: Parts): string => {
        if (name === 'body') return asBinary(parts.body);
        const derived = { ...parts, headers: undefined, body: undefined } as Record<string, unknown>;
        return String(derived[name] ?? parts.headers[name]);
      };
      const before = read(original);
      const after = splices.reduce((text, { at, remove, insert }) => {
        const start = at % (text.length + 1);
        return text.slice(0, start) + insert + text.slice(start + remove);
      }, before);
      const changed: Parts =
        name === 'body'
          ? { ...original, body: Uint8Array.from(Buffer.from(after, 'latin1')) }
          : name in original.headers
            ? { ...original, headers: { ...original.headers, [name]: after } }
            : { ...original, [name]: after };
      const result = await verify(changed);
      if (!result.ok) return;
      accepted++;
      const meant = meaning[name] ?? trimmed;
      expect(meant(after)).toBe(meant(before));
    }),
    seeded(1200),
  );
  // Some mutations change nothing (white space, an empty splice): the property is not vacuous either way.
  expect(accepted).toBeGreaterThan(0);
  expect(accepted).toBeLessThan(runs(1200) / 2);
});

test('no covered thing can be dropped', async () => {
  const body = new TextEncoder().encode('{}');
  const original = await sign('POST', 'https://api.example/v1/chat?x=1', 'application/json', body);
  for (const name of Object.keys(original.headers)) {
    const headers = Object.fromEntries(Object.entries(original.headers).filter(([key]) => key !== name));
    expect(await verify({ ...original, headers })).toMatchObject({ ok: false });
  }
});

test('rubbish is refused as a value, never thrown', async () => {
  const or = (likely: string, ...others: string[]) =>
    fc.oneof(
      { weight: 8, arbitrary: fc.constant(likely) },
      { weight: 1, arbitrary: fc.constantFrom(...others) },
    );
  const covered = or(
    '("@scheme" "@authority" "@method" "@path" "@query" "agent-id" "content-digest" "content-type")',
    ...['()', '("@path" "@path")', '(tok 1 ?0 :AA==:)', '"x"', '("@path"', '("@query-param";name="é")'],
  );
  const input = fc
    .tuple(
      or('request=', 'other=', '', 'request', 'Request='),
      covered,
      or(
        `;created=${NOW}`,
        ';created=@1',
        `;created=${NOW + 31}`,
        ';created=-999999999999999',
        ';created="1"',
        '',
      ),
      or(`;expires=${NOW + 60}`, `;expires=${NOW + 61}`, ';expires=999999999999999', ';expires=1.5'),
      or(';nonce="n"', '', ';nonce', ';nonce=n', ';nonce=%"%c3%a9"'),
      or(
        `;keyid="${`eip155:1:0x${'0'.repeat(40)}`}"`,
        ';keyid="eip155:1:0x"',
        ';keyid',
        ';keyid="eip155:00:"',
      ),
      or(';tag="erc8128"', ';tag="erc8128-delegated"', ';tag', ';tag="erc8128";tag=1'),
      or('', ';alg="x"', ';', ', request=1;tag="erc8128"', ', , ', '\n'),
    )
    .map((parts) => parts.join(''));
  const rubbish = fc.string({ unit: 'binary', maxLength: 60 });
  const mostly = (likely: string) =>
    fc.oneof({ weight: 4, arbitrary: fc.constant(likely) }, { weight: 1, arbitrary: rubbish });
  const codes = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        method: rubbish,
        scheme: mostly('https'),
        authority: mostly('api.example'),
        path: mostly('/'),
        query: mostly(''),
        body: fc.constantFrom(null, new Uint8Array(), new Uint8Array(3)),
      }),
      fc.record({
        'signature-input': fc.oneof({ weight: 9, arbitrary: input }, { weight: 1, arbitrary: rubbish }),
        signature: or('request=:AA==:', 'request=::', 'request=(:AA==:)', 'request=1', '', 'request=:A:'),
        'content-digest': or(
          'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:',
          ...['sha-256=:AA==:', 'sha-256', 'sha-256=()', 'sha-512="x"', '=', ''],
        ),
        'agent-id': mostly(AGENT),
        'content-type': mostly('text/plain'),
      }),
      async (target, headers) => {
        const request = { ...target, headers: Object.entries(headers) };
        const result = await verifyAgentRequest(request, POLICY, PORTS);
        expect(result.ok).toBe(false);
        if (!result.ok) codes.add(result.error.code);
      },
    ),
    seeded(2000),
  );
  expect([...codes]).toEqual(
    expect.arrayContaining([
      'bad_content_digest',
      'bad_signature',
      'insufficient_coverage',
      'invalid_keyid',
      'invalid_nonce',
      'invalid_time',
      'no_acceptable_signature',
      'nonce_required',
      'principal_not_allowed',
      'request_not_yet_valid',
      'request_validity_too_long',
      'signature_input_invalid',
      'unsupported_algorithm',
    ]),
  );
});
