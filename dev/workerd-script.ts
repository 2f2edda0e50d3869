import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Miniflare } from 'miniflare';
import { buildWorker } from './gateway.ts';

const root = path.resolve(import.meta.dirname, '..');

/** What a script may be given besides the runtime. */
export type ScriptBindings = {
  readonly vars?: Readonly<Record<string, string>>;
  /** Durable Object classes it exports, by the name of their binding. */
  readonly objects?: Readonly<Record<string, string>>;
  /** Where the objects' state is; in memory when not given. */
  readonly stateDir?: string;
  /** Calls come to workerd's own socket, not by way of the Worker that miniflare puts before each one. */
  readonly direct?: boolean;
  /** workerd's inspector listens too. */
  readonly inspect?: boolean;
};

export type Script = {
  readonly url: string;
  /** Where `inspect` was asked for. */
  readonly inspector: URL | undefined;
  readonly close: () => Promise<void>;
};

/**
 * Runs one script in workerd, built as the Worker is built and with its compatibility date, but with none of its
 * bindings: for what has to be measured or tested in the real runtime without the gateway around it.
 */
export async function runInWorkerd(
  entry: string,
  { vars = {}, objects = {}, stateDir, direct = false, inspect = false }: ScriptBindings = {},
): Promise<Script> {
  const bundleDir = mkdtempSync(path.join(tmpdir(), 'tallystick-script-'));
  try {
    const config = {
      name: 'script',
      main: path.resolve(root, entry),
      compatibility_date: '2026-07-30',
      keep_names: false,
      durable_objects: {
        bindings: Object.entries(objects).map(([name, className]) => ({ name, class_name: className })),
      },
      migrations: [{ tag: 'v1', new_sqlite_classes: Object.values(objects) }],
      build: { command: 'node compiled/build-wasm.mjs', cwd: root },
    };
    const configFile = path.join(bundleDir, 'wrangler.json');
    writeFileSync(configFile, JSON.stringify(config));
    await buildWorker(bundleDir, configFile);
    const { unstable_getMiniflareWorkerOptions } = await import('wrangler');
    const { workerOptions } = unstable_getMiniflareWorkerOptions(path.join(root, 'wrangler.toml'));
    const { compatibilityDate, compatibilityFlags } = workerOptions;
    const miniflare = new Miniflare({
      host: '127.0.0.1',
      port: 0,
      cf: false,
      stripCfConnectingIp: false,
      ...(inspect ? { inspectorPort: 0 } : {}),
      modules: true,
      modulesRoot: bundleDir,
      scriptPath: path.join(bundleDir, `${path.parse(entry).name}.js`),
      modulesRules: [{ type: 'CompiledWasm', include: ['**/*.wasm'] }],
      bindings: vars,
      ...(direct ? { unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }] } : {}),
      durableObjects: Object.fromEntries(
        Object.entries(objects).map(([name, className]) => [name, { className, useSQLite: true }]),
      ),
      ...(stateDir === undefined ? {} : { durableObjectsPersist: stateDir }),
      ...(compatibilityDate === undefined ? {} : { compatibilityDate }),
      ...(compatibilityFlags === undefined ? {} : { compatibilityFlags }),
    });
    const ready = await miniflare.ready;
    const { origin } = direct ? await miniflare.unsafeGetDirectURL() : ready;
    const close = async (): Promise<void> => {
      await miniflare.dispose();
      rmSync(bundleDir, { recursive: true, force: true });
    };
    return { url: origin, inspector: inspect ? await miniflare.getInspectorURL() : undefined, close };
  } catch (error) {
    rmSync(bundleDir, { recursive: true, force: true });
    throw error;
  }
}
