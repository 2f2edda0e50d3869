// A receipt is challenged on chain, and the gateway answers by itself, whatever fails on the way; one that it withheld it
// cannot show, and that costs the operator.
import { type Address, type Hex, parseEther } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { conclusionOf, readBond, submissionOf } from '../client/evidence.ts';
import { mined } from '../contracts/deploy-contract.ts';
import { operatorBondAbi } from '../contracts-abi/generated/OperatorBond.ts';
import { walletOf } from '../dev/clients.ts';
import { bondLog, deployBond, fund } from '../dev/contracts.ts';
import { evidenceOfOverdue } from '../protocol/evidence/overdue-receipt.ts';
import { type Receipt, receiptDigest, signReceipt } from '../protocol/receipt.ts';
import { type LogRun, startWorld, type World } from './log-world.ts';

const terms = { penalty: parseEther('2'), challengeBond: parseEther('0.5'), mergeDelay: 3_600, grace: 60 };
const answerWindow = 7_200;
const deposit = parseEther('10');
const states = ['none', 'open', 'answered', 'lost'];
const stranger = privateKeyToAccount(`0x${'57'.repeat(32)}`);

let world: World;
let bond: Address;
beforeAll(async () => {
  world = await startWorld();
  bond = await deployBond(world.reader, world.admin, { ...terms, answerWindow, anchor: world.anchor });
  await fund(world.reader, world.admin, stranger.address);
  if (process.env['DEBUG']) return;
  for (const level of ['error', 'warn'] as const)
    vi.spyOn(console, level).mockImplementation(() => undefined);
});
afterEach(() => {
  delete world.lies.tell;
  Object.assign(world.storage.faults, { down: false });
});
afterAll(() => world?.close());

async function openLog(): Promise<LogRun> {
  const run = await world.openLog({ BOND: bond }, { watchEverySeconds: 2 });
  await bondLog(world.reader, world.admin, bond, run.logId, deposit);
  return run;
}

const held = (run: LogRun) => readBond(world.anvil.url, { bond, anchor: world.anchor, logId: run.logId });

/** By somebody who has the receipt, and paid for by them. */
async function challenge(run: LogRun, receipt: Receipt): Promise<Hex> {
  const log = { chainId: 31_337, anchor: world.anchor, logId: run.logId };
  const evidence = evidenceOfOverdue(log, signReceipt(receipt, world.receiptKey));
  if (!evidence.ok) throw new Error(evidence.error);
  const wallet = walletOf(world.anvil.url, 31_337, stranger);
  await mined(world.reader, await wallet.sendTransaction(submissionOf(evidence.value, bond, terms)));
  return receiptDigest(receipt);
}

async function stateOf(digest: Hex): Promise<string | undefined> {
  const { state } = await world.reader.readContract({
    address: bond,
    abi: operatorBondAbi,
    functionName: 'challengeOf',
    args: [digest],
  });
  return states[state];
}

async function until(run: LogRun, what: () => Promise<boolean>, rounds = 60): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    if (await what()) return;
    await run.round(1, 3);
  }
  throw new Error('it never came to that');
}
const answered = async (run: LogRun, digest: Hex) =>
  until(run, async () => (await stateOf(digest)) === 'answered', 150);

const receiptOf = (run: LogRun, agent: number, at: number): Receipt => {
  const receipt = run.receipts.get(world.agents[agent]?.account ?? '')?.at(at);
  if (receipt === undefined) throw new Error('no such receipt');
  return receipt;
};
const overdue = () => world.advance(terms.mergeDelay + terms.grace + 1);
/** As the operator sees it. */
const open = async (run: LogRun) =>
  ((await run.chainObject['status']?.()) as { challenges: number } | undefined)?.challenges;
const answers = (run: LogRun) =>
  world.reader.getContractEvents({
    address: bond,
    abi: operatorBondAbi,
    eventName: 'Answered',
    args: { logId: run.logId },
    fromBlock: run.fromBlock,
  });

test('a receipt in the anchored log is shown, and the challenger’s bond is the log’s', async () => {
  const run = await openLog();
  for (let call = 0; call < 9; call++) run.capture(call, 1_000n);
  await run.run({ blocks: 3 });
  await overdue();
  const digest = await challenge(run, receiptOf(run, 1, 1));
  expect((await held(run)).openChallenges).toBe(1n);
  await answered(run, digest);
  expect(await held(run)).toMatchObject({ amount: deposit + terms.challengeBond, openChallenges: 0n });
  await run.check();
});

test('the head moves while the answer is on its way: it is made anew', async () => {
  const run = await openLog();
  run.capture(0, 1_000n);
  await run.run({ blocks: 3 });
  await overdue();
  const digest = await challenge(run, receiptOf(run, 0, 0));
  // The node does not get round to the first answer until the log has a larger head.
  world.lies.tell = (method, result, params) => {
    const [call] = (params ?? []) as [{ readonly to?: string }?];
    if (method === 'eth_estimateGas' && call?.to === bond) throw new Error('busy');
    return result;
  };
  const shown = () => run.sim.points.filter((point) => point === 'CHAIN: RECEIPT_LOG.show').length;
  await until(run, async () => shown() === 1);
  run.capture(1, 1_000n);
  await run.run({ blocks: 3 });
  expect(await stateOf(digest)).toBe('open');
  delete world.lies.tell;
  await answered(run, digest);
  await run.run({ blocks: 3 });
  expect(await answers(run)).toHaveLength(1);
  expect(shown()).toBe(2);
  await run.check();
});

test('one that is late is shown as soon as it is anchored', async () => {
  const run = await openLog();
  run.capture(0, 1_000n);
  await run.run({ blocks: 3 });
  world.storage.faults.down = true;
  run.capture(0, 1_000n);
  for (let round = 0; round < 5; round++) await run.round();
  await overdue();
  const digest = await challenge(run, receiptOf(run, 0, 1));
  for (let round = 0; round < 8; round++) await run.round(10);
  expect(await stateOf(digest)).toBe('open');
  expect(await open(run)).toBe(1);
  world.storage.faults.down = false;
  await answered(run, digest);
  expect((await held(run)).amount).toBe(deposit + terms.challengeBond);
  await until(run, async () => (await open(run)) === 0);
});

test('made while nobody was awake, before the bond was ever looked at', async () => {
  const run = await openLog();
  run.capture(0, 1_000n);
  run.capture(2, 1_000n);
  await run.run({ blocks: 3 });
  await overdue();
  run.sim.kill('CHAIN', 'eip155:31337');
  run.sim
    .disk('CHAIN', 'eip155:31337')
    .db.exec("DELETE FROM challenges; DELETE FROM _kv WHERE key = 'challengesFrom'");
  const digest = await challenge(run, receiptOf(run, 2, 0));
  for (let block = 0; block < 90; block++) await world.advance(10);
  await answered(run, digest);
});

test('answered once, whatever fails: objects die and answers get lost all the way', async () => {
  const run = await openLog();
  for (let call = 0; call < 6; call++) run.capture(call, 1_000n);
  await run.run({ blocks: 3 });
  await overdue();
  const digests: Hex[] = [];
  for (const agent of [0, 1, 2]) digests.push(await challenge(run, receiptOf(run, agent, 1)));
  let state = 20_261_122;
  const random = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 2 ** 31;
  };
  run.sim.faults = () =>
    random() < 0.15 ? (['fail', 'lost', 'kill'] as const)[Math.floor(random() * 3)] : undefined;
  for (let round = 0; round < 40; round++) await run.round(1, 3);
  run.sim.faults = () => undefined;
  for (const digest of digests) await answered(run, digest);
  expect(await answers(run)).toHaveLength(3);
  expect(await held(run)).toMatchObject({
    amount: deposit + 3n * terms.challengeBond,
    openChallenges: 0n,
  });
  await run.run({ blocks: 3 });
  await run.check();
});

test('a receipt that was signed and withheld cannot be shown: the bond is slashed, half of it for the agent', async () => {
  const run = await openLog();
  run.capture(0, 1_000n);
  await run.run({ blocks: 3 });
  const last = receiptOf(run, 0, 0);
  const withheld = { ...last, sequence: 2n, previous: receiptDigest(last), amount: 7n };
  await overdue();
  const digest = await challenge(run, withheld);
  for (let round = 0; round < 5; round++) await run.round(10);
  expect(await stateOf(digest)).toBe('open');
  await world.advance(answerWindow + 1);
  for (let round = 0; round < 5; round++) await run.round(10);
  const wallet = walletOf(world.anvil.url, 31_337, stranger);
  await mined(world.reader, await wallet.sendTransaction(conclusionOf(bond, digest)));
  expect(await stateOf(digest)).toBe('lost');
  expect((await held(run)).amount).toBe(deposit - terms.penalty);
  const { registry, agentId } = withheld;
  const due = await world.reader.readContract({
    address: bond,
    abi: operatorBondAbi,
    functionName: 'compensationOf',
    args: [registry, agentId],
  });
  expect(due).toBe(terms.penalty / 2n);
  // And the gateway has stopped trying.
  const { points } = run.sim;
  for (let round = 0; round < 3; round++) await run.round(10);
  const before = points.length;
  for (let round = 0; round < 3; round++) await run.round(10);
  expect(points.slice(before)).not.toContain('CHAIN: RECEIPT_LOG.show');
});
