// `npm run bench`: every bench, one after the other, each in a process of its own; then docs/benchmarks.md anew.
// `npm run bench -- gas identity` runs those; `npm run bench -- --list` names them.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { writeBenchmarks } from './benchmarks-page.ts';

/** In this order: what needs a quiet machine most comes first. */
const benches = {
  gateway: 'first byte, latency, requests per second and processor time beside a bare Worker and Portkey',
  memory: 'what a hundred slow readers cost in memory',
  identity: 'verifications per second beside viem',
  account: 'rows, bytes and rounds per request; reservations and captures per second',
  log: 'sealing, sequencing and proving, beside 0G’s Merkle code',
  client: 'what signing adds to a call; the package’s size',
  gas: 'the chain’s costs beside 0G Compute and x402',
  cost: 'dollars per million requests on the platform’s list prices',
  scaling: 'a million agents on the platform’s limits, simulated on what the log’s bench measured',
} as const;

const names = process.argv.slice(2);
if (names.includes('--list')) {
  for (const [name, what] of Object.entries(benches)) console.log(`${name.padEnd(10)} ${what}`);
  process.exit(0);
}
const unknown = names.filter((name) => !(name in benches));
if (unknown.length > 0) {
  console.error(`no bench is called ${unknown.join(', ')}; there are: ${Object.keys(benches).join(', ')}`);
  process.exit(2);
}
const chosen = names.length > 0 ? names : Object.keys(benches);

const run = (name: string): Promise<number> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [path.join(import.meta.dirname, `${name}.ts`)], {
      stdio: 'inherit',
    });
    child.once('exit', (code) => resolve(code ?? 1));
  });

const seconds = (sinceMs: number): number => Math.round((Date.now() - sinceMs) / 1000);
const beganMs = Date.now();
const failed: string[] = [];
for (const [index, name] of chosen.entries()) {
  const startedMs = Date.now();
  console.log(`\n\x1b[1m[${index + 1}/${chosen.length}] ${name}\x1b[0m`);
  if ((await run(name)) !== 0) failed.push(name);
  console.log(`\n${name} took ${seconds(startedMs)} s, everything so far ${seconds(beganMs)} s`);
}
console.log(`\nwrote ${writeBenchmarks(Object.keys(benches))}`);
if (failed.length > 0) console.error(`failed: ${failed.join(', ')}`);
process.exitCode = failed.length > 0 ? 1 : 0;
