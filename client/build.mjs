// Builds client/dist: what `npm pack` puts into the tarball. ESM, one file per door and shared chunks, and .d.ts files.
//
//   node client/build.mjs            writes client/dist and says what it weighs
//   node client/build.mjs --pack     and packs it; the tarball's path is the last line
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.dirname(here);
const dist = path.join(here, 'dist');
const manifest = JSON.parse(readFileSync(path.join(here, 'package.json'), 'utf8'));

/** Every file that package.json names in `exports` and `bin`, and the source it is made of. */
const targets = [
  ...Object.values(manifest.exports).flatMap((target) =>
    typeof target === 'string' ? [] : [target.default],
  ),
  ...Object.values(manifest.bin),
].map((file) => file.replace(/^\.\/dist\//, '').replace(/\.js$/, ''));
const sources = targets.map((name) => path.join(here, `${name}.ts`));

rmSync(dist, { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: Object.fromEntries(targets.map((name, i) => [name, sources[i]])),
  outdir: dist,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'neutral',
  target: 'es2024',
  packages: 'external',
  external: ['node:*'],
  chunkNames: 'chunks/[name]-[hash]',
  // What is unused is left out, names stay: stack traces of what handles money should be read.
  minifySyntax: true,
  treeShaking: true,
  metafile: true,
  logLevel: 'warning',
});
for (const file of Object.values(manifest.bin)) chmodSync(path.join(here, file), 0o755);

// Types: the compiler follows the doors' imports, so that only what they reach is in the package.
const scratch = path.join(here, 'dist', 'tsconfig.json');
writeFileSync(
  scratch,
  JSON.stringify({
    extends: path.join(root, 'tsconfig.base.json'),
    compilerOptions: {
      noEmit: false,
      declaration: true,
      emitDeclarationOnly: true,
      rewriteRelativeImportExtensions: true,
      stripInternal: true,
      lib: ['es2024', 'dom', 'dom.iterable', 'dom.asynciterable'],
      types: ['node'],
      typeRoots: [path.join(root, 'node_modules/@types')],
      rootDir: root,
      outDir: path.join(dist, 'types'),
    },
    files: sources.filter((file) => !file.includes(`${path.sep}cli${path.sep}`)),
  }),
);
const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
execFileSync(process.execPath, [tsc, '-p', scratch], { stdio: 'inherit' });
rmSync(scratch);
// The compiler leaves `.ts` in declarations' imports; what is beside them in the package is `.d.ts`, imported as `.js`.
for (const file of readdirSync(path.join(dist, 'types'), { recursive: true })) {
  if (!file.endsWith('.d.ts')) continue;
  const full = path.join(dist, 'types', file);
  const text = readFileSync(full, 'utf8');
  writeFileSync(full, text.replaceAll(/(["'])(\.{1,2}\/[^"']+)\.ts\1/g, '$1$2.js$1'));
}

const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
const outputs = Object.entries(metafile.outputs).map(([file, output]) => ({
  file: path.relative(dist, path.resolve(root, file)),
  bytes: output.bytes,
  gzip: gzipSync(readFileSync(path.resolve(root, file))).length,
  imports: output.imports
    .filter(({ external }) => !external)
    .map((i) => path.relative(dist, path.resolve(root, i.path))),
}));
const byFile = new Map(outputs.map((output) => [output.file, output]));
/** A door with all chunks that it loads at once. */
const reach = (file, seen = new Set()) => {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const next of byFile.get(file)?.imports ?? []) reach(next, seen);
  return seen;
};
for (const name of targets) {
  const files = [...reach(`${name}.js`)].map((file) => byFile.get(file));
  const sum = (of) => files.reduce((total, output) => total + (output?.[of] ?? 0), 0);
  console.log(`${name.padEnd(22)} ${kib(sum('bytes')).padStart(10)}   gzip ${kib(sum('gzip')).padStart(9)}`);
}
console.log(
  `dependencies           ${Object.entries(manifest.dependencies)
    .map(([n, v]) => `${n}@${v}`)
    .join(' ')}`,
);

// The time a program waits for `import 'tallystick'`, viem included; best of five, in processes of their own.
const timed = (name) =>
  Math.min(
    ...Array.from({ length: 5 }, () => {
      const url = JSON.stringify(new URL(`dist/${name}.js`, import.meta.url).href);
      const code = `const t = performance.now(); await import(${url}); console.log(performance.now() - t)`;
      return Number(execFileSync(process.execPath, ['--input-type=module', '-e', code]));
    }),
  );
for (const name of ['tallystick', 'verification'].filter((name) => targets.includes(name))) {
  console.log(`import ${name.padEnd(15)} ${timed(name).toFixed(0).padStart(6)} ms`);
}

if (process.argv.includes('--pack')) {
  const into = path.join(root, '.local');
  mkdirSync(into, { recursive: true });
  const npm = execFileSync('npm', ['pack', '--json', '--pack-destination', into], {
    cwd: here,
    encoding: 'utf8',
  });
  const [packed] = Object.values(JSON.parse(npm));
  const file = path.join(into, packed.filename);
  console.log(
    `packed ${kib(statSync(file).size)}, ${kib(packed.unpackedSize)} unpacked, ${packed.entryCount} files`,
  );
  console.log(file);
}
