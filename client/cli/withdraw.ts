import type { Command } from 'commander';
import { type Address, createPublicClient, http } from 'viem';
import { agentVaultAbi } from '../../contracts-abi/generated/AgentVault.ts';
import type { Account } from '../../protocol/account-name.ts';
import { parseAddress } from '../../protocol/hex.ts';
import { cancelWithdrawal, completeWithdrawal, startWithdrawal } from '../vault-transactions.ts';
import { type Asset, amountJson, formatAmount, formatDuration, parseAmount } from './amount.ts';
import { exitCodes, Failure, usage } from './failure.ts';
import { type GivenOptions, Settings, withSettings } from './settings.ts';
import { fields } from './terminal.ts';

/** `withdraw`: takes the deposit back, to the wei. Needs no gateway but to name the vault. */
export function addWithdraw(program: Command): void {
  const group = program
    .command('withdraw')
    .helpGroup('An agent’s life:')
    .summary('take back what was not spent: start, wait, complete')
    .description(
      'Takes back what was not spent. A withdrawal waits for the vault’s delay, so that the operator can claim what you owe; nobody can stop it. The money then goes to the address named at the start.',
    );
  const start = group
    .command('start')
    .description('Starts a withdrawal, or replaces the pending one.')
    .argument('[amount]', 'such as 0.5, or all', 'all')
    .option('--to <address>', 'where to; default this key’s address')
    .action((amount: string, given: GivenOptions & { to?: string }) => runStart(amount, given));
  withSettings(start);
  const status = group
    .command('status', { isDefault: true })
    .description('What is pending, when it is ready, and what would come out.')
    .action((given: GivenOptions) => runStatus(given));
  withSettings(status);
  const complete = group
    .command('complete')
    .description('Sends a withdrawal whose time has come.')
    .option('--wait', 'wait until it is ready')
    .action((given: GivenOptions & { wait?: boolean }) => runComplete(given));
  withSettings(complete);
  const cancel = group
    .command('cancel')
    .description('Gives the pending withdrawal up; its amount covers calls again.')
    .action((given: GivenOptions) => runCancel(given));
  withSettings(cancel);
}

type Pending = {
  readonly amount: bigint;
  readonly recipient: Address;
  /** Unix seconds, by the chain's clock. */
  readonly readyAt: number;
};
type Standing = {
  readonly remaining: bigint;
  readonly pending: Pending | undefined;
  /** The chain's clock, Unix seconds. */
  readonly time: number;
};

async function runStart(text: string, given: GivenOptions & { to?: string }): Promise<void> {
  const { settings, account, asset } = await opened(given);
  const { terminal } = settings;
  const wallet = await settings.wallet();
  const recipient = parseAddress((given.to ?? wallet.address).toLowerCase());
  if (recipient === undefined) throw usage('--to is an address.');
  const before = await standingOf(settings, account);
  // All there is, and all that may yet be deposited or turn out not to be owed, is asked for: the vault sends what remains.
  const amount = text === 'all' ? before.remaining : parseAmount(text, asset);
  if (amount === 0n) throw usage('There is nothing to withdraw.');
  const sender = await settings.sender(account.chainId, asset);
  const { transaction } = await terminal.progress('starting the withdrawal', () =>
    startWithdrawal(sender, account, amount, recipient),
  );
  const { pending, time } = await standingOf(settings, account);
  const wait = Math.max(0, (pending?.readyAt ?? time) - time);
  terminal.result(
    { transaction, ...amountJson(amount, asset), recipient, readyAt: pending?.readyAt, secondsLeft: wait },
    [
      `started: at most ${formatAmount(amount, asset)} to ${recipient}, transaction ${transaction}`,
      `ready in ${formatDuration(wait)}; then: tallystick withdraw complete`,
    ],
  );
}

async function runStatus(given: GivenOptions): Promise<void> {
  const { settings, account, asset } = await opened(given);
  const { remaining, pending, time } = await standingOf(settings, account);
  const left = pending && Math.max(0, pending.readyAt - time);
  settings.terminal.result(
    {
      remaining: amountJson(remaining, asset),
      pending: pending
        ? {
            ...amountJson(pending.amount, asset),
            recipient: pending.recipient,
            readyAt: pending.readyAt,
            secondsLeft: left,
          }
        : null,
    },
    fields([
      ['in the vault', `${formatAmount(remaining, asset)} (less what the operator has yet to claim)`],
      ...(pending
        ? ([
            ['pending', `at most ${formatAmount(pending.amount, asset)} to ${pending.recipient}`],
            ['ready', left === 0 ? 'now: tallystick withdraw complete' : `in ${formatDuration(left ?? 0)}`],
          ] as const)
        : ([['pending', 'nothing; tallystick withdraw start all']] as const)),
    ]),
  );
}

async function runComplete(given: GivenOptions & { wait?: boolean }): Promise<void> {
  const { settings, account, asset } = await opened(given);
  const { terminal } = settings;
  const now = await standingOf(settings, account);
  const { pending } = now;
  if (pending === undefined) throw usage('No withdrawal is pending: tallystick withdraw start.');
  const left = pending.readyAt - now.time;
  if (left > 0 && !given.wait) {
    throw new Failure(
      exitCodes.chain,
      'not_ready',
      `The withdrawal is ready in ${formatDuration(left)} (by the chain’s clock). Come back then, or give --wait.`,
    );
  }
  if (left > 0)
    await terminal.progress(`waiting ${formatDuration(left)}`, () => untilReady(settings, account));
  const sender = await settings.sender(account.chainId, asset);
  const done = await terminal.progress('completing the withdrawal', () =>
    completeWithdrawal(sender, account),
  );
  const after = await standingOf(settings, account);
  terminal.result(
    {
      ...amountJson(done.value, asset),
      recipient: pending.recipient,
      transaction: done.transaction,
      remaining: amountJson(after.remaining, asset),
    },
    [
      `${formatAmount(done.value, asset)} (${done.value} wei) went to ${pending.recipient}, transaction ${done.transaction}`,
      `left in the vault: ${formatAmount(after.remaining, asset)}`,
    ],
  );
}

async function runCancel(given: GivenOptions): Promise<void> {
  const { settings, account, asset } = await opened(given);
  const sender = await settings.sender(account.chainId, asset);
  const { transaction } = await settings.terminal.progress('giving the withdrawal up', () =>
    cancelWithdrawal(sender, account),
  );
  settings.terminal.result({ transaction }, [`given up, transaction ${transaction}`]);
}

async function opened(given: GivenOptions) {
  const settings = new Settings(given);
  return { settings, account: await settings.account(), asset: (await settings.asset()) satisfies Asset };
}

async function standingOf(settings: Settings, account: Account): Promise<Standing> {
  const rpcUrl = settings.rpcUrl(account.chainId);
  const client = createPublicClient({ transport: http(rpcUrl) });
  try {
    const view = await client.readContract({
      address: account.vault,
      abi: agentVaultAbi,
      functionName: 'account',
      args: [account.registry, account.agentId],
    });
    return {
      remaining: view.deposited - view.withdrawn - view.claimed,
      pending:
        view.withdrawalReadyAt === 0n
          ? undefined
          : {
              amount: view.withdrawalAmount,
              recipient: view.withdrawalRecipient,
              readyAt: Number(view.withdrawalReadyAt),
            },
      time: Number(view.blockTime),
    };
  } catch (cause) {
    throw new Failure(
      exitCodes.chain,
      'chain_unavailable',
      `The vault ${account.vault} cannot be read at ${rpcUrl}: is it a node of chain ${account.chainId}?`,
      { cause },
    );
  }
}

async function untilReady(settings: Settings, account: Account): Promise<void> {
  for (;;) {
    const { pending, time } = await standingOf(settings, account);
    if (pending === undefined || pending.readyAt <= time) return;
    const seconds = Math.min(30, Math.max(1, pending.readyAt - time));
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
}
