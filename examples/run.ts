// Runs examples as their readers would: a stack, the folder's own packages, the packed tarball, one command.
//
//   node_modules/.bin/node examples/run.ts openai          one
//   node_modules/.bin/node examples/run.ts                 those that install in seconds
//   node_modules/.bin/node examples/run.ts --list
//   … agentkit --installed                                 without installing again
//   … openai -- "Why is the sky blue?"                     another question
//
// A stack that is up (`npm run stack`) is used; otherwise one is started for the run.
import { execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { type StackDescription, startStack } from '../dev/stack.ts';

/** Never the synchronous one: parts of the stack live in this process. */
const outputOf = promisify(execFile);

const here = import.meta.dirname;
const root = path.dirname(here);

/** What installs in seconds, and what does not: how long it took, and how large it was, where it was last run. */
const examples = {
  openai: 'light',
  'ai-sdk': 'light',
  langchain: 'light',
  mcp: 'light',
  x402: 'light',
  'proxy-curl': 'light',
  game: 'heavy',
  elizaos: 'heavy',
  agentkit: 'heavy',
} as const;
type Example = keyof typeof examples;

const dashes = process.argv.indexOf('--');
const given = process.argv.slice(2, dashes < 0 ? undefined : dashes);
const isInstalled = given.includes('--installed');
const words = given.filter((word) => word !== '--installed');
const rest = dashes < 0 ? [] : process.argv.slice(dashes + 1);
const known = Object.keys(examples) as Example[];
if (words.includes('--list')) {
  for (const name of known) console.log(`${name.padEnd(12)} ${examples[name]}`);
  process.exit();
}
const unknown = words.filter((word) => !known.includes(word as Example));
if (unknown.length > 0) {
  console.error(`no example is called ${unknown.join(', ')}; there are: ${known.join(', ')}`);
  process.exit(2);
}
const chosen = words.length > 0 ? (words as Example[]) : known.filter((name) => examples[name] === 'light');

const heading = (text: string): void => console.log(`\n\x1b[1m${text}\x1b[0m`);

/** The stack that `npm run stack` says is up, if it answers. */
async function runningStack(): Promise<StackDescription | undefined> {
  const file = path.join(root, '.local/stack.json');
  if (!existsSync(file)) return undefined;
  const stack = JSON.parse(readFileSync(file, 'utf8')) as StackDescription;
  const answers = await fetch(`${stack.gatewayUrl}/.well-known/tallystick`).then(
    ({ ok }) => ok,
    () => false,
  );
  return answers ? stack : undefined;
}

function run(command: string, args: readonly string[], cwd: string, more: Record<string, string> = {}) {
  return new Promise<void>((resolve, reject) => {
    const env = { ...process.env, PATH: `${path.dirname(process.execPath)}:${process.env['PATH']}`, ...more };
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'inherit', 'inherit'] });
    child.once('error', reject);
    child.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`${command} ${args.join(' ')} ended with ${code}`)),
    );
  });
}

async function runExample(name: Example, tarball: string, stack: StackDescription): Promise<void> {
  const folder = path.join(here, name);
  const [agent] = stack.agents;
  if (agent === undefined) throw new Error('the stack has no agent');
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  const started = Date.now();
  if (!isInstalled) {
    await run('npm', ['ci', ...quiet], folder);
    await run('npm', ['install', '--no-save', '--no-package-lock', ...quiet, tarball], folder);
    console.log(`installed in ${Math.round((Date.now() - started) / 1000)} s`);
  }
  const environment = {
    TALLYSTICK_GATEWAY: stack.gatewayUrl,
    TALLYSTICK_RPC: stack.rpcUrl,
    TALLYSTICK_KEY: agent.privateKey,
    TALLYSTICK_AGENT: `eip155:${stack.chainId}:${stack.identityRegistry}:${agent.agentId}`,
    TALLYSTICK_VAULT: stack.vault,
  };
  const script = existsSync(path.join(folder, 'main.sh')) ? 'main.sh' : 'main.ts';
  const [command, args] =
    script === 'main.sh' ? ['sh', ['main.sh']] : [process.execPath, ['main.ts', ...rest]];
  await run(command, args, folder, environment);

  // Not the example's word: the newest receipt, and its place in the log that the chain holds.
  const cli = path.join(folder, 'node_modules/.bin/tallystick');
  const ask = async (words: readonly string[]): Promise<string> => {
    const env = { ...process.env, ...environment };
    return (await outputOf(process.execPath, [cli, ...words], { cwd: folder, env })).stdout;
  };
  const receipts = JSON.parse(await ask(['receipts', '--json'])) as {
    receipt: { sequence: string; amount: string; model: string };
  }[];
  const newest = receipts.at(-1)?.receipt;
  if (newest === undefined) throw new Error('no receipt');
  const verified = await ask([
    'verify',
    newest.sequence,
    '--anchor',
    stack.anchor,
    '--log',
    stack.logId,
    '--wait',
    '60s',
  ]);
  const last = verified.trim().split('\n').at(-1);
  console.log(`receipt ${newest.sequence} (${newest.model}, ${newest.amount} base units): ${last}`);
}

const running = await runningStack();
heading(running ? `The stack at ${running.gatewayUrl}` : 'Bringing a stack up, and packing the client');
const started = running
  ? undefined
  : await startStack({ localDir: path.join(root, `.local/examples-${process.pid}`), agents: 1 });
const stack = running ?? started;
if (stack === undefined) throw new Error('no stack');
const failed: string[] = [];
try {
  const { stdout } = await outputOf(process.execPath, ['client/build.mjs', '--pack'], { cwd: root });
  const tarball = stdout.trim().split('\n').at(-1) ?? '';
  for (const name of chosen) {
    heading(name);
    try {
      await runExample(name, tarball, stack);
    } catch (error) {
      failed.push(name);
      console.error(`${name} failed: ${error instanceof Error ? error.message : error}`);
    }
  }
} finally {
  await started?.close();
}
console.log(failed.length === 0 ? `\n${chosen.length} examples ran.` : `\nfailed: ${failed.join(', ')}`);
process.exit(failed.length === 0 ? 0 : 1);
