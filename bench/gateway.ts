// First byte, latency, requests per second and processor time of this gateway, its objects' state on tmpfs and on disk, beside the
// upstream itself, a bare Worker that passes everything through, and Portkey's open-source gateway. All in one run, in turns, on one
// machine.
//
//   node bench/gateway.ts
import { parseEther } from 'viem';
import type { LocalAgent } from '../dev/stack.ts';
import { type Field, good, startContenders, type Where } from './contenders.ts';
import { askAll } from './load.ts';
import { registerMany } from './many-agents.ts';
import { oneOfEach } from './paid-requests.ts';
import { type Aim, publish, type Row, rowOf } from './report.ts';
import {
  ask,
  type Measured,
  measure,
  middle,
  none,
  note,
  question,
  rowsOf,
  type Setting,
  say,
} from './rounds.ts';

const rounds = 4;
const agentCount = 1_000;
const places: readonly Where[] = ['disk', 'tmpfs'];

/** `keys`: with session keys too. The busiest that all take part in is first, so that all compilers have done their work after it. */
const settings: readonly (Setting & { readonly keys: boolean })[] = [
  { name: '16 connections', connections: 16, requests: 1_200, streams: 160, keys: true },
  { name: '1 connection', connections: 1, requests: 200, streams: 100, keys: true },
  { name: '64 connections', connections: 64, requests: 640, streams: 192, keys: false },
  {
    name: '16 connections, prompts of 200 KB',
    connections: 16,
    prompt: 200_000,
    requests: 160,
    streams: 48,
    keys: false,
  },
];

const besideOthers = (measured: Measured): Parameters<typeof rowsOf>[2] => ({
  perSecond: (mine) => `${(mine / middle(measured, 'Portkey', 'perSecond')).toFixed(2)} x Portkey`,
  cpuMs: (mine) => `${(mine / middle(measured, 'Portkey', 'cpuMs')).toFixed(2)} x Portkey`,
  firstByteMs: (mine) => `+${(mine - middle(measured, 'direct', 'firstByteMs')).toFixed(2)} ms`,
});

/** A thousand agents: the first call that each of them ever makes, then one call of each, in turns. */
async function thousandAgents({ ours }: Field): Promise<Row[]> {
  const group = `${agentCount.toLocaleString('en')} agents: whole answers over 16 connections, streams one at a time`;
  const deposit = parseEther('100');
  const agents: Record<Where, LocalAgent[]> = { disk: [], tmpfs: [] };
  for (const where of places) {
    agents[where] = await registerMany(ours[where].stack, agentCount, deposit);
    say(`${agentCount} agents registered and funded, state on ${where}`);
  }
  const row = (what: string, where: Where): string => `${what}, state on ${where}`;
  const [first, known] = ['an agent’s first call', 'a call of each'];
  const measured = none([first, known].flatMap((what) => places.map((where) => row(what, where))));
  const askOnce = async (
    what: string,
    where: Where,
    streaming: readonly LocalAgent[],
    whole: readonly LocalAgent[],
    voucher?: bigint,
  ): Promise<void> => {
    const { stack, signed } = ours[where];
    const seen = await ask(
      signed,
      { calls: await oneOfEach(stack, whole, question(false), voucher), connections: 16 },
      { calls: await oneOfEach(stack, streaming, question(true), voucher), connections: 1 },
    );
    note(measured, row(what, where), seen);
  };

  // Each agent is new once: a part of them in each round.
  const part = agentCount / rounds;
  const alone = 25;
  for (let round = 0; round < rounds; round += 1) {
    for (const where of places) {
      const some = agents[where].slice(round * part, (round + 1) * part);
      await askOnce(first, where, some.slice(0, alone), some.slice(alone), deposit);
    }
    say(`${agentCount} agents, their first calls: part ${round + 1} of ${rounds}`);
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const where of places) await askOnce(known, where, agents[where].slice(0, alone), agents[where]);
    say(`${agentCount} agents, a call of each: round ${round + 1} of ${rounds}`);
  }
  return rowsOf(group, measured);
}

/** The first call to a gateway that has just been started, over the state it had. */
async function afterStart({ ours }: Field): Promise<Row[]> {
  const group = 'This gateway just started, 1 connection';
  const rows: Row[] = [];
  for (const where of places) {
    const { stack, signed } = ours[where];
    const first: number[] = [];
    const second: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      await stack.restartGateway();
      const calls = await signed.prepare(question(true), 2);
      const { answers } = await askAll(signed.url, calls, 1, good(signed, true));
      first.push(answers[0]?.firstByteMs ?? Number.NaN);
      second.push(answers[1]?.firstByteMs ?? Number.NaN);
      say(`after a start, state on ${where}: round ${round + 1} of ${rounds}`);
    }
    const of = `state on ${where}`;
    rows.push(
      { ...rowOf('first streamed byte, first call', 'ms', first), group, of },
      { ...rowOf('first streamed byte, second call', 'ms', second), group, of },
    );
  }
  return rows;
}

/** The platform's floor for whoever writes down what is charged before and after a call. */
const floor = 'bare Worker, two durable writes, state on tmpfs';

function aimsOf(measured: ReadonlyMap<string, Measured>): Aim[] {
  const [one, sixteen] = [measured.get('1 connection'), measured.get('16 connections')];
  const added = (what: string): number =>
    middle(one, what, 'firstByteMs') - middle(one, 'direct', 'firstByteMs');
  const theirs = added('Portkey');
  const [onTmpfs, onDisk] = [added('this, signed, state on tmpfs'), added('this, signed, state on disk')];
  const byte: Aim = {
    aim: 'first streamed byte: adds at most a tenth of what Portkey adds (state on tmpfs)',
    seen: `+${onTmpfs.toFixed(2)} ms beside +${theirs.toFixed(2)} ms, ${(onTmpfs / theirs).toFixed(3)} of it; on disk ${(onDisk / theirs).toFixed(3)}`,
    met: onTmpfs <= theirs / 10,
    ...(onTmpfs <= theirs / 10
      ? {}
      : {
          because: `a Worker that only makes one row durable before it asks adds ${added(floor).toFixed(2)} ms`,
        }),
  };
  const speed = (other: string, least: number): Aim => {
    const times = (what: string): number =>
      middle(sixteen, what, 'perSecond') / middle(sixteen, other, 'perSecond');
    const ours = times('this, signed, state on tmpfs');
    const others = ['this, signed, state on disk', 'this, session key, state on tmpfs'].map(
      (what) => `${what.replace('this, ', '')} ${times(what).toFixed(2)}`,
    );
    return {
      aim: `requests per second: at least ${least} times ${other === 'Portkey' ? 'Portkey’s' : 'a bare Worker’s'} (signed, state on tmpfs)`,
      seen: `${ours.toFixed(2)} times; ${others.join(', ')}`,
      met: ours >= least,
      ...(ours >= least
        ? {}
        : {
            because: `a Worker that makes two durable writes a call and does nothing else comes to ${times(floor).toFixed(2)} times; here a call is verified, metered, charged and receipted besides`,
          }),
    };
  };
  return [byte, speed('Portkey', 1.5), speed('bare Worker', 0.5)];
}

async function bench(): Promise<void> {
  const field = await startContenders();
  try {
    const measured = new Map<string, Measured>();
    for (const setting of settings) {
      const some = field.contenders.filter(({ what }) => setting.keys || !what.includes('session key'));
      measured.set(setting.name, await measure(some, setting, rounds));
    }
    const rows = [...measured].flatMap(([name, seen]) => rowsOf(name, seen, besideOthers(seen)));
    // The thousand last: what their accounts have to do by themselves would be in every other figure.
    rows.push(...(await afterStart(field)), ...(await thousandAgents(field)));
    publish({
      name: 'gateway',
      title: 'The gateway beside others',
      method: [
        `${rounds} rounds in each setting, contenders in turns; load, upstream and contenders share the machine. A round is ${settings.map(({ name, requests, streams }) => `${requests} whole answers and ${streams} streams (${name})`).join(', ')}. What is not in the tables was not measured: session keys at 1 and 16 connections only, 200 KB at 16 only.`,
        'Where nothing else is said, all calls are of one agent. The upstream is a stand-in that gives the same short answer at once, so that everything that is left is overhead. All Workers are reached at workerd’s own socket and ask upstream directly, as where they are deployed: miniflare would put a Worker of its own before each call and each fetch.',
        '"bare Worker, two durable writes" makes a row durable before a request goes up and writes it again before the answer ends: the least that charging durably takes on this platform.',
        'This gateway’s requests are signed (ERC-8128) and paid, made before they are sent; each answer has to carry its receipt. Holds and captures are durable as in production.',
        'Processor time is of the contender’s own process (workerd with all objects, chain watching, sealing; Portkey’s Node), user and system, over the whole answers; for "direct" it is the upstream’s.',
        `The thousand agents were registered and funded before, by transactions of their own. An agent’s first call makes its account, reads its identity and deposit from the chain and takes its voucher; a call of each is one of every agent, so that no account is asked twice in a row; what was read from the chain more than a minute before is read again. First calls come once an agent, so each round has a quarter of them.`,
        'The others neither authenticate, meter, charge nor sign. Portkey (1.15.2, on Node, with @hono/node-server 1.13.8: with newer ones it answers streams with 500) waits 25 ms before it sends the first chunk of a stream.',
      ],
      rows,
      aims: aimsOf(measured),
    });
  } finally {
    await field.close();
  }
}

await bench();
process.exit(process.exitCode ?? 0);
