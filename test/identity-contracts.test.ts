// Contract accounts against the running Worker: deployed (ERC-1271), counterfactual (ERC-6492), delegated (EIP-7702), and a
// contract at the right address on the wrong chain.
import { randomUUID } from 'node:crypto';
import {
  type Address,
  concatHex,
  encodeAbiParameters,
  encodeFunctionData,
  type Hex,
  numberToHex,
  parseEther,
} from 'viem';
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mined } from '../contracts/deploy-contract.ts';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { identityRegistryAbi } from '../contracts-abi/generated/IdentityRegistry.ts';
import { smartAccountBytecode } from '../contracts-abi/generated/SmartAccount.bytecode.ts';
import { smartAccountAbi } from '../contracts-abi/generated/SmartAccount.ts';
import { smartAccountFactoryBytecode } from '../contracts-abi/generated/SmartAccountFactory.bytecode.ts';
import { smartAccountFactoryAbi } from '../contracts-abi/generated/SmartAccountFactory.ts';
import { type Anvil, startAnvil } from '../dev/anvil.ts';
import { type ChainClient, readerOf, type Wallet, walletOf } from '../dev/clients.ts';
import { deployRegistry, deployVault, fund, registerAgent } from '../dev/contracts.ts';
import type { Stack } from '../dev/stack.ts';
import { signRequest } from '../protocol/identity/sign-request.ts';
import { rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

const secondChainId = 31338;
const keyAccount = (byte: string): PrivateKeyAccount => privateKeyToAccount(`0x${byte.repeat(32)}`);
const lower = (address: Address): Address => address.toLowerCase() as Address;

/** A chain under the stack's gateway, with a registry and a vault. */
type Ground = {
  readonly chainId: number;
  readonly reader: ChainClient;
  readonly admin: Wallet;
  readonly registry: Address;
  readonly vault: Address;
  readonly url: string;
};

let stack: Stack;
let second: Anvil;
let first: Ground;
let other: Ground;
let chains: string;

beforeAll(async () => {
  stack = await startTestStack({ agents: 1 });
  first = {
    chainId: stack.chainId,
    reader: stack.reader,
    admin: stack.deployer,
    registry: stack.identityRegistry,
    vault: stack.vault,
    url: stack.rpcUrl,
  };
  // Prague: the first hardfork with EIP-7702.
  second = await startAnvil({ chainId: secondChainId, hardfork: 'prague' });
  const reader = readerOf(second.url, secondChainId);
  const admin = walletOf(second.url, secondChainId, stack.deployer.account);
  const registry = await deployRegistry(reader, admin);
  const vault = await deployVault(reader, admin, {
    registries: [registry],
    operator: stack.operator,
    payee: stack.payee,
    withdrawalDelay: 3600n,
    gatewayOrigin: stack.gatewayUrl,
  });
  other = { chainId: secondChainId, reader, admin, registry, vault, url: second.url };
  chains = chainsOf(first.url, other.url);
  await stack.restartGateway({ CHAINS: chains });
}, 120_000);
afterAll(async () => {
  await stack?.close();
  await second?.close();
});

const chainsOf = (firstUrl: string, otherUrl: string): string =>
  JSON.stringify(
    [
      { ...first, url: firstUrl },
      { ...other, url: otherUrl },
    ].map(({ chainId, vault, registry, url }) => ({
      chainId,
      rpcUrls: [url],
      vault,
      registries: [registry],
      depositDepth: 0,
      asset: { symbol: '0G', decimals: 18 },
    })),
  );

type Signing = {
  readonly ground: Ground;
  readonly agentId: bigint;
  /** What the keyid says. */
  readonly account: Address;
  /** What signs, and how its signature is dressed. */
  readonly key: PrivateKeyAccount;
  readonly dress?: (signature: Hex) => Hex;
  readonly keyidChain?: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
};

async function call(method: string, path: string, signing: Signing): Promise<Response> {
  const { ground, key, dress = (signature: Hex) => signature, body } = signing;
  const now = Math.floor(Date.now() / 1000);
  const headers = {
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...signing.headers,
  };
  const signed = await signRequest({
    request: {
      method,
      url: stack.gatewayUrl + path,
      headers: Object.entries(headers),
      body: body === undefined ? null : new TextEncoder().encode(body),
    },
    keyid: { chainId: signing.keyidChain ?? ground.chainId, address: signing.account },
    signMessage: async (raw) => dress(await key.signMessage({ message: { raw } })),
    agentId: `eip155:${ground.chainId}:${ground.registry}:${signing.agentId}`,
    nonce: randomUUID(),
    created: now,
    expires: now + 60,
  });
  return fetch(stack.gatewayUrl + path, {
    method,
    headers: { ...headers, ...signed.headers },
    ...(body === undefined ? {} : { body }),
  });
}

async function outcome(response: Response): Promise<string> {
  const text = await response.text();
  const reason = response.ok ? 'ok' : (JSON.parse(text) as { reason: string }).reason;
  return `${response.status} ${reason}`;
}

const account = async (signing: Signing): Promise<string> =>
  outcome(await call('GET', '/v1/account', signing));

async function deployed(
  ground: Ground,
  abi: readonly unknown[],
  bytecode: Hex,
  args: unknown[],
): Promise<Address> {
  const hash = await ground.admin.deployContract({ abi, bytecode, args });
  const { contractAddress } = await mined(ground.reader, hash);
  if (!contractAddress) throw new Error('nothing was deployed');
  return lower(contractAddress);
}

/** Has the smart account do something, sent by its key. */
async function execute(
  ground: Ground,
  key: PrivateKeyAccount,
  smart: Address,
  to: Address,
  data: Hex,
  value = 0n,
) {
  const wallet = walletOf(ground.url, ground.chainId, key);
  await fund(ground.reader, ground.admin, key.address, value + parseEther('1'));
  const hash = await wallet.writeContract({
    address: smart,
    abi: smartAccountAbi,
    functionName: 'execute',
    args: [to, value, data],
    value,
  });
  return mined(ground.reader, hash);
}

const nextAgentId = async (ground: Ground): Promise<bigint> => {
  for (let id = 0n; ; id += 1n) {
    const owner = await ground.reader
      .readContract({
        address: ground.registry,
        abi: identityRegistryAbi,
        functionName: 'ownerOf',
        args: [id],
      })
      .catch(() => undefined);
    if (owner === undefined) return id;
  }
};

describe('a deployed smart account (ERC-1271)', () => {
  const key = keyAccount('a1');
  const intruder = keyAccount('a2');
  let smart: Address;
  let agentId: bigint;
  const signing = (by: PrivateKeyAccount): Signing => ({ ground: first, agentId, account: smart, key: by });

  beforeAll(async () => {
    smart = await deployed(first, smartAccountAbi, smartAccountBytecode, [key.address]);
    agentId = await nextAgentId(first);
    const register = encodeFunctionData({
      abi: identityRegistryAbi,
      functionName: 'register',
      args: ['data:,'],
    });
    await execute(first, key, smart, first.registry, register);
    const spender = keyAccount('a3');
    const setSpender = encodeFunctionData({
      abi: agentVaultAbi,
      functionName: 'setSpender',
      args: [first.registry, agentId, spender.address],
    });
    await execute(first, key, smart, first.vault, setSpender);
    const amount = parseEther('1');
    const deposit = encodeFunctionData({
      abi: agentVaultAbi,
      functionName: 'deposit',
      args: [first.registry, agentId, amount],
    });
    await execute(first, key, smart, first.vault, deposit, amount);
  });

  test("is let in by its own code, and nobody else's key is", async () => {
    expect(await account(signing(key))).toBe('200 ok');
    expect(await account(signing(intruder))).toBe('401 bad_signature');
    // 65 bytes are not asked for: whatever the code accepts is a signature.
    expect(await account({ ...signing(key), dress: (s) => concatHex([s, '0x00']) })).toBe(
      '401 bad_signature',
    );
  });

  test('buys a completion, signed for by its code and paid by the spender it named', async () => {
    const paying = rawAgent(stack, { agentId: `${agentId}`, privateKey: `0x${'a3'.repeat(32)}` });
    const body = JSON.stringify({
      model: 'qwen-plus',
      max_tokens: 50,
      messages: [{ role: 'user', content: 'hello' }],
    });
    const response = await call('POST', '/v1/chat/completions', {
      ...signing(key),
      body,
      headers: await paying.payment(parseEther('1')),
    });
    expect(response.status, await response.clone().text()).toBe(200);
    expect(response.headers.get('tallystick-receipt')).not.toBeNull();
  });

  test("a contract that is neither the agent's wallet nor its owner is not even asked", async () => {
    const stranger = await deployed(first, smartAccountAbi, smartAccountBytecode, [intruder.address]);
    const dressed: Signing = {
      ...signing(intruder),
      account: stranger,
      dress: (s) => concatHex([s, '0x00']),
    };
    expect(await account(dressed)).toBe('401 principal_not_allowed');
    expect(await account({ ...dressed, dress: (s) => s })).toBe('401 bad_signature');
  });
});

describe('a counterfactual smart account (ERC-6492)', () => {
  const key = keyAccount('b1');
  const intruder = keyAccount('b2');
  const salt = numberToHex(7, { size: 32 });
  let factory: Address;
  let smart: Address;
  let agentId: bigint;

  const wrapped = (by: PrivateKeyAccount) => (signature: Hex) =>
    concatHex([
      encodeAbiParameters(
        [{ type: 'address' }, { type: 'bytes' }, { type: 'bytes' }],
        [
          factory,
          encodeFunctionData({
            abi: smartAccountFactoryAbi,
            functionName: 'create',
            args: [by.address, salt],
          }),
          signature,
        ],
      ),
      `0x${'6492'.repeat(16)}`,
    ]);
  const signing = (by: PrivateKeyAccount, dress?: (signature: Hex) => Hex): Signing => ({
    ground: first,
    agentId,
    account: smart,
    key: by,
    ...(dress === undefined ? {} : { dress }),
  });

  beforeAll(async () => {
    factory = await deployed(first, smartAccountFactoryAbi, smartAccountFactoryBytecode, []);
    smart = lower(
      await first.reader.readContract({
        address: factory,
        abi: smartAccountFactoryAbi,
        functionName: 'addressOf',
        args: [key.address, salt],
      }),
    );
    agentId = await registerAgent(first.reader, first.admin, first.registry, 'data:,');
    const transfer = await first.admin.writeContract({
      address: first.registry,
      abi: identityRegistryAbi,
      functionName: 'transferFrom',
      args: [first.admin.account.address, smart, agentId],
    });
    await mined(first.reader, transfer);
  });

  test('is let in before it exists, and only for its own key', async () => {
    expect(await first.reader.getCode({ address: smart })).toBeUndefined();
    expect(await account(signing(key, wrapped(key)))).toBe('200 ok');
    expect(await account(signing(intruder, wrapped(key)))).toBe('401 bad_signature');
    // The intruder's own account, deployed by the same factory, is at another address.
    expect(await account(signing(intruder, wrapped(intruder)))).toBe('401 bad_signature');
    expect(await account(signing(key))).toBe('401 bad_signature');
    expect(await first.reader.getCode({ address: smart })).toBeUndefined();
  });

  test('is let in without the wrapper once it is deployed', async () => {
    const create = await first.admin.writeContract({
      address: factory,
      abi: smartAccountFactoryAbi,
      functionName: 'create',
      args: [key.address, salt],
    });
    await mined(first.reader, create);
    // What was read of the account may be 60 s old; a new isolate has read nothing.
    await stack.restartGateway({ CHAINS: chains });
    expect(await account(signing(key))).toBe('200 ok');
    expect(await account(signing(key, wrapped(key)))).toBe('200 ok');
    expect(await account(signing(intruder, wrapped(key)))).toBe('401 bad_signature');
  });
});

test('an EOA that has delegated (EIP-7702) speaks by its code, and its own key no longer does', async () => {
  const eoa = keyAccount('c1');
  const delegateKey = keyAccount('c2');
  await fund(other.reader, other.admin, eoa.address);
  const wallet = walletOf(other.url, other.chainId, eoa);
  const agentId = await registerAgent(other.reader, wallet, other.registry, 'data:,');
  const signing = (key: PrivateKeyAccount): Signing => ({
    ground: other,
    agentId,
    account: lower(eoa.address),
    key,
  });
  expect(await account(signing(eoa))).toBe('200 ok');
  expect(await account(signing(delegateKey))).toBe('401 bad_signature');

  const delegate = await deployed(other, smartAccountAbi, smartAccountBytecode, [delegateKey.address]);
  const authorization = await wallet.signAuthorization({
    account: eoa,
    contractAddress: delegate,
    executor: 'self',
  });
  await mined(
    other.reader,
    await wallet.sendTransaction({ to: other.admin.account.address, authorizationList: [authorization] }),
  );
  expect(await other.reader.getCode({ address: eoa.address })).toBe(concatHex(['0xef0100', delegate]));
  await stack.restartGateway({ CHAINS: chains });
  expect(await account(signing(eoa))).toBe('401 bad_signature');
  expect(await account(signing(delegateKey))).toBe('200 ok');
});

describe('a contract at the agent wallet’s address on a second chain', () => {
  // Says yes to everything: PUSH4 magic, shifted to the word's head, returned.
  const yes: Hex = '0x631626ba7e60e01b5f5260205ff3';
  const eoa = keyAccount('d1');
  const thief = keyAccount('d2');
  let agentId: bigint;
  let elsewhere: bigint;

  beforeAll(async () => {
    await fund(first.reader, first.admin, eoa.address);
    const wallet = walletOf(first.url, first.chainId, eoa);
    agentId = await registerAgent(first.reader, wallet, first.registry, 'data:,');
    elsewhere = await registerAgent(other.reader, other.admin, other.registry, 'data:,');
    await other.reader.request({
      method: 'anvil_setCode' as 'eth_call',
      params: [eoa.address, yes] as never,
    });
  });

  const theft = (over: Partial<Signing>): Signing => ({
    ground: first,
    agentId,
    account: lower(eoa.address),
    key: thief,
    ...over,
  });

  test.each([
    ['an ECDSA shape', (s: Hex) => s],
    ['another shape', (s: Hex) => concatHex([s, '0x00'])],
  ])('does not get in with %s', async (_, dress) => {
    expect(await account(theft({ dress, keyidChain: other.chainId }))).toBe('401 principal_not_allowed');
    // On the agent's own chain there is no code at the address, so that only its key counts.
    expect(await account(theft({ dress }))).toBe('401 bad_signature');
    // An agent of the second chain is another agent: its owner is not this contract.
    expect(await account(theft({ dress, ground: other, agentId: elsewhere }))).toMatch(
      /^401 (bad_signature|principal_not_allowed)$/,
    );
  });

  test('the contract does say yes, where it is asked for its own agent', async () => {
    const mine = await registerAgent(other.reader, other.admin, other.registry, 'data:,');
    await mined(
      other.reader,
      await other.admin.writeContract({
        address: other.registry,
        abi: identityRegistryAbi,
        functionName: 'transferFrom',
        args: [other.admin.account.address, eoa.address, mine],
      }),
    );
    expect(await account(theft({ ground: other, agentId: mine }))).toBe('200 ok');
  });
});

test('where only keys may sign, an account with code and an ERC-6492 wrapper are told so', async () => {
  const key = keyAccount('f1');
  const smart = await deployed(first, smartAccountAbi, smartAccountBytecode, [key.address]);
  const agentId = await registerAgent(first.reader, first.admin, first.registry, 'data:,');
  const transfer = await first.admin.writeContract({
    address: first.registry,
    abi: identityRegistryAbi,
    functionName: 'transferFrom',
    args: [first.admin.account.address, smart, agentId],
  });
  await mined(first.reader, transfer);
  await stack.restartGateway({ CHAINS: chains, ACCOUNT_VERIFICATION: 'eoa-only' });
  try {
    const signing: Signing = { ground: first, agentId, account: smart, key };
    for (const dress of [
      (signature: Hex) => signature,
      (signature: Hex) => concatHex([signature, `0x${'6492'.repeat(16)}`]),
    ]) {
      const refused = await call('GET', '/v1/account', { ...signing, dress });
      expect(refused.headers.get('www-authenticate')).toMatch(
        /error="unsupported_account".*account="eoa-only"/,
      );
      expect(await outcome(refused)).toBe('401 unsupported_account');
    }
    const [agent] = stack.agents;
    if (!agent) throw new Error('the stack has an agent');
    expect(await outcome(await rawAgent(stack, agent).call('GET', '/v1/account'))).toBe('200 ok');
    const discovery = await fetch(`${stack.gatewayUrl}/.well-known/erc8128`);
    expect(await discovery.json()).toMatchObject({ account_verification: 'eoa-only' });
  } finally {
    await stack.restartGateway({ CHAINS: chains });
  }
});

test('a chain that cannot be asked is 503 with Retry-After, never a verdict', async () => {
  const smart = await deployed(first, smartAccountAbi, smartAccountBytecode, [keyAccount('e1').address]);
  await stack.restartGateway({ CHAINS: chainsOf('http://127.0.0.1:9', other.url) });
  try {
    const dress = (signature: Hex) => concatHex([signature, '0x00']);
    const signing: Signing = { ground: first, agentId: 0n, account: smart, key: keyAccount('e1') };
    const contract = await call('GET', '/v1/account', { ...signing, dress });
    expect(contract.headers.get('retry-after')).toBe('2');
    expect(contract.headers.get('www-authenticate')).toBeNull();
    expect(await outcome(contract)).toBe('503 signature_verification_unavailable');
    const [agent] = stack.agents;
    if (!agent) throw new Error('the stack has an agent');
    const eoa = await rawAgent(stack, agent).call('GET', '/v1/account');
    expect(eoa.headers.get('retry-after')).toBe('2');
    expect(await outcome(eoa)).toBe('503 chain_unavailable');
  } finally {
    await stack.restartGateway({ CHAINS: chains });
  }
});
