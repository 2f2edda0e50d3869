// Secrets come from the environment or from files, are never an argument and are never printed.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { Hex, LocalAccount } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { readKeystore } from '../keystore.ts';
import { usage } from './failure.ts';
import type { Terminal } from './terminal.ts';

/** The agent's account. Throws a usage failure that says where a key may be put. */
export async function readAccount(keyFile: string | undefined, terminal: Terminal): Promise<LocalAccount> {
  const inline = process.env['TALLYSTICK_KEY'];
  if (keyFile === undefined && !inline) {
    throw usage(
      'No key. Put it into a file and give --key-file (or TALLYSTICK_KEY_FILE), or into TALLYSTICK_KEY. `tallystick wallet new agent.key` makes one.',
    );
  }
  const text = keyFile === undefined ? (inline ?? '') : readSecretFile(keyFile, terminal);
  const where = keyFile ?? 'TALLYSTICK_KEY';
  if (!text.trimStart().startsWith('{')) return accountOf(text, where);
  const key = await readKeystore(text, await readPassword(terminal));
  if (!key.ok) throw usage(`${where}: ${key.error}.`);
  return privateKeyToAccount(key.value);
}

/** A file's text; warns when others on this machine can read it. */
export function readSecretFile(file: string, terminal: Terminal): string {
  if (!existsSync(file)) throw usage(`There is no file ${file}.`);
  if (process.platform !== 'win32' && (statSync(file).mode & 0o077) !== 0) {
    terminal.warn(`${file} can be read by other users of this machine: chmod 600 ${file}`);
  }
  return readFileSync(file, 'utf8').trim();
}

function accountOf(text: string, where: string): LocalAccount {
  const bare = text.trim().replace(/^0x/, '');
  const isKey = /^[0-9a-fA-F]{64}$/.test(bare);
  try {
    if (isKey) return privateKeyToAccount(`0x${bare.toLowerCase()}` as Hex);
  } catch {
    // not a number the curve knows; viem's message would show it
  }
  throw usage(`${where} holds no private key: 64 hex digits, or a keystore file's JSON, are expected.`);
}

async function readPassword(terminal: Terminal): Promise<string> {
  const file = process.env['TALLYSTICK_PASSWORD_FILE'];
  const inline = process.env['TALLYSTICK_PASSWORD'];
  if (file) return readSecretFile(file, terminal);
  if (inline !== undefined) return inline;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw usage('The keystore has a password: give TALLYSTICK_PASSWORD_FILE or TALLYSTICK_PASSWORD.');
  }
  process.stderr.write('Password of the keystore: ');
  // What is typed is not shown.
  const silent = new Writable({ write: (_, __, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    return await lines.question('');
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}
