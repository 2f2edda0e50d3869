import type { Command } from 'commander';
import { formatAgentId } from '../../protocol/identity/agent-id.ts';
import { deposit, registerAgent, setSpender } from '../vault-transactions.ts';
import { formatAmount, parseAmount } from './amount.ts';
import { assetOf, type GivenOptions, Settings, withSettings } from './settings.ts';
import { fields } from './terminal.ts';

type Given = GivenOptions & {
  readonly name: string;
  readonly description?: string;
  readonly uri?: string;
  readonly chain?: string;
  readonly registry?: string;
  readonly deposit?: string;
};

/** `register`: an ERC-8004 identity, this key as its spender, and a deposit if one is named. */
export function addRegister(program: Command): void {
  const command = program
    .command('register')
    .helpGroup('An agent’s life:')
    .summary('make an ERC-8004 agent that this key owns and pays for')
    .description(
      'Registers an agent in the ERC-8004 registry the gateway serves, and names this key as the one that signs its vouchers. Two transactions; a third with --deposit. The key pays the gas.',
    )
    .option('--name <name>', 'the agent’s name, for its registration file', 'agent')
    .option('--description <text>', 'what it does')
    .option('--uri <uri>', 'its registration file; made of name and description when not given')
    .option('--deposit <amount>', 'deposit this much, too')
    .option('--chain <id>', 'where the gateway serves several chains')
    .option('--registry <address>', 'where it serves several registries')
    .addHelpText(
      'after',
      `
Example:
  $ tallystick wallet new agent.key                    then send it some of the chain's asset
  $ export TALLYSTICK_GATEWAY=https://… TALLYSTICK_KEY_FILE=agent.key
  $ tallystick register --name poet --deposit 5
`,
    )
    .action((given: Given) => register(given));
  withSettings(command);
}

async function register(given: Given): Promise<void> {
  const settings = new Settings(given);
  const { terminal } = settings;
  const wallet = await settings.wallet();
  const { chainId, registry } = await settings.registry(given.chain, given.registry);
  const chain = await settings.chainOf({ chainId, registry });
  const asset = assetOf(chain);
  const amount = given.deposit === undefined ? undefined : parseAmount(given.deposit, asset);
  const sender = await settings.sender(chainId, asset);
  const made = await terminal.progress('registering the agent', () =>
    registerAgent(sender, registry, given.uri ?? registrationFile(given)),
  );
  const account = { chainId, vault: chain.vault, registry, agentId: made.value };
  const agent = formatAgentId(account);
  // Said at once: should the next transaction fail, the agent exists.
  terminal.note(`registered ${agent}`);
  const spender = await terminal.progress('naming this key as its spender', () =>
    setSpender(sender, account, wallet.address),
  );
  const deposited =
    amount === undefined
      ? undefined
      : await terminal.progress(`depositing ${formatAmount(amount, asset)}`, () =>
          deposit(sender, account, amount),
        );
  terminal.result(
    {
      agent,
      owner: wallet.address,
      spender: wallet.address,
      transactions: {
        register: made.transaction,
        setSpender: spender.transaction,
        deposit: deposited?.transaction ?? null,
      },
      deposited: amount ?? 0n,
    },
    [
      ...fields([
        ['agent', agent],
        ['owner and spender', wallet.address],
        ['registered', made.transaction],
        ['spender named', spender.transaction],
        ...(deposited && amount !== undefined
          ? [['deposited', `${formatAmount(amount, asset)}, ${deposited.transaction}`] as const]
          : []),
      ]),
      '',
      `export TALLYSTICK_AGENT=${agent}`,
      ...(deposited ? [] : [`next: tallystick deposit 1      (1 ${asset.symbol})`]),
    ],
  );
}

/** ERC-8004's registration file, in the URI itself. */
function registrationFile({ name, description = '' }: Given): string {
  const file = {
    type: 'https://eips.ethereum.org/EIPS/eip-8004#registration-v1',
    name,
    description,
    services: [],
    x402Support: true,
    active: true,
  };
  return `data:application/json,${encodeURIComponent(JSON.stringify(file))}`;
}
