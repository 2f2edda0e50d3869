// First byte, latency and requests per second of this gateway, its objects' state on tmpfs and on disk, beside the upstream itself, a
// bare Worker that passes everything through, and Portkey's open-source gateway. All in one run, in turns, on one machine.
//
//   node bench/gateway.ts
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseEther } from 'viem';
import { buildWorker } from '../dev/gateway.ts';
import { type Stack, startStack } from '../dev/stack.ts';
import { runInWorkerd } from '../dev/workerd-script.ts';
import { startScript } from './child.ts';
import { type Answered, askAll, type Prepared, prepared } from './load.ts';
import { type Payer, payerOf } from './paid-requests.ts';
import { startPortkey } from './peers.ts';
import { type Aim, median, publish, type Row, rowOf } from './report.ts';

const rounds = 4;
const connections = 16;
/** Requests of one throughput measurement; streams of one first-byte measurement. */
const requests = 1_200;
const streams = 100;

const local = path.resolve(import.meta.dirname, '../.local');
mkdirSync(local, { recursive: true });

const question = (stream: boolean): string =>
  JSON.stringify({
    model: 'qwen-plus',
    stream,
    max_tokens: 200,
    messages: [
      { role: 'system', content: 'You are a helpful assistant. Answer in one sentence.' },
      { role: 'user', content: 'What is a tally stick, and why was it split in two?' },
    ],
  });

/** One way to the same upstream. */
type Contender = {
  readonly what: string;
  readonly url: string;
  readonly prepare: (body: string, count: number) => Promise<Prepared[]>;
  readonly good: (answer: Answered) => boolean;
};

const answeredOk = ({ status, text }: Answered): boolean => status === 200 && text.includes('tally stick');
const answeredPaid = (answer: Answered): boolean =>
  answeredOk(answer) && /tallystick-receipt/i.test(answer.text);
/** A stream's words come apart. */
const streamed = ({ status, text }: Answered): boolean => status === 200 && text.includes('[DONE]');
const streamedPaid = (answer: Answered): boolean =>
  streamed(answer) && answer.text.includes('tallystick-receipt');

const repeated =
  (url: string, headers: Readonly<Record<string, string>>): Contender['prepare'] =>
  async (body, count) =>
    Array<Prepared>(count).fill(prepared(`${url}/v1/chat/completions`, headers, body));

async function bench(): Promise<void> {
  const closers: (() => unknown)[] = [];
  try {
    const upstream = await startScript('upstream.ts');
    closers.push(upstream.close);
    const bundleDir = mkdtempSync(path.join(local, 'bench-bundle-'));
    closers.push(() => rmSync(bundleDir, { recursive: true, force: true }));
    await buildWorker(bundleDir);
    const stackOn = async (folder: string): Promise<Stack> => {
      mkdirSync(folder, { recursive: true });
      const localDir = mkdtempSync(path.join(folder, 'tallystick-bench-'));
      closers.push(() => rmSync(localDir, { recursive: true, force: true }));
      const stack = await startStack({
        localDir,
        bundleDir,
        agents: 1,
        direct: true,
        deposit: parseEther('1000'),
        // As wrangler.toml deploys it: what a stack does every second for impatient tests would be measured too.
        chain: { watchEverySeconds: 15, settlement: { everySeconds: 43_200 } },
        vars: {
          SEAL_EVERY_SECONDS: '30',
          PUBLISH_EVERY_SECONDS: '600',
          MERGE_DELAY_SECONDS: '3600',
          UPSTREAMS: JSON.stringify([{ name: 'bench', dialect: 'dashscope', baseUrl: `${upstream.url}/v1` }]),
        },
      });
      closers.push(() => stack.close());
      return stack;
    };
    const onDisk = await stackOn(local);
    const onTmpfs = await stackOn('/dev/shm');
    const bare = await runInWorkerd('bench/passthrough.ts', { direct: true });
    closers.push(bare.close);
    const portkey = await startPortkey();
    closers.push(portkey.close);

    const json = { 'content-type': 'application/json' };
    const payers: [Stack, Payer][] = [
      [onDisk, await payerOf(onDisk)],
      [onTmpfs, await payerOf(onTmpfs)],
    ];
    const [disk, tmpfs] = payers.map(([{ gatewayUrl: url }, payer]) => ({ url, payer }));
    if (!disk || !tmpfs) throw new Error('there are two stacks');
    const contenders: Contender[] = [
      { what: 'direct', url: upstream.url, prepare: repeated(upstream.url, json), good: answeredOk },
      {
        what: 'bare Worker',
        url: bare.url,
        prepare: repeated(bare.url, { ...json, 'x-upstream': upstream.url }),
        good: answeredOk,
      },
      { what: 'this, signed, state on disk', url: disk.url, prepare: disk.payer.signed, good: answeredPaid },
      {
        what: 'this, signed, state on tmpfs',
        url: tmpfs.url,
        prepare: tmpfs.payer.signed,
        good: answeredPaid,
      },
      {
        what: 'this, session key, state on disk',
        url: disk.url,
        prepare: async (body, count) => disk.payer.byKey(body, count),
        good: answeredPaid,
      },
      {
        what: 'this, session key, state on tmpfs',
        url: tmpfs.url,
        prepare: async (body, count) => tmpfs.payer.byKey(body, count),
        good: answeredPaid,
      },
      {
        what: 'Portkey',
        url: portkey.url,
        prepare: repeated(portkey.url, { ...json, ...portkey.headers(upstream.url) }),
        good: answeredOk,
      },
    ];

    const perSecond = new Map<string, number[]>(contenders.map(({ what }) => [what, []]));
    const latencyMs = new Map<string, number[]>(contenders.map(({ what }) => [what, []]));
    const firstByteMs = new Map<string, number[]>(contenders.map(({ what }) => [what, []]));
    // Round 0 warms everything up and is not counted.
    for (let round = 0; round <= rounds; round += 1) {
      for (const { what, url, prepare, good } of contenders) {
        const calls = await prepare(question(false), round === 0 ? requests / 4 : requests);
        const { seconds, answers } = await askAll(url, calls, connections, good);
        const opened = await prepare(question(true), round === 0 ? streams / 4 : streams);
        const one = await askAll(url, opened, 1, good === answeredPaid ? streamedPaid : streamed);
        if (round === 0) continue;
        perSecond.get(what)?.push(calls.length / seconds);
        latencyMs.get(what)?.push(median(answers.map(({ totalMs }) => totalMs)));
        firstByteMs.get(what)?.push(median(one.answers.map((answer) => answer.firstByteMs)));
      }
      console.log(round === 0 ? 'warm' : `round ${round} of ${rounds}`);
    }

    const of = (figures: ReadonlyMap<string, number[]>, what: string): number[] => figures.get(what) ?? [];
    const middle = (figures: ReadonlyMap<string, number[]>, what: string) => median(of(figures, what));
    const rows: Row[] = contenders.flatMap(({ what }) => {
      const added = middle(firstByteMs, what) - middle(firstByteMs, 'direct');
      const speed = middle(perSecond, what) / middle(perSecond, 'Portkey');
      return [
        rowOf(
          `requests per second, ${connections} connections: ${what}`,
          '/s',
          of(perSecond, what),
          `${speed.toFixed(2)} x Portkey`,
        ),
        rowOf(`latency then, p50: ${what}`, 'ms', of(latencyMs, what)),
        rowOf(
          `first streamed byte, one connection, p50: ${what}`,
          'ms',
          of(firstByteMs, what),
          `+${added.toFixed(2)} ms`,
        ),
      ];
    });
    const order = ['requests', 'latency', 'first'];
    const rank = ({ what }: Row): number => order.findIndex((word) => what.startsWith(word));

    const aims: Aim[] = ['disk', 'tmpfs'].flatMap((where) => {
      const what = `this, signed, state on ${where}`;
      const added = middle(firstByteMs, what) - middle(firstByteMs, 'direct');
      const theirs = middle(firstByteMs, 'Portkey') - middle(firstByteMs, 'direct');
      const speed = middle(perSecond, what) / middle(perSecond, 'Portkey');
      return [
        {
          aim: `first byte, state on ${where}: adds at most a tenth of what Portkey adds`,
          seen: `+${added.toFixed(2)} ms beside +${theirs.toFixed(2)} ms, ${(added / theirs).toFixed(3)} of it`,
          met: added <= theirs / 10,
        },
        {
          aim: `requests per second, state on ${where}: at least 1.5 times Portkey's`,
          seen: `${speed.toFixed(2)} times`,
          met: speed >= 1.5,
          ...(speed >= 1.5
            ? {}
            : { because: 'a call is verified, held, captured and receipted here; there it is passed on' }),
        },
      ];
    });

    publish({
      name: 'gateway',
      title: 'The gateway beside others',
      method: [
        `${rounds} rounds of ${requests} whole answers over ${connections} connections and ${streams} streams over one, contenders in turns; load, upstream and contenders share the machine.`,
        "The upstream is a stand-in that gives the same short answer at once, so that everything that is left is overhead. Both Workers are reached at workerd's own socket.",
        "This gateway's requests are signed (ERC-8128) and paid by one agent, made before they are sent; each answer has to carry its receipt. Holds and captures are durable as in production.",
        'The others neither authenticate, meter, charge nor sign. Portkey (1.15.2, on Node, with @hono/node-server 1.13.8: with newer ones it answers streams with 500) waits 25 ms before it sends the first chunk of a stream.',
      ],
      rows: rows.toSorted((a, b) => rank(a) - rank(b)),
      aims,
    });
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

await bench();
process.exit(process.exitCode ?? 0);
