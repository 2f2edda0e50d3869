// A great many mutated requests. `npm test` runs a few thousand, the same ones each time; `npm run test:long` a million and
// more. None throws, and none is accepted that says something else than what was signed.
//
// A loop and not fast-check, whose bookkeeping would take most of the time at this number (erc8128-fuzz.test.ts has the
// properties). A failure names its case; the same number always makes the same case.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseDictionary as peerParse, serializeDictionary as peerSerialize } from 'structured-headers';
import { privateKeyToAccount } from 'viem/accounts';
import { expect, test } from 'vitest';
import { compiledHashes } from '../compiled/hash.ts';
import { compiledRecover } from '../compiled/recover.ts';
import { verifyAgentRequest } from '../protocol/identity/agent-request.ts';
import type { Ports } from '../protocol/identity/erc8128.ts';
import { plainHashes } from '../protocol/identity/hashes.ts';
import type { Policy } from '../protocol/identity/policy.ts';
import type { ReceivedRequest } from '../protocol/identity/received-request.ts';
import { STATUS_OF_CODE } from '../protocol/identity/refusal.ts';
import { signRequest } from '../protocol/identity/sign-request.ts';
import { parseDictionary, serializeDictionary } from '../protocol/identity/structured-field.ts';

const long = Number(process.env['LONG'] ?? 1);
const requestCases = long > 1 ? Math.max(1_000_000, 50_000 * long) : 20_000;
const dictionaryCases = long > 1 ? Math.max(1_000_000, 50_000 * long) : 20_000;
const timeout = long > 1 ? 30 * 60_000 : 60_000;

type Random = (below: number) => number;

/** Mulberry32: seeded, quick, good enough to choose mutations with. */
function random(seed: number): Random {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const pick = <T>(from: readonly T[], next: Random): T => {
  const one = from[next(from.length)];
  if (one === undefined) throw new Error('nothing to pick from');
  return one;
};

/** What matters to a parser, and some that should not. */
const pieces = [
  ...'";,: =()?@%-.*/\\\t\n\r\0azAZ019~é',
  ...[
    ', ',
    ';tag="erc8128"',
    ';alg="x"',
    ';nonce="b"',
    ';nonce',
    '"@query"',
    '"@path";req',
    '()',
    ':AA==:',
    '?1',
    '@1',
    '%"%c3"',
  ],
  ...[
    'request=',
    'sha-512=:AA==:',
    'eip155:',
    '0x',
    '00',
    '\r\n ',
    '=?0',
    '1.0',
    '999999999999999',
    '"content-type"',
    ' "host"',
  ],
] as const;

/** One to three splices. */
function mutated(text: string, next: Random): string {
  let after = text;
  for (let splices = 1 + next(3); splices > 0; splices -= 1) {
    const at = next(after.length + 1);
    const removed = next(3) === 0 ? next(40) : next(3);
    // Sometimes a part of the text itself, elsewhere: repeated keys, members and components.
    const from = next(after.length + 1);
    const inserted =
      next(6) === 0 ? after.slice(from, from + next(40)) : next(4) === 0 ? '' : pick(pieces, next);
    after = after.slice(0, at) + inserted + after.slice(at + removed);
  }
  return after;
}

const folder = path.resolve(import.meta.dirname, '../compiled');
const moduleOf = (name: string) => new WebAssembly.Module(readFileSync(path.join(folder, `${name}.wasm`)));
const { keccak256 } = compiledHashes(moduleOf('hashes'));

const account = privateKeyToAccount(`0x${'3'.padStart(64, '0')}`);
const now = 1_700_000_000;
const policy: Policy = {
  chains: [1],
  maxValiditySeconds: 60,
  skewSeconds: 30,
  requiredComponents: ['agent-id'],
  nonce: 'required',
  accounts: 'universal',
  code: 'ask',
};
const ports: Ports = {
  now,
  recover: compiledRecover(moduleOf('secp256k1'), keccak256),
  hashes: { ...plainHashes, keccak256 },
  contractAccount: {
    hasCode: async () => false,
    isValidSignature: async () => 'invalid',
    verify6492: async () => 'invalid',
  },
};

/** A request as strings by part: the target's parts, `body`, and the fields by name. */
type Parts = Readonly<Record<string, string>>;
const targetParts = ['method', 'scheme', 'authority', 'path', 'query', 'body'];

const requestOf = (parts: Parts): ReceivedRequest => ({
  method: parts['method'] ?? '',
  scheme: parts['scheme'] ?? '',
  authority: parts['authority'] ?? '',
  path: parts['path'] ?? '',
  query: parts['query'] ?? '',
  headers: Object.entries(parts).filter(([name]) => !targetParts.includes(name)),
  body: Uint8Array.from(parts['body'] ?? '', (character) => character.charCodeAt(0)),
});

// What may differ without meaning anything, judged by another implementation than ours.
const trimmed = (text: string) => text.replace(/^[ \t]+|[ \t]+$/g, '').replace(/[ \t]*\r\n[ \t]+/g, ' ');
const meanings: Record<string, (text: string) => string> = {
  method: (text) => text,
  body: (text) => text,
  scheme: (text) => text.toLowerCase(),
  authority: (text) => text.toLowerCase(),
  path: (text) => text || '/',
  query: (text) => text || '?',
  // Other members than ours, tagged otherwise, are other people's business.
  'signature-input': (text) => {
    const member = peerParse(trimmed(text)).get('request');
    return member === undefined ? 'none' : peerSerialize(new Map([['request', member]]));
  },
  signature: (text) => {
    const member = peerParse(trimmed(text)).get('request');
    return member?.[0] instanceof ArrayBuffer ? Buffer.from(member[0]).toString('hex') : 'none';
  },
  'content-digest': trimmed,
};

test(
  `${requestCases} mutated requests`,
  async () => {
    const body = '{"model":"qwen-max"}';
    const url = 'https://api.example/v1/chat/completions?x=1';
    const plain = { 'content-type': 'application/json', 'user-agent': 'someone/1.0' };
    const signed = await signRequest({
      request: { method: 'POST', url, headers: Object.entries(plain), body: Buffer.from(body) },
      keyid: { chainId: 1, address: account.address },
      signMessage: (raw) => account.signMessage({ message: { raw } }),
      agentId: 'eip155:1:0x8004a169fb4a3325136eb29fa0ceb6d2e539a432:7',
      nonce: 'EjRWeJCrze8BI0VniavN7w',
      created: now,
      expires: now + 60,
    });
    const original: Parts = {
      method: 'POST',
      scheme: 'https',
      authority: 'api.example',
      path: '/v1/chat/completions',
      query: '?x=1',
      body,
      ...plain,
      ...signed.headers,
    };
    // What the signature covers, and the two fields it is in; `user-agent` may change as it likes.
    const covered = Object.keys(original).filter((name) => name !== 'user-agent');
    const weighted = [
      ...covered,
      ...Array(4).fill('signature-input'),
      ...Array(2).fill('signature'),
    ] as string[];
    expect(await verifyAgentRequest(requestOf(original), policy, ports)).toMatchObject({ ok: true });

    const seen = new Map<string, number>();
    for (let index = 0; index < requestCases; index += 1) {
      const next = random(index);
      const parts: Record<string, string> = { ...original };
      for (let fields = next(8) === 0 ? 2 : 1; fields > 0; fields -= 1) {
        const name = pick(weighted, next);
        if (next(60) === 0) delete parts[name];
        else parts[name] = mutated(parts[name] ?? '', next);
      }
      let outcome: Awaited<ReturnType<typeof verifyAgentRequest>>;
      try {
        outcome = await verifyAgentRequest(requestOf(parts), policy, ports);
      } catch (error) {
        throw new Error(`case ${index} was thrown at: ${JSON.stringify(parts)}`, { cause: error });
      }
      const code = outcome.ok ? 'accepted' : outcome.error.code;
      seen.set(code, (seen.get(code) ?? 0) + 1);
      if (!outcome.ok) {
        if (STATUS_OF_CODE[outcome.error.code] !== outcome.error.status)
          throw new Error(`case ${index}: status`);
        continue;
      }
      for (const name of covered) {
        const meaning = meanings[name] ?? trimmed;
        if (meaning(parts[name] ?? '') !== meaning(original[name] ?? '')) {
          throw new Error(`case ${index} was accepted with another ${name}: ${JSON.stringify(parts)}`);
        }
      }
    }
    // The property is not empty at either end: some say the same in other words, most are refused, for many reasons.
    const accepted = seen.get('accepted') ?? 0;
    expect(accepted).toBeGreaterThan(requestCases / 1000);
    expect(accepted).toBeLessThan(requestCases / 4);
    expect([...seen.keys()]).toEqual(
      expect.arrayContaining([
        'bad_content_digest',
        'bad_signature',
        'content_digest_required',
        'insufficient_coverage',
        'invalid_keyid',
        'invalid_time',
        'no_acceptable_signature',
        'nonce_required',
        'principal_not_allowed',
        'signature_input_invalid',
        'signature_missing',
      ]),
    );
  },
  timeout,
);

test(
  `${dictionaryCases} field values: never thrown at, and what parses is written so that it parses the same`,
  () => {
    const seeds = [
      'request=("@scheme" "@path";req "agent-id");created=1700000000;expires=1.5;nonce="a\\"b";keyid="eip155:1:0x";tag="erc8128"',
      'sha-256=:k6I5cakU5erL8KjSUVTNownDwccvu5kU1Hxg88toFYg=:, sha-512=:AA==:;x;y=?0',
      'a, b=?0, c=@1700000000, d=%"f%c3%bc", e=tok/en:x;p=-12.345, f=(1 2.0 "x";q=:YQ:);r',
    ];
    let parsed = 0;
    for (let index = 0; index < dictionaryCases; index += 1) {
      const next = random(index);
      const text = mutated(pick(seeds, next), next);
      const first = parseDictionary(text);
      if (!first.ok) continue;
      parsed += 1;
      const written = serializeDictionary(first.value);
      const second = parseDictionary(written);
      if (!second.ok || serializeDictionary(second.value) !== written) {
        throw new Error(`case ${index}: ${JSON.stringify(text)} was written as ${JSON.stringify(written)}`);
      }
    }
    expect(parsed).toBeGreaterThan(dictionaryCases / 20);
    expect(parsed).toBeLessThan(dictionaryCases);
  },
  timeout,
);
