// The tarball, as a stranger meets it: an empty folder, `npm i`, the README's lines, a paid and verified call.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { Miniflare } from 'miniflare';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Stack } from '../dev/stack.ts';
import { startTestStack } from './test-stack.ts';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '..');
let stack: Stack;
let folder: string;

beforeAll(async () => {
  const packed = await run(process.execPath, ['client/build.mjs', '--pack'], { cwd: root });
  const tarball = packed.stdout.trim().split('\n').at(-1) ?? '';
  folder = mkdtempSync(path.join(tmpdir(), 'tallystick-package-'));
  writeFileSync(path.join(folder, 'package.json'), '{"type":"module","private":true}');
  const packages = [tarball, 'openai@7.57.0', 'typescript@7.0.2', '@types/node@24.10.0'];
  await run('npm', ['i', '--no-audit', '--no-fund', '--loglevel=error', ...packages], { cwd: folder });
  stack = await startTestStack();
}, 240_000);
afterAll(async () => {
  await stack?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

const environment = () => {
  const [agent] = stack.agents;
  if (!agent) throw new Error('no agent');
  return {
    ...process.env,
    TALLYSTICK_GATEWAY: stack.gatewayUrl,
    TALLYSTICK_RPC: stack.rpcUrl,
    TALLYSTICK_KEY: agent.privateKey,
    TALLYSTICK_AGENT: `eip155:${stack.chainId}:${stack.identityRegistry}:${agent.agentId}`,
  };
};

test('the lines in its README make a paid call whose receipt is checked', async () => {
  const readme = readFileSync(path.join(folder, 'node_modules/tallystick/README.md'), 'utf8');
  const [, lines = ''] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  expect(lines).toContain("from 'tallystick'");
  // The page a stranger finds first has the very same lines.
  expect(readFileSync(path.join(root, 'README.md'), 'utf8')).toContain(lines);
  writeFileSync(path.join(folder, 'readme.js'), lines);
  const { stdout } = await run(process.execPath, ['readme.js'], { cwd: folder, env: environment() });
  expect(stdout.trim()).toMatch(/\S.* [1-9]\d*n$/s);
});

test('and its types are right for a strict program', async () => {
  writeFileSync(
    path.join(folder, 'typed.ts'),
    `import { createAgentFetch, type AgentFetch, VoucherLimitError } from 'tallystick';
import { fromPrivateKey, fromKeystore, fromWalletClient } from 'tallystick/wallets';
import { verifyReceipt, verifyInclusion, verifyConsistency, parseReceiptFile } from 'tallystick/verify';
import { startSigningProxy } from 'tallystick/proxy';
import { deposit } from 'tallystick/chain';
import { agentVaultScheme } from 'tallystick/x402';
export const made: AgentFetch = createAgentFetch({ wallet: fromPrivateKey(''), agent: '', gateway: '' });
export const amount: bigint | undefined = made.lastReceipt?.signed.receipt.amount;
// @ts-expect-error a number is no amount
export const wrong = createAgentFetch({ wallet: fromPrivateKey(''), agent: '', gateway: '', limits: { perVoucher: 1 } });
export { VoucherLimitError, fromKeystore, fromWalletClient, verifyReceipt, verifyInclusion, verifyConsistency };
export { parseReceiptFile, startSigningProxy, deposit, agentVaultScheme };
`,
  );
  const compiler = path.join(folder, 'node_modules/typescript/bin/tsc');
  const flags = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2024', '--types', 'node'];
  const checked = await run(process.execPath, [compiler, ...flags, 'typed.ts'], { cwd: folder }).catch(
    (error: { stdout?: string }) => error,
  );
  expect(checked.stdout).toBe('');
});

test('what is not used is left out, and nothing of Node is in what browsers load', async () => {
  const bundled = async (code: string) => {
    const { outputFiles } = await build({
      stdin: { contents: code, resolveDir: folder },
      bundle: true,
      minify: true,
      format: 'esm',
      platform: 'browser',
      write: false,
    });
    return outputFiles[0]?.text ?? '';
  };
  const one = await bundled("export { verifyInclusion } from 'tallystick/verify'");
  expect(one.length).toBeLessThan(15_000);
  const all = await bundled("export { createAgentFetch } from 'tallystick'");
  expect(all.length).toBeGreaterThan(one.length);
  expect(all).not.toMatch(/from"node:/);
}, 60_000);

test('in a Worker it makes a paid call, too', async () => {
  const { outputFiles } = await build({
    stdin: {
      contents: `import { createAgentFetch } from 'tallystick';
import { fromPrivateKey } from 'tallystick/wallets';
export default {
  async fetch(_, { TALLYSTICK_GATEWAY: gateway, TALLYSTICK_KEY: key, TALLYSTICK_AGENT: agent }) {
    const agentFetch = createAgentFetch({ wallet: fromPrivateKey(key), agent, gateway, strict: true });
    const response = await agentFetch(gateway + '/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'qwen-flash', messages: [{ role: 'user', content: 'What is 6*7?' }] }),
    });
    const answer = await response.text();
    return Response.json({ answer, checked: agentFetch.lastReceipt?.responseChecked ?? false });
  },
};`,
      resolveDir: folder,
    },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
  });
  const { TALLYSTICK_GATEWAY, TALLYSTICK_KEY, TALLYSTICK_AGENT } = environment();
  const worker = new Miniflare({
    modules: true,
    script: outputFiles[0]?.text ?? '',
    // No Node compatibility: what the platform has is enough.
    compatibilityDate: '2026-01-01',
    bindings: { TALLYSTICK_GATEWAY, TALLYSTICK_KEY, TALLYSTICK_AGENT },
  });
  try {
    const response = await worker.dispatchFetch('http://worker.test/');
    expect(await response.json()).toMatchObject({ answer: expect.stringContaining('42'), checked: true });
  } finally {
    await worker.dispose();
  }
}, 60_000);

test('its command line says who it is', async () => {
  const { version } = JSON.parse(readFileSync(path.join(root, 'client/package.json'), 'utf8')) as {
    version: string;
  };
  const bin = path.join(folder, 'node_modules/.bin/tallystick');
  expect((await run(process.execPath, [bin, '--version'])).stdout.trim()).toBe(version);
});
