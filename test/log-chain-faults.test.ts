// What a chain and a storage node can do to a log: it waits, goes on alone, loses nothing and pays nothing twice; and it
// seals on time whatever they do.
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { walletOf } from '../dev/clients.ts';
import { type LogRun, startWorld, type World } from './log-world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
  if (process.env['DEBUG']) return;
  for (const level of ['error', 'warn', 'log'] as const)
    vi.spyOn(console, level).mockImplementation(() => undefined);
});
afterEach(async () => {
  delete world.lies.tell;
  delete world.lies.answer;
  Object.assign(world.storage.faults, {
    down: false,
    refuseSegments: false,
    stallMs: 0,
    neverFinalize: false,
  });
  await world.chain.setAutomine(true);
});
afterAll(() => world?.close());

const someCalls = (run: LogRun, calls = 5): void => {
  for (let call = 0; call < calls; call++) run.capture(call, 1000n + BigInt(call));
};

/** Rounds in which nothing gets through: everything that was captured is sealed meanwhile, and nothing anchored. */
async function sealsAnyway(run: LogRun, rounds = 4): Promise<void> {
  const { anchored } = await run.status();
  for (let round = 0; round < rounds; round++) {
    someCalls(run, 3);
    await run.round();
    await run.round();
    const status = await run.status();
    expect(status.appended).toBeGreaterThan(0);
    expect(status.sealed).toBe(status.appended);
    expect(status.anchored).toBe(anchored);
  }
}

async function until(run: LogRun, what: () => Promise<boolean> | boolean): Promise<void> {
  for (let round = 0; round < 60; round++) {
    if (await what()) return;
    await run.round();
  }
  throw new Error('it never came to that');
}

const sentRaw = (run: LogRun): number =>
  run.sim.points.filter((point) => point === 'CHAIN: eth_sendRawTransaction').length;
const operatorNonce = () => world.reader.getTransactionCount({ address: world.operator });
const reorg = (depth: number) => world.chain.request({ method: 'anvil_reorg', params: [depth, []] } as never);

describe('the chain', () => {
  test('RPC down: the log seals, and everything else goes on when it is back', async () => {
    const run = await world.openLog();
    run.sim.faults = (point) => (/: eth_/.test(point) ? 'fail' : undefined);
    await sealsAnyway(run);
    run.sim.faults = () => undefined;
    await run.run();
    await run.check();
  });

  test('RPC slow: whoever waits for it holds up neither the log nor itself', async () => {
    const run = await world.openLog();
    someCalls(run);
    await until(run, () => run.sim.alarms().some(({ binding }) => binding === 'CHAIN'));
    // The node takes each question, and answers when it pleases: not before the log has gone on.
    const atLast = Promise.withResolvers<void>();
    let asked = 0;
    world.lies.answer = async (url) => {
      if (!url.startsWith(world.anvil.url)) return undefined;
      asked += 1;
      await atLast.promise;
      return undefined;
    };
    const slow = new Set<string>();
    const rings: Promise<unknown>[] = [];
    const anchored = (await run.status()).anchored;
    for (let turn = 0; turn < 4; turn++) {
      someCalls(run, 3);
      for (const { binding, name } of run.sim.alarms()) {
        const ringing = run.sim.ring(binding, name);
        if (binding === 'PUBLISHER' || binding === 'CHAIN') {
          slow.add(binding);
          rings.push(ringing.then(() => slow.delete(binding)));
        } else await ringing;
      }
      await world.advance(30);
      const status = await run.status();
      expect(status).toMatchObject({ appended: 5 + 3 * (turn + 1), sealed: status.appended, anchored });
    }
    expect(asked).toBeGreaterThan(0);
    expect(slow).toContain('CHAIN');
    atLast.resolve();
    await Promise.all(rings);
    delete world.lies.answer;
    await run.run();
    await run.check();
  });

  test.each([
    ['another chain', (method: string) => (method === 'eth_chainId' ? '0x1' : undefined)],
    ['no blocks', (method: string) => (method === 'eth_getBlockByNumber' ? null : undefined)],
    ['not numbers', (method: string) => (method === 'eth_getTransactionCount' ? 'soon' : undefined)],
    ['empty calls', (method: string) => (method === 'eth_call' ? '0x' : undefined)],
  ])('RPC wrong: %s', async (_, lie) => {
    const run = await world.openLog();
    world.lies.tell = (method, result) => {
      const told = lie(method);
      return told === undefined ? result : told;
    };
    await sealsAnyway(run, 3);
    delete world.lies.tell;
    await run.run();
    await run.check();
  });

  test('RPC wrong: a head that was rolled back, and receipts that are not there yet', async () => {
    const run = await world.openLog();
    someCalls(run);
    let lied = 0;
    world.lies.tell = (method, result) => {
      if (method !== 'eth_getTransactionReceipt' || lied >= 6) return result;
      lied += 1;
      return null;
    };
    await run.run();
    expect(lied).toBe(6);
    await run.check();
  });

  test('RPC wrong: for as long as blocks take to stay, no receipt is known: what is stored is not paid for again', async () => {
    const run = await world.openLog();
    someCalls(run);
    world.lies.tell = (method, result) => (method === 'eth_getTransactionReceipt' ? null : result);
    for (let round = 0; round < 12; round++) await run.round();
    delete world.lies.tell;
    await run.run();
    await run.check(); // one Submit event for each root, each claim once
  });

  test('RPC wrong: a nonce far ahead leaves a gap, which is filled', async () => {
    const run = await world.openLog();
    someCalls(run);
    let lied = false;
    world.lies.tell = (method, result) => {
      if (method !== 'eth_getTransactionCount' || lied) return result;
      lied = true;
      return `0x${(Number(result) + 2).toString(16)}`;
    };
    await run.run();
    await run.check();
    expect(lied).toBe(true);
  });

  test('the nonce is taken by another transaction of the same key', async () => {
    const run = await world.openLog();
    someCalls(run);
    run.sim.faults = (point) => (point === 'CHAIN: eth_sendRawTransaction' ? 'fail' : undefined);
    await until(run, () => sentRaw(run) > 0);
    const operator = walletOf(world.anvil.url, 31_337, privateKeyToAccount(world.operatorKey));
    await operator.sendTransaction({ to: world.operator, value: 0n });
    run.sim.faults = () => undefined;
    await run.run();
    await run.check();
  });

  test('dropped by the node, it is broadcast again as it was', async () => {
    const run = await world.openLog();
    await world.chain.setAutomine(false);
    someCalls(run);
    for (let alarms = 0; sentRaw(run) === 0 && alarms < 40; alarms++) {
      for (const { binding, name } of run.sim.alarms()) await run.sim.ring(binding, name);
    }
    await world.chain.request({ method: 'anvil_dropAllTransactions' } as never);
    await world.chain.setAutomine(true);
    const before = await operatorNonce();
    await run.run();
    expect((await operatorNonce()) - before).toBe(3);
    await run.check();
  });

  test('fee too low: the same nonce with a higher fee, and one of the two is mined', async () => {
    const run = await world.openLog();
    const before = await operatorNonce();
    await world.chain.setAutomine(false);
    someCalls(run);
    for (let alarms = 0; sentRaw(run) === 0 && alarms < 40; alarms++) {
      for (const { binding, name } of run.sim.alarms()) await run.sim.ring(binding, name);
    }
    // The next block costs more than was offered, and those after it.
    const sent = sentRaw(run);
    await world.chain.setNextBlockBaseFeePerGas({ baseFeePerGas: 20n * 10n ** 9n });
    await run.round(20);
    expect([(await operatorNonce()) - before, sentRaw(run)]).toEqual([0, sent]);
    await run.round(20);
    await run.round(20);
    expect([(await operatorNonce()) - before, sentRaw(run)]).toEqual([
      1,
      expect.toSatisfy((times: number) => times > sent),
    ]);
    await world.chain.setAutomine(true);
    await run.run();
    expect((await operatorNonce()) - before).toBe(3);
    await run.check();
  });

  test('gas spike: above the cap nothing is sent, and below it again everything', async () => {
    const run = await world.openLog({}, { maxFeePerGas: '3000000000' });
    const before = await operatorNonce();
    const spike = async (): Promise<void> => {
      await world.chain.setNextBlockBaseFeePerGas({ baseFeePerGas: 50n * 10n ** 9n });
      await world.chain.mine({ blocks: 1 });
    };
    for (let round = 0; round < 4; round++) {
      await spike();
      someCalls(run, 2);
      for (const { binding, name } of run.sim.alarms()) await run.sim.ring(binding, name);
    }
    expect((await operatorNonce()) - before).toBe(0);
    expect((await run.status()).sealed).toBeGreaterThan(0);
    await world.chain.setNextBlockBaseFeePerGas({ baseFeePerGas: 10n ** 9n });
    await run.run();
    await run.check();
  });

  test.each([
    ['a submission', 0],
    ['an anchor', 1],
    ['a settlement', 2],
  ])('%s reorganised away comes back, once', async (_, ofOurs) => {
    const run = await world.openLog();
    const before = await operatorNonce();
    someCalls(run);
    await until(run, async () => (await operatorNonce()) === before + ofOurs + 1);
    // The block with it is the head, or one below.
    await reorg(2);
    expect(await operatorNonce()).toBeLessThanOrEqual(before + ofOurs);
    await run.run();
    expect((await operatorNonce()) - before).toBe(3);
    await run.check();
    someCalls(run, 2);
    await run.run();
    await run.check();
  });
});

describe('storage', () => {
  test('node down: nothing is paid for, and the log seals', async () => {
    const run = await world.openLog();
    const before = await operatorNonce();
    world.storage.faults.down = true;
    await sealsAnyway(run);
    expect((await operatorNonce()) - before).toBe(0);
    world.storage.faults.down = false;
    await run.run();
    await run.check();
  });

  test.each([
    ['paid for, then the node is gone', { down: true }],
    ['segments refused', { refuseSegments: true }],
    ['never final', { neverFinalize: true }],
  ])('%s: waits without paying again', async (_, faults) => {
    const run = await world.openLog();
    const before = await operatorNonce();
    someCalls(run);
    await until(run, async () => (await operatorNonce()) === before + 1);
    Object.assign(world.storage.faults, faults);
    await sealsAnyway(run);
    expect((await operatorNonce()) - before).toBe(1);
    Object.assign(world.storage.faults, { down: false, refuseSegments: false, neverFinalize: false });
    await run.run();
    await run.check();
  });

  test('a file that is known already is not paid for, even by a publisher that has forgotten everything', async () => {
    const run = await world.openLog();
    someCalls(run);
    world.storage.faults.neverFinalize = true;
    const before = await operatorNonce();
    await until(run, async () => (await operatorNonce()) === before + 1);
    for (let round = 0; round < 3; round++) await run.round();
    run.sim.kill('PUBLISHER', run.logId);
    run.sim.disk('PUBLISHER', run.logId).db.exec('UPDATE files SET progress = NULL');
    run.sim.disk('CHAIN', 'eip155:31337').db.exec('DELETE FROM transactions');
    world.storage.faults.neverFinalize = false;
    await run.run();
    expect((await operatorNonce()) - before).toBe(3);
    await run.check();
  });
});

describe('settlement', () => {
  const slow = { settlement: { everySeconds: 43_200, at: '1000000000000000000', least: '1000' } };
  const claimedOf = (at: number) => world.claimed(world.agents[at]?.agentId ?? 0n);
  const lastOf = (run: LogRun, at: number): bigint =>
    run.receipts.get(world.agents[at]?.account ?? '')?.at(-1)?.cumulative ?? 0n;
  const isAnchored = async (run: LogRun): Promise<boolean> => {
    const { appended, anchored } = await run.status();
    return appended > 0 && anchored === appended;
  };

  test('waits for company, and then takes everybody along', async () => {
    const run = await world.openLog({}, slow);
    const before = await Promise.all([0, 1, 2].map(claimedOf));
    run.capture(0, 5_000n);
    await until(run, () => isAnchored(run));
    await world.advance(40_000);
    run.capture(1, 7_000n);
    run.capture(2, 10n); // not worth its gas
    for (let round = 0; round < 12; round++) await run.round();
    expect(await Promise.all([0, 1, 2].map(claimedOf))).toEqual(before);
    await world.advance(4_000);
    for (let round = 0; round < 8; round++) await run.round();
    expect(await Promise.all([0, 1, 2].map(claimedOf))).toEqual([lastOf(run, 0), lastOf(run, 1), before[2]]);
  });

  test('a sum above the threshold goes at once, alone', async () => {
    const run = await world.openLog({}, slow);
    const before = await claimedOf(1);
    run.capture(0, 10n ** 18n);
    run.capture(1, 7_000n);
    await until(run, async () => (await claimedOf(0)) === lastOf(run, 0));
    expect(await claimedOf(1)).toBe(before);
  });

  test('an epoch that is ending: what is due, and what becomes due before it ends, goes at once', async () => {
    const run = await world.openLog({}, slow);
    run.capture(0, 5_000n);
    await until(run, () => isAnchored(run));
    for (let round = 0; round < 6; round++) await run.round();
    expect(await claimedOf(0)).not.toBe(lastOf(run, 0));
    await run.chainObject['settleNow']?.(world.agents[0]?.account, Date.now() + 3_600_000);
    await until(run, async () => (await claimedOf(0)) === lastOf(run, 0));
    run.capture(0, 6_000n);
    await until(run, async () => (await claimedOf(0)) === lastOf(run, 0));
  });
});
