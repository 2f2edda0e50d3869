// `npm run deploy:contracts` as an operator runs it, on a chain of the test's own.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Address, createTestClient, http, parseEther, toHex } from 'viem';
import { generatePrivateKey, mnemonicToAccount, privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DeploymentRecord } from '../contracts-abi/deployment-record.ts';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { operatorBondAbi } from '../contracts-abi/generated/OperatorBond.ts';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';
import { type Anvil, startAnvil } from '../dev/anvil.ts';
import { type ChainClient, readerOf, walletOf } from '../dev/clients.ts';
import { deployRegistry, fund } from '../dev/contracts.ts';

const rich = mnemonicToAccount('test test test test test test test test test test test junk');
const key = generatePrivateKey();
const deployer = privateKeyToAccount(key);
const address = (digit: string): Address => `0x${digit.repeat(40)}`;

let anvil: Anvil;
let reader: ChainClient;
let registry: Address;
let out: string;
beforeAll(async () => {
  anvil = await startAnvil({ chainId: 31337, hardfork: 'cancun' });
  reader = readerOf(anvil.url, 31337);
  const wallet = walletOf(anvil.url, 31337, rich);
  registry = await deployRegistry(reader, wallet);
  await fund(reader, wallet, deployer.address, parseEther('1'));
  out = mkdtempSync(path.join(tmpdir(), 'tallystick-deployments-'));
});
afterAll(async () => {
  await anvil?.close();
  if (out) rmSync(out, { recursive: true, force: true });
});

const standard = (): Record<string, string> => ({
  network: 'local',
  rpc: anvil.url,
  registry,
  origin: 'https://gateway.example',
  operator: address('1'),
  payee: address('2'),
  'head-key': address('3'),
  'receipt-key': address('4'),
  'bond-penalty': '1',
  'bond-challenge': '0.1',
  out,
});

type Outcome = { readonly code: number; readonly output: string };

function run(
  options: Record<string, string>,
  flags: readonly string[] = [],
  environment: Record<string, string> = { TALLYSTICK_KEY: key },
): Promise<Outcome> {
  const args = [...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]), ...flags];
  const { TALLYSTICK_KEY: _, ...env } = process.env;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['contracts/deploy.ts', ...args],
      { cwd: path.resolve(import.meta.dirname, '..'), env: { ...env, ...environment } },
      (error, stdout, stderr) =>
        resolve({
          code: typeof error?.code === 'number' ? error.code : error ? 1 : 0,
          output: stdout + stderr,
        }),
    );
  });
}

const recorded = (): DeploymentRecord =>
  JSON.parse(readFileSync(path.join(out, 'deployments/31337.json'), 'utf8')) as DeploymentRecord;
const sent = (): Promise<number> => reader.getTransactionCount({ address: deployer.address });

test('says first, sends when told, and repeats itself without harm', { timeout: 60_000 }, async () => {
  // Said without a key: an address is enough.
  const plan = await run({ ...standard(), deployer: deployer.address }, [], {});
  expect(plan).toMatchObject({ code: 0 });
  expect(plan.output).toContain('Nothing was sent');
  expect(plan.output).toContain('gatewayOrigin: https://gateway.example');
  expect(plan.output).toContain('withdrawalDelay: 3600');
  const predicted = [...plan.output.matchAll(/deploy (\w+) at (0x[0-9a-f]{40}), gas (\d+)/g)].map(
    ([, name, at, gas]) => ({ name, at, gas: Number(gas) }),
  );
  expect(predicted.map(({ name }) => name)).toEqual(['AgentVault', 'ReceiptAnchor', 'OperatorBond']);
  expect(await sent()).toBe(0);
  expect(existsSync(path.join(out, 'deployments'))).toBe(false);

  const done = await run(standard(), ['--broadcast']);
  expect(done).toMatchObject({ code: 0 });
  expect(done.output).not.toContain(key.slice(2));
  const { vault, anchor, log, bond } = recorded();
  if (!vault || !anchor || !log || !bond) throw new Error('the record is not complete');
  expect([vault, anchor, bond].map((one) => one.address)).toEqual(predicted.map(({ at }) => at));
  const transactions = [vault, anchor, bond, log].map(({ transaction }) => transaction);
  const used = await Promise.all(transactions.map((hash) => reader.getTransactionReceipt({ hash })));
  // What was said about gas holds, constants included: never less than is used, and within a fifth of it.
  const openLog = Number(/open log .* gas about (\d+)/.exec(plan.output)?.[1]);
  for (const [at, { gasUsed }] of used.entries()) {
    const saidGas = predicted[at]?.gas ?? openLog;
    expect(saidGas).toBeGreaterThanOrEqual(Number(gasUsed));
    expect(saidGas).toBeLessThan(Number(gasUsed) * 1.2);
  }
  expect(
    await reader.readContract({ address: vault.address, abi: agentVaultAbi, functionName: 'gatewayOrigin' }),
  ).toBe('https://gateway.example');
  expect(
    await reader.readContract({
      address: anchor.address,
      abi: receiptAnchorAbi,
      functionName: 'logOf',
      args: [log.logId],
    }),
  ).toMatchObject({ owner: deployer.address, sender: address('1'), headKey: address('3') });
  expect(
    (
      await reader.readContract({ address: bond.address, abi: operatorBondAbi, functionName: 'anchor' })
    ).toLowerCase(),
  ).toBe(anchor.address);
  const module = (await import(path.join(out, 'deployments.ts'))) as { deployments: unknown };
  expect(module.deployments).toEqual({ 31337: recorded() });
  expect(done.output).toContain(`ANCHOR = "${anchor.address}"`);

  const before = await sent();
  const again = await run(standard(), ['--broadcast']);
  expect(again).toMatchObject({ code: 0 });
  expect(again.output.match(/there already, verified/g)).toHaveLength(4);
  expect(await sent()).toBe(before);
});

test('goes on from where it broke off, and from nothing that is not what the record says', async () => {
  const { vault } = recorded();
  if (!vault) throw new Error('no vault');
  const other = await run({ ...standard(), 'withdrawal-delay': '7200' }, ['--broadcast']);
  expect(other).toMatchObject({ code: 1 });
  expect(other.output).toContain('was made with');

  const chain = createTestClient({ mode: 'anvil', transport: http(anvil.url) });
  const code = await reader.getCode({ address: vault.address });
  if (!code) throw new Error('no code');
  // One byte in the middle is another.
  const at = 2 + 2 * 5000;
  const byte = toHex(Number(`0x${code.slice(at, at + 2)}`) ^ 1, { size: 1 }).slice(2);
  await chain.setCode({
    address: vault.address,
    bytecode: `${code.slice(0, at)}${byte}${code.slice(at + 2)}` as `0x${string}`,
  });
  const changed = await run(standard());
  expect(changed).toMatchObject({ code: 1 });
  expect(changed.output).toContain('its code is another');
  await chain.setCode({ address: vault.address, bytecode: code });
  expect(await run(standard())).toMatchObject({ code: 0 });
});

test.each([
  ['a chain that is not the one named', { network: 'galileo' }, 'answers for chain 31337'],
  [
    'an origin that agents’ software spells otherwise',
    { origin: 'https://gateway.example:443/' },
    'spells it',
  ],
  ['one key for two jobs', { payee: address('1') }, 'five different keys'],
  ['no operator', { operator: '' }, '--operator'],
])('refuses %s', async (_, change, words) => {
  const { code, output } = await run({ ...standard(), ...change });
  expect(output).toContain(words);
  expect(code).toBe(2);
});

test('a deployer that cannot pay is told before anything is sent', async () => {
  const poor = generatePrivateKey();
  const { code, output } = await run({ ...standard(), out: path.join(out, 'poor') }, ['--broadcast'], {
    TALLYSTICK_KEY: poor,
  });
  expect(output).toContain('The deployer needs');
  expect(code).toBe(2);
});
