// One agent's life on the local stack, shown step by step: what the README promises, done by an agent that did not exist
// a moment ago.
import OpenAI from 'openai';
import { type Address, formatEther, parseEther } from 'viem';
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts';
import { type AgentFetch, createAgentFetch } from '../client/agent-fetch.ts';
import { verifyBlobRoot } from '../client/blob-evidence.ts';
import { fetchProofFor, readAnchor, readAnchored, verifyReceipt } from '../client/verify.ts';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';
import { zeroGStorageNode } from '../durable-objects/da/zero-g-storage.ts';
import { toHex } from '../protocol/hex.ts';
import { formatAgentId } from '../protocol/identity/agent-id.ts';
import { decodeFile } from '../protocol/log/blob.ts';
import { parseTlogProof } from '../protocol/log/tlog-proof.ts';
import { receiptDigest, type SignedReceipt } from '../protocol/receipt.ts';
import { decodeDaReference } from '../protocol/zero-g/da-reference.ts';
import { walletOf } from './clients.ts';
import { depositFor, fund, registerAgent, setSpender } from './contracts.ts';
import type { Stack } from './stack.ts';

/** The longest a receipt may take from its capture into an anchored head, here: a fraction of the promised merge delay. */
const anchorTimeoutMs = 60_000;

/** One line of the verification, as a person reads it. */
type Check = { readonly name: string; readonly ok: boolean; readonly detail: string };

/** @returns whether every step did what it should */
export async function agentLife(stack: Stack, say: (line: string) => void): Promise<boolean> {
  const { reader, chainId, identityRegistry: registry, vault, gatewayUrl, rpcUrl } = stack;
  const step = (name: string, line: string): void => say(`${name.padEnd(12)}${line}`);

  // An identity and a deposit.
  const wallet = privateKeyToAccount(generatePrivateKey());
  const owner = walletOf(rpcUrl, chainId, wallet);
  await fund(reader, stack.deployer, wallet.address, parseEther('6'));
  const card = `data:application/json,${encodeURIComponent(JSON.stringify({ name: 'the demo agent', active: true }))}`;
  const agentId = await registerAgent(reader, owner, registry, card);
  const agent = formatAgentId({ chainId, registry, agentId });
  step('registered', `as agent ${agentId}: ${agent}`);
  await setSpender(reader, owner, { registry, vault }, agentId, wallet.address);
  const deposit = parseEther('5');
  const deposited = await depositFor(reader, owner, { registry, vault }, agentId, deposit);
  step('deposited', `${formatEther(deposit)} 0G into the vault, transaction ${deposited}`);

  // A call, with the stock client.
  const agentFetch = createAgentFetch({ wallet, agent, gateway: gatewayUrl, rpcUrl, strict: true });
  const openai = new OpenAI({ baseURL: `${gatewayUrl}/v1`, apiKey: 'unused', fetch: agentFetch });
  const prompt = 'Write a poem about tally sticks';
  step('asks', prompt);
  const stream = await openai.chat.completions.create({
    model: 'qwen-plus',
    stream: true,
    max_tokens: 300,
    messages: [{ role: 'user', content: prompt }],
  });
  process.stdout.write('  answer      ');
  for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '');
  process.stdout.write('\n');

  await agentFetch.settled();
  const checked = agentFetch.lastReceipt;
  if (checked === undefined) {
    step('receipt', 'none came');
    return false;
  }
  const { receipt } = checked.signed;
  const { usage } = receipt;
  step('usage', `${usage.input} tokens in, ${usage.output} out${usage.estimated ? ' (estimated)' : ''}`);
  step('cost', `${formatEther(receipt.amount)} 0G (${receipt.amount} neuron), of a signed voucher`);
  step('receipt', `${checked.digest}, number ${receipt.sequence}, checked as it arrived`);

  // Parallel calls share the deposit and the voucher.
  const sums = ['12*7', '99-58', '6+7'];
  const answers = await Promise.all(
    sums.map((sum) =>
      openai.chat.completions.create({
        model: 'qwen-flash',
        max_tokens: 50,
        messages: [{ role: 'user', content: `What is ${sum}?` }],
      }),
    ),
  );
  await agentFetch.settled();
  const said = answers.map((answer) => answer.choices[0]?.message.content).join('  ');
  step(
    'in parallel',
    `${said}  (receipts ${agentFetch.receipts.map((r) => r.signed.receipt.sequence).join(', ')})`,
  );

  // Into the log, to the DA layer, onto the chain.
  const placed = await untilAnchored(agentFetch, gatewayUrl, `${receipt.sequence}`);
  if (placed === undefined) {
    step('anchored', `not within ${anchorTimeoutMs / 1000} s`);
    return false;
  }
  const reference = decodeDaReference(placed.daReference);
  for (const item of reference.ok ? reference.value : []) {
    const where =
      item.kind === '0g-storage' ? `0G Storage root ${item.root}, submission ${item.txSeq}` : item.commitment;
    step('published', `${where} (${item.state})`);
  }
  step(
    'anchored',
    `a head of ${placed.size} entries, transaction ${placed.transaction}, block ${placed.blockNumber}`,
  );

  // Verified, with chain and DA layer.
  const checks = await verify(stack, agentFetch, checked.signed);
  say(`verified    with the chain at ${rpcUrl} and the DA layer at ${stack.storageUrl}:`);
  for (const { ok, name, detail } of checks)
    say(`  ${ok ? '✓' : '✗'} ${name.replaceAll('_', ' ').padEnd(21)} ${detail}`);

  const spent = agentFetch.receipts.reduce((sum, { signed }) => sum + signed.receipt.amount, 0n);
  const claimed = await untilClaimed(stack, registry, agentId, spent);
  step(
    'settled',
    `the vault has paid the operator ${formatEther(claimed)} 0G of the agent's ${formatEther(deposit)}`,
  );
  return checks.every(({ ok }) => ok) && claimed === spent;
}

/**
 * Everything a doubter can check: the receipt and its proof against the chain's head, the same proof by the contract itself,
 * and the whole log rebuilt from what the storage node gives out.
 */
async function verify(stack: Stack, agentFetch: AgentFetch, signed: SignedReceipt): Promise<Check[]> {
  const { rpcUrl, anchor, logId } = stack;
  const location = { rpcUrl, anchor, logId };
  const { log } = await agentFetch.deployment();
  const proof = await fetchProofFor(agentFetch, signed.receipt.sequence, {
    log: location,
    timeoutMs: 10_000,
  });
  const checks: Check[] = await verifyReceipt({
    ...location,
    signed,
    proof,
    checkpointKey: log.checkpointKey,
  });

  const parsed = parseTlogProof(proof);
  if (!parsed.ok) return checks;
  const digest = receiptDigest(signed.receipt);
  const { index } = parsed.value;
  const inSolidity = await stack.reader.readContract({
    address: anchor,
    abi: receiptAnchorAbi,
    functionName: 'verifyInclusion',
    args: [logId, BigInt(index), digest, parsed.value.proof.map(toHex)],
  });
  const onChain: Check = {
    ok: inSolidity,
    name: 'verifyInclusion',
    detail: `the contract itself finds entry ${index} under the head it holds`,
  };

  const node = zeroGStorageNode({ url: stack.storageUrl, fetch: (url, init) => fetch(url, init) });
  const reading = await readAnchor(location);
  const entries: Uint8Array[] = [];
  const ofBlobs: Check[] = [];
  for (const { head, daReference } of await readAnchored(location)) {
    const files: Uint8Array[] = [];
    const reference = decodeDaReference(daReference);
    for (const item of reference.ok ? reference.value : []) {
      if (item.kind !== '0g-storage') continue;
      const found = await node.find(item);
      const size = found.ok ? (found.value?.size ?? 0) : 0;
      const bytes = await node.download({ ...item, size });
      if (!bytes.ok) {
        return [
          ...checks,
          onChain,
          { ok: false, name: 'download', detail: `${item.root}: ${bytes.error.reason}` },
        ];
      }
      files.push(bytes.value);
    }
    const covers = index >= entries.length && index < head.size;
    const judged = verifyBlobRoot({
      files,
      daReference,
      head,
      anchor: reading,
      checkpointKey: log.checkpointKey,
      entriesBefore: entries.slice(),
      ...(covers ? { entry: { index, digest } } : {}),
    });
    ofBlobs.push(...judged.filter((check) => covers || !check.ok));
    for (const file of files) {
      const blobs = decodeFile(file);
      for (const blob of blobs.ok ? blobs.value : []) entries.push(...blob.entries);
    }
  }
  return [...checks, onChain, ...ofBlobs];
}

type Anchored = {
  readonly size: number;
  readonly daReference: Address;
  readonly transaction: string;
  readonly blockNumber: string;
};

async function untilAnchored(
  agentFetch: typeof fetch,
  gatewayUrl: string,
  sequence: string,
): Promise<Anchored | undefined> {
  for (const end = Date.now() + anchorTimeoutMs; Date.now() < end; ) {
    const response = await agentFetch(`${gatewayUrl}/v1/receipts/${sequence}`);
    const { log } = (await response.json()) as { log?: { anchored?: Anchored } | null };
    if (log?.anchored) return log.anchored;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  return undefined;
}

async function untilClaimed(
  stack: Stack,
  registry: Address,
  agentId: bigint,
  cumulative: bigint,
): Promise<bigint> {
  let claimed = 0n;
  for (const end = Date.now() + anchorTimeoutMs; Date.now() < end && claimed < cumulative; ) {
    const account = await stack.reader.readContract({
      address: stack.vault,
      abi: agentVaultAbi,
      functionName: 'account',
      args: [registry, agentId],
    });
    claimed = account.claimed;
    if (claimed < cumulative) await new Promise((resolve) => setTimeout(resolve, 300));
  }
  return claimed;
}
