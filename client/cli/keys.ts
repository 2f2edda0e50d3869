import { existsSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type Asset, amountJson, formatAmount, parseAmount, parseDuration } from './amount.ts';
import { exitCodes, Failure, usage } from './failure.ts';
import { type GivenOptions, Settings, withSettings } from './settings.ts';
import { table } from './terminal.ts';

type Create = GivenOptions & {
  readonly cap: string;
  readonly for: string;
  readonly model?: readonly string[];
  readonly label?: string;
  readonly out: string;
};
type KeyStanding = {
  readonly id: string;
  readonly label: string;
  readonly expiresAt: number;
  readonly spendCap: string;
  readonly spent: string;
  readonly held: string;
  readonly models: readonly string[] | null;
};

/** `keys`: bearer secrets for what cannot sign. */
export function addKeys(program: Command): void {
  const group = program
    .command('keys')
    .helpGroup('For what cannot sign:')
    .summary('session keys: make, list, revoke')
    .description(
      'A session key is a bearer secret for frameworks that take an API key and nothing else. It ends by itself, spends at most its cap, and can be revoked. Receipts of its calls are the agent’s. Where a framework takes a fetch or a base URL on this machine, the agent’s own key (createAgentFetch, tallystick proxy) is the safer way.',
    );
  const create = group
    .command('create')
    .description(
      'Makes a session key and writes it into a file that only you can read. It is never shown again.',
    )
    .requiredOption('--cap <amount>', 'the most it may spend in its life')
    .requiredOption('--out <file>', 'where the key goes')
    .option('--for <duration>', 'how long it lives, at most 90d', '7d')
    .option('--model <model...>', 'only these models')
    .option('--label <text>', 'to know it by')
    .addHelpText(
      'after',
      `
Example:
  $ tallystick keys create --cap 0.5 --for 30d --label eliza --out eliza.key
  $ OPENAI_BASE_URL=https://…/v1 OPENAI_API_KEY=$(cat eliza.key) npm start
`,
    )
    .action((given: Create) => runCreate(given));
  withSettings(create);
  const list = group
    .command('list', { isDefault: true })
    .description('Lists session keys with what they have spent.')
    .action((given: GivenOptions) => runList(given));
  withSettings(list);
  const revoke = group
    .command('revoke')
    .description('Ends a session key now.')
    .argument('<id>', 'see tallystick keys list')
    .action((id: string, given: GivenOptions) => runRevoke(id, given));
  withSettings(revoke);
}

async function runCreate(given: Create): Promise<void> {
  const settings = new Settings(given);
  const asset = await settings.asset();
  if (existsSync(given.out)) throw usage(`${given.out} exists; a key is not written over it.`);
  const body = JSON.stringify({
    expiresAt: Math.floor(Date.now() / 1000) + parseDuration(given.for),
    spendCap: `${parseAmount(given.cap, asset)}`,
    ...(given.model === undefined ? {} : { models: given.model }),
    ...(given.label === undefined ? {} : { label: given.label }),
  });
  const made = (await settings.ask('/v1/keys', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })) as KeyStanding & { key?: unknown };
  const { key, ...shown } = made;
  if (typeof key !== 'string') throw new Failure(exitCodes.gateway, 'no_key', 'The gateway made no key.');
  writeFileSync(given.out, `${key}\n`, { mode: 0o600, flag: 'wx' });
  settings.terminal.result({ ...shown, file: given.out }, [
    `session key ${shown.id} is in ${given.out}: up to ${formatAmount(BigInt(shown.spendCap), asset)}, until ${day(shown.expiresAt)}`,
    `base URL ${settings.gateway}/v1, API key $(cat ${given.out})`,
  ]);
}

async function runList(given: GivenOptions): Promise<void> {
  const settings = new Settings(given);
  const asset = await settings.asset();
  const { keys } = (await settings.ask('/v1/keys')) as { keys: readonly KeyStanding[] };
  settings.terminal.result(
    keys.map((key) => ({
      ...key,
      spent: amountOf(key.spent, asset),
      spendCap: amountOf(key.spendCap, asset),
    })),
    keys.length === 0
      ? ['no session keys']
      : table([
          ['id', 'label', 'spent', 'cap', 'until', 'models'],
          ...keys.map((key) => [
            key.id,
            key.label,
            formatAmount(BigInt(key.spent), asset),
            formatAmount(BigInt(key.spendCap), asset),
            `${day(key.expiresAt)}${key.expiresAt * 1000 < Date.now() ? ' (ended)' : ''}`,
            key.models?.join(' ') ?? 'all',
          ]),
        ]),
  );
}

async function runRevoke(id: string, given: GivenOptions): Promise<void> {
  const settings = new Settings(given);
  const answer = await settings.ask(`/v1/keys/${encodeURIComponent(id)}`, { method: 'DELETE' });
  settings.terminal.result(answer, [`session key ${id} has ended`]);
}

const amountOf = (text: string, asset: Asset) => amountJson(BigInt(text), asset);
const day = (seconds: number): string =>
  new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ');
