import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Miniflare } from 'miniflare';
import { unstable_getMiniflareWorkerOptions } from 'wrangler';
import { buildWorker } from './gateway.ts';

const root = path.resolve(import.meta.dirname, '..');

/**
 * Runs one script in workerd, built as the Worker is built and with its compatibility date, but with none of its
 * bindings: for what has to be measured or tested in the real runtime without the gateway around it.
 */
export async function runInWorkerd(
  entry: string,
): Promise<{ readonly url: string; readonly close: () => Promise<void> }> {
  const bundleDir = mkdtempSync(path.join(tmpdir(), 'tallystick-script-'));
  try {
    const config = {
      name: 'script',
      main: path.resolve(root, entry),
      compatibility_date: '2026-07-30',
      build: { command: 'node worker/recover/build-wasm.mjs', cwd: root },
    };
    const configFile = path.join(bundleDir, 'wrangler.json');
    writeFileSync(configFile, JSON.stringify(config));
    await buildWorker(bundleDir, configFile);
    const { workerOptions } = unstable_getMiniflareWorkerOptions(path.join(root, 'wrangler.toml'));
    const { compatibilityDate, compatibilityFlags } = workerOptions;
    const miniflare = new Miniflare({
      host: '127.0.0.1',
      port: 0,
      cf: false,
      modules: true,
      modulesRoot: bundleDir,
      scriptPath: path.join(bundleDir, `${path.basename(entry, '.ts')}.js`),
      modulesRules: [{ type: 'CompiledWasm', include: ['**/*.wasm'] }],
      ...(compatibilityDate === undefined ? {} : { compatibilityDate }),
      ...(compatibilityFlags === undefined ? {} : { compatibilityFlags }),
    });
    const { origin } = await miniflare.ready;
    const close = async (): Promise<void> => {
      await miniflare.dispose();
      rmSync(bundleDir, { recursive: true, force: true });
    };
    return { url: origin, close };
  } catch (error) {
    rmSync(bundleDir, { recursive: true, force: true });
    throw error;
  }
}
