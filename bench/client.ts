// What signing, paying and checking receipts adds to a call, beside plain fetch and beside x402's stock client in the same run;
// and what the package weighs.
//
//   node bench/client.ts
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { x402Client } from '@x402/core/client';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { wrapFetchWithPayment } from '@x402/fetch';
import { privateKeyToAccount } from 'viem/accounts';
import { createAgentFetch } from '../client/agent-fetch.ts';
import { createSigningFetch } from '../client/signing-fetch.ts';
import { agent, origin } from '../test/fake-gateway.ts';
import { median, publish, type Row, rowOf } from './report.ts';

const root = path.resolve(import.meta.dirname, '..');
const rounds = 7;
const calls = 150;
const warmUp = 200;

const child = fork(path.join(import.meta.dirname, 'client-server.ts'), {
  stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
});
if (child.stdout === null) throw new Error('no output');
const [line] = (await once(child.stdout, 'data')) as [Buffer];
const server = `http://127.0.0.1:${line.toString().trim()}`;

/** What the answers of the call under way took at the other end. */
let elsewhereMs = 0;
/** The way to the server, the same for all: the gateway's origin is a name of the tests'. */
const send: typeof fetch = async (input, init) => {
  const request = input instanceof Request ? input : undefined;
  const url = (request?.url ?? String(input)).replace(origin, server);
  const response = await fetch(request ? new Request(url, request) : url, init);
  elsewhereMs += Number(response.headers.get('x-ms'));
  return response;
};

const wallet = privateKeyToAccount(`0x${'21'.repeat(32)}`);
const problems: unknown[] = [];
const paying = createAgentFetch({
  wallet,
  agent,
  gateway: origin,
  fetch: send,
  limits: { perVoucher: 10n ** 18n },
  strict: true,
  onProblem: (problem) => problems.push(problem),
});
const signing = createSigningFetch({ wallet, agent, gateway: origin, fetch: send });
const x402 = wrapFetchWithPayment(
  send,
  new x402Client().register('eip155:84532', new ExactEvmScheme(wallet)),
);

const body = JSON.stringify({
  model: 'qwen-test',
  messages: [{ role: 'user', content: 'What is a tally stick? '.repeat(40) }],
});
const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body };
const ways: Readonly<Record<string, () => Promise<Response>>> = {
  'plain fetch': () => send(`${server}/plain`, init),
  'createSigningFetch: signed': () => signing(`${origin}/plain`, init),
  'createAgentFetch: signed, paid, receipt checked': () => paying(`${origin}/v1/chat/completions`, init),
  '@x402/fetch, exact: asked twice, paid': () => x402(`${server}/x402`, init),
};

/** One call, read to its end: milliseconds, without what the other end took. */
async function timed(call: () => Promise<Response>): Promise<number> {
  elsewhereMs = 0;
  const began = performance.now();
  const response = await call();
  const text = await response.text();
  const took = performance.now() - began;
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  return took - elsewhereMs;
}

const medians = new Map<string, number[]>(Object.keys(ways).map((name) => [name, []]));
for (const call of Object.values(ways)) for (let i = 0; i < warmUp; i += 1) await timed(call);
for (let round = 0; round < rounds; round += 1) {
  const samples = new Map<string, number[]>(Object.keys(ways).map((name) => [name, []]));
  // In turn, so that whatever else the machine does meets all of them.
  for (let i = 0; i < calls; i += 1) {
    for (const [name, call] of Object.entries(ways)) samples.get(name)?.push(await timed(call));
  }
  for (const [name, took] of samples) medians.get(name)?.push(median(took));
  console.log(`round ${round + 1} of ${rounds}`);
}
await paying.settled();
child.disconnect();
if (problems.length > 0) throw new Error(JSON.stringify(problems[0]));
if (paying.receipts.some(({ responseChecked }) => !responseChecked))
  throw new Error('a receipt was not checked');

const plain = medians.get('plain fetch') ?? [];
const added = (name: string): number[] =>
  (medians.get(name) ?? []).map((ms, round) => ms - (plain[round] ?? 0));

// The package, as a stranger installs it.
const built = execFileSync(process.execPath, ['client/build.mjs', '--pack'], { cwd: root, encoding: 'utf8' });
const read = (pattern: RegExp): number => {
  const [, figure] = pattern.exec(built) ?? [];
  if (figure === undefined) throw new Error(`build.mjs did not say ${pattern}`);
  return Number(figure);
};
const dependencies = /^dependencies +(.+)$/m.exec(built)?.[1] ?? '';

/** The time a program waits for an import, in processes of their own. */
const imports = (code: string): number[] =>
  Array.from({ length: 7 }, () => {
    const program = `const t = performance.now(); ${code}; console.log(performance.now() - t)`;
    return Number(execFileSync(process.execPath, ['--input-type=module', '-e', program], { cwd: root }));
  });
const door = JSON.stringify(path.join(root, 'client/dist/tallystick.js'));

const one = (what: string, unit: string, value: number): Row => rowOf(what, unit, [value]);
const addedRows = Object.keys(ways)
  .slice(1)
  .map((name) =>
    rowOf(
      `added p50, ${name}`,
      'ms',
      added(name),
      `${(median(added(name)) / median(plain)).toFixed(1)} x plain`,
    ),
  );
const [signed, all, theirs] = Object.keys(ways)
  .slice(1)
  .map((name) => median(added(name)));
if (signed === undefined || all === undefined || theirs === undefined) throw new Error('there are four ways');
publish({
  name: 'client',
  title: 'The client: what it adds to a call, and what it weighs',
  method: [
    `Medians of ${calls} calls of 1 KiB each, in ${rounds} rounds, all ways in turn, over loopback to one server in a process of its own; what the server itself took (it verifies, prices and signs receipts) is taken off every call of every way.`,
    'createAgentFetch signs the request (ERC-8128), sends a voucher where one is due, and checks the receipt before the body has ended; plain fetch does none of it.',
    '@x402/fetch pays with its exact scheme (an EIP-3009 signature a call), whose first request is always refused: a round trip more, loopback here.',
    `The package depends on ${dependencies}.`,
  ],
  rows: [
    rowOf('plain fetch p50', 'ms', plain),
    ...addedRows,
    one('tarball', 'KiB', read(/packed ([\d.]+) KiB/)),
    one('unpacked', 'KiB', read(/packed [\d.]+ KiB, ([\d.]+) KiB unpacked/)),
    one('import tallystick, gzipped, without dependencies', 'KiB', read(/^tallystick .*gzip +([\d.]+) KiB/m)),
    one('direct dependencies', 'packages', dependencies.split(' ').length),
    rowOf('time to import tallystick, viem included', 'ms', imports(`await import(${door})`)),
    rowOf(
      'time to import @x402/fetch and its exact scheme',
      'ms',
      imports("await import('@x402/fetch'); await import('@x402/evm/exact/client')"),
    ),
  ],
  aims: [
    {
      aim: 'the signing fetch (createSigningFetch) adds at most 2 ms p50 over plain fetch',
      seen: `${signed.toFixed(2)} ms`,
      met: signed <= 2,
    },
    {
      aim: 'so does the one that also pays and checks receipts (createAgentFetch)',
      seen: `${all.toFixed(2)} ms; @x402/fetch ${theirs.toFixed(2)} ms`,
      met: all <= 2,
      ...(all <= 2
        ? {}
        : {
            because: `${signed.toFixed(2)} ms is the request’s signature; the rest is the receipt’s: its signature recovered, request and answer hashed again; x402’s client checks none`,
          }),
    },
  ],
});
process.exit();
