import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { generatePrivateKey, privateKeyToAddress } from 'viem/accounts';
import { formatAmount } from './amount.ts';
import { usage } from './failure.ts';
import { assetOf, type GivenOptions, Settings, withSettings } from './settings.ts';
import { fields } from './terminal.ts';

/** `wallet`: a key to begin with. */
export function addWallet(program: Command): void {
  const group = program
    .command('wallet')
    .helpGroup('An agent’s life:')
    .summary('make a key, or show whose this one is')
    .description('The key that owns the agent, signs its requests and pays its gas.');
  const fresh = group
    .command('new')
    .description('Makes a private key and writes it into a file that only you can read. It is not shown.')
    .argument('<file>', 'must not exist')
    .option('--json', 'one JSON document instead of text')
    .action((file: string, given: GivenOptions) => runNew(file, given));
  fresh.addHelpText('after', '\nWhoever has the file has the agent. Keep a copy somewhere else.\n');
  const show = group
    .command('show', { isDefault: true })
    .description('The key’s address, and what it holds outside the vault.')
    .action((given: GivenOptions) => runShow(given));
  withSettings(show);
}

function runNew(file: string, given: GivenOptions): void {
  const { terminal } = new Settings(given);
  const key = generatePrivateKey();
  const address = privateKeyToAddress(key);
  try {
    writeFileSync(file, `${key}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'EEXIST') throw error;
    throw usage(`${file} exists; a key is not written over it.`);
  }
  terminal.result({ file, address }, [
    `a new key is in ${file}; its address is ${address}`,
    `export TALLYSTICK_KEY_FILE=${file}`,
  ]);
}

async function runShow(given: GivenOptions): Promise<void> {
  const settings = new Settings(given);
  const { address } = await settings.wallet();
  const chains = settings.hasGateway ? (await settings.deployment()).chains : [];
  const [chain] = chains;
  const known =
    chain !== undefined && chains.length === 1 && settings.rpcGiven !== undefined ? chain : undefined;
  const asset = known && assetOf(known);
  const balance =
    known && asset && (await (await settings.sender(known.chainId, asset)).reader.getBalance({ address }));
  settings.terminal.result(
    { address, balance: balance === undefined ? null : balance },
    fields([
      ['address', address],
      ...(asset && balance !== undefined ? [['holds', formatAmount(balance, asset)] as const] : []),
    ]),
  );
}
