// Writes the contracts' ABIs, creation bytecode and what their deployed code has to be as TypeScript, from a build of its own.
//
//   node contracts-abi/generate.mjs           writes contracts-abi/generated/
//   node contracts-abi/generate.mjs --check   exits 1 if what is there is not what it would write
//
// The build is always the whole of contracts/src, without the tests, into an empty folder: which files are compiled
// together may show in the bytecode.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keccak256 } from 'viem';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const generated = join(here, 'generated');
const contracts = [
  'AgentVault',
  'ReceiptAnchor',
  'OperatorBond',
  'IdentityRegistry',
  'SmartAccount',
  'SmartAccountFactory',
];
const banner = '// Written by contracts-abi/generate.mjs from contracts/src. Do not edit.\n';

/** `AgentVault` -> `agentVault`. */
const camel = (name) => name[0].toLowerCase() + name.slice(1);

/** What forge makes of contracts/src, by contract name. */
function build() {
  const scratch = mkdtempSync(join(tmpdir(), 'tallystick-abi-'));
  try {
    const forge = join(root, 'contracts', 'forge.mjs');
    const args = ['build', '--skip', 'test', '--force', '--out', join(scratch, 'out')];
    execFileSync(process.execPath, [forge, ...args, '--cache-path', join(scratch, 'cache')], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return contracts.map((name) => ({
      name,
      artifact: JSON.parse(readFileSync(join(scratch, 'out', `${name}.sol`, `${name}.json`), 'utf8')),
    }));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** What deployed code is compared with: its length, where the constructor writes, and the hash of all the rest. */
function runtime({ object, immutableReferences = {} }) {
  const code = Buffer.from(object.slice(2), 'hex');
  const immutables = Object.values(immutableReferences)
    .flat()
    .map(({ start, length }) => [start, length])
    .sort(([a], [b]) => a - b);
  for (const [start, length] of immutables) code.fill(0, start, start + length);
  return { bytes: code.length, immutables, maskedHash: keccak256(code) };
}

/** The generated files' texts by path below `generated/`. */
function files() {
  return build().flatMap(({ name, artifact }) => [
    [
      `${name}.ts`,
      `${banner}export const ${camel(name)}Abi = ${JSON.stringify(artifact.abi, null, 2)} as const;\n`,
    ],
    [
      `${name}.bytecode.ts`,
      `${banner}export const ${camel(name)}Bytecode: \`0x\${string}\` =\n  '${artifact.bytecode.object}';\n`,
    ],
    [
      `${name}.runtime.ts`,
      `${banner}export const ${camel(name)}Runtime = ${JSON.stringify(runtime(artifact.deployedBytecode))} as const;\n`,
    ],
  ]);
}

/** A file's text, or nothing if it is not there. */
function held(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

if (process.argv.includes('--check')) {
  const stale = files().filter(([name, text]) => held(join(generated, name)) !== text);
  for (const [name] of stale)
    console.error(`contracts-abi/generated/${name} is not what contracts/src makes.`);
  if (stale.length > 0) {
    console.error('Run: node contracts-abi/generate.mjs');
    process.exit(1);
  }
} else {
  mkdirSync(generated, { recursive: true });
  for (const [name, text] of files()) writeFileSync(join(generated, name), text);
}
