// What is measured of one way to the upstream in one round, and the rows that come of several.
import { type Contender, good } from './contenders.ts';
import { askAll, type Prepared } from './load.ts';
import { median, type Row, rowOf } from './report.ts';

const small = 52;

/** A chat completion's body. @param bytes of the user's message */
export const question = (stream: boolean, bytes = small): string =>
  JSON.stringify({
    model: 'qwen-plus',
    stream,
    max_tokens: 200,
    messages: [
      { role: 'system', content: 'You are a helpful assistant. Answer in one sentence.' },
      {
        role: 'user',
        content: 'What is a tally stick, and why was it split in two? '
          .repeat(Math.ceil(bytes / small))
          .slice(0, bytes),
      },
    ],
  });

/** Where every contender is asked the same. */
export type Setting = {
  readonly name: string;
  readonly connections: number;
  /** Bytes of the user's message; a short question where it is not given. */
  readonly prompt?: number;
  /** Whole answers of one measurement, and streams of one. */
  readonly requests: number;
  readonly streams: number;
};

/** What is measured of each contender in each setting, a sample a round. */
const measures = {
  perSecond: ['requests per second', '/s'],
  latencyMs: ['latency p50', 'ms'],
  cpuMs: ['processor a request', 'ms'],
  firstByteMs: ['first streamed byte p50', 'ms'],
} as const;
export type Measure = keyof typeof measures;
export type Measured = Map<string, Record<Measure, number[]>>;

const startedMs = Date.now();
export const say = (line: string): void =>
  console.log(`${`${Math.round((Date.now() - startedMs) / 1000)}`.padStart(4)} s  ${line}`);

export const none = (names: readonly string[]): Measured =>
  new Map(names.map((name) => [name, { perSecond: [], latencyMs: [], cpuMs: [], firstByteMs: [] }]));

export const middle = (measured: Measured | undefined, what: string, measure: Measure): number =>
  median(measured?.get(what)?.[measure] ?? []);

/** One round of one contender: whole answers over so many connections, then streams. */
export async function ask(
  contender: Pick<Contender, 'url' | 'paid' | 'cpuMs'>,
  whole: { readonly calls: readonly Prepared[]; readonly connections: number },
  streamed: { readonly calls: readonly Prepared[]; readonly connections: number },
): Promise<Record<Measure, number>> {
  const opened = await askAll(contender.url, streamed.calls, streamed.connections, good(contender, true));
  const cpuBefore = contender.cpuMs();
  const answered = await askAll(contender.url, whole.calls, whole.connections, good(contender, false));
  return {
    perSecond: whole.calls.length / answered.seconds,
    latencyMs: median(answered.answers.map(({ totalMs }) => totalMs)),
    cpuMs: (contender.cpuMs() - cpuBefore) / whole.calls.length,
    firstByteMs: median(opened.answers.map(({ firstByteMs }) => firstByteMs)),
  };
}

export function note(measured: Measured, what: string, samples: Readonly<Record<Measure, number>>): void {
  const noted = measured.get(what);
  if (noted === undefined) throw new Error(`${what} is not measured here`);
  for (const measure of Object.keys(measures) as Measure[]) noted[measure].push(samples[measure]);
}

/** All contenders in turns, round by round. */
export async function measure(
  contenders: readonly Contender[],
  setting: Setting,
  rounds: number,
): Promise<Measured> {
  const { name, connections, prompt, requests, streams } = setting;
  const measured = none(contenders.map(({ what }) => what));
  // Round 0 warms everything up and is not counted.
  for (let round = 0; round <= rounds; round += 1) {
    const share = round === 0 ? 4 : 1;
    for (const contender of contenders) {
      const seen = await ask(
        contender,
        { calls: await contender.prepare(question(false, prompt), requests / share), connections },
        { calls: await contender.prepare(question(true, prompt), streams / share), connections },
      );
      if (round > 0) note(measured, contender.what, seen);
    }
    say(`${name}: ${round === 0 ? 'warm' : `round ${round} of ${rounds}`}`);
  }
  return measured;
}

/** @param beside what a median is compared with */
export function rowsOf(
  group: string,
  measured: Measured,
  beside: Partial<Record<Measure, (median: number) => string>> = {},
): Row[] {
  return (Object.keys(measures) as Measure[]).flatMap((measure) =>
    [...measured].map(([what, samples]): Row => {
      const [title, unit] = measures[measure];
      const ratio = beside[measure]?.(median(samples[measure]));
      return { ...rowOf(title, unit, samples[measure], ratio), group, of: what };
    }),
  );
}
