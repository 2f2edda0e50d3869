import type { Command } from 'commander';
import { startSigningProxy } from '../signing-proxy.ts';
import { formatAmount, parseAmount } from './amount.ts';
import { usage } from './failure.ts';
import { readSecretFile } from './secret.ts';
import { type GivenOptions, Settings, withSettings } from './settings.ts';

type Given = GivenOptions & {
  readonly port: string;
  readonly host: string;
  readonly tokenFile?: string;
  readonly limit?: string;
};

const loopback = ['127.0.0.1', '::1', 'localhost'];

/** `proxy`: a local OpenAI-compatible port that signs. */
export function addProxy(program: Command): void {
  const command = program
    .command('proxy')
    .helpGroup('For what cannot sign:')
    .summary('a local OpenAI-compatible port that signs, for any client in any language')
    .description(
      'Listens on this machine and passes /v1/… on to the gateway, signed and paid for by the agent, receipts checked. Only programs on this machine can reach it unless --host says otherwise, and then only with a token.',
    )
    .option('-p, --port <port>', '0 for any that is free', '8788')
    .option('--host <address>', 'where to listen', '127.0.0.1')
    .option('--token-file <file>', 'clients have to send what is in it as their API key')
    .option('--limit <amount>', 'the most that may be at risk at the gateway at any time')
    .addHelpText(
      'after',
      `
Example (Python):
  $ tallystick proxy &
  >>> client = openai.OpenAI(base_url="http://127.0.0.1:8788/v1", api_key="unused")
`,
    )
    .action((given: Given) => run(given));
  withSettings(command);
}

async function run(given: Given): Promise<void> {
  const settings = new Settings(given);
  const { terminal } = settings;
  const port = Number(given.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw usage('--port is a number from 0 to 65535.');
  if (!loopback.includes(given.host) && given.tokenFile === undefined) {
    throw usage(
      `Whoever reaches ${given.host}:${given.port} would spend the agent’s deposit: give --token-file, too, or stay on 127.0.0.1.`,
    );
  }
  const token = given.tokenFile === undefined ? undefined : readSecretFile(given.tokenFile, terminal);
  if (token === '') throw usage(`${given.tokenFile} is empty.`);
  const asset = await settings.asset();
  const agentFetch = await settings.agentFetch(
    given.limit === undefined ? undefined : { perVoucher: parseAmount(given.limit, asset) },
  );
  let spent = 0n;
  let calls = 0;
  const proxy = await startSigningProxy({
    agentFetch,
    port,
    host: given.host,
    ...(token === undefined ? {} : { token }),
    onCall: ({ method, path, status, amount, problem }) => {
      calls += 1;
      spent += amount ?? 0n;
      const cost =
        amount === undefined
          ? ''
          : ` · ${formatAmount(amount, asset)} · ${formatAmount(spent, asset)} in all`;
      terminal.note(`${new Date().toISOString().slice(11, 19)} ${method} ${path} ${status}${cost}`);
      if (problem !== undefined) terminal.warn(problem);
    },
  }).catch((error: unknown) => {
    const { code } = error as { code?: unknown };
    if (code === 'EADDRINUSE') throw usage(`Port ${port} is taken: give another --port, or 0 for any.`);
    throw error;
  });
  terminal.result({ baseUrl: proxy.baseUrl, gateway: settings.gateway }, [
    `listening: ${proxy.baseUrl} → ${settings.gateway}`,
    `export OPENAI_BASE_URL=${proxy.baseUrl} OPENAI_API_KEY=${token === undefined ? 'unused' : `$(cat ${given.tokenFile})`}`,
  ]);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  await proxy.close();
  terminal.note(`\n${calls} calls, ${formatAmount(spent, asset)}`);
}
