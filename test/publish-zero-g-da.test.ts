// Publishing to 0G DA through its side-car: anchored only when the chain itself says the blob is available.
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { type DaSideCar, startDaSideCar } from '../dev/da-side-car.ts';
import { zeroGDaLayer } from '../durable-objects/da/zero-g-da.ts';
import type { DaReference } from '../protocol/zero-g/da-reference.ts';
import { type LogRun, startWorld, type World } from './log-world.ts';

let world: World;
let sideCar: DaSideCar;
beforeAll(async () => {
  world = await startWorld();
  sideCar = await startDaSideCar({ rpcUrl: world.anvil.url });
  if (process.env['DEBUG']) return;
  for (const level of ['error', 'warn'] as const)
    vi.spyOn(console, level).mockImplementation(() => undefined);
});
afterEach(() => {
  vi.useRealTimers();
  delete world.lies.answer;
  Object.assign(sideCar.faults, { down: false, finalMs: 0, patienceMs: 270_000, neverSigned: false });
});
afterAll(async () => {
  await sideCar?.close();
  await world?.close();
});

const openLog = (over: Record<string, string> = {}): Promise<LogRun> =>
  world.openLog({
    DA: 'zero-g-da',
    ZERO_G_DA_URL: sideCar.url,
    ZERO_G_DA_ENTRANCE: sideCar.entrance,
    ...over,
  });
const someCalls = (run: LogRun, calls = 5): void => {
  for (let call = 0; call < calls; call++) run.capture(call, 1000n);
};
const download = async (item: DaReference): Promise<Uint8Array> => {
  if (item.kind !== '0g-da') throw new Error(item.kind);
  const response = await fetch(`${sideCar.url}/get/${item.commitment}`);
  expect(response.status).toBe(200);
  return new Uint8Array(await response.arrayBuffer());
};

test('dispersed once, proven on chain, anchored, and read back', async () => {
  const run = await openLog();
  const before = sideCar.dispersed();
  someCalls(run);
  await run.run();
  expect(await run.check(download)).toEqual({ anchors: 1, size: 5 });
  expect(sideCar.dispersed() - before).toBe(1);
});

test('a commitment the quorum has not signed is not anchored; once it has, it is, without another dispersal', async () => {
  const run = await openLog();
  const before = sideCar.dispersed();
  sideCar.faults.neverSigned = true;
  someCalls(run);
  for (let round = 0; round < 8; round++) await run.round();
  expect(await run.status()).toMatchObject({ appended: 5, sealed: 5, anchored: 0 });
  await sideCar.sign();
  await run.run();
  await run.check(download);
  expect(sideCar.dispersed() - before).toBe(1);
});

test('the side-car gives up waiting, then is down: the log seals, and publishes when it answers', async () => {
  const run = await openLog();
  sideCar.faults.finalMs = 100;
  sideCar.faults.patienceMs = 20;
  for (let round = 0; round < 3; round++) {
    someCalls(run, 2);
    await run.round();
    await run.round();
    expect(await run.status()).toMatchObject({ sealed: 2 * (round + 1), anchored: 0 });
  }
  sideCar.faults.down = true;
  someCalls(run, 2);
  await run.round();
  await run.round();
  expect(await run.status()).toMatchObject({ sealed: 8, anchored: 0 });
  Object.assign(sideCar.faults, { down: false, finalMs: 0 });
  await run.run();
  await run.check(download);
});

test('the side-car gives up after its 270 s: it is heard, nothing is anchored, and the log has sealed all the while', async () => {
  const run = await openLog();
  const patience = vi.spyOn(AbortSignal, 'timeout');
  someCalls(run);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  let puts = 0;
  world.lies.answer = (url) => {
    if (url !== `${sideCar.url}/put/`) return undefined;
    puts += 1;
    return new Promise((resolve) =>
      setTimeout(() => resolve(new Response('timed out', { status: 500 })), 270_000),
    );
  };
  const ringOnce = async (binding: string): Promise<void> => {
    for (const { name } of run.sim.alarms().filter((alarm) => alarm.binding === binding)) {
      await run.sim.ring(binding, name);
      await run.sim.settled();
    }
  };
  await ringOnce('AGENT_ACCOUNT');
  await ringOnce('RECEIPT_LOG');
  let hasAnswered = false;
  const publishing = run.sim.ring('PUBLISHER', run.logId).then(() => {
    hasAnswered = true;
  });
  await vi.waitFor(() => expect(puts).toBe(1));
  // What the gateway itself waits for is longer: it is the side-car that gives up.
  expect(patience).toHaveBeenLastCalledWith(300_000);
  for (let waited = 30; waited < 270; waited += 30) {
    await vi.advanceTimersByTimeAsync(30_000);
    await world.advance(30);
    someCalls(run, 1);
    await ringOnce('AGENT_ACCOUNT');
    await ringOnce('RECEIPT_LOG');
    const { appended, sealed, anchored } = await run.status();
    expect([appended, sealed, anchored]).toEqual([5 + waited / 30, appended, 0]);
    expect([hasAnswered, puts]).toEqual([false, 1]);
  }
  await vi.advanceTimersByTimeAsync(30_000);
  await publishing;
  vi.useRealTimers();
  delete world.lies.answer;
  await run.run();
  expect((await run.check(download)).size).toBe(13);
});

test('an address without code is refused before anything is dispersed', async () => {
  const run = await openLog({ ZERO_G_DA_ENTRANCE: `0x${'12'.repeat(20)}` });
  const before = sideCar.dispersed();
  someCalls(run);
  for (let round = 0; round < 6; round++) await run.round();
  expect(await run.status()).toMatchObject({ sealed: 5, anchored: 0 });
  expect(sideCar.dispersed()).toBe(before);
});

test('at the edge: what is not a commitment, and what is too long, is refused', async () => {
  const layerOf = (status: number, body: Uint8Array) =>
    zeroGDaLayer({
      url: 'http://side.car/',
      fetch: async (url, init) => {
        expect([url, init.method]).toEqual(['http://side.car/put/', 'PUT']);
        return new Response(body as BodyInit, { status });
      },
      hasEntrance: async () => true,
      commitmentExists: async () => false,
    });
  const file = { name: '1', bytes: Uint8Array.of(1) };
  const commitment = new Uint8Array(50).fill(9);
  commitment.set([0x01, 0x47]);
  expect(await layerOf(200, commitment).advance(file, undefined)).toMatchObject({ ok: true });
  for (const [status, body] of [
    [200, commitment.subarray(0, 49)],
    [200, new Uint8Array(50)],
    [200, new Uint8Array(0)],
    [500, commitment],
  ] as const) {
    expect(await layerOf(status, body).advance(file, undefined)).toMatchObject({ ok: false });
  }
  const long = { name: '2', bytes: new Uint8Array(32_505_853) };
  expect(await layerOf(200, commitment).advance(long, undefined)).toMatchObject({ ok: false });
});
