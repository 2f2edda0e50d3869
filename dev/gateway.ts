import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { Log, LogLevel, Miniflare, type ModuleDefinition, type WorkerOptions } from 'miniflare';

/** The service that has the console's files. */
const consoleName = 'console';

/** The repository's root. */
const root = path.resolve(import.meta.dirname, '..');

export type Gateway = {
  readonly url: string;
  readonly miniflare: Miniflare;
  close(): Promise<void>;
};

/** What wrangler.toml says of the Worker, kept beside a bundle: wrangler itself is slow to load. */
const optionsFile = 'wrangler-options.json';

/** As much of it as a gateway is run with. */
type WranglerOptions = Pick<WorkerOptions, 'compatibilityDate' | 'compatibilityFlags'> & {
  readonly bindings?: Readonly<Record<string, string>>;
  readonly durableObjects?: Readonly<Record<string, string | { readonly className: string }>>;
  readonly assets?: { readonly directory?: string };
};

/**
 * Builds the Worker exactly as `wrangler deploy` would upload it, or the script of another configuration.
 * @returns the folder with the bundle, `index.js`
 */
export async function buildWorker(
  outDir: string,
  configFile = path.join(root, 'wrangler.toml'),
): Promise<string> {
  const wrangler = path.join(root, 'node_modules/wrangler/bin/wrangler.js');
  const deploy = ['deploy', '--config', configFile, '--dry-run', '--outdir', outDir];
  try {
    await promisify(execFile)(process.execPath, [wrangler, ...deploy], {
      cwd: root,
      env: { ...process.env, WRANGLER_SEND_METRICS: 'false', NO_COLOR: '1' },
    });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`wrangler could not build the Worker:\n${stdout}${stderr}`);
  }
  const { unstable_getMiniflareWorkerOptions } = await import('wrangler');
  const { workerOptions } = unstable_getMiniflareWorkerOptions(configFile);
  const { compatibilityDate, compatibilityFlags, bindings, durableObjects, assets } = workerOptions;
  const options = { compatibilityDate, compatibilityFlags, bindings, durableObjects, assets };
  writeFileSync(path.join(outDir, optionsFile), JSON.stringify(options));
  return outDir;
}

/** A bundle's modules, the script first. Left to find them, miniflare parses all of the script at each start: a second. */
function modulesIn(bundleDir: string): ModuleDefinition[] {
  const wasm = readdirSync(bundleDir).filter((name) => name.endsWith('.wasm'));
  return [
    { type: 'ESModule', path: path.join(bundleDir, 'index.js') },
    ...wasm.map((name): ModuleDefinition => ({ type: 'CompiledWasm', path: path.join(bundleDir, name) })),
  ];
}

/**
 * Runs a built Worker in workerd, on the wrangler.toml that deploys, with other variables and secrets. Durable Object
 * state lives in `stateDir`.
 */
export async function startGateway(options: {
  readonly bundleDir: string;
  readonly stateDir: string;
  readonly port?: number;
  /** Variables and secrets, over those of wrangler.toml. */
  readonly vars: Readonly<Record<string, string>>;
  /** Told what the Worker writes to its log. */
  readonly log?: (text: string) => void;
  /** Calls come to workerd's own socket, not by way of the Worker that miniflare puts before each one. */
  readonly direct?: boolean;
  /** The console's files are served; else its paths answer 404. */
  readonly console?: boolean;
  /** workerd's inspector listens too, where `miniflare.getInspectorURL()` says. */
  readonly inspect?: boolean;
}): Promise<Gateway> {
  const { compatibilityDate, compatibilityFlags, bindings, durableObjects, assets } = JSON.parse(
    readFileSync(path.join(options.bundleDir, optionsFile), 'utf8'),
  ) as WranglerOptions;
  mkdirSync(options.stateDir, { recursive: true });
  const worker: WorkerOptions = {
    name: 'tallystick',
    modulesRoot: options.bundleDir,
    modules: modulesIn(options.bundleDir),
    ...(compatibilityDate === undefined ? {} : { compatibilityDate }),
    ...(compatibilityFlags === undefined ? {} : { compatibilityFlags }),
    // An upstream is asked directly, as where this is deployed: not by way of a Worker that miniflare puts before each fetch.
    stripCfConnectingIp: false,
    // Asked for like any other service. As the Worker's own assets they would put miniflare's router before every call.
    serviceBindings: { ASSETS: consoleName },
    bindings: { ...bindings, ...options.vars },
    durableObjects: Object.fromEntries(
      Object.entries(durableObjects ?? {}).map(([name, object]) => [
        name,
        { className: typeof object === 'string' ? object : object.className, useSQLite: true },
      ]),
    ),
    ...(options.direct ? { unsafeDirectSockets: [{ host: '127.0.0.1', port: options.port ?? 0 }] } : {}),
  };
  if (assets?.directory === undefined) throw new Error('wrangler.toml names no [assets]');
  const consoleWorker: WorkerOptions = {
    name: consoleName,
    modules: true,
    script: 'export default { fetch: () => new Response(null, { status: 404 }) }',
    ...(compatibilityDate === undefined ? {} : { compatibilityDate }),
    ...(options.console === false
      ? {}
      : { assets: { directory: assets.directory, routerConfig: { has_user_worker: false } } }),
  };
  const miniflare = new Miniflare({
    host: '127.0.0.1',
    port: options.direct ? 0 : (options.port ?? 0),
    cf: false,
    ...(options.inspect ? { inspectorPort: 0 } : {}),
    log: new Log(LogLevel.WARN),
    // workerd's own lines: only what the Worker says is for the operator.
    handleRuntimeStdio: (stdout: Readable, stderr: Readable) => {
      stdout.on('data', (chunk: Buffer) => options.log?.(chunk.toString('utf8')));
      stderr.on('data', (chunk: Buffer) => {
        options.log?.(chunk.toString('utf8'));
        if (process.env['DEBUG']) process.stderr.write(chunk);
      });
    },
    durableObjectsPersist: options.stateDir,
    workers: [worker, consoleWorker],
  });
  const ready = await miniflare.ready;
  const url = options.direct ? await miniflare.unsafeGetDirectURL() : ready;
  return {
    url: url.origin,
    miniflare,
    close: () => miniflare.dispose(),
  };
}
