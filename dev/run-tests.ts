// `npm test`: vitest, and beside it what proves the contracts, which takes what vitest leaves of the processor while its tests
// wait. What forge said is shown when vitest has ended, so that the two do not mix. Arguments are vitest's.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const vitestBin = path.join(root, 'node_modules/vitest/vitest.mjs');

const contracts = spawn('nice', ['-n', '10', 'npm', 'run', 'test:contracts'], {
  cwd: root,
  stdio: ['ignore', 'pipe', 'pipe'],
});
const said: Buffer[] = [];
for (const stream of [contracts.stdout, contracts.stderr]) {
  stream.on('data', (chunk: Buffer) => said.push(chunk));
}
const contractsEnd = once(contracts, 'close');

const vitest = spawn(process.execPath, [vitestBin, 'run', ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
const [vitestCode] = await once(vitest, 'close');
const [contractsCode] = await contractsEnd;
process.stdout.write(Buffer.concat(said));
if (contractsCode !== 0) console.error('\nThe contracts failed: forge or the ABI check, above.');
if (vitestCode !== 0) console.error('\nvitest failed: above what forge says.');
process.exitCode = vitestCode === 0 && contractsCode === 0 ? 0 : 1;
