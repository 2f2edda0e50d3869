import type { Command } from 'commander';
import { readVault } from '../vault-on-chain.ts';
import { deposit } from '../vault-transactions.ts';
import { amountJson, formatAmount, parseAmount } from './amount.ts';
import { type GivenOptions, Settings, withSettings } from './settings.ts';

/** `deposit`: adds to an agent's deposit. */
export function addDeposit(program: Command): void {
  const command = program
    .command('deposit')
    .helpGroup('An agent’s life:')
    .summary('add to the agent’s deposit in the vault')
    .description(
      'Puts some of the chain’s asset into the vault, for this agent. Anyone may deposit for any agent; only the agent’s owner can take back what was not spent (tallystick withdraw).',
    )
    .argument('<amount>', 'such as 0.5, "0.5 0G", or 500wei')
    .action((amount: string, given: GivenOptions) => run(amount, given));
  withSettings(command);
}

async function run(text: string, given: GivenOptions): Promise<void> {
  const settings = new Settings(given);
  const { terminal } = settings;
  const [account, asset] = [await settings.account(), await settings.asset()];
  const amount = parseAmount(text, asset);
  const sender = await settings.sender(account.chainId, asset);
  const done = await terminal.progress(`depositing ${formatAmount(amount, asset)}`, () =>
    deposit(sender, account, amount),
  );
  const { deposited, withdrawn, claimed } = await readVault(settings.rpcUrl(account.chainId), account);
  const left = deposited - withdrawn - claimed;
  terminal.result(
    { ...amountJson(amount, asset), transaction: done.transaction, inVault: amountJson(left, asset) },
    [
      `deposited ${formatAmount(amount, asset)}, transaction ${done.transaction}`,
      `in the vault for this agent: ${formatAmount(left, asset)}`,
    ],
  );
}
