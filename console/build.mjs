// Builds console/dist, the Worker's static assets: the page, its scripts in chunks, its style. Run by wrangler before every
// build (wrangler.toml, [build]), as the Worker's own WebAssembly is.
//
//   node console/build.mjs            writes console/dist
//   node console/build.mjs --size     and says what a visitor loads
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(here, 'dist');
const assets = path.join(dist, 'assets');

const { outputFiles, metafile } = await build({
  absWorkingDir: path.dirname(here),
  entryPoints: { page: path.join(here, 'page.tsx') },
  outdir: assets,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'browser',
  target: ['es2022', 'chrome120', 'firefox121', 'safari17'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  tsconfigRaw: '{}',
  // Names carry a hash of what is in them, so that they are cached for ever and never mixed between two versions.
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  minify: true,
  metafile: true,
  write: false,
  logLevel: 'warning',
});

const nameOf = (file) => path.basename(file.path);
const only = (files, ending) => {
  const found = files.find((file) => /^page-/.test(nameOf(file)) && file.path.endsWith(ending));
  if (found === undefined) throw new Error(`no page${ending} was built`);
  return found;
};
const script = only(outputFiles, '.js');
const style = only(outputFiles, '.css');

const template = readFileSync(path.join(here, 'index.html'), 'utf8');
const html = template
  .replace('{{style}}', `/assets/${nameOf(style)}`)
  .replace('{{script}}', `/assets/${nameOf(script)}`);
if (html.includes('{{')) throw new Error('index.html has a place that nothing was put into');

mkdirSync(assets, { recursive: true });
for (const file of outputFiles) writeWhole(file.path, file.contents);
writeWhole(path.join(dist, 'index.html'), Buffer.from(html));
// Minutes after they went out of use: what another build made may be being read at this moment.
const current = new Set(outputFiles.map(nameOf));
for (const name of readdirSync(assets)) {
  const file = path.join(assets, name);
  if (!current.has(name) && statSync(file, { throwIfNoEntry: false })?.mtimeMs < Date.now() - 300_000) {
    unlinkSync(file);
  }
}

/** Two builds at once must not read each other's half, and what is the same is left alone. */
function writeWhole(file, bytes) {
  const digest = (data) => createHash('sha256').update(data).digest('hex');
  if (existsSync(file) && digest(readFileSync(file)) === digest(bytes)) return;
  const whole = `${file}.${process.pid}`;
  writeFileSync(whole, bytes);
  renameSync(whole, file);
}

if (process.argv.includes('--size')) {
  const byName = new Map(outputFiles.map((file) => [nameOf(file), file.contents]));
  const gzip = (name) => gzipSync(byName.get(name)).length;
  const imports = new Map(
    Object.entries(metafile.outputs).map(([file, output]) => [
      path.basename(file),
      output.imports
        .filter(({ kind }) => kind === 'import-statement')
        .map(({ path: to }) => path.basename(to)),
    ]),
  );
  const reach = (name, seen = new Set()) => {
    if (seen.has(name)) return seen;
    seen.add(name);
    for (const next of imports.get(name) ?? []) reach(next, seen);
    return seen;
  };
  const first = new Set([...reach(nameOf(script)), nameOf(style)]);
  const sum = (names) => [...names].reduce((total, name) => total + gzip(name), 0);
  const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
  console.log(`first view    ${kib(sum(first) + gzipSync(html).length)} gzip`);
  console.log(`everything    ${kib(sum(byName.keys()) + gzipSync(html).length)} gzip`);
  for (const [name, bytes] of byName)
    console.log(
      `  ${name.padEnd(34)} ${kib(bytes.length).padStart(10)} ${kib(gzip(name)).padStart(10)} gzip`,
    );
}
