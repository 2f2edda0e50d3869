// Says what is wrong instead of failing on syntax. Plain JavaScript: it must run on any Node.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 12)) {
  console.error(
    `tallystick needs Node 22.12 or newer; this is ${process.versions.node} (${process.execPath}).\n` +
      'npm normally installs one into node_modules (the package `node`), and npm scripts then use it. It is not there:\n' +
      'either npm was told to leave out optional dependencies, or there is none for this platform. Install Node 24.',
  );
  process.exit(1);
}
