// Accounts that send their receipts to a log, as a discrete-event simulation: a million agents on the platform's documented
// limits. What an append costs is measured (log bench); what the platform refuses is documented.

/** What one object can do. Milliseconds. */
export type Rates = {
  /** An append by itself, and for each receipt in it. */
  readonly appendMs: number;
  readonly receiptMs: number;
  /** An account's receipts inside an append that carries many accounts'. */
  readonly accountMs: number;
};

/** Cloudflare: about 1,000 requests a second is what one object takes, and one that is 10 s behind is refused as overloaded. */
const leastServiceMs = 1;
const overloadedMs = 10_000;
/** An account waits this long for company before it sends (`outboxDelayMs`). */
const outboxDelayMs = 500;

export type Scenario = {
  readonly agents: number;
  /** Captures a second, of all agents together. */
  readonly capturesPerSecond: number;
  readonly seconds: number;
  readonly logs: number;
  /** Objects between accounts and a log that put appends together; 0: accounts send to the log themselves. */
  readonly intakes: number;
  /** What an account waits after the n-th refusal in a row, milliseconds. */
  readonly retryMs: (refusals: number, random: () => number) => number;
  /** No log answers between these seconds. */
  readonly outage?: readonly [from: number, to: number];
  readonly seed: number;
};

export type Outcome = {
  readonly sequencedPerSecond: number;
  /** Of all appends that accounts tried. */
  readonly refusedShare: number;
  readonly triesPerSecond: number;
  /** From a receipt's capture to its place in the log, seconds; of receipts placed in the last fifth of the run. */
  readonly lag: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Captured and not in the log when the run ends. */
  readonly waiting: number;
  /** The share of time the busiest log, and the busiest intake, worked. */
  readonly logBusy: number;
  readonly intakeBusy: number;
};

/** A small fast generator (mulberry32): runs repeat exactly. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How many of a Poisson process come in a time where `mean` are expected; the normal distribution where that is many. */
function poisson(mean: number, random: () => number): number {
  if (mean > 50) {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal));
  }
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random(); product > limit; product *= random()) count += 1;
  return count;
}

/** Events in buckets of a millisecond. */
class Wheel {
  readonly #buckets: number[][] = [];
  at(ms: number, event: number): void {
    const tick = Math.ceil(ms);
    const bucket = this.#buckets[tick];
    if (bucket) bucket.push(event);
    else this.#buckets[tick] = [event];
  }
  take(tick: number): readonly number[] {
    const bucket = this.#buckets[tick] ?? [];
    delete this.#buckets[tick];
    return bucket;
  }
}

export function simulate(rates: Rates, scenario: Scenario): Outcome {
  const { agents, logs, intakes, outage } = scenario;
  const random = randomOf(scenario.seed);
  const endMs = scenario.seconds * 1000;
  const pending = new Int32Array(agents);
  const sending = new Int32Array(agents);
  const oldestMs = new Float64Array(agents);
  const sendingOldestMs = new Float64Array(agents);
  const refusals = new Uint8Array(agents);
  const isScheduled = new Uint8Array(agents);
  const tries = new Wheel();
  const answers = new Wheel();
  const logFreeMs = new Float64Array(logs);
  const logWorkMs = new Float64Array(logs);
  const intakeFreeMs = new Float64Array(Math.max(1, intakes));
  const intakeWorkMs = new Float64Array(Math.max(1, intakes));
  /** What each intake has gathered for its next append, and whether one is on its way. */
  const gathered: number[][] = Array.from({ length: intakes }, () => []);
  const isAway = new Uint8Array(Math.max(1, intakes));
  const intakeAnswers = new Map<number, { intake: number; members: readonly number[] }[]>();

  let [tried, refused, sequenced] = [0, 0, 0];
  const lags: number[] = [];
  const isOut = (ms: number): boolean =>
    outage !== undefined && ms >= outage[0] * 1000 && ms < outage[1] * 1000;

  const again = (agent: number, nowMs: number): void => {
    refused += 1;
    const count = Math.min(250, (refusals[agent] ?? 0) + 1);
    refusals[agent] = count;
    isScheduled[agent] = 1;
    tries.at(nowMs + scenario.retryMs(count, random), agent);
  };
  /** Begins an append at a server. @returns when it is done, or `undefined` where it is refused */
  const serve = (freeMs: Float64Array, workMs: Float64Array, server: number, nowMs: number, ms: number) => {
    const startMs = Math.max(nowMs, freeMs[server] ?? 0);
    if (startMs - nowMs > overloadedMs) return undefined;
    freeMs[server] = startMs + ms;
    workMs[server] = (workMs[server] ?? 0) + ms;
    return startMs + ms;
  };
  const taken = (agent: number, nowMs: number): void => {
    const count = sending[agent] ?? 0;
    sequenced += count;
    if (nowMs > endMs * 0.8 && lags.length < 2_000_000) lags.push(nowMs - (sendingOldestMs[agent] ?? nowMs));
    sending[agent] = 0;
    refusals[agent] = 0;
    if ((pending[agent] ?? 0) > 0) {
      isScheduled[agent] = 1;
      tries.at(nowMs, agent);
    }
  };
  const begin = (agent: number): number => {
    // What comes while the append is under way waits for the next one.
    const count = pending[agent] ?? 0;
    sending[agent] = count;
    sendingOldestMs[agent] = oldestMs[agent] ?? 0;
    pending[agent] = 0;
    return count;
  };
  const giveBack = (agent: number): void => {
    if ((pending[agent] ?? 0) === 0 || (sendingOldestMs[agent] ?? 0) < (oldestMs[agent] ?? 0)) {
      oldestMs[agent] = sendingOldestMs[agent] ?? 0;
    }
    pending[agent] = (pending[agent] ?? 0) + (sending[agent] ?? 0);
    sending[agent] = 0;
  };
  const dispatch = (intake: number, nowMs: number): void => {
    const members = gathered[intake] ?? [];
    if (members.length === 0 || isAway[intake] === 1) return;
    gathered[intake] = [];
    const receipts = members.reduce((sum, agent) => sum + (sending[agent] ?? 0), 0);
    const workMs = Math.max(
      leastServiceMs,
      rates.appendMs + rates.accountMs * members.length + rates.receiptMs * receipts,
    );
    const doneMs = isOut(nowMs) ? undefined : serve(logFreeMs, logWorkMs, intake % logs, nowMs, workMs);
    if (doneMs === undefined) {
      for (const agent of members) {
        giveBack(agent);
        again(agent, nowMs);
      }
      return;
    }
    isAway[intake] = 1;
    const tick = Math.ceil(doneMs);
    intakeAnswers.set(tick, [...(intakeAnswers.get(tick) ?? []), { intake, members }]);
  };

  for (let tick = 0; tick < endMs; tick += 1) {
    for (let come = poisson(scenario.capturesPerSecond / 1000, random); come > 0; come -= 1) {
      const agent = Math.floor(random() * agents);
      if (pending[agent] === 0) oldestMs[agent] = tick;
      pending[agent] = (pending[agent] ?? 0) + 1;
      if (isScheduled[agent] === 0 && sending[agent] === 0) {
        isScheduled[agent] = 1;
        tries.at(tick + outboxDelayMs, agent);
      }
    }
    for (const agent of answers.take(tick)) taken(agent, tick);
    for (const { intake, members } of intakeAnswers.get(tick) ?? []) {
      isAway[intake] = 0;
      for (const agent of members) taken(agent, tick);
      dispatch(intake, tick);
    }
    intakeAnswers.delete(tick);
    for (const agent of tries.take(tick)) {
      isScheduled[agent] = 0;
      tried += 1;
      const receipts = begin(agent);
      if (intakes === 0) {
        const workMs = Math.max(leastServiceMs, rates.appendMs + rates.receiptMs * receipts);
        const doneMs = isOut(tick) ? undefined : serve(logFreeMs, logWorkMs, agent % logs, tick, workMs);
        if (doneMs !== undefined) answers.at(doneMs, agent);
        else {
          giveBack(agent);
          again(agent, tick);
        }
        continue;
      }
      const intake = agent % intakes;
      const arrivedMs = serve(intakeFreeMs, intakeWorkMs, intake, tick, leastServiceMs);
      if (arrivedMs === undefined) {
        giveBack(agent);
        again(agent, tick);
        continue;
      }
      gathered[intake]?.push(agent);
      dispatch(intake, tick);
    }
  }

  lags.sort((a, b) => a - b);
  const lagAt = (share: number): number => (lags[Math.floor(share * (lags.length - 1))] ?? Number.NaN) / 1000;
  let waiting = 0;
  for (let agent = 0; agent < agents; agent += 1) waiting += (pending[agent] ?? 0) + (sending[agent] ?? 0);
  return {
    sequencedPerSecond: sequenced / scenario.seconds,
    refusedShare: tried === 0 ? 0 : refused / tried,
    triesPerSecond: tried / scenario.seconds,
    lag: { p50: lagAt(0.5), p99: lagAt(0.99), max: lagAt(1) },
    waiting,
    logBusy: Math.max(...logWorkMs) / endMs,
    intakeBusy: Math.max(...intakeWorkMs) / endMs,
  };
}

/** One agent that calls much: every call is two rounds to its account's object, with the model's answer between them. */
export type HotAgent = {
  readonly callsPerSecond: number;
  /** Objects that share the agent's calls: one, or several that each hold a lease on a part of what is available. */
  readonly objects: number;
  /** What one round is worked on, milliseconds; the platform's limit where that is more. */
  readonly roundMs: number;
  /** How long the model answers, seconds, on average. */
  readonly answerSeconds: number;
  readonly seconds: number;
  readonly seed: number;
};

export type Heat = {
  readonly servedPerSecond: number;
  /** Of all calls. */
  readonly refusedShare: number;
  /** What a call waits for its hold, seconds; of the last fifth of the run. */
  readonly wait: { readonly p50: number; readonly p99: number };
  readonly busy: number;
};

export function simulateHotAgent(scenario: HotAgent): Heat {
  const random = randomOf(scenario.seed);
  const endMs = scenario.seconds * 1000;
  const roundMs = Math.max(leastServiceMs, scenario.roundMs);
  const freeMs = new Float64Array(scenario.objects);
  const captures = new Wheel();
  let [called, refused, served, workedMs] = [0, 0, 0, 0];
  const waits: number[] = [];
  /** @returns when the round is done, or `undefined` where the object is too far behind */
  const round = (object: number, nowMs: number): number | undefined => {
    const startMs = Math.max(nowMs, freeMs[object] ?? 0);
    if (startMs - nowMs > overloadedMs) return undefined;
    freeMs[object] = startMs + roundMs;
    workedMs += roundMs;
    return startMs + roundMs;
  };
  for (let tick = 0; tick < endMs; tick += 1) {
    for (let come = poisson(scenario.callsPerSecond / 1000, random); come > 0; come -= 1) {
      called += 1;
      const object = Math.floor(random() * scenario.objects);
      const heldMs = round(object, tick);
      if (heldMs === undefined) {
        refused += 1;
        continue;
      }
      if (tick > endMs * 0.8) waits.push(heldMs - tick);
      captures.at(heldMs - Math.log(1 - random()) * scenario.answerSeconds * 1000, object);
    }
    for (const object of captures.take(tick)) {
      const doneMs = round(object, tick);
      // The Worker asks again: what was delivered is captured.
      if (doneMs === undefined) captures.at(tick + 1_000, object);
      else if (doneMs <= endMs) served += 1;
    }
  }
  waits.sort((a, b) => a - b);
  const waitAt = (share: number): number =>
    (waits[Math.floor(share * (waits.length - 1))] ?? Number.NaN) / 1000;
  return {
    servedPerSecond: served / scenario.seconds,
    refusedShare: called === 0 ? 0 : refused / called,
    wait: { p50: waitAt(0.5), p99: waitAt(0.99) },
    busy: Math.min(1, workedMs / (endMs * scenario.objects)),
  };
}
