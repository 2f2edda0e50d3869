// What a hundred clients that read long answers slowly cost in memory: workerd's process and the isolate's own heap, through this gateway
// and through a Worker that does not wait for its client. Linux only.
//
//   node bench/memory.ts
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseEther } from 'viem';
import { startStack } from '../dev/stack.ts';
import { runInWorkerd } from '../dev/workerd-script.ts';
import { inspectHeap } from '../test/isolate-heap.ts';
import { rawAgent } from '../test/raw-agent.ts';
import type { RawRequest } from '../test/slow-readers.ts';
import { startScript, withPid } from './child.ts';
import { type Aim, publish, type Row, rowOf } from './report.ts';
import { type Reading, readSlowly } from './slow-reading.ts';

const clients = 100;
/** Longer than can be taken, or kept in the kernel's buffers, while it is looked. */
const answerMb = 64;
const tokensPerSecond = 50;
/** 64 KB at a time, so 20 KB/s. */
const slowMs = 3_200;
const route = '/v1/chat/completions';
/** The platform gives an isolate so much. */
const isolateMb = 128;
/** The other Worker is stopped when its process is larger than this. */
const enoughMb = 1_024;

/** V8 collects as it would with the platform's limit; by itself it would take this machine's memory for its measure. */
process.env['MINIFLARE_WORKERD_V8_FLAGS'] = '--max-old-space-size=96';

const asking = (prompt: string): string =>
  JSON.stringify({
    model: 'qwen-plus',
    stream: true,
    max_tokens: 30_000,
    messages: [{ role: 'user', content: prompt }],
  });

function printSeries(what: string, { looks }: Reading): void {
  console.log(`\n${what}\n\n  second  resident  heap used  embedder  buffers  held  taken (MB)`);
  for (const look of looks) {
    const { second, residentMb, usedMb, embedderMb, backingMb, heldMb, takenMb } = look;
    const cells = [second, residentMb, usedMb, embedderMb, backingMb, heldMb, takenMb];
    const widths = [8, 10, 11, 10, 9, 6, 7];
    console.log(cells.map((cell, at) => cell.toFixed(at === 0 ? 1 : 0).padStart(widths[at] ?? 0)).join(''));
  }
}

function rowsOf(what: string, { beforeMb, before, looks, live }: Reading): Row[] {
  const settleSeconds = live[0]?.second ?? 0;
  const settled = looks.filter(({ second }) => second > settleSeconds);
  const [middle, late] = [settled.slice(0, settled.length >> 1), settled.slice(settled.length >> 1)];
  const part = (name: string, some: Reading['looks']): Row[] =>
    some.length === 0
      ? []
      : [
          rowOf(
            `${what}: isolate holds, ${name}`,
            'MB',
            some.map(({ heldMb }) => heldMb),
          ),
          rowOf(
            `${what}: resident, ${name}`,
            'MB',
            some.map((look) => look.residentMb),
          ),
        ];
  return [
    rowOf(`${what}: live heap before`, 'MB', [before.heldMb], `${beforeMb.toFixed(0)} MB resident`),
    ...part(
      `first ${settleSeconds.toFixed(0)} s`,
      looks.filter(({ second }) => second <= settleSeconds),
    ),
    ...part('then', middle),
    ...part('at last', late),
    ...live.map(({ second, heldMb, usedMb, takenMb }) =>
      rowOf(
        `${what}: live heap at ${second.toFixed(0)} s`,
        'MB',
        [heldMb],
        `of it ${usedMb.toFixed(1)} in objects; ${takenMb.toFixed(0)} MB taken`,
      ),
    ),
  ];
}

/** What is live may not grow with what has passed. */
function flat(what: string, { live, looks }: Reading): Aim {
  const [first, last] = [live[0], live.at(-1)];
  if (!first || !last || first === last) throw new Error('live heap was looked at twice at least');
  // Of the line through all looks: what is under way just then varies by megabytes.
  const mean = (of: (look: (typeof live)[number]) => number): number =>
    live.reduce((sum, look) => sum + of(look), 0) / live.length;
  const [middleMb, middleSecond] = [mean(({ usedMb }) => usedMb), mean(({ second }) => second)];
  const slope =
    mean(({ usedMb, second }) => (usedMb - middleMb) * (second - middleSecond)) /
    mean(({ second }) => (second - middleSecond) ** 2);
  const most = Math.max(...looks.map(({ heldMb }) => heldMb));
  return {
    aim: `${what}: memory stays flat while ${clients} read: once the kernel’s buffers are full live objects grow by less than 0.1 MB a second, and the isolate never holds ${isolateMb} MB`,
    seen: `${slope.toFixed(3)} MB a second (${live.map(({ usedMb, second }) => `${usedMb.toFixed(1)} MB at ${second.toFixed(0)} s`).join(', ')}; ${(last.takenMb - first.takenMb).toFixed(0)} MB taken in between); buffers ${first.backingMb.toFixed(1)} MB, then ${last.backingMb.toFixed(1)} MB; at most ${most.toFixed(0)} MB with garbage`,
    met: slope < 0.1 && most < isolateMb,
  };
}

async function bench(): Promise<void> {
  const local = path.resolve(import.meta.dirname, '../.local');
  mkdirSync(local, { recursive: true });
  const localDir = mkdtempSync(path.join(local, 'bench-'));
  const closers: (() => unknown)[] = [() => rmSync(localDir, { recursive: true, force: true })];
  try {
    const upstream = await startScript('upstream.ts');
    closers.push(upstream.close);
    // What clients that left did not take is not read for long: the next measurement follows.
    const timeouts = { drainMs: 500 };
    const upstreams = [{ name: 'bench', dialect: 'dashscope', baseUrl: `${upstream.url}/v1`, timeouts }];
    const { started: stack, pid } = await withPid(() =>
      startStack({
        localDir,
        agents: 1,
        direct: true,
        inspect: true,
        deposit: parseEther('1000'),
        chain: { watchEverySeconds: 15, settlement: { everySeconds: 43_200 } },
        vars: {
          SEAL_EVERY_SECONDS: '30',
          PUBLISH_EVERY_SECONDS: '600',
          MERGE_DELAY_SECONDS: '3600',
          UPSTREAMS: JSON.stringify(upstreams),
        },
      }),
    );
    let stackIsOpen = true;
    const closeStack = async (): Promise<void> => {
      if (stackIsOpen) await stack.close();
      stackIsOpen = false;
    };
    closers.push(closeStack);
    const [first] = stack.agents;
    if (!first) throw new Error('the stack has an agent');
    const agent = rawAgent(stack, first);
    const paid = await agent.payment(parseEther('1000'));
    const isolate = await inspectHeap(
      await stack.gateway.miniflare.getInspectorURL(),
      'core:user:tallystick',
    );
    const requestsFor = async (body: string): Promise<RawRequest[]> => {
      const requests: RawRequest[] = [];
      for (let made = 0; made < clients; made += 1) {
        const headers = await agent.sign('POST', route, { body, headers: paid });
        requests.push({ url: stack.gatewayUrl + route, headers, body });
      }
      return requests;
    };

    const long = asking(`${answerMb} MB`);
    const atModelSpeed = await readSlowly({
      pid,
      isolate,
      requests: await requestsFor(asking(`${tokensPerSecond} tokens a second`)),
      pauseMs: 1_000,
      seconds: 45,
      live: { from: 10, apart: 8, looks: 4 },
    });
    const fromModel = `at a model's speed`;
    printSeries(fromModel, atModelSpeed);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const asFastAsTaken = await readSlowly({
      pid,
      isolate,
      requests: await requestsFor(long),
      pauseMs: slowMs,
      seconds: 60,
      live: { from: 16, apart: 8, looks: 4 },
    });
    const fromFast = 'as fast as it is taken';
    printSeries(fromFast, asFastAsTaken);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const left = await isolate.live();
    isolate.close();
    await closeStack();

    const { started: buffering, pid: itsPid } = await withPid(() =>
      runInWorkerd('bench/buffering.ts', { direct: true, inspect: true }),
    );
    closers.push(buffering.close);
    if (buffering.inspector === undefined) throw new Error('the inspector was asked for');
    const headers = { 'content-type': 'application/json', 'x-upstream': upstream.url };
    const theirs = await readSlowly({
      pid: itsPid,
      isolate: await inspectHeap(buffering.inspector, 'core:user:'),
      requests: Array<RawRequest>(clients).fill({ url: buffering.url + route, headers, body: long }),
      pauseMs: slowMs,
      seconds: 20,
      residentMax: enoughMb,
    });
    const unwaiting = 'without waiting for clients';
    printSeries(unwaiting, theirs);
    const beside =
      theirs.stoppedAt === undefined
        ? ''
        : `ended after ${theirs.stoppedAt.toFixed(0)} s${theirs.mostResidentMb > enoughMb ? '' : ', V8 out of memory'}`;

    const flatWhenFast = flat(`upstream ${fromFast}`, asFastAsTaken);
    publish({
      name: 'memory',
      title: 'Memory with slow readers',
      method: [
        `${clients} clients at once, each takes what has come every so often, 64 KB at most. "${fromFast}": answers of ${answerMb} MB in events of 16 KB, as fast as the gateway reads, 20 KB/s taken by each. "${fromModel}": ${tokensPerSecond} tokens a second in each answer, an event each, taken once a second.`,
        `The isolate's figures are V8's own (its inspector: objects, embedder's objects, buffers), asked once a second, garbage counted; every object of the gateway lives in the same isolate here. The live heap is what a full collection leaves while the readers are there. V8 is given 96 MB for old objects, so that it collects as with the platform's ${isolateMb} MB.`,
        'Resident memory is of the whole process: it includes the allocator’s free pages, which it does not give back, and SQLite’s caches. In the first seconds some megabytes of each answer fill the kernel’s socket buffers, which belong to neither.',
        'Beside it a Worker that reads upstream without waiting for its client, on the same answers, until it has ended or passed 1 GB.',
      ],
      rows: [
        ...rowsOf(fromFast, asFastAsTaken),
        rowOf(`${fromFast}: live heap three seconds after they left`, 'MB', [left.heldMb]),
        ...rowsOf(fromModel, atModelSpeed),
        rowOf(`${unwaiting}: resident at most`, 'MB', [theirs.mostResidentMb], beside),
      ],
      aims: [
        {
          ...flatWhenFast,
          seen: `${flatWhenFast.seen}; ${unwaiting} ${theirs.mostResidentMb.toFixed(0)} MB resident${beside === '' ? '' : `, ${beside}`}`,
        },
        flat(`upstream ${fromModel}`, atModelSpeed),
      ],
    });
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

await bench();
process.exit(0);
