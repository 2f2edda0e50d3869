// docs/identity.md against the code: its worked example byte for byte, the tests its table names, the routes it lists.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { hashMessage, hexToBytes, recoverMessageAddress, toHex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { expect, test } from 'vitest';
import { verifyAgentRequest } from '../protocol/identity/agent-request.ts';
import { authorizationHash } from '../protocol/identity/personal-message.ts';
import { targetOf } from '../protocol/identity/received-request.ts';
import { recoverWithNoble } from '../protocol/identity/recover.ts';
import { signRequest } from '../protocol/identity/sign-request.ts';

const read = (file: string): string => readFileSync(path.resolve(import.meta.dirname, '..', file), 'utf8');
const page = read('docs/identity.md');
const block = (name: string): string => {
  const [, text] = new RegExp(`\`\`\`\\w+ ${name}\n([^]*?)\n\`\`\``).exec(page) ?? [];
  if (text === undefined) throw new Error(`docs/identity.md has no ${name}`);
  return text;
};

const [privateKey, address] = block('example-key').split('\n') as [`0x${string}`, `0x${string}`];
const [head = '', body = ''] = block('example-request').split('\n\n');
const [requestLine = '', ...fieldLines] = head.split('\n');
const [method = '', target = ''] = requestLine.split(' ');
const fields = fieldLines.map((line): [string, string] => {
  const colon = line.indexOf(': ');
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 2)];
});
const field = (name: string): string => fields.find(([key]) => key === name)?.[1] ?? '';
const base = block('example-base');
const values = Object.fromEntries(
  block('example-values')
    .split('\n')
    .map((line) => line.split(/ +/) as [string, `0x${string}`]),
);
const content = new TextEncoder().encode(body);
const url = `https://${field('host')}${target}`;
const account = privateKeyToAccount(privateKey);

test('the worked example is what viem makes of it', async () => {
  expect(account.address.toLowerCase()).toBe(address);
  expect(content).toHaveLength(65);
  expect(new TextEncoder().encode(base)).toHaveLength(543);
  const bodyHash = createHash('sha256').update(content).digest();
  expect(values['body']).toBe(toHex(bodyHash));
  expect(field('content-digest')).toBe(`sha-256=:${bodyHash.toString('base64')}:`);
  expect(values['hash']).toBe(hashMessage(base));
  const signature = await account.signMessage({ message: base });
  expect(values['signature']).toBe(signature);
  expect(field('signature')).toBe(`request=:${Buffer.from(hexToBytes(signature)).toString('base64')}:`);
  expect((await recoverMessageAddress({ message: base, signature })).toLowerCase()).toBe(address);
  const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest();
  const authorization = sha256(Buffer.concat([sha256(base), sha256(hexToBytes(signature))]));
  expect(values['authorization']).toBe(toHex(authorization));
});

test('the worked example verifies, and our signer makes the same bytes', async () => {
  const verified = await verifyAgentRequest(
    { method, ...targetOf(url), headers: fields, body: content },
    {
      chains: [16602],
      maxValiditySeconds: 300,
      skewSeconds: 30,
      requiredComponents: ['agent-id'],
      nonce: 'required',
      accounts: 'universal',
      code: 'deferred',
    },
    { now: 1_800_000_000, recover: recoverWithNoble },
  );
  if (!verified.ok) throw new Error(verified.error.message);
  const { signatureBase, digest, signature, keyid, agent } = verified.value;
  expect(signatureBase).toBe(base);
  expect(toHex(digest)).toBe(values['hash']);
  expect(toHex(signature)).toBe(values['signature']);
  expect(authorizationHash(signatureBase, signature)).toBe(values['authorization']);
  expect(keyid.address).toBe(address);
  expect(agent.agentId).toBe(0n);

  const signed = await signRequest({
    request: { method, url, headers: [['content-type', field('content-type')]], body: content },
    keyid: { chainId: 16602, address },
    signMessage: (raw) => account.signMessage({ message: { raw } }),
    agentId: field('agent-id'),
    nonce: /nonce="([^"]*)"/.exec(field('signature-input'))?.[1],
    created: 1_800_000_000,
    expires: 1_800_000_060,
  });
  for (const [name, value] of Object.entries(signed.headers))
    expect([name, field(name)]).toEqual([name, value]);
});

test('every test the table names is there', () => {
  const named = [...page.matchAll(/`([\w-]+\.test\.ts)` ((?:"[^"]+"(?:, )?)+)/g)];
  expect(named.length).toBeGreaterThan(35);
  for (const [, file = '', titles = ''] of named) {
    const source = read(`test/${file}`);
    for (const [, title = ''] of titles.matchAll(/"([^"]+)"/g)) {
      expect([file, title, source.includes(title)]).toEqual([file, title, true]);
    }
  }
});

test('every route is in the table of nonces', () => {
  const routes = [...read('worker/index.ts').matchAll(/\.(get|post|put|delete)\('(\/[^']*)'/g)].map(
    ([, verb = '', route = '']) => `\`${verb.toUpperCase()} ${route}`,
  );
  expect(routes.length).toBeGreaterThan(15);
  const families = ['`GET /log/', '`GET /.well-known/'];
  for (const route of routes) {
    const written = families.find((family) => route.startsWith(family)) ?? route;
    expect([route, page.includes(written)]).toEqual([route, true]);
  }
});
