// Runs npm's forge in contracts/ and exits as it exits.
//
//   node contracts/forge.mjs test
//
// node_modules/.bin/forge takes the same arguments but is deaf to the outcome: it exits 0 when tests fail
// (@foundry-rs/forge 1.7.1), so nothing that has to notice a failure may go through it.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
const binary = createRequire(import.meta.url).resolve(
  `@foundry-rs/forge-${platform}/bin/forge${process.platform === 'win32' ? '.exe' : ''}`,
);
const { status, error } = spawnSync(binary, process.argv.slice(2), {
  cwd: dirname(fileURLToPath(import.meta.url)),
  stdio: 'inherit',
});
if (error) throw error;
process.exit(status ?? 1);
