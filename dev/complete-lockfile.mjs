// Adds to package-lock.json the optional platform packages that `npm install` left out.
//
// npm drops an optional dependency silently when the registry it asks has no such package (mirrors often lack
// macOS or arm64 builds), and `npm ci` then refuses the lockfile as incomplete. Run after every dependency change:
//   npm install && node dev/complete-lockfile.mjs
// `--check` changes nothing and exits 1 when something is missing. A folder may be named that has a lockfile of its own.
// Plain JavaScript: it runs on any Node.
import { readFileSync, writeFileSync } from 'node:fs';

const folder = process.argv.slice(2).find((word) => !word.startsWith('--')) ?? '.';
const path = new URL(`../${folder}/package-lock.json`, import.meta.url);
const lock = JSON.parse(readFileSync(path, 'utf8'));

const OS = [
  'darwin',
  'linux',
  'win32',
  'freebsd',
  'netbsd',
  'openbsd',
  'sunos',
  'aix',
  'android',
  'openharmony',
];
const OS_NAMES = { windows: 'win32', win: 'win32', mac: 'darwin' };
const CPU = {
  amd64: 'x64',
  x64: 'x64',
  64: 'x64',
  arm64: 'arm64',
  arm: 'arm',
  armv7l: 'arm',
  ia32: 'ia32',
  ppc64: 'ppc64',
  riscv64: 'riscv64',
};

/** Reads the platform out of names such as `@cloudflare/workerd-darwin-arm64` or `@rolldown/binding-win32-x64-msvc`. */
function platformOf(name) {
  const words = name.split('/').at(-1).split('-');
  const os = words.map((word) => OS_NAMES[word] ?? word).find((word) => OS.includes(word));
  const cpu = words.map((word) => CPU[word]).find((word) => word !== undefined);
  const libc = words.includes('musl') ? { libc: ['musl'] } : {};
  return { ...(os ? { os: [os] } : {}), ...(cpu ? { cpu: [cpu] } : {}), ...libc };
}

/** Where npm looks for `name` when required from the package at `from`: nearest node_modules first. */
function resolved(from, name) {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules') - 1))) {
    const candidate = `${at === '' ? '' : `${at}/`}node_modules/${name}`;
    if (lock.packages[candidate]) return lock.packages[candidate];
    if (at === '') return undefined;
  }
}

const missing = [];
for (const [from, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (!/^\d+\.\d+\.\d+/.test(version)) continue; // a range is npm's to resolve
    const found = resolved(from, name);
    if (found?.version === version) continue;
    // A different version higher up means ours nests below its parent.
    const at = found === undefined ? `node_modules/${name}` : `${from}/node_modules/${name}`;
    missing.push([at, { version, ...platformOf(name), dev: entry.dev, optional: true }]);
  }
}

if (missing.length === 0) {
  console.log('package-lock.json names every platform package');
} else if (process.argv.includes('--check')) {
  console.error(`package-lock.json lacks ${missing.length} platform packages:`);
  for (const [at] of missing) console.error(`  ${at}`);
  console.error('run: node dev/complete-lockfile.mjs');
  process.exitCode = 1;
} else {
  for (const [at, entry] of missing) lock.packages[at] = entry;
  lock.packages = Object.fromEntries(
    Object.entries(lock.packages).sort(([a], [b]) =>
      a === '' ? -1 : b === '' ? 1 : a.localeCompare(b, 'en'),
    ),
  );
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`added ${missing.length} platform packages:\n${missing.map(([at]) => `  ${at}`).join('\n')}`);
}
