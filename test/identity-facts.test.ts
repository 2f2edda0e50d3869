// What an agent's owner publishes about it: read off the request path, from wherever a stranger's URI may point and from
// nowhere else, and shown on GET /v1/account.
import { parseEther } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { mined } from '../contracts/deploy-contract.ts';
import { identityRegistryAbi } from '../contracts-abi/generated/IdentityRegistry.ts';
import { walletOf } from '../dev/clients.ts';
import { fund, registerAgent } from '../dev/contracts.ts';
import type { Stack } from '../dev/stack.ts';
import { AgentFactsBook, factsRefreshMs } from '../durable-objects/account/agent-facts.ts';
import { type Registration, readRegistration } from '../protocol/identity/registration.ts';
import { fetchRegistrationFile, registrationBytesMax } from '../worker/agent-facts-fetch.ts';
import { isPublicHost } from '../worker/agent-facts-host.ts';
import { rawAgent } from './raw-agent.ts';
import { sqliteStorage } from './sqlite-storage.ts';
import { startTestStack } from './test-stack.ts';

const agent = { chainId: 31337, registry: `0x${'ab'.repeat(20)}`, agentId: 0n } as const;

describe('where a URI may point', () => {
  test.each([
    'localhost',
    'a.localhost',
    'router',
    'printer.local',
    'db.internal',
    'x.home.arpa',
    'localhost.',
    'wiki.corp',
    '127.0.0.1',
    '0.0.0.0',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '198.18.0.1',
    '192.0.2.1',
    '224.0.0.1',
    '255.255.255.255',
    '192.0.0.8',
    '203.0.113.9',
    '[::1]',
    '[::]',
    '[::ffff:7f00:1]',
    '[::ffff:808:808]',
    '[fe80::1]',
    '[fc00::1]',
    '[fd12:3456::1]',
    '[64:ff9b::a00:1]',
    '[2002:7f00:1::]',
    '[2001::1]',
    '[2001:db8::1]',
    '[ff02::1]',
    '[100::1]',
    '[3fff::1]',
  ])('not %s', (host) => {
    expect(isPublicHost(host)).toBe(false);
  });

  test.each([
    'agent.example.com',
    'xn--bcher-kva.example.org',
    '8.8.8.8',
    '1.1.1.1',
    '172.15.0.1',
    '172.32.0.1',
    '100.128.0.1',
    '[2606:4700::1111]',
    '[2001:4860:4860::8888]',
    'localhost.example.com',
  ])('but %s', (host) => {
    expect(isPublicHost(host)).toBe(true);
  });

  test('every spelling of an IPv4 address is seen through', async () => {
    const fetch = vi.fn(async () => Response.json({}));
    for (const host of [
      '127.1',
      '0x7f000001',
      '2130706433',
      '017700000001',
      '127.0.0.1.',
      '0',
      '10.0.258',
      '%31%32%37.0.0.1',
      '①②⑦.0.0.1',
      '[0:0:0:0:0:ffff:127.0.0.1]',
      'LOCALHOST',
      'localhost%2e',
    ]) {
      const result = await fetchRegistrationFile(`https://${host}/agent.json`, { fetch });
      expect([host, result.ok]).toEqual([host, false]);
    }
    for (const uri of [
      'http://agent.example.com/',
      'https://agent.example.com:8443/',
      'https://user:secret@agent.example.com/',
      'https://',
      'file:///etc/passwd',
      'ftp://agent.example.com/',
      'javascript:1',
      '',
      'agent.json',
      '//agent.example.com/',
      'HTTPS:\\\\127.0.0.1',
      'https:127.0.0.1',
      `https://agent.example.com/${'x'.repeat(200_000)}`,
    ]) {
      const result = await fetchRegistrationFile(uri, { fetch });
      expect([uri.slice(0, 40), result.ok]).toEqual([uri.slice(0, 40), false]);
    }
    expect(fetch).not.toHaveBeenCalled();
  });
});

describe('fetching', () => {
  const uri = 'https://agent.example.com/agent.json';
  const pages = (answers: Record<string, () => Response>) => {
    const asked: [string, RequestInit][] = [];
    const fetch = async (url: string, init: RequestInit) => {
      asked.push([url, init]);
      const answer = answers[url];
      if (answer === undefined) throw new TypeError('no such host');
      return answer();
    };
    return { asked, fetch };
  };
  const redirect = (location: string) => () => new Response(null, { status: 302, headers: { location } });

  test('asks with nothing of its own, and follows no redirect by itself', async () => {
    const { asked, fetch } = pages({ [uri]: () => Response.json({ name: 'a' }) });
    expect(await fetchRegistrationFile(`${uri}#part`, { fetch })).toEqual({ ok: true, value: { name: 'a' } });
    const [[url, init] = []] = asked;
    expect(url).toBe(uri);
    expect(init).toMatchObject({
      method: 'GET',
      redirect: 'manual',
      headers: { accept: 'application/json' },
    });
    expect(Object.keys(init ?? {}).sort()).toEqual(['headers', 'method', 'redirect', 'signal']);
  });

  test('a redirect is looked at like the first address, each time', async () => {
    const good = pages({
      [uri]: redirect('/two'),
      'https://agent.example.com/two': redirect('https://cdn.example.org/x.json'),
      'https://cdn.example.org/x.json': () => Response.json([1]),
    });
    expect(await fetchRegistrationFile(uri, good)).toEqual({ ok: true, value: [1] });
    for (const location of [
      'http://agent.example.com/',
      'https://127.0.0.1/',
      'https://[::1]/',
      '//169.254.169.254/latest',
      'https://localhost/',
      'data:application/json,{}',
      'https://a.example.com:22/',
      'ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3/',
    ]) {
      const bad = pages({ [uri]: redirect(location), 'https://agent.example.com/two': redirect(location) });
      expect((await fetchRegistrationFile(uri, bad)).ok).toBe(false);
      expect(bad.asked).toHaveLength(1);
      const second = pages({ [uri]: redirect('/two'), 'https://agent.example.com/two': redirect(location) });
      expect((await fetchRegistrationFile(uri, second)).ok).toBe(false);
      expect(second.asked).toHaveLength(2);
    }
  });

  test('a loop of redirects ends', async () => {
    const { asked, fetch } = pages({ [uri]: redirect(uri) });
    expect(await fetchRegistrationFile(uri, { fetch })).toMatchObject({
      ok: false,
      error: expect.stringMatching(/too often/),
    });
    expect(asked).toHaveLength(4);
  });

  test('a file that is too long is not read to its end, whatever it says of its length', async () => {
    let pulled = 0;
    let cancelled = false;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(16 * 1024).fill(0x20));
      },
      cancel() {
        cancelled = true;
      },
    });
    const { fetch } = pages({ [uri]: () => new Response(endless, { headers: { 'content-length': '2' } }) });
    expect(await fetchRegistrationFile(uri, { fetch })).toMatchObject({
      ok: false,
      error: expect.stringMatching(/longer than/),
    });
    expect(cancelled).toBe(true);
    expect(pulled).toBeLessThan(10);
    const exact = `"${'x'.repeat(registrationBytesMax - 2)}"`;
    expect((await fetchRegistrationFile(uri, pages({ [uri]: () => new Response(exact) }))).ok).toBe(true);
    expect((await fetchRegistrationFile(uri, pages({ [uri]: () => new Response(` ${exact}`) }))).ok).toBe(
      false,
    );
  });

  test('a server that hangs, before its headers or after, is given up', async () => {
    const never = (_: string, { signal }: RequestInit) =>
      new Promise<Response>((_resolve, reject) =>
        signal?.addEventListener('abort', () => reject(signal.reason)),
      );
    expect(await fetchRegistrationFile(uri, { fetch: never, timeoutMs: 50 })).toMatchObject({
      ok: false,
      error: expect.stringMatching(/in time/),
    });
    const trickle = async (_: string, { signal }: RequestInit) =>
      new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(new Uint8Array([0x7b]));
            signal?.addEventListener('abort', () => controller.error(signal.reason));
          },
        }),
      );
    expect(await fetchRegistrationFile(uri, { fetch: trickle, timeoutMs: 50 })).toMatchObject({
      ok: false,
      error: expect.stringMatching(/in time/),
    });
  });

  test('errors and rubbish are told apart for the owner', async () => {
    const answer = async (response: () => Response) => fetchRegistrationFile(uri, pages({ [uri]: response }));
    expect(await answer(() => new Response('', { status: 404 }))).toMatchObject({
      error: expect.stringMatching(/HTTP 404/),
    });
    expect(await answer(() => new Response('<html>'))).toMatchObject({
      error: expect.stringMatching(/not JSON/),
    });
    expect(await answer(() => new Response(new Uint8Array([0xff])))).toMatchObject({
      error: expect.stringMatching(/UTF-8/),
    });
    expect(await fetchRegistrationFile(uri, pages({}))).toMatchObject({
      error: expect.stringMatching(/could not be reached/),
    });
  });

  test('ipfs: by the configured gateway only', async () => {
    const cid = 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi';
    const { asked, fetch } = pages({
      [`https://ipfs.example.net/ipfs/${cid}/agent.json`]: () => Response.json({ name: 'i' }),
    });
    const ipfsGateway = 'https://ipfs.example.net';
    expect((await fetchRegistrationFile(`ipfs://${cid}/agent.json`, { fetch })).ok).toBe(false);
    for (const prefix of ['ipfs://', 'ipfs://ipfs/', 'IPFS://']) {
      const result = await fetchRegistrationFile(`${prefix}${cid}/agent.json`, { fetch, ipfsGateway });
      expect(result).toEqual({ ok: true, value: { name: 'i' } });
    }
    for (const bad of ['ipfs://../x', 'ipfs://', `ipfs://${cid}@evil.example.com`, `ipfs://${cid}?x=1`]) {
      expect((await fetchRegistrationFile(bad, { fetch, ipfsGateway })).ok).toBe(false);
    }
    expect(asked).toHaveLength(3);
  });

  test('data: in either encoding', async () => {
    const { fetch } = pages({});
    for (const good of [
      'data:application/json,%7B%22name%22%3A%22d%22%7D',
      'data:application/json;charset=utf-8,{"name":"d"}',
      `data:application/json;base64,${btoa('{"name":"d"}')}`,
      'DATA:,{"name":"d"}',
    ]) {
      expect(await fetchRegistrationFile(good, { fetch })).toEqual({ ok: true, value: { name: 'd' } });
    }
    for (const bad of [
      'data:',
      'data:,',
      'data:,%',
      'data:;base64,!',
      `data:,"${'x'.repeat(registrationBytesMax)}"`,
    ]) {
      expect((await fetchRegistrationFile(bad, { fetch })).ok).toBe(false);
    }
  });
});

describe('a registration file', () => {
  const file = {
    type: 'https://eips.ethereum.org/EIPS/eip-8004#registration-v1',
    name: 'Ada',
    description: 'counts',
    image: 'https://ada.example.com/a.png',
    services: [
      { name: 'A2A', endpoint: 'https://ada.example.com/a2a', version: '0.3.0' },
      { name: 'MCP', endpoint: 'https://ada.example.com/mcp' },
    ],
    x402Support: true,
    active: false,
    registrations: [{ agentId: 0, agentRegistry: `eip155:31337:0x${'AB'.repeat(20)}` }],
    supportedTrust: ['reputation'],
  };

  test('is read', () => {
    expect(readRegistration(file, agent)).toEqual({
      ok: true,
      value: {
        name: 'Ada',
        description: 'counts',
        image: 'https://ada.example.com/a.png',
        active: false,
        x402Support: true,
        services: [
          { name: 'A2A', endpoint: 'https://ada.example.com/a2a', version: '0.3.0' },
          { name: 'MCP', endpoint: 'https://ada.example.com/mcp', version: null },
        ],
        supportedTrust: ['reputation'],
        namesThisAgent: true,
      } satisfies Registration,
    });
    expect(readRegistration(file, { ...agent, agentId: 1n })).toMatchObject({
      value: { namesThisAgent: false },
    });
  });

  test('odd members are left out, long ones cut, and what has no name is refused', () => {
    const odd = {
      name: ` A\u0000d\na${'x'.repeat(500)}\ud800`,
      services: [
        1,
        null,
        { name: 'x' },
        { name: 'y', endpoint: 'z', version: 3 },
        ...Array(100).fill({ name: 'n', endpoint: 'e' }),
      ],
      active: 'no',
      supportedTrust: 'all',
      registrations: [{ agentId: {}, agentRegistry: 5 }, 'x'],
    };
    const read = readRegistration(odd, agent);
    if (!read.ok) throw new Error(read.error);
    expect(read.value.name).toMatch(/^A d ax+$/);
    expect(read.value.name.length).toBeLessThanOrEqual(200);
    expect(read.value.services.length).toBeLessThanOrEqual(32);
    expect(read.value.services[0]).toEqual({ name: 'y', endpoint: 'z', version: null });
    expect(read.value).toMatchObject({ active: true, supportedTrust: [], namesThisAgent: false });
    for (const bad of [null, 1, 'x', [], {}, { name: 1 }, { name: ' \n' }]) {
      expect(readRegistration(bad, agent).ok).toBe(false);
    }
  });
});

test('an account looks again when it is due, once at a time, and a failed look undoes nothing', () => {
  const storage = sqliteStorage();
  const book = new AgentFactsBook(storage.kv);
  const now = 1_800_000_000_000;
  expect(book.takeLook(now)).toBe(true);
  expect(book.takeLook(now + 59_999)).toBe(false);
  const read = readRegistration({ name: 'Ada' }, agent);
  if (!read.ok) throw new Error(read.error);
  book.keep({ uri: 'data:,', checkedMs: now, registration: read.value });
  expect(book.takeLook(now + factsRefreshMs - 1)).toBe(false);
  expect(book.takeLook(now + factsRefreshMs)).toBe(true);
  const rows = storage.rowsWritten;
  book.keep({ uri: 'data:,', checkedMs: now + factsRefreshMs, registration: read.value });
  expect(storage.rowsWritten).toBe(rows);
  book.keep({ uri: 'data:,', checkedMs: now + 2 * factsRefreshMs, problem: 'gone' });
  expect(book.facts).toMatchObject({ problem: 'gone', registration: { name: 'Ada' } });
  expect(book.takeLook(now + 2 * factsRefreshMs + 5 * 60_000)).toBe(true);
  expect(new AgentFactsBook(storage.kv).facts).toMatchObject({
    problem: 'gone',
    registration: { name: 'Ada' },
  });
  book.keep({ uri: 'data:,other', checkedMs: now, problem: 'gone' });
  expect(book.facts).not.toHaveProperty('registration');
});

describe('on GET /v1/account', () => {
  let stack: Stack;
  beforeAll(async () => {
    stack = await startTestStack({
      agents: 1,
      chain: {
        tiers: [
          { name: 'anybody', requestsPerMinute: 100, tokensPerMinute: 1_000_000, concurrent: 16 },
          {
            name: 'known',
            requestsPerMinute: 777,
            tokensPerMinute: 1_000_000,
            concurrent: 16,
            registration: {
              active: true,
              namesThisAgent: true,
              services: ['A2A', 'MCP'],
              trust: ['reputation'],
            },
          },
        ],
      },
    });
  });
  afterAll(() => stack?.close());

  test('a rate tier takes them into account', async () => {
    const [local] = stack.agents;
    if (!local) throw new Error('the stack has an agent');
    const caller = rawAgent(stack, local);
    const owner = walletOf(stack.rpcUrl, stack.chainId, privateKeyToAccount(local.privateKey));
    const [, agentRegistry, agentId] = /^(.*):(\d+)$/.exec(caller.agentId) ?? [];
    const file = {
      name: 'Ada',
      services: [{ name: 'MCP', endpoint: 'https://ada.example' }],
      registrations: [{ agentId: Number(agentId), agentRegistry }],
      supportedTrust: ['reputation'],
    };
    const uri = `data:application/json,${encodeURIComponent(JSON.stringify(file))}`;
    await mined(
      stack.reader,
      await owner.writeContract({
        address: stack.identityRegistry,
        abi: identityRegistryAbi,
        functionName: 'setAgentURI',
        args: [BigInt(agentId ?? ''), uri],
      }),
    );
    const first = await caller.chat('before anything is known', {
      headers: await caller.payment(parseEther('5')),
    });
    expect([first.status, first.headers.get('x-ratelimit-limit-requests')]).toEqual([200, '100']);
    for (let tries = 0; tries < 50; tries += 1) {
      const { agentFacts } = (await (await caller.call('GET', '/v1/account')).json()) as {
        agentFacts: unknown;
      };
      if (agentFacts !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const then = await caller.chat('and after');
    expect([then.status, then.headers.get('x-ratelimit-limit-requests')]).toEqual([200, '777']);
  });

  async function factsOf(uri: string, byte: string) {
    const privateKey = `0x${byte.repeat(32)}` as const;
    const owner = walletOf(stack.rpcUrl, stack.chainId, privateKeyToAccount(privateKey));
    await fund(stack.reader, stack.deployer, owner.account.address, parseEther('1'));
    const agentId = await registerAgent(stack.reader, owner, stack.identityRegistry, uri);
    const caller = rawAgent(stack, { agentId: `${agentId}`, privateKey });
    for (let tries = 0; tries < 50; tries += 1) {
      const response = await caller.call('GET', '/v1/account');
      expect(response.status).toBe(200);
      const { agentFacts } = (await response.json()) as { agentFacts: Record<string, unknown> | null };
      if (agentFacts !== null) return agentFacts;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('no facts');
  }

  test('the file of a data: URI', async () => {
    const file = encodeURIComponent(
      JSON.stringify({ name: 'Ada', services: [{ name: 'MCP', endpoint: 'https://x' }] }),
    );
    const uri = `data:application/json,${file}`;
    expect(await factsOf(uri, '51')).toEqual({
      uri,
      checkedAt: expect.any(Number),
      problem: null,
      registration: expect.objectContaining({
        name: 'Ada',
        active: true,
        services: [{ name: 'MCP', endpoint: 'https://x', version: null }],
      }),
    });
  });

  test.each([
    ['the chain node itself', () => stack.rpcUrl, '52'],
    ['a private address', () => 'https://127.0.0.1/agent.json', '53'],
    ['a cloud’s metadata service', () => 'https://169.254.169.254/latest/meta-data', '54'],
    ['nothing', () => '', '55'],
  ])('%s is not read, and the owner is told', async (_, uri, byte) => {
    expect(await factsOf(uri(), byte)).toMatchObject({
      registration: null,
      problem: expect.stringMatching(/^agentURI is/),
    });
  });
});
