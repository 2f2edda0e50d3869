// The memory of workerd while a hundred clients read long answers slowly, through this gateway and through a Worker that does not
// wait for its client. Linux only.
//
//   node bench/memory.ts
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseEther } from 'viem';
import { startStack } from '../dev/stack.ts';
import { runInWorkerd } from '../dev/workerd-script.ts';
import { rawAgent } from '../test/raw-agent.ts';
import { ourWorkerds, type RawRequest, type Watched, watchSlowReaders } from '../test/slow-readers.ts';
import { startScript } from './child.ts';
import { median, publish, type Row, rowOf } from './report.ts';

const clients = 100;
const answerMb = 24;
const seconds = 75;
/** 64 KB a piece, so about 256 KB/s. */
const pauseMs = 250;
const route = '/v1/chat/completions';

const body = JSON.stringify({
  model: 'qwen-plus',
  stream: true,
  max_tokens: 30_000,
  messages: [{ role: 'user', content: `${answerMb} MB` }],
});

/** Runs `start`, and finds the workerd that it started. */
async function withPid<T>(start: () => Promise<T>): Promise<{ readonly started: T; readonly pid: number }> {
  const before = new Set(ourWorkerds());
  const started = await start();
  const pid = ourWorkerds().find((one) => !before.has(one));
  if (pid === undefined) throw new Error('no workerd was started');
  return { started, pid };
}

const watch = (pid: number, requests: readonly RawRequest[]): Promise<Watched> =>
  watchSlowReaders({ pid, requests, pauseMs, seconds, afterSeconds: 10 });

function rowsOf(what: string, { beforeMb, duringMb, mostMb, afterMb, takenMb }: Watched): Row[] {
  return [
    rowOf(`before: ${what}`, 'MB', [beforeMb]),
    rowOf(`while they read: ${what}`, 'MB', duringMb, `+${Math.round(mostMb - beforeMb)} MB at most`),
    rowOf(`ten seconds after they left: ${what}`, 'MB', [afterMb]),
    rowOf(`taken by then of ${clients * answerMb} MB: ${what}`, 'MB', [takenMb]),
  ];
}

async function bench(): Promise<void> {
  const local = path.resolve(import.meta.dirname, '../.local');
  mkdirSync(local, { recursive: true });
  const localDir = mkdtempSync(path.join(local, 'bench-'));
  const closers: (() => unknown)[] = [() => rmSync(localDir, { recursive: true, force: true })];
  try {
    const upstream = await startScript('upstream.ts');
    closers.push(upstream.close);
    const upstreams = [{ name: 'bench', dialect: 'dashscope', baseUrl: `${upstream.url}/v1` }];
    const { started: stack, pid } = await withPid(() =>
      startStack({
        localDir,
        agents: 1,
        deposit: parseEther('1000'),
        vars: { UPSTREAMS: JSON.stringify(upstreams) },
      }),
    );
    closers.push(() => stack.close());
    const [first] = stack.agents;
    if (!first) throw new Error('the stack has an agent');
    const agent = rawAgent(stack, first);
    const paid = await agent.payment(parseEther('1000'));
    const requests: RawRequest[] = [];
    for (let made = 0; made < clients; made += 1) {
      const headers = await agent.sign('POST', route, { body, headers: paid });
      requests.push({ url: stack.gatewayUrl + route, headers, body });
    }
    const ours = await watch(pid, requests);

    const { started: buffering, pid: itsPid } = await withPid(() => runInWorkerd('bench/buffering.ts'));
    closers.push(buffering.close);
    const headers = { 'content-type': 'application/json', 'x-upstream': upstream.url };
    const plain = Array<RawRequest>(clients).fill({ url: buffering.url + route, headers, body });
    const theirs = await watch(itsPid, plain);

    const grew = ours.mostMb - ours.beforeMb;
    // Flat: once all are there, it does not rise with what has passed.
    const third = Math.floor(ours.duringMb.length / 3);
    const early = median(ours.duringMb.slice(third, 2 * third));
    const late = median(ours.duringMb.slice(2 * third));
    publish({
      name: 'memory',
      title: 'Memory with slow readers',
      method: [
        `Resident memory of the workerd process, four looks a second for ${seconds} s, while ${clients} clients read answers of ${answerMb} MB at about 256 KB/s each; upstream writes as fast as it is read.`,
        'Beside it a Worker that reads upstream without waiting for its client.',
      ],
      rows: [...rowsOf('this', ours), ...rowsOf('without waiting', theirs)],
      aims: [
        {
          aim: `Memory stays flat while ${clients} slow readers stream: the last third of the time no more than a twentieth above the second`,
          seen: `${early.toFixed(0)} MB, then ${late.toFixed(0)} MB; +${grew.toFixed(0)} MB at most (without waiting: +${(theirs.mostMb - theirs.beforeMb).toFixed(0)} MB)`,
          met: late <= early * 1.05,
        },
      ],
    });
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

await bench();
process.exit(0);
