// workerd dies at any moment, while receipts arrive, batches are sealed, files are published and heads are anchored. Every
// object starts again from its rows, nobody helps, and then the log is proven again from the outside.
import { parseEther } from 'viem';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Stack } from '../dev/stack.ts';
import { accountName } from '../protocol/account-name.ts';
import { headNoteKey } from '../protocol/log/checkpoint.ts';
import { ed25519NoteKey, parseVerifierKey } from '../protocol/log/note.ts';
import { tilePath } from '../protocol/log/tile-path.ts';
import { receiptDigest } from '../protocol/receipt.ts';
import { checkLog, fromStorage } from './check-log.ts';
import { killWorkerd } from './kill-workerd.ts';
import { receiptIn, receiptsOf, until, vaultAccount } from './money.ts';
import { type RawAgent, rawAgent } from './raw-agent.ts';
import { startTestStack } from './test-stack.ts';

const kills = 3 * Math.min(12, Number(process.env['LONG'] ?? 1));

let stack: Stack;
const agents: RawAgent[] = [];
beforeAll(async () => {
  stack = await startTestStack({
    agents: 2,
    deposit: parseEther('100'),
    // Something of the log's is under way at any time.
    vars: { SEAL_EVERY_SECONDS: '1', SEAL_AT_ENTRIES: '5', PUBLISH_EVERY_SECONDS: '0', HOLD_SECONDS: '4' },
  });
  agents.push(...stack.agents.map((agent) => rawAgent(stack, agent)));
});
afterAll(() => stack?.close());

type Health = { readonly log: { appended: number; sealed: number; anchored: number; commits: number } };
const logStatus = async (): Promise<Health['log'] | undefined> =>
  fetch(`${stack.gatewayUrl}/healthz`).then(
    async (response) => ((await response.json()) as Health).log,
    () => undefined,
  );

test(`SIGKILL of workerd while the log grows, ${kills} times`, {
  timeout: 90_000 + kills * 15_000,
}, async () => {
  const acknowledged = new Set<string>();
  let isRunning = true;
  const clients = agents.flatMap((agent) =>
    [0, 1].map(async (number) => {
      const headers = await agent.payment(parseEther('90'));
      for (let turn = 0; isRunning; turn += 1) {
        try {
          const response = await agent.chat(`Say something, ${number}.${turn}`, {
            headers,
            more: { max_tokens: 20 },
          });
          const receipt = receiptIn(response, await response.text());
          if (receipt) acknowledged.add(receiptDigest(receipt.receipt));
        } catch {
          // It died under us.
        }
        await new Promise((resolve) => setTimeout(resolve, 60));
      }
    }),
  );
  for (let kill = 0; kill < kills; kill += 1) {
    const before = (await logStatus())?.commits ?? 0;
    await until(
      async () => (await logStatus())?.commits ?? 0,
      (commits) => commits > before,
    );
    // Within the next seal, upload, anchor or settlement.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 900));
    await killWorkerd(stack);
  }
  isRunning = false;
  await Promise.all(clients);

  const made = await Promise.all(agents.map(receiptsOf));
  const receipts = new Map(
    made.map((list, at) => [
      accountName({
        chainId: stack.chainId,
        vault: stack.vault,
        registry: stack.identityRegistry,
        agentId: BigInt(stack.agents[at]?.agentId ?? 'none'),
      }),
      list.map(({ receipt }) => receipt),
    ]),
  );
  const total = made.reduce((sum, list) => sum + list.length, 0);
  expect(total).toBeGreaterThanOrEqual(acknowledged.size);
  expect(acknowledged.size).toBeGreaterThan(kills);
  await until(
    async () => (await logStatus())?.anchored,
    (anchored) => anchored === total,
    60_000,
  );
  // Claims are the last to arrive.
  for (const [at, list] of made.entries()) {
    await until(
      () => vaultAccount(stack, stack.agents[at]?.agentId ?? 'none'),
      ({ claimed }) => claimed === list.at(-1)?.receipt.cumulative,
    );
  }

  const { log } = (await (await fetch(`${stack.gatewayUrl}/.well-known/tallystick`)).json()) as {
    log: { origin: string; checkpointKey: string; headKey: `0x${string}`; receiptKey: `0x${string}` };
  };
  const vkey = parseVerifierKey(log.checkpointKey);
  if (vkey === undefined) throw new Error('no checkpoint key');
  const domain = { chainId: stack.chainId, anchor: stack.anchor, logId: stack.logId };
  const agentOf = (account: string): RawAgent => {
    const agent = agents[[...receipts.keys()].indexOf(account)];
    if (agent === undefined) throw new Error(`nobody is ${account}`);
    return agent;
  };
  const served = async (response: Promise<Response>): Promise<Response | undefined> =>
    response.then((answer) => (answer.status === 200 ? answer : undefined));
  const checked = await checkLog({
    reader: stack.reader,
    anchor: stack.anchor,
    logId: stack.logId,
    flow: stack.flow,
    vault: stack.vault,
    download: (item) => fromStorage(stack.storageUrl, item),
    keys: [ed25519NoteKey(vkey.name, vkey.publicKey), headNoteKey(log.origin, domain, log.headKey)],
    receiptKey: log.receiptKey,
    fromBlock: 0n,
    receipts,
    served: {
      checkpoint: async () => (await served(fetch(`${stack.gatewayUrl}/log/checkpoint`)))?.text(),
      tile: async ({ level, index, width }) => {
        const url = `${stack.gatewayUrl}/log/${tilePath(level, index, width)}`;
        const answer = await served(fetch(url));
        return answer && new Uint8Array(await answer.arrayBuffer());
      },
      proof: async (account, sequence) =>
        (await served(agentOf(account).call('GET', `/v1/receipts/${sequence}/proof`)))?.text(),
    },
  });
  expect(checked).toMatchObject({ size: total });
});
