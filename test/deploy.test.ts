// What `wrangler deploy` would upload, from the same wrangler.toml the local stack runs on.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';

/** The platform's limit for a compressed Worker on the free plan, the smaller one: 3 MB. */
const limitKiB = 3 * 1024;

test('the dry run lists every binding, and the bundle is within the limit', () => {
  const root = path.resolve(import.meta.dirname, '..');
  const outdir = mkdtempSync(path.join(tmpdir(), 'tallystick-deploy-'));
  const output = execFileSync(
    process.execPath,
    ['node_modules/wrangler/bin/wrangler.js', 'deploy', '--dry-run', '--outdir', outdir],
    { cwd: root, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1', WRANGLER_SEND_METRICS: 'false' } },
  );
  rmSync(outdir, { recursive: true, force: true });

  const gzipKiB = Number(/gzip: ([\d.]+) KiB/.exec(output)?.[1]);
  console.log(`bundle: ${/Total Upload: .*/.exec(output)?.[0]} (limit: ${limitKiB} KiB compressed)`);
  expect(gzipKiB).toBeGreaterThan(0);
  expect(gzipKiB).toBeLessThan(limitKiB);

  const objects = [...output.matchAll(/^env\.(\w+) \((\w+)\)\s+Durable Object/gm)].map((row) => [
    row[1],
    row[2],
  ]);
  expect(objects).toEqual([
    ['AGENT_ACCOUNT', 'AgentAccount'],
    ['RECEIPT_LOG', 'ReceiptLog'],
    ['PUBLISHER', 'Publisher'],
    ['CHAIN', 'Chain'],
  ]);
  const variables = [...output.matchAll(/^env\.(\w+) \(".*Environment Variable/gm)].map((row) => row[1]);
  expect(variables).toEqual(
    expect.arrayContaining(['PUBLIC_ORIGIN', 'CHAINS', 'HOME_CHAIN_ID', 'ANCHOR', 'LOG_OWNER', 'LOG_ORIGIN']),
  );
});
