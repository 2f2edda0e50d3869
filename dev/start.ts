// `npm start`: the stack, one agent's life, then serving. `--once`: ends after the life. `--no-agent`: only serves.
// PORT is the gateway's port; TALLYSTICK_LOCAL_DIR is where state and stack.json go instead of .local.
// TALLYSTICK_BUNDLE_DIR is a Worker that was built before; without it one is built.
import { parseArgs } from 'node:util';
import { agentLife } from './agent-life.ts';
import { type Stack, startStack } from './stack.ts';

const { values: flags } = parseArgs({
  options: { once: { type: 'boolean' }, 'no-agent': { type: 'boolean' } },
});

const say = (line = ''): void => console.log(line);
const heading = (line: string): void => say(`\n\x1b[1m${line}\x1b[0m`);

function port(): number | undefined {
  const text = process.env['PORT'];
  if (text === undefined || text === '') return undefined;
  const number = Number(text);
  if (Number.isInteger(number) && number > 0 && number < 65_536) return number;
  throw new Error(
    `PORT is ${JSON.stringify(text)}: a number from 1 to 65535 is needed, or leave it unset for a free one`,
  );
}

function howToCall(stack: Stack): void {
  heading('Serving. From another terminal:');
  say(`  ${stack.gatewayUrl}/                             the console, in a browser`);
  say(`  curl ${stack.gatewayUrl}/v1/models`);
  say(`  curl ${stack.gatewayUrl}/log/checkpoint`);
  say(
    '  node_modules/.bin/node examples/run.ts openai      an agent of this stack asks, from examples/openai',
  );
  const { vault, identityRegistry, rpcUrl } = stack;
  say(`  node_modules/.bin/cast call ${vault} 'earned()(uint256)' --rpc-url ${rpcUrl}`);
  say(`  node_modules/.bin/cast call ${identityRegistry} 'ownerOf(uint256)(address)' 0 --rpc-url ${rpcUrl}`);
  say(
    '  .local/stack.json                                  all addresses, and three funded agents with their keys',
  );
  say('\nCtrl-C ends everything.');
}

async function main(): Promise<number> {
  heading('Bringing the stack up');
  const portWanted = port();
  const localDir = process.env['TALLYSTICK_LOCAL_DIR'];
  const bundleDir = process.env['TALLYSTICK_BUNDLE_DIR'];
  const stack = await startStack({
    ...(localDir ? { localDir } : {}),
    ...(portWanted === undefined ? {} : { port: portWanted }),
    ...(bundleDir ? { bundleDir } : {}),
    qwenApiKey: process.env['QWEN_API_KEY'],
    qwenBaseUrl: process.env['QWEN_BASE_URL'],
    progress: (line) => say(`  ${line}`),
  });
  const interrupted = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
  try {
    if (!flags['no-agent']) {
      heading("One agent's life");
      const lived = await Promise.race([
        agentLife(stack, (line) => say(`  ${line}`)),
        interrupted.then(() => undefined),
      ]);
      if (lived === false) return 1;
      if (flags.once || lived === undefined) return 0;
    }
    howToCall(stack);
    await interrupted;
    return 0;
  } finally {
    say('\nEnding everything this started.');
    await stack.close();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : error}`);
  if (process.env['DEBUG'] && error instanceof Error) console.error(error.stack);
  process.exitCode = 1;
}
// Whatever a library has left open must not keep a finished program alive.
process.exit();
