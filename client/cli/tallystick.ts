#!/usr/bin/env node
// The command line: one tool for an agent, its owner and whoever doubts them.
import { readFileSync } from 'node:fs';
import { type Argument, Command, CommanderError } from 'commander';
import { addAudit } from './audit.ts';
import { addBalance } from './balance.ts';
import { addChat } from './chat.ts';
import { addDeposit } from './deposit.ts';
import { addDoctor } from './doctor.ts';
import { exitCodes, failureOf } from './failure.ts';
import { addKeys } from './keys.ts';
import { addModels } from './models.ts';
import { addProxy } from './proxy.ts';
import { addReceipts } from './receipts.ts';
import { addRegister } from './register.ts';
import { addUsage } from './usage.ts';
import { addVerify } from './verify.ts';
import { addWallet } from './wallet.ts';
import { addWithdraw } from './withdraw.ts';

const program = new Command('tallystick')
  .description(
    'Call Qwen as an agent with a wallet: pay per token from a deposit you can take back, keep a receipt for every call.',
  )
  .version(versionOf(), '-V, --version')
  .helpCommand('help [command]', 'what a command does and takes')
  .configureHelp({
    sortSubcommands: false,
    subcommandTerm: (command) =>
      [command.name(), ...command.registeredArguments.map((argument) => argumentTerm(argument))].join(' '),
  })
  .showSuggestionAfterError()
  .showHelpAfterError('(add --help for what it takes)')
  .addHelpText(
    'after',
    `
Begin here:
  $ export TALLYSTICK_GATEWAY=https://… TALLYSTICK_RPC=https://… TALLYSTICK_KEY_FILE=agent.key
  $ tallystick wallet new agent.key            then send it some of the chain's asset
  $ tallystick register --deposit 5            prints the Agent-Id to export
  $ tallystick chat "What is a tally stick?"
  $ tallystick verify 1

Every command takes --json. Amounts: 0.5, "0.5 0G", or 500wei for base units.
Exit status: 0 done; 1 unexpected; 2 wrong usage; 3 something checked is not right; 4 gateway; 5 chain; 6 deposit or limits.
`,
  );
// In the order in which a newcomer needs them.
for (const add of [
  addWallet,
  addRegister,
  addDeposit,
  addBalance,
  addChat,
  addWithdraw,
  addModels,
  addUsage,
  addReceipts,
  addVerify,
  addAudit,
  addDoctor,
  addKeys,
  addProxy,
]) {
  add(program);
}
for (const command of everyCommand(program)) command.exitOverride();

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = end(error);
}
// Libraries keep connections open; a command that is done is done. What was written is flushed first.
process.stdout.write('', () => process.exit());

function end(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  const failure = failureOf(error);
  const { code, message, exitCode } = failure;
  if (process.argv.includes('--json'))
    process.stderr.write(`${JSON.stringify({ error: { code, message } })}\n`);
  else process.stderr.write(`tallystick: ${message}\n`);
  if (process.env['DEBUG'] && failure.cause instanceof Error)
    process.stderr.write(`${failure.cause.stack}\n`);
  return exitCode;
}

function argumentTerm(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function* everyCommand(command: Command): Generator<Command> {
  yield command;
  for (const below of command.commands) yield* everyCommand(below);
}

/** Built, this file is two folders below its manifest; in the source tree, one. */
function versionOf(): string {
  for (const place of ['../../package.json', '../package.json']) {
    try {
      const manifest = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as {
        name?: unknown;
        version?: unknown;
      };
      if (manifest.name === 'tallystick') return String(manifest.version);
    } catch {
      // not there
    }
  }
  return 'unknown';
}
