import type { Command } from 'commander';
import { formatAgentId } from '../../protocol/identity/agent-id.ts';
import { readVault } from '../vault-on-chain.ts';
import { amountJson, formatAmount } from './amount.ts';
import { type GivenOptions, Settings, withSettings } from './settings.ts';
import { fields } from './terminal.ts';

/** `balance`: where the account stands, by the gateway and by the chain. */
export function addBalance(program: Command): void {
  const command = program
    .command('balance')
    .helpGroup('An agent’s life:')
    .summary('what is deposited, spent, held and left')
    .description(
      'Where the agent’s account stands. With --rpc the chain’s figures are shown beside the gateway’s: deposits and claims are the chain’s to say, what was spent since the last claim only the gateway (and your receipts) know.',
    )
    .action((given: GivenOptions) => run(given));
  withSettings(command);
}

async function run(given: GivenOptions): Promise<void> {
  const settings = new Settings(given);
  const agentFetch = await settings.agentFetch();
  const [account, asset] = [await settings.account(), await settings.asset()];
  const standing = await agentFetch.account();
  const vault =
    settings.rpcGiven === undefined ? undefined : await readVault(settings.rpcUrl(account.chainId), account);
  const leaving = standing.deposited - standing.withdrawn - standing.captured - standing.held;
  const left = leaving > standing.withdrawing ? leaving - standing.withdrawing : 0n;
  const show = (amount: bigint) => formatAmount(amount, asset);
  settings.terminal.result(
    {
      agent: formatAgentId(account),
      asset,
      deposited: amountJson(standing.deposited, asset),
      withdrawn: amountJson(standing.withdrawn, asset),
      withdrawing: amountJson(standing.withdrawing, asset),
      spent: amountJson(standing.captured, asset),
      held: amountJson(standing.held, asset),
      left: amountJson(left, asset),
      available: amountJson(standing.available, asset),
      voucher: amountJson(standing.voucher, asset),
      claimed: amountJson(standing.claimed, asset),
      receipts: standing.sequence,
      epoch: standing.epoch,
      chain: vault
        ? {
            deposited: amountJson(vault.deposited, asset),
            withdrawn: amountJson(vault.withdrawn, asset),
            claimed: amountJson(vault.claimed, asset),
            epoch: vault.epoch,
          }
        : null,
    },
    [
      ...fields([
        ['agent', formatAgentId(account)],
        ['deposited', show(standing.deposited)],
        ...(standing.withdrawn > 0n ? [['withdrawn', show(standing.withdrawn)] as const] : []),
        ['spent', `${show(standing.captured)} in ${standing.sequence} calls`],
        ...(standing.held > 0n ? [['held', `${show(standing.held)} for calls under way`] as const] : []),
        ...(standing.withdrawing > 0n ? [['withdrawing', show(standing.withdrawing)] as const] : []),
        ['left', settings.terminal.paint('bold', show(left))],
        ['authorised', `up to ${show(standing.voucher)} in all, by the voucher the gateway has`],
        ...(vault
          ? [['on chain', `${show(vault.deposited)} deposited, ${show(vault.claimed)} claimed`] as const]
          : []),
      ]),
      ...(vault && vault.deposited !== standing.deposited
        ? [
            '',
            `The gateway has not seen the chain's newest deposit yet (it says ${show(standing.deposited)}).`,
          ]
        : []),
    ],
  );
}
