// npm run soak -- --minutes 60 [--clients 6] [--pause 100]: the stack under steady load, with faults switched on and off, and at the
// end an account of every request: what clients were given, what accounts have stored, what the log holds, what the vault has
// paid. Exits 1 when anything is lost, doubled or does not add up. State and stack.json are in .local/soak, or in TALLYSTICK_LOCAL_DIR.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';
import { formatEther, parseEther } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { type AgentFetch, createAgentFetch } from '../client/agent-fetch.ts';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';
import { formatAgentId } from '../protocol/identity/agent-id.ts';
import { receiptDigest, receiptFromJson, type SignedReceipt } from '../protocol/receipt.ts';
import { residentMb, startedWorkerds } from './processes.ts';
import { startStack } from './stack.ts';

const { values: given } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    clients: { type: 'string', default: '6' },
    /** Milliseconds a client waits between two calls. */
    pause: { type: 'string', default: '100' },
  },
});
const minutes = Number(given.minutes);
const clientCount = Number(given.clients);
const pauseMs = Number(given.pause);
if (!(minutes > 0) || !(clientCount > 0) || !(pauseMs >= 0)) throw new Error('numbers above 0 are needed');

const holdSeconds = 20;
const sampleMs = 10_000;
const say = (line: string): void => console.log(line);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const stack = await startStack({
  localDir: path.resolve(
    process.env['TALLYSTICK_LOCAL_DIR'] ?? path.join(import.meta.dirname, '../.local/soak'),
  ),
  agents: 3,
  deposit: parseEther('1000'),
  vars: { HOLD_SECONDS: `${holdSeconds}`, MERGE_DELAY_SECONDS: '600' },
  progress: say,
});

/** workerd itself; miniflare starts another when it is killed. */
function workerd(): number | undefined {
  return startedWorkerds()[0];
}

function residentMiB(pid: number | undefined): number {
  if (pid === undefined) return 0;
  try {
    return residentMb(pid) || 0;
  } catch {
    return 0;
  }
}

const tally = { asked: 0, answered: 0, refused: new Map<string, number>(), broken: 0 };
/** Digests of receipts that clients were given and found right. */
const acknowledged = new Set<string>();
const problems: string[] = [];
let running = true;

const agents: AgentFetch[] = stack.agents.map(({ privateKey, agentId }) =>
  createAgentFetch({
    wallet: privateKeyToAccount(privateKey),
    agent: formatAgentId({
      chainId: stack.chainId,
      registry: stack.identityRegistry,
      agentId: BigInt(agentId),
    }),
    gateway: stack.gatewayUrl,
    rpcUrl: stack.rpcUrl,
    onReceipt: ({ digest }) => acknowledged.add(digest),
    onProblem: (problem) => {
      const { mismatches, requestId } = problem;
      const wrong = mismatches.filter(({ name }) => name !== 'receipt_missing');
      if (wrong.length > 0) problems.push(`${requestId}: ${JSON.stringify(wrong)}`);
    },
  }),
);

async function client(number: number): Promise<void> {
  const agent = agents[number % agents.length];
  if (!agent) return;
  for (let turn = 0; running; turn += 1) {
    tally.asked += 1;
    try {
      const response = await agent(`${agent.gateway}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          model: 'qwen-plus',
          max_tokens: 40,
          stream: (number + turn) % 2 === 0,
          messages: [{ role: 'user', content: `[[slow:10]] turn ${turn} of client ${number}` }],
        }),
        signal: AbortSignal.timeout(60_000),
      });
      const text = await response.text();
      if (response.ok) tally.answered += 1;
      else {
        const code = /"code":"(\w+)"/.exec(text)?.[1] ?? `${response.status}`;
        tally.refused.set(code, (tally.refused.get(code) ?? 0) + 1);
        await sleep(500);
      }
    } catch {
      tally.broken += 1;
      await sleep(500);
    }
    await sleep(pauseMs);
  }
}

/** Each goes wrong for a while, then right again. */
const faults: readonly { readonly name: string; readonly during: () => Promise<void> }[] = [
  {
    name: 'RPC down for 8 s',
    async during() {
      process.kill(stack.anvil.pid, 'SIGSTOP');
      await sleep(8_000);
      process.kill(stack.anvil.pid, 'SIGCONT');
    },
  },
  {
    name: 'DA down for 10 s',
    async during() {
      stack.storageNode.faults.down = true;
      await sleep(10_000);
      stack.storageNode.faults.down = false;
    },
  },
  {
    name: '30 upstream errors of three kinds',
    async during() {
      for (const fault of ['500', '429', 'cut-utf8'] as const) stack.qwen?.faults.next(fault, 10);
      await sleep(8_000);
      stack.qwen?.faults.clear();
    },
  },
];

/** Rarer than the others: what a process needs in the end is seen only while it lives. */
const killEveryMs = Math.min(15, minutes / 2) * 60_000;
const kill = {
  name: 'SIGKILL of workerd',
  async during() {
    const pid = workerd();
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    await sleep(5_000);
  },
};

const memory: { readonly pid: number | undefined; readonly mib: number }[] = [];
async function watch(): Promise<void> {
  for (let at = 0; running; at += 1) {
    await sleep(sampleMs);
    const pid = workerd();
    const mib = residentMiB(pid);
    memory.push({ pid, mib });
    const refused = [...tally.refused.values()].reduce((sum, count) => sum + count, 0);
    say(
      `${`${((at + 1) * sampleMs) / 1000}`.padStart(5)} s  workerd ${pid} ${mib.toFixed(0)} MiB  asked ${tally.asked}  answered ${tally.answered}  refused ${refused}  broken ${tally.broken}  receipts ${acknowledged.size}`,
    );
  }
}

async function trouble(): Promise<void> {
  // Between two faults it is quiet for longer than either lasts.
  let killAtMs = Date.now() + killEveryMs;
  for (let round = 0; running; round += 1) {
    await sleep(15_000);
    const isKill = Date.now() >= killAtMs;
    if (isKill) killAtMs += killEveryMs;
    const fault = isKill ? kill : faults[round % faults.length];
    if (!running || !fault) break;
    say(`        ${fault.name}`);
    await fault.during();
    say(`        ${fault.name}: over`);
  }
}

/** Everything an agent has been charged for, page by page, each naming the one before. */
async function receiptsOf(agent: AgentFetch): Promise<SignedReceipt[]> {
  const all: SignedReceipt[] = [];
  for (let from: string | null = '1'; from !== null; ) {
    const response: Response = await agent(`${agent.gateway}/v1/receipts?from=${from}`);
    const page = (await response.json()) as { receipts: Record<string, unknown>[]; next: string | null };
    for (const { receipt, signature } of page.receipts) {
      const read = receiptFromJson({ receipt, signature });
      if (!read.ok) throw new Error(read.error);
      const before = all.at(-1);
      if (read.value.receipt.sequence !== BigInt(all.length + 1))
        problems.push(`a gap before ${all.length + 1}`);
      if (before && read.value.receipt.previous !== receiptDigest(before.receipt))
        problems.push(`receipt ${all.length + 1} does not name the one before`);
      all.push(read.value);
    }
    from = page.next;
  }
  return all;
}

async function until(what: string, ask: () => Promise<boolean>, ms = 120_000): Promise<void> {
  for (const end = Date.now() + ms; Date.now() < end; ) {
    if (await ask().catch(() => false)) return;
    await sleep(500);
  }
  problems.push(`still not so after ${ms / 1000} s: ${what}`);
}

/** How each request ended, by the rows of the accounts; read when nothing runs any more. */
function storedStates(): Map<string, number> {
  const states = new Map<string, number>();
  const below = readdirSync(stack.stateDir).find((entry) => entry.endsWith('AgentAccount')) ?? '';
  for (const file of readdirSync(path.join(stack.stateDir, below))) {
    if (!file.endsWith('.sqlite') || file === 'metadata.sqlite') continue;
    const db = new DatabaseSync(path.join(stack.stateDir, below, file));
    const tables = db.prepare(`SELECT name FROM sqlite_master WHERE name GLOB 'requests_*'`).all();
    for (const { name } of tables as { name: string }[]) {
      const rows = db.prepare(`SELECT state, count(*) AS n FROM ${name} GROUP BY state`).all();
      for (const { state, n } of rows as { state: string; n: number }[])
        states.set(state, (states.get(state) ?? 0) + n);
    }
    db.close();
  }
  return states;
}

async function reconcile(): Promise<void> {
  const check = (what: string, ok: boolean): void => {
    say(`${ok ? '✓' : '✗'} ${what}`);
    if (!ok) problems.push(what);
  };
  await until('no hold is open', async () => {
    for (const agent of agents) if ((await agent.account()).held !== 0n) return false;
    return true;
  });
  const receipts = await Promise.all(agents.map(receiptsOf));
  const all = receipts.flat();
  const digests = new Set<string>(all.map(({ receipt }) => receiptDigest(receipt)));
  check(
    `${acknowledged.size} receipts that clients were given are all among the ${all.length} stored`,
    [...acknowledged].every((digest) => digests.has(digest)),
  );
  check(
    'no answer of upstream is charged twice',
    new Set(all.map(({ receipt }) => receipt.upstreamId || receiptDigest(receipt))).size === all.length,
  );
  check('no more is charged than was asked', all.length <= tally.asked);
  let captured = 0n;
  for (const [at, agent] of agents.entries()) {
    // Adding up so many receipts takes long enough for a connection that was kept to have been closed.
    const standing = await agent.account().catch(() => agent.account());
    const sum = (receipts[at] ?? []).reduce((total, { receipt }) => total + receipt.amount, 0n);
    captured += sum;
    check(`agent ${at}: its account says what its receipts add up to`, standing.captured === sum);
  }
  const head = async (): Promise<bigint> =>
    (
      await stack.reader.readContract({
        address: stack.anchor,
        abi: receiptAnchorAbi,
        functionName: 'head',
        args: [stack.logId],
      })
    )[0];
  await until('every receipt is under the anchored head', async () => (await head()) === BigInt(all.length));
  check(`the chain's head has ${await head()} entries, one a receipt`, (await head()) === BigInt(all.length));
  const claimed = async (): Promise<bigint> => {
    const accounts = await Promise.all(
      stack.agents.map(({ agentId }) =>
        stack.reader.readContract({
          address: stack.vault,
          abi: agentVaultAbi,
          functionName: 'account',
          args: [stack.identityRegistry, BigInt(agentId)],
        }),
      ),
    );
    return accounts.reduce((sum, account) => sum + account.claimed, 0n);
  };
  await until('the vault has paid', async () => (await claimed()) === captured);
  check(
    `the vault has paid ${formatEther(await claimed())} 0G, the receipts' sum`,
    (await claimed()) === captured,
  );

  await stack.gateway.close();
  const states = storedStates();
  say(`requests by how they ended: ${[...states].map(([state, n]) => `${state} ${n}`).join(', ')}`);
  check('nothing is left held', (states.get('held') ?? 0) === 0);
  check('captures are receipts', (states.get('captured') ?? 0) + (states.get('late') ?? 0) === all.length);
}

try {
  const load = Array.from({ length: clientCount }, (_, number) => client(number));
  const others = [watch(), trouble()];
  await sleep(minutes * 60_000);
  running = false;
  await Promise.all([...load, ...others]);
  say(`refusals: ${[...tally.refused].map(([code, n]) => `${code} ${n}`).join(', ') || 'none'}`);
  // By process: a new one begins low.
  for (const pid of new Set(memory.map((sample) => sample.pid))) {
    const own = memory.filter((sample) => sample.pid === pid).map(({ mib }) => mib);
    const half = own.slice(Math.floor(own.length / 2));
    say(
      `workerd ${pid}: ${own.length} samples, first ${own[0]?.toFixed(0)}, highest ${Math.max(...own).toFixed(0)}, second half from ${Math.min(...half).toFixed(0)} to ${Math.max(...half).toFixed(0)} MiB`,
    );
  }
  await reconcile();
} finally {
  running = false;
  await stack.close();
}
for (const problem of problems) say(`PROBLEM ${problem}`);
say(problems.length === 0 ? 'Nothing lost, nothing doubled.' : `${problems.length} problems.`);
process.exit(problems.length === 0 ? 0 : 1);
