// npm run deploy:contracts -- --network galileo --origin https://… --operator 0x… --payee 0x… --head-key 0x… --receipt-key 0x…
//
// Says what it would send: addresses, constructor arguments, gas. With --broadcast it sends it, compares the code that is
// there afterwards with the one in this repository, and writes contracts-abi/deployments/<chainId>.json and the typed module
// beside it. What the record has already is verified and not sent again, so a run that broke off is simply repeated.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import {
  type Address,
  createPublicClient,
  createWalletClient,
  defineChain,
  formatEther,
  formatGwei,
  http,
  type LocalAccount,
  parseEther,
} from 'viem';
import { readAccount } from '../client/cli/secret.ts';
import { Terminal } from '../client/cli/terminal.ts';
import type { DeploymentRecord } from '../contracts-abi/deployment-record.ts';
import { parseAddress } from '../protocol/hex.ts';
import { carryOut, planDeployment, type Step, type Wanted } from './deployment.ts';
import { type Network, networks } from './networks.ts';

const { values: given } = parseArgs({
  options: {
    network: { type: 'string' },
    rpc: { type: 'string' },
    origin: { type: 'string' },
    'log-origin': { type: 'string' },
    operator: { type: 'string' },
    payee: { type: 'string' },
    admin: { type: 'string' },
    'head-key': { type: 'string' },
    'receipt-key': { type: 'string' },
    registry: { type: 'string', multiple: true },
    'withdrawal-delay': { type: 'string', default: '3600' },
    'vault-only': { type: 'boolean', default: false },
    'bond-penalty': { type: 'string' },
    'bond-challenge': { type: 'string' },
    'merge-delay': { type: 'string', default: '3600' },
    'bond-grace': { type: 'string', default: '86400' },
    'bond-window': { type: 'string', default: '86400' },
    deployer: { type: 'string' },
    'key-file': { type: 'string' },
    broadcast: { type: 'boolean', default: false },
    out: { type: 'string', default: path.resolve(import.meta.dirname, '../contracts-abi') },
  },
});

const say = (line = ''): void => console.log(line);
class Usage extends Error {}

function addressOf(name: keyof typeof given, otherwise?: Address): Address {
  const value = given[name];
  const address = typeof value === 'string' ? parseAddress(value.toLowerCase()) : otherwise;
  if (address === undefined) throw new Usage(`--${name} 0x… is needed: an address.`);
  return address;
}

function seconds(name: 'withdrawal-delay' | 'merge-delay' | 'bond-grace' | 'bond-window'): number {
  const number = Number(given[name]);
  if (!Number.isSafeInteger(number) || number < 1) throw new Usage(`--${name} is a number of seconds.`);
  return number;
}

function networkNamed(name: string | undefined): Network {
  const network = Object.entries(networks).find(([known]) => known === name)?.[1];
  if (network) return network;
  throw new Usage(`--network is one of ${Object.keys(networks).join(', ')}.`);
}

function originOf(): string {
  const url = URL.parse(given.origin ?? '');
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new Usage('--origin https://… is needed: the gateway that the vault belongs to, PUBLIC_ORIGIN.');
  if (url.origin !== given.origin)
    throw new Usage(`--origin: give it as agents' software spells it, ${url.origin}`);
  return url.origin;
}

function wantedOf(network: Network, deployer: Address): Wanted {
  const origin = originOf();
  const operator = addressOf('operator');
  const registries = (given.registry ?? network.registries).map((text) => {
    const registry = parseAddress(text.toLowerCase());
    if (registry === undefined) throw new Usage('--registry is an address.');
    return registry;
  });
  if (registries.length === 0) throw new Usage('--registry 0x… is needed on this network.');
  const keys = given['vault-only']
    ? undefined
    : { headKey: addressOf('head-key'), receiptKey: addressOf('receipt-key') };
  const [penalty, challenge] = [given['bond-penalty'], given['bond-challenge']];
  if ((penalty === undefined) !== (challenge === undefined))
    throw new Usage('--bond-penalty and --bond-challenge go together.');
  const parties = [operator, addressOf('payee'), ...(keys ? Object.values(keys) : []), deployer];
  if (new Set(parties).size !== parties.length)
    throw new Usage(
      'Operator, payee, head key, receipt key and deployer are five different keys: docs/security.md says what the theft of each costs.',
    );
  return {
    vault: {
      registries,
      asset: `0x${'00'.repeat(20)}`,
      admin: addressOf('admin', deployer),
      operator,
      payee: addressOf('payee'),
      withdrawalDelay: BigInt(seconds('withdrawal-delay')),
      gatewayOrigin: origin,
    },
    ...(keys
      ? { log: { origin: given['log-origin'] ?? `${new URL(origin).host}/log`, sender: operator, ...keys } }
      : {}),
    ...(penalty !== undefined && challenge !== undefined
      ? {
          bond: {
            penalty: parseEther(penalty),
            challengeBond: parseEther(challenge),
            mergeDelay: seconds('merge-delay'),
            grace: seconds('bond-grace'),
            answerWindow: seconds('bond-window'),
          },
        }
      : {}),
  };
}

function show(steps: readonly Step[]): void {
  for (const [at, step] of steps.entries()) {
    if (step.kind === 'there already') {
      say(`${at + 1}. ${step.what}: there already, verified, at ${step.address}`);
    } else if (step.kind === 'deploy') {
      say(`${at + 1}. deploy ${step.deployable.name} at ${step.address}, gas ${step.gas}`);
      for (const [name, value] of step.deployable.arguments) say(`     ${name}: ${String(value)}`);
    } else {
      say(`${at + 1}. open log ${step.logId} on ${step.anchor}, gas about ${step.gas}`);
      for (const [index, name] of ['origin', 'sender', 'headKey', 'receiptKey'].entries())
        say(`     ${name}: ${step.args[index]}`);
    }
  }
}

const recordFile = (chainId: number): string => path.join(given.out, 'deployments', `${chainId}.json`);

function readRecord(chainId: number): DeploymentRecord {
  let text: string;
  try {
    text = readFileSync(recordFile(chainId), 'utf8');
  } catch {
    return { chainId };
  }
  return JSON.parse(text) as DeploymentRecord;
}

/** The record, and the typed module of all records. */
function writeRecord(record: DeploymentRecord): void {
  mkdirSync(path.dirname(recordFile(record.chainId)), { recursive: true });
  writeFileSync(recordFile(record.chainId), `${JSON.stringify(record, null, 2)}\n`);
  const all = readdirSync(path.dirname(recordFile(0)))
    .filter((name) => /^\d+\.json$/.test(name))
    .map((name) => readRecord(Number(name.slice(0, -5))))
    .sort((a, b) => a.chainId - b.chainId);
  writeFileSync(
    path.join(given.out, 'deployments.ts'),
    `// Written by \`npm run deploy:contracts\` from contracts-abi/deployments/. Do not edit.
import type { DeploymentRecord } from './deployment-record.ts';

/** What has been deployed, by chain id. */
export const deployments: Readonly<Record<number, DeploymentRecord>> = ${JSON.stringify(Object.fromEntries(all.map((one) => [one.chainId, one])), null, 2)};
`,
  );
}

async function main(): Promise<void> {
  const network = networkNamed(given.network);
  const rpcUrl = given.rpc ?? network.rpcUrl;
  const nativeCurrency = { name: network.asset, symbol: network.asset, decimals: 18 };
  const chain = defineChain({
    id: network.chainId,
    name: given.network ?? '',
    nativeCurrency,
    rpcUrls: { default: { http: [rpcUrl] } },
  });
  const reader = createPublicClient({ chain, transport: http(rpcUrl) });
  const said = await reader.getChainId();
  if (said !== network.chainId)
    throw new Usage(`${rpcUrl} answers for chain ${said}, not for ${network.chainId}: change --rpc.`);

  let account: LocalAccount | undefined;
  if (given.broadcast || given.deployer === undefined)
    account = await readAccount(given['key-file'], new Terminal(false));
  const deployer = (account?.address.toLowerCase() as Address | undefined) ?? addressOf('deployer');
  if (given.deployer !== undefined && addressOf('deployer') !== deployer)
    throw new Usage(`The key given is ${deployer}'s, not --deployer's.`);

  const wanted = wantedOf(network, deployer);
  const before = readRecord(network.chainId);
  const steps = await planDeployment(reader, deployer, wanted, before);
  const gas = steps.reduce((sum, step) => sum + (step.kind === 'there already' ? 0n : step.gas), 0n);
  const price = await reader.getGasPrice();
  const balance = await reader.getBalance({ address: deployer });
  say(
    `Chain ${network.chainId} at ${rpcUrl}; deployer ${deployer} with ${formatEther(balance)} ${network.asset}`,
  );
  show(steps);
  say(`Gas in all about ${gas}, at ${formatGwei(price)} gwei ${formatEther(gas * price)} ${network.asset}.`);

  if (!given.broadcast) {
    say('Nothing was sent. Again with --broadcast sends it.');
    return;
  }
  if (account === undefined) throw new Usage('a key is needed to send');
  if (balance < gas * price)
    throw new Usage(`The deployer needs ${formatEther(gas * price)} ${network.asset}.`);
  const wallet = createWalletClient({ account, chain, transport: http(rpcUrl) });
  const record = await carryOut(reader, wallet, steps, before, writeRecord);
  say(`Deployed, code verified, recorded in ${path.relative(process.cwd(), recordFile(network.chainId))}.`);
  say(`For wrangler.toml, [env.${given.network}.vars]:`);
  say(`  the vault of chain ${network.chainId} in CHAINS: ${record.vault?.address}`);
  if (record.anchor && record.log) {
    say(`  ANCHOR = "${record.anchor.address}"`);
    say(`  LOG_OWNER = "${record.log.owner}"`);
    say(`  LOG_ORIGIN = "${record.log.origin}"`);
  }
}

try {
  await main();
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  console.error(`deploy:contracts: ${message}`);
  process.exitCode = error instanceof Usage ? 2 : 1;
}
