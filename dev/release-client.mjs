// npm run release:client -- 0.2.0: prepares a release of client/: checks, version, changelog, tarball. Publishes nothing; it prints
// the command that does.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const at = (...parts) => path.join(root, ...parts);
const run = (command, args) =>
  execFileSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
const fail = (message) => {
  console.error(`release:client: ${message}`);
  process.exit(1);
};

const [wanted, ...flags] = process.argv.slice(2);
const isRehearsal = flags.includes('--rehearse');
const numbers = (version) =>
  /^(\d+)\.(\d+)\.(\d+)$/
    .exec(version ?? '')
    ?.slice(1)
    .map(Number);
const next = numbers(wanted);
if (!next) fail('which version? npm run release:client -- 1.2.3 [--rehearse]');

const manifest = JSON.parse(readFileSync(at('client/package.json'), 'utf8'));
const changelog = readFileSync(at('CHANGELOG.md'), 'utf8');
const now = numbers(manifest.version);
const isFirst = new RegExp(`^## \\[${manifest.version}\\] - not released$`, 'm').test(changelog);
const order = next[0] - now[0] || next[1] - now[1] || next[2] - now[2];
if (isFirst ? order !== 0 : order <= 0) {
  fail(
    isFirst
      ? `${manifest.version} has not been released yet: release that`
      : `${wanted} is not above ${manifest.version}`,
  );
}
if (run('git', ['status', '--porcelain']).trim() !== '') {
  if (!isRehearsal) fail('there are changes that are not committed');
}
const heading = isFirst ? `## [${wanted}] - not released` : '## [Unreleased]';
const section = changelog.split(`${heading}\n`)[1]?.split(/^## /m)[0]?.trim();
if (!section) fail(`CHANGELOG.md says nothing under "${heading}"`);

console.log('1. format, lint, types');
run(process.execPath, [at('node_modules/@biomejs/biome/bin/biome'), 'check', '.']);
for (const project of ['worker', 'node'])
  run(at('node_modules/.bin/tsc'), ['-p', `tsconfig.${project}.json`]);

console.log('2. the package as an agent installs it: test/package.test.ts');
run(process.execPath, [at('node_modules/vitest/vitest.mjs'), 'run', 'test/package.test.ts']);

const restore = [];
const write = (file, text) => {
  restore.push([file, readFileSync(file, 'utf8')]);
  writeFileSync(file, text);
};
try {
  console.log(`3. version ${wanted}`);
  const text = readFileSync(at('client/package.json'), 'utf8');
  write(
    at('client/package.json'),
    text.replace(`"version": "${manifest.version}"`, `"version": "${wanted}"`),
  );
  const today = new Date().toISOString().slice(0, 10);
  const dated = `## [${wanted}] - ${today}`;
  write(
    at('CHANGELOG.md'),
    changelog.replace(`${heading}\n`, isFirst ? `${dated}\n` : `## [Unreleased]\n\n${dated}\n`),
  );

  console.log('4. build and pack');
  mkdirSync(at('.local'), { recursive: true });
  run(process.execPath, [at('client/build.mjs'), '--pack']);
  const tarball = at('.local', `tallystick-${wanted}.tgz`);
  const bytes = readFileSync(tarball);
  console.log(
    `   ${path.relative(root, tarball)}: ${bytes.length} bytes, sha256 ${createHash('sha256').update(bytes).digest('hex')}`,
  );
} catch (error) {
  for (const [file, before] of restore.reverse()) writeFileSync(file, before);
  throw error;
}
if (isRehearsal) {
  for (const [file, before] of restore.reverse()) writeFileSync(file, before);
  console.log('A rehearsal: version and changelog are as they were.');
} else {
  console.log(`Nothing was published. To do it:
  git commit -am "tallystick ${wanted}" && git tag client-v${wanted}
  npm publish .local/tallystick-${wanted}.tgz --provenance`);
}
