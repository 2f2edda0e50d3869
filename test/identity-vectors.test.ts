// The negative and classification vectors of ERC-8128, each against the running Worker: the mutation the draft names, the
// code and the status it wants, and that a refused request consumed no nonce. Where the draft's table configures the
// verifier, the deployed gateway is used as it is configured; what it cannot be brought to is in identity-workerd.test.ts.
import { createHash, randomUUID } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { httpbis } from 'http-message-signatures';
import { hexToBytes, parseEther } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Stack } from '../dev/stack.ts';
import { type RawAgent, rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

let stack: Stack;
let agent: RawAgent;

beforeAll(async () => {
  stack = await startTestStack({ agents: 1 });
  const [first] = stack.agents;
  if (!first) throw new Error('the stack has an agent');
  agent = rawAgent(stack, first);
  const paid = await agent.chat('the voucher comes along', { headers: await agent.payment(parseEther('5')) });
  expect(paid.status, await paid.text()).toBe(200);
});
afterAll(() => stack?.close());

const path = '/v1/chat/completions?view=full';
const body = JSON.stringify({
  model: 'qwen-plus',
  max_tokens: 20,
  messages: [{ role: 'user', content: 'hi' }],
});

/** A request as it goes over the wire: field lines in order, a name as often as one likes. */
type Wire = {
  readonly method: string;
  readonly path: string;
  readonly lines: readonly (readonly [name: string, value: string])[];
  readonly body: string;
};

type Answer = {
  readonly status: number;
  readonly reason: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
};

/** Node's own client, since `fetch` would join, sort and forbid fields. */
const send = ({ method, path: target, lines, body: content }: Wire): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(stack.gatewayUrl);
    const headers = [
      ['host', `${hostname}:${port}`],
      ['content-length', `${content.length}`],
      ...lines,
    ].flat();
    const request = httpRequest({ hostname, port, method, path: target, headers }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => {
        const { reason } = JSON.parse(text || '{}') as { reason?: string };
        resolve({ status: response.statusCode ?? 0, reason, headers: response.headers });
      });
    });
    request.on('error', reject);
    request.end(content);
  });

/** The positive request: a completion, signed by the agent's wallet. */
const positive = async (options: { nonce?: string | null; skew?: number } = {}): Promise<Wire> => ({
  method: 'POST',
  path,
  lines: Object.entries(await agent.sign('POST', path, { body, ...options })),
  body,
});

/** Changes field values; `undefined` removes the field. */
const changed = (
  wire: Wire,
  name: string,
  change: (value: string) => string | readonly string[] | undefined,
): Wire => {
  expect(wire.lines.some(([key]) => key === name)).toBe(true);
  return {
    ...wire,
    lines: wire.lines.flatMap(([key, value]) => {
      if (key !== name) return [[key, value] as const];
      const after = change(value);
      return after === undefined ? [] : [after].flat().map((line) => [key, String(line)] as const);
    }),
  };
};
const input = (wire: Wire, from: string | RegExp, to: string): Wire =>
  changed(wire, 'signature-input', (value) => {
    const after = value.replace(from, to);
    expect(after).not.toBe(value);
    return after;
  });
const fieldOf = (wire: Wire, name: string): string => wire.lines.find(([key]) => key === name)?.[1] ?? '';

/** Sends a mutation of the positive request and expects its refusal; then the unchanged request is still good. */
async function expectRefused(status: number, code: string, mutate: (wire: Wire) => Wire): Promise<Answer> {
  const wire = await positive();
  const answer = await send(mutate(wire));
  expect([answer.status, answer.reason]).toEqual([status, code]);
  expect(answer.headers['content-type']).toBe('application/problem+json');
  expect(answer.headers['cache-control']).toBe('no-store');
  if (status === 401) {
    expect(answer.headers['www-authenticate']).toBe(
      `ERC8128 error="${code}", chains="eip155:${stack.chainId}", account="universal"`,
    );
    expect(answer.headers['accept-signature']).toMatch(/^request=\("@scheme" .*"agent-id"/);
  } else {
    expect(answer.headers['www-authenticate']).toBeUndefined();
  }
  // The nonce was not consumed by the request that failed.
  expect((await send(wire)).status).toBe(200);
  return answer;
}

describe('the positive request', () => {
  test('is served, once', async () => {
    const wire = await positive();
    expect((await send(wire)).status).toBe(200);
    expect(await send(wire)).toMatchObject({
      status: 401,
      reason: 'nonce_reused',
      headers: { 'www-authenticate': expect.stringContaining('error="nonce_reused"') },
    });
  });

  test('sent 50 times at once authenticates exactly once', async () => {
    const wire = await positive();
    const answers = await Promise.all(Array.from({ length: 50 }, () => send(wire)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ reason }) => reason === 'nonce_reused')).toHaveLength(49);
  });

  test('is still refused the second time after an eviction, and a new one is served', async () => {
    const wire = await positive();
    expect((await send(wire)).status).toBe(200);
    const read = await agent.sign('GET', '/v1/account', { nonce: randomUUID() });
    const get = () => fetch(`${stack.gatewayUrl}/v1/account`, { headers: read });
    expect((await get()).status).toBe(200);
    await stack.restartGateway();
    expect(await send(wire)).toMatchObject({ status: 401, reason: 'nonce_reused' });
    expect(((await (await get()).json()) as { reason: string }).reason).toBe('nonce_reused');
    expect((await send(await positive())).status).toBe(200);
  });

  test('its parameters and components may come in any order, over several lines', async () => {
    const wire = await positive();
    const spaced = changed(wire, 'signature-input', (value) => [
      ' other=("@path");tag="else"',
      `\t${value}  `,
    ]);
    expect((await send(spaced)).status).toBe(200);
  });
});

describe('the table of the draft', () => {
  test.each(['signature', 'signature-input'])('no %s', async (name) => {
    await expectRefused(401, 'signature_missing', (wire) => changed(wire, name, () => undefined));
  });

  test('invalid syntax in either field', async () => {
    await expectRefused(400, 'signature_input_invalid', (wire) => input(wire, 'created=', 'created=;'));
    await expectRefused(400, 'signature_input_invalid', (wire) =>
      changed(wire, 'signature', (value) => `${value}, request=:!:`),
    );
  });

  test('a first candidate without its signature does not mask the positive one', async () => {
    const wire = await positive();
    const two = changed(
      wire,
      'signature-input',
      (value) => `${value.replace('request=', 'lost=')}, ${value}`,
    );
    expect((await send(two)).status).toBe(200);
    await expectRefused(400, 'signature_input_invalid', (each) =>
      changed(each, 'signature', (value) => value.replace('request=', 'other=')),
    );
  });

  test.each<[string, (wire: Wire) => Wire]>([
    ['a Signature-Input field', (wire) => input(wire, /$/, `, x="${'a'.repeat(16_384)}"`)],
    [
      'a Signature field',
      (wire) => changed(wire, 'signature', (value) => `${value}, x="${'a'.repeat(16_384)}"`),
    ],
    [
      'a signature',
      (wire) => changed(wire, 'signature', () => `request=:${Buffer.alloc(8193).toString('base64')}:`),
    ],
    [
      'components',
      (wire) => input(wire, ')', `${Array.from({ length: 26 }, (_, i) => ` "x-${i}"`).join('')})`),
    ],
    ['parameters', (wire) => input(wire, /$/, Array.from({ length: 12 }, (_, i) => `;x${i}`).join(''))],
    [
      'candidates',
      (wire) =>
        changed(wire, 'signature-input', (value) =>
          Array.from({ length: 9 }, (_, i) => value.replace('request', `r${i}`)).join(', '),
        ),
    ],
  ])('too much of %s', async (_, mutate) => {
    await expectRefused(400, 'signature_too_large', mutate);
  });

  test('an unknown tag', async () => {
    await expectRefused(401, 'no_acceptable_signature', (wire) =>
      input(wire, 'tag="erc8128"', 'tag="erc8128-delegated"'),
    );
  });

  test.each<[string, RegExp, string | ((part: string) => string)]>([
    ['checksummed', /[a-f](?=[0-9a-f]*";tag)/, (digit) => digit.toUpperCase()],
    ['of the old format', /"eip155:(?=\d+:0x[0-9a-f]+";tag)/, '"erc8128:'],
    ['with a leading zero', /"eip155:(?=\d+:0x[0-9a-f]+";tag)/, '"eip155:0'],
  ])('a keyid %s', async (_, from, to) => {
    await expectRefused(401, 'invalid_keyid', (wire) =>
      changed(wire, 'signature-input', (value) => {
        const after = typeof to === 'string' ? value.replace(from, to) : value.replace(from, to);
        expect(after).not.toBe(value);
        return after;
      }),
    );
  });

  test('a chain that is not served: the challenge says which are', async () => {
    await expectRefused(401, 'unsupported_chain', (wire) =>
      input(wire, /keyid="eip155:\d+/, 'keyid="eip155:1'),
    );
  });

  test.each<[string, (wire: Wire) => Wire]>([
    ['no created', (wire) => input(wire, /;created=\d+/, '')],
    ['no expires', (wire) => input(wire, /;expires=\d+/, '')],
    ['created a String', (wire) => input(wire, /created=(\d+)/, 'created="$1"')],
    ['expires before created', (wire) => input(wire, /expires=\d+/, 'expires=1')],
  ])('invalid time: %s', async (_, mutate) => {
    await expectRefused(401, 'invalid_time', mutate);
  });

  test('before created - 30, and after expires + 30', async () => {
    const early = await send(await positive({ skew: 35 }));
    expect([early.status, early.reason]).toEqual([401, 'request_not_yet_valid']);
    expect((await send(await positive({ skew: 25 }))).status).toBe(200);
    const late = await send(await positive({ skew: -95 }));
    expect([late.status, late.reason]).toEqual([401, 'request_expired']);
    expect((await send(await positive({ skew: -85 }))).status).toBe(200);
  });

  test('inside the skew a nonce is as single use as ever', async () => {
    const wire = await positive({ skew: -85 });
    expect((await send(wire)).status).toBe(200);
    expect(await send(wire)).toMatchObject({ status: 401, reason: 'nonce_reused' });
  });

  test('a validity longer than the route allows', async () => {
    await expectRefused(401, 'request_validity_too_long', (wire) =>
      changed(wire, 'signature-input', (value) =>
        value.replace(/created=(\d+);expires=\d+/, (_, created: string) => {
          return `created=${created};expires=${Number(created) + 301}`;
        }),
      ),
    );
  });

  test('a nonce that is a Token, or has 129 bytes', async () => {
    await expectRefused(401, 'invalid_nonce', (wire) => input(wire, /nonce="[^"]*"/, 'nonce=abc'));
    await expectRefused(401, 'invalid_nonce', (wire) =>
      input(wire, /nonce="[^"]*"/, `nonce="${'a'.repeat(129)}"`),
    );
  });

  test.each(['@query', '@scheme', 'agent-id', 'content-digest', 'content-type'])(
    'no %s covered',
    async (name) => {
      await expectRefused(401, 'insufficient_coverage', (wire) => input(wire, `"${name}"`, ''));
    },
  );

  test('content without Content-Digest', async () => {
    await expectRefused(401, 'content_digest_required', (wire) =>
      changed(wire, 'content-digest', () => undefined),
    );
  });

  test('other content, a malformed digest, a second digest that does not match', async () => {
    await expectRefused(401, 'bad_content_digest', (wire) => ({
      ...wire,
      body: wire.body.replace('hi', 'HI'),
    }));
    await expectRefused(401, 'bad_content_digest', (wire) => ({ ...wire, body: '' }));
    await expectRefused(401, 'bad_content_digest', (wire) =>
      changed(wire, 'content-digest', (value) => value.slice(0, -8)),
    );
    await expectRefused(401, 'bad_content_digest', (wire) =>
      changed(wire, 'content-digest', (value) => [value, `sha-512=:${Buffer.alloc(64).toString('base64')}:`]),
    );
  });

  test('no nonce where one is required', async () => {
    await expectRefused(401, 'nonce_required', (wire) => input(wire, /;nonce="[^"]*"/, ''));
    const resigned = await send(await positive({ nonce: null }));
    expect([resigned.status, resigned.reason]).toEqual([401, 'nonce_required']);
  });

  test('no nonce where that is allowed, until the signer calls such signatures back', async () => {
    const headers = await agent.sign('GET', '/v1/account', { nonce: null });
    const get = async (fields: Record<string, string>) => {
      const response = await fetch(`${stack.gatewayUrl}/v1/account`, { headers: fields });
      const { reason } = (await response.json()) as { reason?: string };
      return [response.status, reason, response.headers.get('www-authenticate')];
    };
    expect((await get(headers))[0]).toBe(200);
    expect((await get(headers))[0]).toBe(200);
    const done = await agent.call('POST', '/v1/signatures/invalidate');
    expect(done.status).toBe(200);
    const denied = [401, 'replayable_not_allowed', expect.stringContaining('error="replayable_not_allowed"')];
    expect(await get(headers)).toEqual(denied);
    await stack.restartGateway();
    expect(await get(headers)).toEqual(denied);
    // One with a nonce is not touched, nor is one made later.
    const single = await agent.sign('GET', '/v1/account', { nonce: randomUUID() });
    expect((await get(single))[0]).toBe(200);
    const later = await agent.sign('GET', '/v1/account', { nonce: null, skew: 2 });
    expect((await get(later))[0]).toBe(200);
  });

  test('alg', async () => {
    await expectRefused(401, 'unsupported_algorithm', (wire) => input(wire, /$/, ';alg="ecdsa-p256-sha256"'));
  });

  test('another query, method, path, authority or agent', async () => {
    await expectRefused(401, 'bad_signature', (wire) => ({ ...wire, path: path.replace('full', 'none') }));
    await expectRefused(401, 'bad_signature', (wire) => ({ ...wire, path: path.replace(/\?.*/, '') }));
    const put = await positive();
    const elsewhere = await send({ ...put, method: 'PUT', path: '/v1/account/voucher' });
    expect([elsewhere.status, elsewhere.reason]).toEqual([401, 'bad_signature']);
    await expectRefused(401, 'bad_signature', (wire) =>
      changed(wire, 'agent-id', (value) => value.replace(/:\d+$/, ':12345')),
    );
  });

  test('a flipped v, a high s, a compact signature', async () => {
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const rewritten = (change: (bytes: Buffer) => Buffer) => (wire: Wire) =>
      changed(wire, 'signature', (value) => {
        const bytes = Buffer.from(value.slice('request=:'.length, -1), 'base64');
        return `request=:${change(bytes).toString('base64')}:`;
      });
    const flipped = (bytes: Buffer) => {
      const other = Buffer.from(bytes);
      other[64] = 55 - (bytes[64] ?? 0);
      return other;
    };
    const highS = (bytes: Buffer) => {
      const s = order - BigInt(`0x${bytes.subarray(32, 64).toString('hex')}`);
      const high = Buffer.from(s.toString(16).padStart(64, '0'), 'hex');
      return Buffer.concat([bytes.subarray(0, 32), high, flipped(bytes).subarray(64)]);
    };
    const zeroV = (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 64), Buffer.of((bytes[64] ?? 0) - 27)]);
    for (const change of [flipped, highS, zeroV]) {
      await expectRefused(401, 'bad_signature', rewritten(change));
    }
    // 64 bytes could only be a contract's signature, and there is no contract at this address.
    await expectRefused(
      401,
      'bad_signature',
      rewritten((bytes) => bytes.subarray(0, 64)),
    );
  });

  test('an Agent-Id that names nobody', async () => {
    await expectRefused(401, 'principal_not_allowed', (wire) =>
      changed(wire, 'agent-id', (value) => value.replace('eip155:', 'EIP155:')),
    );
    await expectRefused(401, 'principal_not_allowed', (wire) =>
      changed(wire, 'agent-id', (value) => [value, value]),
    );
  });

  test('well-formed failing candidates before the positive one', async () => {
    const wire = await positive();
    const forged = changed(
      changed(wire, 'signature-input', (value) =>
        [
          value.replace('request=', 'a=').replace(/keyid="eip155:\d+/, 'keyid="eip155:1'),
          value.replace('request=', 'b=').replace(/nonce="/, 'nonce="x'),
          value,
        ].join(', '),
      ),
      'signature',
      (value) => [value.replace('request=', 'a='), value.replace('request=', 'b='), value].join(', '),
    );
    expect((await send(forged)).status).toBe(200);
    expect(await send(wire)).toMatchObject({ reason: 'nonce_reused' });
  });
});

describe('an independent signer: http-message-signatures and viem', () => {
  const signedBy = async (method: string, target: string, content?: string): Promise<Wire> => {
    const [local] = stack.agents;
    if (!local) throw new Error('the stack has an agent');
    const account = privateKeyToAccount(local.privateKey);
    const headers = {
      'Agent-Id': agent.agentId,
      ...(content === undefined
        ? {}
        : {
            'Content-Type': 'application/json',
            'Content-Digest': `sha-512=:${createHash('sha512').update(content).digest('base64')}:`,
          }),
    };
    const covered = Object.keys(headers).map((name) => name.toLowerCase());
    const signed = await httpbis.signMessage(
      {
        key: {
          id: `eip155:${stack.chainId}:${account.address.toLowerCase()}`,
          sign: async (data) =>
            Buffer.from(hexToBytes(await account.signMessage({ message: { raw: data } }))),
        },
        fields: ['@query', '@path', '@method', '@authority', '@scheme', ...covered],
        params: ['tag', 'keyid', 'nonce', 'expires', 'created'],
        paramValues: {
          created: new Date(),
          expires: new Date(Date.now() + 60_000),
          nonce: randomUUID(),
          tag: 'erc8128',
        },
      },
      { method, url: stack.gatewayUrl + target, headers },
    );
    return {
      method,
      path: target,
      lines: Object.entries(signed.headers).map(([name, value]) => [name, String(value)]),
      body: content ?? '',
    };
  };

  test('its POST with content is served once, and not with other content', async () => {
    const wire = await signedBy('POST', path, body);
    expect(await send({ ...wire, body: body.replace('hi', 'HI') })).toMatchObject({
      reason: 'bad_content_digest',
    });
    expect((await send(wire)).status).toBe(200);
    expect((await send(wire)).reason).toBe('nonce_reused');
  });

  test('its GET without a query is served', async () => {
    expect((await send(await signedBy('GET', '/v1/account'))).status).toBe(200);
  });
});

test('a bodyless POST with Content-Length: 0 is a request without content', async () => {
  const lines = Object.entries(await agent.sign('POST', '/v1/signatures/invalidate'));
  expect(fieldOf({ method: '', path: '', lines, body: '' }, 'content-digest')).toBe('');
  const answer = await send({ method: 'POST', path: '/v1/signatures/invalidate', lines, body: '' });
  expect(answer.status).toBe(200);
});

test('discovery says what the routes do', async () => {
  const response = await fetch(`${stack.gatewayUrl}/.well-known/erc8128`);
  expect(response.headers.get('content-type')).toBe('application/json');
  const document = (await response.json()) as Record<string, unknown>;
  expect(document).toMatchObject({
    chains: [`eip155:${stack.chainId}`],
    account_verification: 'universal',
    payment_challenges: true,
    route_policies: {
      default: [{ replay: 'non-replayable', required_components: ['agent-id'] }],
      '/v1/account': [{ methods: ['GET'], replay: 'either' }],
    },
  });
});
