#!/usr/bin/env node
// The Solidity compiler as forge wants to call it, from npm's `solc`. The `solcjs` binary cannot take its place:
// it breaks on inputs the size of OpenZeppelin. forge asks `--version` first, and then sends standard JSON on stdin
// with flags (`--allow-paths …`) that mean nothing here: every source already stands in the JSON.
import { readFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, isAbsolute, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const solc = createRequire(import.meta.url)('solc');
const contracts = dirname(fileURLToPath(import.meta.url));

/** process.stdout.write may be cut short by an exit on a pipe; a synchronous loop cannot. */
function print(text) {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

/**
 * One name for one file, and none that says where this checkout lies. forge names what it found through another
 * import by its absolute path, so the same file comes twice and an import relative to the first name finds nothing;
 * and names take part in the order in which the compiler numbers things.
 */
function relativeSources(sources) {
  return Object.fromEntries(
    Object.entries(sources).map(([name, source]) => [
      isAbsolute(name) ? relative(contracts, name) : name,
      source,
    ]),
  );
}

if (process.argv.includes('--version')) {
  print(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
} else {
  const input = JSON.parse(readFileSync(0, 'utf8'));
  print(`${solc.compile(JSON.stringify({ ...input, sources: relativeSources(input.sources) }))}\n`);
}
