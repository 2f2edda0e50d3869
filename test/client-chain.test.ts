// What the client takes from the chain: what was spent, which vault, and whether a receipt is in the log the chain holds.
import { ed25519 } from '@noble/curves/ed25519.js';
import { concatBytes, hexToBytes } from '@noble/hashes/utils.js';
import OpenAI from 'openai';
import type { Address, Hex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AgentFetch, createAgentFetch } from '../client/agent-fetch.ts';
import { verifyBlobRoot } from '../client/blob-evidence.ts';
import { type Check, isVerified, receiptChecks } from '../client/receipt-evidence.ts';
import { fetchProofFor, readAnchor, readAnchored, verifyReceipt } from '../client/verify.ts';
import { mined } from '../contracts/deploy-contract.ts';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';
import { type Anvil, startAnvil } from '../dev/anvil.ts';
import { readerOf, type Wallet, walletOf } from '../dev/clients.ts';
import { deployAnchor, deployRegistry, deployVault, fundAgent } from '../dev/contracts.ts';
import { addressOfKey } from '../protocol/ecdsa.ts';
import { toHex, zeroHash } from '../protocol/hex.ts';
import { formatAgentId } from '../protocol/identity/agent-id.ts';
import { encodeBlob } from '../protocol/log/blob.ts';
import { signCheckpoint } from '../protocol/log/checkpoint.ts';
import { leafHash, rootOf } from '../protocol/log/merkle.ts';
import { formatVerifierKey } from '../protocol/log/note.ts';
import { formatTlogProof } from '../protocol/log/tlog-proof.ts';
import { compactSignature } from '../protocol/money/claim.ts';
import { voucherTypedData } from '../protocol/money/voucher.ts';
import { type Receipt, receiptDigest, type SignedReceipt, signReceipt } from '../protocol/receipt.ts';
import { encodeDaReference } from '../protocol/zero-g/da-reference.ts';
import { fileTree } from '../protocol/zero-g/file-tree.ts';
import {
  amountPerCall,
  chainId,
  fakeGateway,
  origin as gatewayOrigin,
  otherKey,
  type Place,
  receiptKey,
} from './fake-gateway.ts';

// The first of anvil's own accounts, and everybody's.
const deployer = privateKeyToAccount('0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80');
const headKey: Hex = `0x${'41'.repeat(32)}`;
const ed25519Seed = new Uint8Array(32).fill(0x42);
const logOrigin = 'log.test/chain';
const checkpointKey = formatVerifierKey(logOrigin, ed25519.getPublicKey(ed25519Seed));

let anvil: Anvil;
let admin: Wallet;
let reader: ReturnType<typeof readerOf>;

beforeAll(async () => {
  anvil = await startAnvil({ chainId, hardfork: 'cancun' });
  reader = readerOf(anvil.url, chainId);
  admin = walletOf(anvil.url, chainId, deployer);
});
afterAll(() => anvil?.close());

/** RFC 9162, by its recursive definition: PATH(m, D). */
function path(index: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (leaves.length <= 1) return [];
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return index < k
    ? [...path(index, leaves.slice(0, k)), rootOf(leaves.slice(k))]
    : [...path(index - k, leaves.slice(k)), rootOf(leaves.slice(0, k))];
}
/** PROOF(m, D). */
function extension(size: number, leaves: readonly Uint8Array[], whole = true): Uint8Array[] {
  if (size === leaves.length) return whole ? [] : [rootOf(leaves)];
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return size <= k
    ? [...extension(size, leaves.slice(0, k), whole), rootOf(leaves.slice(k))]
    : [...extension(size - k, leaves.slice(k), false), rootOf(leaves.slice(0, k))];
}

describe('a receipt against the chain', () => {
  const sizes = [5, 12];
  let place: { rpcUrl: string; anchor: Address; logId: Hex };
  let receipts: SignedReceipt[];
  let blobs: Uint8Array[];
  const entries = () => receipts.map(({ receipt }) => hexToBytes(receiptDigest(receipt).slice(2)));
  const leavesTo = (size: number) => entries().slice(0, size).map(leafHash);
  const checkpointOf = (size: number, root = rootOf(leavesTo(size)), key = headKey) =>
    signCheckpoint(
      { origin: logOrigin, size, root },
      { domain: { chainId, ...place }, ed25519Seed, headKey: key },
    );
  const proofOf = (index: number, size: number, checkpoint = checkpointOf(size).note) =>
    formatTlogProof({ index, proof: path(index, leavesTo(size)), checkpoint });
  const receipt = (index: number): SignedReceipt => receipts[index] as SignedReceipt;
  const wrong = (checks: readonly Check[]) => checks.filter(({ ok }) => !ok).map(({ name }) => name);

  beforeAll(async () => {
    const opened = await deployAnchor(reader, admin, {
      origin: logOrigin,
      sender: admin.account.address,
      headKey: addressOfKey(headKey),
      receiptKey: addressOfKey(receiptKey),
    });
    place = { rpcUrl: anvil.url, ...opened };
    receipts = Array.from({ length: 13 }, (_, index) =>
      signReceipt(someReceipt(opened.logId, index), receiptKey),
    );
    blobs = [];
    let before = 0;
    for (const size of sizes) {
      const { note, headSignature } = checkpointOf(size);
      const blob = encodeBlob({
        logId: opened.logId,
        first: before,
        entries: entries().slice(before, size),
        checkpoint: note,
        claims: [{ signed: receipt(size - 1), index: size - 1, proof: path(size - 1, leavesTo(size)) }],
      });
      blobs.push(blob);
      const root = fileTree(blob).root;
      const daReference = encodeDaReference([
        { kind: '0g-storage', state: 'node-confirmed', root, txSeq: BigInt(blobs.length) },
      ]);
      const proof = before === 0 ? [] : extension(before, leavesTo(size)).map(toHex);
      const hash = await admin.writeContract({
        address: opened.anchor,
        abi: receiptAnchorAbi,
        functionName: 'anchor',
        args: [opened.logId, BigInt(size), toHex(rootOf(leavesTo(size))), proof, headSignature, daReference],
      });
      await mined(reader, hash);
      before = size;
    }
  });

  it('is verified at the chain’s head, by nothing but the proof and a node', async () => {
    for (const index of [0, 4, 5, 11]) {
      const checks = await verifyReceipt({
        ...place,
        signed: receipt(index),
        proof: proofOf(index, 12),
        checkpointKey,
      });
      expect(wrong(checks)).toEqual([]);
      expect(isVerified(checks)).toBe(true);
      expect(checks.map(({ name }) => name)).toEqual([
        'digest',
        'log',
        'receipt_signature',
        'proof_format',
        'receipt_key',
        'checkpoint_ed25519',
        'checkpoint_head',
        'inclusion',
        'anchored',
      ]);
    }
  });

  it('is verified at an older head through the anchor’s events, or by a consistency proof', async () => {
    const old = { ...place, signed: receipt(2), proof: proofOf(2, 5) };
    expect(wrong(await verifyReceipt(old))).toEqual([]);
    const anchor = await readAnchor(place, addressOfKey(receiptKey));
    expect(wrong(receiptChecks({ ...old, anchor }))).toEqual(['anchored']);
    const consistency = extension(5, leavesTo(12));
    expect(wrong(receiptChecks({ ...old, anchor, consistency }))).toEqual([]);
    // A size between two heads was never anchored, but the head extends it.
    const between = { ...place, signed: receipt(2), proof: proofOf(2, 7) };
    expect(wrong(await verifyReceipt(between))).toEqual(['anchored']);
    expect(wrong(receiptChecks({ ...between, anchor, consistency: extension(7, leavesTo(12)) }))).toEqual([]);
  });

  it('fails by the name of what is wrong', async () => {
    const good = { ...place, signed: receipt(3), proof: proofOf(3, 12), checkpointKey };
    const verdict = async (over: Partial<typeof good> & { digest?: Hex }) =>
      wrong(await verifyReceipt({ ...good, ...over }));

    expect(await verdict({ signed: signReceipt(receipt(3).receipt, otherKey) })).toEqual(['receipt_key']);
    expect(await verdict({ signed: { ...receipt(3), signature: `0x${'00'.repeat(65)}` } })).toEqual([
      'receipt_signature',
      'receipt_key',
    ]);
    expect(await verdict({ digest: zeroHash })).toEqual(['digest']);
    expect(await verdict({ signed: receipt(4) })).toEqual(['inclusion']);
    expect(
      await verdict({ signed: signReceipt({ ...receipt(3).receipt, logId: zeroHash }, receiptKey) }),
    ).toEqual(['log', 'inclusion']);
    expect(await verdict({ proof: 'c2sp.org/tlog-proof@v1\n' })).toEqual(['proof_format']);
    expect(await verdict({ proof: proofOf(3, 13) })).toEqual(['anchored']);
    const fork = rootOf(leavesTo(12).toReversed());
    const forked = await verdict({ proof: proofOf(3, 12, checkpointOf(12, fork).note) });
    expect(forked).toEqual(['inclusion', 'anchored']);
    // A head the anchor took was signed by the key of then; one it never took has nothing but its signature.
    const again = checkpointOf(12, undefined, otherKey).note;
    expect(await verdict({ proof: proofOf(3, 12, again) })).toEqual([]);
    const other = checkpointOf(7, undefined, otherKey).note;
    expect(await verdict({ proof: proofOf(3, 7, other) })).toEqual(['checkpoint_head', 'anchored']);
    const strangers = formatVerifierKey(logOrigin, ed25519.getPublicKey(new Uint8Array(32).fill(9)));
    expect(await verdict({ checkpointKey: strangers })).toEqual(['checkpoint_ed25519']);
  });

  it('of a log the anchor does not know is not verified', async () => {
    const checks = await verifyReceipt({
      ...place,
      logId: zeroHash,
      signed: receipt(3),
      proof: proofOf(3, 12),
    });
    expect(isVerified(checks)).toBe(false);
    expect(wrong(checks)).toEqual(['log', 'receipt_key', 'checkpoint_head', 'anchored']);
  });

  it('and without a node there is no verdict', async () => {
    await expect(
      verifyReceipt({ ...place, rpcUrl: 'http://127.0.0.1:9', signed: receipt(3), proof: proofOf(3, 12) }),
    ).rejects.toMatchObject({ code: 'chain_unavailable' });
  }, 60_000);

  it('the published blobs lead to the anchored roots', async () => {
    const anchorings = await readAnchored(place);
    expect(anchorings.map(({ head, previousSize }) => [previousSize, head.size])).toEqual([
      [0, 5],
      [5, 12],
    ]);
    const anchor = await readAnchor(place);
    for (const [at, { head, daReference, previousSize }] of anchorings.entries()) {
      const bytes = blobs[at] as Uint8Array;
      const entriesBefore = entries().slice(0, previousSize);
      const entry = { index: previousSize + 1, digest: receiptDigest(receipt(previousSize + 1).receipt) };
      const evidence = { files: [bytes], daReference, head, anchor, checkpointKey, entriesBefore, entry };
      expect(wrong(verifyBlobRoot(evidence))).toEqual([]);
      expect(verifyBlobRoot(evidence)).toHaveLength(4);

      // One bit of an entry.
      const changed = bytes.slice();
      changed[60] = (changed[60] ?? 0) ^ 1;
      expect(wrong(verifyBlobRoot({ ...evidence, files: [changed] }))).toEqual(['blob_file', 'blob_root']);
      expect(wrong(verifyBlobRoot({ ...evidence, files: [new Uint8Array()] }))).toEqual([
        'blob_file',
        'blob',
      ]);
      const elsewhere = { ...entry, index: entry.index + 1 };
      expect(wrong(verifyBlobRoot({ ...evidence, entry: elsewhere }))).toEqual(['blob_entry']);
      if (previousSize > 0) {
        expect(wrong(verifyBlobRoot({ ...evidence, entriesBefore: [] }))).toEqual(['blob_root']);
        const swapped = entriesBefore.toReversed();
        expect(wrong(verifyBlobRoot({ ...evidence, entriesBefore: swapped }))).toEqual(['blob_root']);
      }
      const foreign = { ...anchor, domain: { ...anchor.domain, logId: zeroHash } };
      expect(wrong(verifyBlobRoot({ ...evidence, anchor: foreign }))).toEqual(['blob']);
      expect(wrong(verifyBlobRoot({ ...evidence, daReference: '0x' }))).toEqual(['blob_file']);
    }
  });

  it('blobs back to back in a file, and several files in a reference, are read in order', async () => {
    const anchor = await readAnchor(place);
    const [first, second] = blobs as [Uint8Array, Uint8Array];
    const referenceTo = (files: readonly Uint8Array[]) =>
      encodeDaReference(
        files.map((file) => ({
          kind: '0g-storage',
          state: 'node-confirmed',
          root: fileTree(file).root,
          txSeq: 1n,
        })),
      );
    const verdict = (files: readonly Uint8Array[], named = files) =>
      wrong(verifyBlobRoot({ files, daReference: referenceTo(named), head: anchor.head, anchor }));
    const together = concatBytes(first, second);
    expect(verdict([together])).toEqual([]);
    expect(verdict([first, second])).toEqual([]);
    expect(verdict([second, first])).toEqual(['blob', 'blob_root']);
    expect(verdict([first, first])).toEqual(['blob', 'blob_root']);
    expect(verdict([second], [first, second])).toEqual(['blob_file', 'blob_root']);
    expect(verdict([first, second], [second, first])).toEqual(['blob_file']);
    expect(verdict([together.subarray(0, -1)], [together])).toEqual(['blob_file', 'blob']);
  });

  describe('its proof', () => {
    const asked: string[] = [];
    const answering = (answers: (() => Response)[]): AgentFetch => {
      asked.length = 0;
      const fetch = async (input: RequestInfo | URL) => {
        asked.push(String(input));
        return (answers.shift() ?? (() => new Response('the proof')))();
      };
      return Object.assign(fetch, { gateway: gatewayOrigin }) as unknown as AgentFetch;
    };
    const missing = () => Response.json({ detail: 'not sealed yet' }, { status: 404 });

    it('is asked for at the chain’s head, again until it is there', async () => {
      const proof = await fetchProofFor(answering([missing]), 3n, { log: place, timeoutMs: 5_000 });
      expect(proof).toBe('the proof');
      const url = `${gatewayOrigin}/v1/receipts/3/proof?size=12`;
      expect(asked).toEqual([url, url]);
    });

    it('is asked for once without patience, and where the caller says', async () => {
      await expect(fetchProofFor(answering([missing]), 3n)).rejects.toMatchObject({
        code: 'gateway_unusable',
      });
      expect(asked).toEqual([`${gatewayOrigin}/v1/receipts/3/proof`]);
      await fetchProofFor(answering([]), 3, { size: 5 });
      expect(asked).toEqual([`${gatewayOrigin}/v1/receipts/3/proof?size=5`]);
      const refusing = answering([() => Response.json({ detail: 'who are you?' }, { status: 401 })]);
      await expect(fetchProofFor(refusing, 3n, { timeoutMs: 60_000 })).rejects.toThrow(/who are you/);
    });

    it('is not waited for when the caller leaves', async () => {
      const leaving = new AbortController();
      setTimeout(() => leaving.abort(), 20);
      const patient = answering(Array.from({ length: 99 }, () => missing));
      await expect(
        fetchProofFor(patient, 3n, { timeoutMs: 60_000, signal: leaving.signal }),
      ).rejects.toMatchObject({ name: 'AbortError' });
    });
  });
});

describe('vouchers with a chain to ask', () => {
  const owner = deployer;
  let place: Place;
  const vaultOf = (origin: string) =>
    deployVault(reader, admin, {
      registries: [registry],
      operator: admin.account.address,
      payee: admin.account.address,
      withdrawalDelay: 1n,
      gatewayOrigin: origin,
    });
  let registry: Address;

  beforeAll(async () => {
    registry = await deployRegistry(reader, admin);
    const vault = await vaultOf(gatewayOrigin);
    place = {
      vault,
      registry,
      agentId: await fundAgent(reader, admin, { registry, vault }, 'data:,', 10n ** 15n),
    };
  });

  const start = (at: Place, lies: Parameters<typeof fakeGateway>[1] = {}) => {
    const gateway = fakeGateway(owner.address.toLowerCase() as Address, lies, at);
    gateway.epoch = 0n;
    const agentFetch = createAgentFetch({
      wallet: owner,
      agent: formatAgentId({ chainId, ...at }),
      gateway: gatewayOrigin,
      fetch: gateway.fetch,
      limits: { perVoucher: 1_000n },
      rpcUrl: anvil.url,
    });
    const client = new OpenAI({
      baseURL: `${gatewayOrigin}/v1`,
      apiKey: 'unused',
      fetch: agentFetch,
      maxRetries: 0,
    });
    const ask = () =>
      client.chat.completions.create({ model: 'qwen-test', messages: [{ role: 'user', content: 'hello' }] });
    return { gateway, agentFetch, ask };
  };
  const cause = async (work: Promise<unknown>) => {
    const error = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    return error instanceof OpenAI.APIConnectionError ? error.cause : error;
  };
  const settle = async (at: Place, epoch: bigint, cumulative: bigint) => {
    const { vault, agentId } = at;
    const voucher = { registry, agentId, epoch, cumulative };
    const signature = await owner.signTypedData(voucherTypedData({ chainId, vault }, voucher));
    const row = { agentId, epoch, voucherCumulative: cumulative, cumulative, ...compactSignature(signature) };
    const hash = await admin.writeContract({
      address: vault,
      abi: agentVaultAbi,
      functionName: 'settle',
      args: [registry, [row]],
    });
    await mined(reader, hash);
  };

  it('a history that the chain does not know buys nothing', async () => {
    const { gateway, agentFetch, ask } = start(place);
    gateway.captured = 5_000n;
    expect(await cause(ask())).toMatchObject({ code: 'voucher_limit', demand: { spent: 0n, bound: 1_000n } });
    expect(agentFetch.exposure.signed).toBe(0n);
  });

  it('a history that was claimed is where it goes on from', async () => {
    await settle(place, 0n, 5_000n);
    const { gateway, agentFetch, ask } = start(place);
    gateway.captured = 5_000n;
    await ask();
    expect(agentFetch.exposure).toMatchObject({ spent: 5_000n + amountPerCall, signed: 6_000n });
  });

  it('claims made meanwhile, without answers, do not buy the next voucher', async () => {
    const { gateway, agentFetch, ask } = start(place);
    gateway.captured = 5_000n;
    await ask();
    await settle(place, 0n, 6_000n); // the whole of what was signed, for one call
    gateway.captured = 6_000n;
    expect(await cause(ask())).toMatchObject({
      code: 'voucher_limit',
      demand: { bound: 6_000n + amountPerCall },
    });
    expect(agentFetch.exposure.signed).toBe(6_000n);
  });

  it('an epoch that the chain confirms is followed, one that it does not is refused', async () => {
    const { gateway, agentFetch, ask } = start(place);
    gateway.captured = 6_000n;
    await ask();
    gateway.epoch = 1n;
    gateway.voucher = 0n;
    expect(await cause(ask())).toMatchObject({ code: 'payment_mismatch' });
    for (const functionName of ['startWithdrawal', 'completeWithdrawal'] as const) {
      const call = { address: place.vault, abi: agentVaultAbi } as const;
      const { agentId } = place;
      const hash =
        functionName === 'startWithdrawal'
          ? await admin.writeContract({ ...call, functionName, args: [registry, agentId, 1n, owner.address] })
          : await admin.writeContract({ ...call, functionName, args: [registry, agentId] });
      await mined(reader, hash);
      await new Promise((resolve) => setTimeout(resolve, 2_100));
    }
    await ask();
    expect(agentFetch.exposure.epoch).toBe(1n);
  });

  it('a vault that belongs to another gateway gets no voucher', async () => {
    const vault = await vaultOf('https://elsewhere.test');
    const { agentFetch, ask, gateway } = start({ ...place, vault });
    expect(await cause(ask())).toMatchObject({ code: 'gateway_unusable' });
    expect(agentFetch.exposure.signed).toBe(0n);
    expect(gateway.seen.filter(({ method }) => method === 'POST')).toEqual([]);
  });
});

const someReceipt = (logId: Hex, index: number): Receipt => ({
  logId,
  chainId: BigInt(chainId),
  vault: `0x${'aa'.repeat(20)}`,
  registry: `0x${'bb'.repeat(20)}`,
  agentId: 7n,
  epoch: 0n,
  sequence: BigInt(index + 1),
  previous: zeroHash,
  authorizationKind: 1,
  authorization: zeroHash,
  requestHash: zeroHash,
  forwardedHash: zeroHash,
  responseHash: zeroHash,
  upstreamResponseHash: zeroHash,
  upstream: 'fake',
  model: 'qwen-test',
  upstreamId: `${index}`,
  usage: { input: 1n, cachedInput: 0n, cacheCreation: 0n, output: 1n, thinking: 0n, estimated: false },
  priceTable: zeroHash,
  amount: 5n,
  cumulative: 5n * BigInt(index + 1),
  time: 1n,
  mergeBy: 2n,
  assurance: 0,
  evidence: zeroHash,
});
