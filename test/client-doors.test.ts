// Whatever wallet an agent has, and whatever way in it takes: a paid call on the real gateway, its receipt checked.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { x402Client } from '@x402/core/client';
import { decodePaymentResponseHeader, wrapFetchWithPayment } from '@x402/fetch';
import { generateText } from 'ai';
import { type Address, createWalletClient, encodeFunctionData, type Hex, http, parseEther } from 'viem';
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AgentFetch, type AgentFetchOptions, createAgentFetch } from '../client/agent-fetch.ts';
import { createTallystick } from '../client/ai-sdk.ts';
import type { ReceiptProblem } from '../client/receipt-desk.ts';
import { createSigningFetch } from '../client/signing-fetch.ts';
import {
  fromAgentKit,
  fromKeystore,
  fromOpenWallet,
  fromPrivateKey,
  fromWalletClient,
} from '../client/wallets.ts';
import { agentVaultScheme } from '../client/x402-scheme.ts';
import { mined } from '../contracts/deploy-contract.ts';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { identityRegistryAbi } from '../contracts-abi/generated/IdentityRegistry.ts';
import { smartAccountBytecode } from '../contracts-abi/generated/SmartAccount.bytecode.ts';
import { smartAccountAbi } from '../contracts-abi/generated/SmartAccount.ts';
import { walletOf } from '../dev/clients.ts';
import { depositFor, fund } from '../dev/contracts.ts';
import type { Stack } from '../dev/stack.ts';
import { startTestStack } from './test-stack.ts';

let stack: Stack;
let key: Hex;
let account: PrivateKeyAccount;
let agent: string;
const problems: ReceiptProblem[] = [];

beforeAll(async () => {
  stack = await startTestStack({ agents: 1 });
  const [first] = stack.agents;
  if (!first) throw new Error('no agent');
  key = first.privateKey;
  account = privateKeyToAccount(key);
  agent = agentOf(first.agentId);
});
afterAll(() => stack?.close());

const agentOf = (agentId: string): string => `eip155:${stack.chainId}:${stack.identityRegistry}:${agentId}`;

const fetchOf = (options: Pick<AgentFetchOptions, 'wallet'> & Partial<AgentFetchOptions>): AgentFetch =>
  createAgentFetch({
    agent,
    gateway: stack.gatewayUrl,
    rpcUrl: stack.rpcUrl,
    strict: true,
    onProblem: (problem) => problems.push(problem),
    ...options,
  });

let asked = 0;
/** A paid call, to its end; its receipt has been checked then. */
async function paid(agentFetch: AgentFetch): Promise<void> {
  asked += 1;
  const response = await agentFetch(`${stack.gatewayUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'qwen-flash',
      messages: [{ role: 'user', content: `What is ${asked}*7?` }],
    }),
  });
  expect(await response.text()).toContain(`${asked * 7}`);
  expect(response.status).toBe(200);
  expect(agentFetch.lastReceipt?.responseChecked).toBe(true);
  expect(problems).toEqual([]);
}

describe('wallets', () => {
  test('a raw key', () => paid(fetchOf({ wallet: fromPrivateKey(key) })));

  test("a viem WalletClient, which signs by its account's address", async () => {
    const client = createWalletClient({ account, transport: http(stack.rpcUrl) });
    await paid(fetchOf({ wallet: fromWalletClient(client) }));
  });

  test('a WalletClient whose node holds the key', async () => {
    // As a browser's wallet or a remote signer: it is asked by JSON-RPC, and has nothing but an address here.
    const remote = {
      account: { address: account.address },
      signMessage: ({ message }: { account: Address; message: { raw: Uint8Array } }) =>
        account.signMessage({ message }),
      signTypedData: (typed: Parameters<PrivateKeyAccount['signTypedData']>[0]) =>
        account.signTypedData(typed),
    };
    await paid(fetchOf({ wallet: fromWalletClient(remote as never) }));
  });

  test('a keystore file, as geth and foundry write them', async () => {
    // Encrypted here by the format's own definition, with Node's primitives and not with ours.
    const { createCipheriv, pbkdf2Sync, randomBytes } = await import('node:crypto');
    const { keccak256 } = await import('viem');
    const [salt, iv] = [randomBytes(32), randomBytes(16)];
    const derived = pbkdf2Sync('correct horse', salt, 10_000, 32, 'sha256');
    const cipher = createCipheriv('aes-128-ctr', derived.subarray(0, 16), iv);
    const secret = Buffer.concat([cipher.update(Buffer.from(key.slice(2), 'hex')), cipher.final()]);
    const file = {
      version: 3,
      crypto: {
        cipher: 'aes-128-ctr',
        ciphertext: secret.toString('hex'),
        cipherparams: { iv: iv.toString('hex') },
        kdf: 'pbkdf2',
        kdfparams: { c: 10_000, dklen: 32, prf: 'hmac-sha256', salt: salt.toString('hex') },
        mac: keccak256(Buffer.concat([derived.subarray(16), secret])).slice(2),
      },
    };
    await paid(fetchOf({ wallet: await fromKeystore(JSON.stringify(file), 'correct horse') }));
    await expect(fromKeystore(JSON.stringify(file), 'wrong')).rejects.toThrow(/password/);
  });

  // AgentKit is 1.3 GB, so these are stand-ins with its providers' interface, one for each way they take bytes.
  test.each([
    [
      'takes bytes (its viem provider)',
      (message: unknown) => account.signMessage({ message: { raw: message as Uint8Array } }),
    ],
    [
      'hands them to a library that takes another form (its CDP provider)',
      (message: unknown) => account.signMessage({ message: message as string }),
    ],
  ])('an AgentKit provider that %s', async (_, signMessage) => {
    const provider = {
      getAddress: () => account.address,
      sign: (hash: Hex) => account.sign({ hash }),
      signMessage,
      signTypedData: (typed: Parameters<PrivateKeyAccount['signTypedData']>[0]) =>
        account.signTypedData(typed),
    };
    const agentFetch = fetchOf({ wallet: fromAgentKit(provider as never) });
    await paid(agentFetch);
    await paid(agentFetch);
  });

  test('an AgentKit provider whose signatures are somebody else’s says so', async () => {
    const other = privateKeyToAccount(`0x${'77'.repeat(32)}`);
    const provider = {
      getAddress: () => account.address,
      sign: (hash: Hex) => other.sign({ hash }),
      signMessage: (message: string | Uint8Array) =>
        other.signMessage({ message: { raw: message as Uint8Array } }),
      signTypedData: () => Promise.reject(new Error('not reached')),
    };
    await expect(paid(fetchOf({ wallet: fromAgentKit(provider) }))).rejects.toThrow(/no signature/);
  });

  test('an Open Wallet Standard wallet', async () => {
    // A stand-in with the package's synchronous interface: hex in, hex without 0x out.
    const ows = {
      getWallet: () => ({
        accounts: [
          { chainId: 'solana:x', address: 'so1' },
          { chainId: 'eip155:1', address: account.address },
        ],
      }),
      signMessage: (_: string, chain: string, message: string, pass?: string, encoding?: string) => {
        expect([chain, pass, encoding]).toEqual(['ethereum', 'pass', 'hex']);
        return { signature: signNow(hashMessage({ raw: `0x${message}` })) };
      },
      signTypedData: (_: string, __: string, json: string) => {
        const typed = JSON.parse(json) as Parameters<typeof hashTypedData>[0];
        return { signature: signNow(hashTypedData(typed)) };
      },
    };
    const { hashMessage, hashTypedData } = await import('viem');
    const { signDigest } = await import('../protocol/ecdsa.ts');
    const signNow = (hash: Hex) => signDigest(hash, key).slice(2);
    await paid(fetchOf({ wallet: fromOpenWallet(ows, 'my-agent', 'pass') }));
  });

  test('a smart account (ERC-1271), whose spender is a key', async () => {
    const owner = walletOf(stack.rpcUrl, stack.chainId, privateKeyToAccount(`0x${'a1'.repeat(32)}`));
    const spender = privateKeyToAccount(`0x${'a2'.repeat(32)}`);
    await fund(stack.reader, stack.deployer, owner.account.address);
    const deployed = await mined(
      stack.reader,
      await owner.deployContract({
        abi: smartAccountAbi,
        bytecode: smartAccountBytecode,
        args: [owner.account.address],
      }),
    );
    const smart = (deployed.contractAddress ?? '0x').toLowerCase() as Address;
    const execute = async (to: Address, data: Hex) =>
      mined(
        stack.reader,
        await owner.writeContract({
          address: smart,
          abi: smartAccountAbi,
          functionName: 'execute',
          args: [to, 0n, data],
        }),
      );
    const { identityRegistry: registry, vault } = stack;
    await execute(
      registry,
      encodeFunctionData({ abi: identityRegistryAbi, functionName: 'register', args: ['data:,'] }),
    );
    const agentId = BigInt(stack.agents.length);
    await execute(
      vault,
      encodeFunctionData({
        abi: agentVaultAbi,
        functionName: 'setSpender',
        args: [registry, agentId, spender.address],
      }),
    );
    await depositFor(stack.reader, owner, { registry, vault }, agentId, parseEther('2'));
    // viem's smart accounts have this shape: the contract's address, and signatures the contract accepts.
    const wallet = {
      address: smart,
      signMessage: ({ message }: { message: { raw: Uint8Array } }) =>
        owner.account.signMessage?.({ message }),
      signTypedData: () => Promise.reject(new Error('vouchers are the spender’s')),
    };
    await paid(fetchOf({ wallet: wallet as never, spender, agent: agentOf(`${agentId}`) }));
  });
});

describe('ways in', () => {
  test('the Vercel AI SDK’s provider', async () => {
    const agentFetch = fetchOf({ wallet: account });
    const tallystick = createTallystick({ agentFetch });
    const { text } = await generateText({ model: tallystick('qwen-plus'), prompt: 'What is 70*7?' });
    expect(text).toContain('490');
    await agentFetch.settled();
    expect(agentFetch.receipts).toHaveLength(1);
  });

  test('MCP: tools that cost are paid and their receipts checked, the others are not and have none', async () => {
    const agentFetch = fetchOf({ wallet: account });
    const client = new Client({ name: 'test', version: '1' });
    const transport = new StreamableHTTPClientTransport(new URL(`${stack.gatewayUrl}/mcp`), {
      fetch: agentFetch,
    });
    await client.connect(transport as Parameters<Client['connect']>[0]);
    try {
      expect((await client.listTools()).tools.map(({ name }) => name)).toContain('chat');
      await client.callTool({ name: 'balance', arguments: {} });
      const ask = (content: string, model = 'qwen-flash') =>
        client.callTool({ name: 'chat', arguments: { model, messages: [{ role: 'user', content }] } });
      expect(await ask('x', 'no-such-model')).toMatchObject({ isError: true });
      expect(agentFetch.receipts).toHaveLength(0);
      expect((await ask('What is 71*7?')).content).toEqual([{ type: 'text', text: '71 * 7 = 497.' }]);
      await agentFetch.settled();
      expect(agentFetch.lastReceipt?.responseChecked).toBe(true);
      expect(await agentFetch.reconcile()).toBe(0);
      expect(problems).toEqual([]);
    } finally {
      await client.close();
    }
  });

  test('a stock x402 client over createSigningFetch, which signs and leaves the paying to it', async () => {
    const network = `eip155:${stack.chainId}` as const;
    const [first] = stack.agents;
    const payer = x402Client
      .fromConfig({
        schemes: [],
        spendControls: { allowedAssets: [{ network, asset: `0x${'00'.repeat(20)}` }] },
      })
      .register(
        network,
        agentVaultScheme({
          account: {
            chainId: stack.chainId,
            vault: stack.vault,
            registry: stack.identityRegistry,
            agentId: BigInt(first?.agentId ?? 0),
          },
          signer: account,
          total: parseEther('5'),
        }),
      );
    const seen: string[] = [];
    const signing = createSigningFetch({
      wallet: account,
      agent,
      gateway: stack.gatewayUrl,
      fetch: (input, init) => {
        seen.push(new Headers(init?.headers).has('signature') ? 'signed' : 'bare');
        return fetch(input, init);
      },
    });
    const response = await wrapFetchWithPayment(signing, payer)(`${stack.gatewayUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'qwen-plus', messages: [{ role: 'user', content: 'What is 72*7?' }] }),
    });
    expect(await response.text()).toContain('504');
    expect(new Set(seen)).toEqual(new Set(['signed']));
    const header = response.headers.get('payment-response');
    if (header !== null) expect(decodePaymentResponseHeader(header).success).toBe(true);
    // Elsewhere nothing is signed.
    await signing(stack.rpcUrl, { method: 'POST', body: '{}' }).catch(() => undefined);
    expect(seen.at(-1)).toBe('bare');
  });
});
