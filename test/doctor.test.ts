// `tallystick doctor --operator` against deployments that are broken in one way each, and one that is not: it has to name the
// fault and no other. Real workerd and chain, but for the four faults that cannot be had of them.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Address, createTestClient, http, parseEther } from 'viem';
import { generatePrivateKey } from 'viem/accounts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deploymentFindings, type Finding, type Gathered } from '../client/cli/deployment-findings.ts';
import { examineDeployment, gatherDeployment } from '../client/cli/doctor-deployment.ts';
import { Settings } from '../client/cli/settings.ts';
import { mined } from '../contracts/deploy-contract.ts';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { deployVault } from '../dev/contracts.ts';
import type { Stack } from '../dev/stack.ts';
import { startTestStack } from './test-stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startTestStack({ agents: 0, vars: { PUBLISH_EVERY_SECONDS: '5' } });
});
afterAll(() => stack?.close());

async function findings(gateway = stack.gatewayUrl): Promise<readonly Finding[]> {
  process.env['TALLYSTICK_OPERATOR_TOKEN'] = stack.operatorToken;
  return examineDeployment(new Settings({ gateway, rpc: stack.rpcUrl }));
}

/** The faults found, by name; each says what to do. */
async function faults(gateway?: string): Promise<Record<string, string>> {
  const wrong = (await findings(gateway)).filter(({ ok }) => !ok);
  return Object.fromEntries(wrong.map(({ name, detail }) => [name, detail]));
}

const chainId = 31337;
const nobody: Address = '0x00000000000000000000000000000000000000aa';
/** CHAINS with one member another. */
const chains = (change: Record<string, unknown>): Record<string, string> => ({
  CHAINS: JSON.stringify(stack.chains.map((chain) => ({ ...chain, ...change }))),
});

test('finds nothing wrong with what is right', async () => {
  expect(await faults()).toEqual({});
  const names = (await findings()).map(({ name }) => name);
  for (const name of [
    'clock',
    'url normalisation',
    'bindings',
    'secrets',
    'configuration',
    'origin',
    'da',
    'log',
  ])
    expect(names).toContain(name);
});

const settings: readonly [
  string,
  () => Record<string, string> | Promise<Record<string, string>>,
  Record<string, RegExp>,
][] = [
  [
    'a secret that is missing',
    () => ({ RECEIPT_KEY: '' }),
    { secrets: /RECEIPT_KEY is missing.*wrangler secret put/ },
  ],
  ['a secret that is no key', () => ({ HEAD_KEY: '0x12' }), { secrets: /HEAD_KEY is malformed/ }],
  [
    'earlier keys that do not read',
    () => ({ RECEIPT_KEYS_BEFORE: '[{"until": 1}]' }),
    { secrets: /RECEIPT_KEYS_BEFORE is malformed.*wrangler secret put/ },
  ],
  [
    'gas above what the operator will pay',
    () => chains({ maxFeePerGas: '1000' }),
    { [`gas ${chainId}`]: /more than maxFeePerGas.*CHAINS/ },
  ],
  [
    'variables that contradict each other',
    () => ({ MERGE_DELAY_SECONDS: '3' }),
    { configuration: /MERGE_DELAY_SECONDS must be at least twice/ },
  ],
  [
    'a node of another chain',
    () => ({ ...chains({ chainId: 31338 }), HOME_CHAIN_ID: '31338' }),
    {
      'nodes 31338': /is of chain 31337.*rpcUrls/,
      'balance 31338': /see the nodes/,
      'vault 31338': /could not be asked/,
      anchor: /could not be asked/,
      da: /wrong_chain/,
    },
  ],
  [
    'a node that is not there',
    () => chains({ rpcUrls: [stack.rpcUrl, 'http://127.0.0.1:9'] }),
    { [`nodes ${chainId}`]: /127\.0\.0\.1:9 does not answer/ },
  ],
  [
    'a vault that is not there',
    () => chains({ vault: nobody }),
    { [`vault ${chainId}`]: /no code.*deploy:contracts/ },
  ],
  [
    'a vault of another gateway',
    async () =>
      chains({
        vault: await deployVault(stack.reader, stack.deployer, {
          registries: [stack.identityRegistry],
          operator: stack.operator,
          payee: stack.payee,
          withdrawalDelay: 3600n,
          gatewayOrigin: 'https://staging.example',
        }),
      }),
    { [`vault origin ${chainId}`]: /belongs to https:\/\/staging\.example/ },
  ],
  [
    'a withdrawal delay shorter than a claim may need',
    () => chains({ settleMarginSeconds: 3600 }),
    { [`withdrawal delay ${chainId}`]: /3600 s, and a claim may need 4320 s/ },
  ],
  [
    'a registry the vault does not serve',
    () => chains({ registries: [stack.identityRegistry, stack.flow] }),
    { [`registries ${chainId}`]: /not one the vault serves/ },
  ],
  [
    'a registry that is not there',
    () => chains({ registries: [nobody] }),
    { [`registries ${chainId}`]: /no code/ },
  ],
  [
    'another transaction key',
    () => ({ OPERATOR_KEY: generatePrivateKey() }),
    {
      [`balance ${chainId}`]: /has 0 .*Send it some/,
      [`vault operator ${chainId}`]: /claims will revert.*setOperator/,
      log: /its sender is.*setSender/,
    },
  ],
  ['another head key', () => ({ HEAD_KEY: generatePrivateKey() }), { log: /its head key is.*setHeadKey/ }],
  [
    'a receipt key nobody registered',
    () => ({ RECEIPT_KEY: generatePrivateKey() }),
    { log: /addReceiptKey/ },
  ],
  ['an anchor that is not there', () => ({ ANCHOR: nobody }), { anchor: /no code.*ANCHOR/ }],
  [
    'a log nobody opened',
    () => ({ LOG_ORIGIN: 'other.example/log' }),
    { log: /No log 0x.* is open.*LOG_ORIGIN/ },
  ],
  [
    'a storage node that is not there',
    () => ({ ZERO_G_STORAGE_URL: 'http://127.0.0.1:9' }),
    { da: /ZERO_G_STORAGE_URL/ },
  ],
  ['a Flow that is not there', () => ({ ZERO_G_FLOW: nobody }), { da: /no code.*ZERO_G_FLOW/ }],
  [
    'a key that upstream refuses',
    () => ({ QWEN_API_KEY: 'sk-wrong' }),
    { 'upstream qwen-stand-in': /refuses the key \(401\)/ },
  ],
  [
    'an origin that is not where it is reached',
    () => ({ PUBLIC_ORIGIN: 'https://elsewhere.example' }),
    { origin: /PUBLIC_ORIGIN/, [`vault origin ${chainId}`]: /this gateway is https:\/\/elsewhere\.example/ },
  ],
];

/** Each takes a start of workerd: the near-twins of others are left to the long run. */
const twins = [
  'a secret that is no key',
  'a registry that is not there',
  'another head key',
  'a log nobody opened',
  'a Flow that is not there',
  'a node that is not there',
  'a vault that is not there',
  'an anchor that is not there',
  'a storage node that is not there',
];
const asked = settings.filter(([name]) => process.env['LONG'] || !twins.includes(name));

test.each(asked)('names %s', async (_, change, expected) => {
  await stack.restartGateway(await change());
  const found = await faults();
  expect(Object.keys(found).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, words] of Object.entries(expected)) expect(found[name]).toMatch(words);
});

test('names a missing operator token, and what to set', async () => {
  await stack.restartGateway({ OPERATOR_TOKEN: 'short' });
  await expect(faults()).rejects.toThrow(/wrangler secret put OPERATOR_TOKEN/);
  await stack.restartGateway();
});

test('names what is wrong on chain: a paused vault, an operator without gas money', async () => {
  const call = async (functionName: 'pause' | 'unpause') =>
    mined(
      stack.reader,
      await stack.deployer.writeContract({ address: stack.vault, abi: agentVaultAbi, functionName }),
    );
  await call('pause');
  expect(await faults()).toEqual({ [`vault open ${chainId}`]: expect.stringMatching(/unpause/) });
  await call('unpause');
  const chain = createTestClient({ mode: 'anvil', transport: http(stack.rpcUrl) });
  await chain.setBalance({ address: stack.operator, value: 1_000_000_000n });
  expect(await faults()).toEqual({ [`balance ${chainId}`]: expect.stringMatching(/Send it some/) });
  await chain.setBalance({ address: stack.operator, value: parseEther('100') });
});

test('names a zone that normalises URLs', async () => {
  const server: Server = createServer(async (request, response) => {
    const url = new URL((request.url ?? '/').replace(/\/\/+/g, '/').replaceAll('%7E', '~'), stack.gatewayUrl);
    const answer = await fetch(url, { headers: { authorization: request.headers.authorization ?? '' } });
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    const found = await faults(`http://127.0.0.1:${port}`);
    expect(found['url normalisation']).toMatch(/Switch URL normalisation off/);
  } finally {
    server.close();
  }
});

test('names a clock that is wrong, a binding that was not repeated, a stale node, keys that are one', async () => {
  const gathered = await gatherDeployment(new Settings({ gateway: stack.gatewayUrl, rpc: stack.rpcUrl }));
  const wrong = (change: (right: Gathered) => Gathered): string[] =>
    deploymentFindings(change(gathered)).flatMap(({ ok, name }) => (ok ? [] : [name]));
  expect(wrong((right) => right)).toEqual([]);
  expect(wrong((right) => ({ ...right, askedMs: right.askedMs - 60_000 }))).toEqual(['clock']);
  const facts = (change: (right: Gathered['facts']) => Gathered['facts']) =>
    wrong((right) => ({ ...right, facts: change(right.facts) }));
  expect(facts((right) => ({ ...right, bindings: { ...right.bindings, COUNTERS: false } }))).toEqual([
    'bindings',
  ]);
  expect(facts((right) => ({ ...right, bindings: { ...right.bindings, RECEIPT_ARCHIVE: false } }))).toEqual(
    [],
  );
  const deployed = (change: object) =>
    facts((right) => ({ ...right, deployed: right.deployed && { ...right.deployed, ...change } }));
  const [chain] = gathered.facts.deployed?.chains ?? [];
  const [node] = chain?.nodes ?? [];
  if (!chain || !node) throw new Error('no chain');
  const stale = { ...node, blockTime: (node.blockTime ?? 0) - 120 };
  expect(deployed({ chains: [{ ...chain, nodes: [stale] }] })).toEqual([`nodes ${chainId}`]);
  const { headKey } = gathered.facts.deployed ?? {};
  expect(deployed({ receiptKey: headKey })).toEqual(['keys apart']);
  expect(deployed({ chains: [chain, chain] })).toEqual(['one vault a chain']);
});
