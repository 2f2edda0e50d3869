import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createInterface } from 'node:readline';

export interface AnvilOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /**
   * Seconds between blocks, 1 by default; a transaction is still mined at once (mixed mining). An idle chain whose head
   * does not move looks like a dead RPC to whatever checks the head's age. 0 mines on transactions only.
   */
  readonly blockTime?: number;
  /** Keep the chain in this folder: read at the start, written every few seconds and on close. */
  readonly stateDir?: string;
  readonly chainId?: number;
  /**
   * Keep only the state of this many blocks, for chains of thousands of them: anvil otherwise writes what is older than 500
   * blocks to disk, a file a block, and mining takes ten times as long.
   */
  readonly statesKept?: number;
  /** An EVM version by name, such as `cancun` (what 0G's chain is compiled for); anvil's own default otherwise. */
  readonly hardfork?: string;
}

export interface Anvil {
  readonly url: string;
  /** Of anvil itself, not of a wrapper: kill this and it is gone. */
  readonly pid: number;
  /** Stops it, letting it write its state. Safe to call twice. */
  close(): Promise<void>;
}

const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 10_000;

/**
 * The platform's own binary. The npm package's `anvil` command is a wrapper that leaves the real process behind when it
 * is killed, so it is not used.
 */
function anvilBinary(): string {
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  const name = `@foundry-rs/anvil-${process.platform}-${arch}`;
  try {
    return path.join(
      path.dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)),
      'bin/anvil',
    );
  } catch {
    throw new Error(
      `${name} is not installed: npm has no anvil for this platform, or left out optional packages`,
    );
  }
}

/** The address anvil says it listens on. Its later output is read and dropped, or it would block on a full pipe. */
async function listeningUrl(child: ChildProcess): Promise<string> {
  if (child.stdout === null || child.stderr === null) throw new Error('anvil was started without pipes');
  const complaints: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => complaints.push(line));
  const lines = createInterface({ input: child.stdout });
  const url = await new Promise<string>((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`anvil ${why}: ${complaints.join(' ')}`));
    const timer = setTimeout(() => fail(`did not start in ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS);
    child.once('error', (error) => fail(error.message));
    child.once('exit', (code) => fail(`ended with code ${code}`));
    lines.on('line', (line) => {
      const address = /^Listening on (\S+)$/.exec(line)?.[1];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(`http://${address}`);
    });
  });
  lines.removeAllListeners('line');
  child.stdout.resume();
  return url;
}

async function answers(url: string): Promise<void> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] });
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    signal: AbortSignal.timeout(START_TIMEOUT_MS),
  });
  await response.text();
  if (!response.ok) throw new Error(`anvil at ${url} answers HTTP ${response.status}`);
}

/** Starts a local chain and resolves once it answers. Throws if the binary is missing or does not come up. */
export async function startAnvil(options: AnvilOptions = {}): Promise<Anvil> {
  const { port = 0, blockTime = 1, stateDir, chainId = 31337, hardfork, statesKept } = options;
  const args = ['--port', String(port), '--chain-id', String(chainId)];
  if (blockTime > 0) args.push('--block-time', String(blockTime), '--mixed-mining');
  if (statesKept !== undefined) args.push('--prune-history', String(statesKept));
  if (hardfork !== undefined) args.push('--hardfork', hardfork);
  if (stateDir !== undefined) {
    mkdirSync(stateDir, { recursive: true });
    args.push('--state', path.join(stateDir, 'anvil.json'), '--state-interval', '2');
  }

  const child = spawn(anvilBinary(), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  // Without this a test run that ends without close() would leave a chain running.
  process.once('exit', kill);
  const ended = once(child, 'exit');
  ended.catch(() => undefined);

  const close = async (): Promise<void> => {
    process.removeListener('exit', kill);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const timer = setTimeout(kill, STOP_TIMEOUT_MS);
    child.kill('SIGINT');
    await ended;
    clearTimeout(timer);
  };

  try {
    const url = await listeningUrl(child);
    await answers(url);
    if (child.pid === undefined) throw new Error('anvil has no process id');
    return { url, pid: child.pid, close };
  } catch (error) {
    kill();
    process.removeListener('exit', kill);
    throw error;
  }
}
