// What `wrangler deploy` would upload, from the same wrangler.toml the local stack runs on, in every environment.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';

/** The platform's limit for a compressed Worker on the free plan, the smaller one: 3 MB. */
const limitKiB = 3 * 1024;
const environments = ['galileo', 'aristotle', 'evm-example'];

const root = path.resolve(import.meta.dirname, '..');

async function dryRun(environment: string | undefined): Promise<string> {
  const outdir = mkdtempSync(path.join(tmpdir(), 'tallystick-deploy-'));
  const args = environment === undefined ? [] : ['--env', environment];
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ['node_modules/wrangler/bin/wrangler.js', 'deploy', '--dry-run', '--outdir', outdir, ...args],
    { cwd: root, env: { ...process.env, NO_COLOR: '1', WRANGLER_SEND_METRICS: 'false' } },
  );
  rmSync(outdir, { recursive: true, force: true });
  return stdout + stderr;
}

/** Names and kinds of the bindings a dry run lists; the values of variables and the names of datasets are each environment's own. */
const bindingsIn = (output: string): string[] =>
  [...output.matchAll(/^env\.(\w+)(?: \((\w+)\))?.*?\s{2,}(\S.*?)\s*$/gm)]
    .map(([, name, of, kind]) => `${name}: ${kind}${kind === 'Durable Object' ? ` ${of}` : ''}`)
    .sort();

let standard = '';
const outputs = new Map<string, string>();
beforeAll(async () => {
  // Each builds the Worker's wasm first, so one goes ahead.
  standard = await dryRun(undefined);
  await Promise.all(environments.map(async (name) => outputs.set(name, await dryRun(name))));
}, 60_000);

test('the dry run lists every binding, and the bundle is within the limit', () => {
  const gzipKiB = Number(/gzip: ([\d.]+) KiB/.exec(standard)?.[1]);
  console.log(`bundle: ${/Total Upload: .*/.exec(standard)?.[0]} (limit: ${limitKiB} KiB compressed)`);
  expect(gzipKiB).toBeGreaterThan(0);
  expect(gzipKiB).toBeLessThan(limitKiB);
  expect(bindingsIn(standard)).toEqual(
    expect.arrayContaining([
      'AGENT_ACCOUNT: Durable Object AgentAccount',
      'RECEIPT_LOG: Durable Object ReceiptLog',
      'LOG_INTAKE: Durable Object LogIntake',
      'PUBLISHER: Durable Object Publisher',
      'CHAIN: Durable Object Chain',
      'COUNTERS: Durable Object Counters',
      'ANALYTICS: Analytics Engine Dataset',
      'ASSETS: Assets',
      ...[
        ...['PUBLIC_ORIGIN', 'CHAINS', 'HOME_CHAIN_ID', 'ANCHOR', 'LOG_OWNER', 'LOG_ORIGIN', 'DA'],
        ...['SEAL_EVERY_SECONDS', 'SEAL_AT_ENTRIES', 'PUBLISH_EVERY_SECONDS', 'MERGE_DELAY_SECONDS'],
        ...['ZERO_G_STORAGE_KIND', 'ZERO_G_STORAGE_URL', 'ZERO_G_FLOW', 'UPSTREAMS'],
      ].map((name) => `${name}: Environment Variable`),
    ]),
  );
});

describe.each(environments)('%s', (name) => {
  test('lists what the default lists, and warns of nothing', () => {
    const output = outputs.get(name) ?? '';
    expect(bindingsIn(output)).toEqual(bindingsIn(standard));
    expect(output).not.toMatch(/WARNING/);
  });
});
