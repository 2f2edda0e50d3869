import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  getFlowContract,
  Indexer,
  MemData,
  Proof,
  Downloader as SdkDownloader,
  StorageNode as SdkStorageNode,
  Uploader as SdkUploader,
} from '@0gfoundation/0g-ts-sdk';
import { JsonRpcProvider, Wallet } from 'ethers';
import fc from 'fast-check';
import {
  type Account,
  type Address,
  type Chain,
  createPublicClient,
  createWalletClient,
  type Hex,
  http,
  type PublicClient,
  type Transport,
  type WalletClient,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { foundry } from 'viem/chains';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Anvil, startAnvil } from '../dev/anvil.ts';
import { type StorageNode, startStorageNode } from '../dev/storage-node.ts';
import { deployZeroG, SECTOR_PRICE } from '../dev/zero-g-contracts.ts';
import { zeroGIndexer } from '../durable-objects/da/zero-g-indexer.ts';
import { zeroGStorageNode } from '../durable-objects/da/zero-g-storage.ts';
import type { Result } from '../protocol/result.ts';
import { type DaReference, decodeDaReference, encodeDaReference } from '../protocol/zero-g/da-reference.ts';
import { type FileTree, fileTree, SEGMENT_BYTES } from '../protocol/zero-g/file-tree.ts';
import {
  fileRootOf,
  flowAbi,
  identityOf,
  marketAbi,
  parseSubmitLog,
  type SubmitEvent,
  storageFee,
  submitCalldata,
} from '../protocol/zero-g/flow.ts';
import { checkSegment } from '../protocol/zero-g/segment-check.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);
const seed = 20261122;

const KiB = 1024;
const MiB = 1024 * KiB;

/** Bytes that differ from file to file and never end in zeros, which would make two lengths share a root. */
function bytesOf(size: number, salt = 0): Uint8Array {
  const bytes = new Uint8Array(size);
  let state = (salt * 2654435761 + 12345) >>> 0;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  bytes[size - 1] = 0xff;
  return bytes;
}

function granted<T, E>(result: Result<T, E>): T {
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.error)}`);
  return result.value;
}

/** 0G's own Merkle tree and submission of the same bytes: written by others, sharing no code with ours. */
async function sdkView(bytes: Uint8Array) {
  const file = new MemData(bytes);
  const [tree, treeError] = await file.merkleTree();
  const [submission, submissionError] = await file.createSubmission('0x', `0x${'11'.repeat(20)}`);
  if (treeError !== null || submissionError !== null || tree === null || submission === null) {
    throw new Error('the SDK made no tree');
  }
  return { tree, submission };
}

async function expectSameAsSdk(bytes: Uint8Array): Promise<void> {
  const ours = fileTree(bytes);
  const { tree, submission } = await sdkView(bytes);
  expect(ours.root).toBe(tree.rootHash());
  expect(Number(ours.submission.length)).toBe(submission.data.length);
  expect(ours.submission.nodes.map(({ root, height }) => ({ root, height: Number(height) }))).toEqual(
    submission.data.nodes,
  );
  expect(fileRootOf(ours.submission)).toBe(ours.root);
  for (let index = 0; index < ours.segments; index++) {
    const theirs = tree.proofAt(index);
    expect(ours.segmentProof(index)).toEqual({ lemma: theirs.lemma, path: theirs.path });
  }
}

describe('the storage tree is the one 0G hashes', () => {
  const sizes = [1, 255, 256, 257, 511, 513, 4 * KiB, 5 * KiB + 1, 64 * KiB + 1, 200 * KiB];
  const segmentEdges = [256 * KiB - 1, 256 * KiB, 256 * KiB + 1, 512 * KiB + 300, MiB - 1, MiB + 7];
  test.each([...sizes, ...segmentEdges])('%i bytes', async (size) => {
    await expectSameAsSdk(bytesOf(size));
  });

  test('a file long enough to be padded with whole empty segments', async () => {
    await expectSameAsSdk(bytesOf(8 * MiB + 100));
  }, 60_000);

  test('any content, runs of zeros included', async () => {
    const content = fc.uint8Array({ minLength: 1, maxLength: 2000, size: 'max' });
    const repeats = fc.integer({ min: 1, max: 60 });
    await fc.assert(
      fc.asyncProperty(content, repeats, async (part, times) => {
        const bytes = new Uint8Array(part.length * times * 2);
        for (let k = 0; k < times; k++) bytes.set(part, k * part.length * 2);
        await expectSameAsSdk(bytes);
      }),
      { numRuns: runs(12), seed },
    );
  }, 60_000);

  test('any size', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: MiB }), fc.nat(), (size, salt) =>
        expectSameAsSdk(bytesOf(size, salt)),
      ),
      { numRuns: runs(8), seed },
    );
  }, 60_000);

  test('the published hash of an empty chunk', () => {
    const { root } = fileTree(new Uint8Array(256));
    expect(root).toBe('0xd397b3b043d87fcd6fad1291ff0bfd16401c274896d8c63a923727f077b8e0b5');
  });

  test('an empty file has no tree, and a segment beyond the end no proof', () => {
    expect(() => fileTree(new Uint8Array(0))).toThrow(RangeError);
    const tree = fileTree(bytesOf(256 * KiB + 1));
    expect(tree.segments).toBe(2);
    expect(() => tree.segmentProof(2)).toThrow(RangeError);
    expect(() => tree.segmentBytes(-1)).toThrow(RangeError);
  });

  test("0G's own proof check takes our proofs", async () => {
    const tree = fileTree(bytesOf(MiB + 7));
    for (let index = 0; index < tree.segments; index++) {
      const { lemma, path } = tree.segmentProof(index);
      const leaf = lemma[0];
      if (leaf === undefined) throw new Error('a lemma without a leaf');
      expect(new Proof([...lemma], [...path]).validateHash(tree.root, leaf, index, 5)).toBeNull();
    }
  });
});

describe('a segment is taken only as the part of the file it is', () => {
  const tree = fileTree(bytesOf(MiB + 7));
  const whole = (index: number) => ({
    index,
    bytes: tree.segmentBytes(index),
    proof: tree.segmentProof(index),
  });
  const faultOf = (segment: Parameters<typeof checkSegment>[1], file: { root: Hex; size: number } = tree) => {
    const checked = checkSegment(file, segment);
    return checked.ok ? undefined : checked.error;
  };

  test('every true segment, also of a file with whole segments of padding', () => {
    for (let index = 0; index < tree.segments; index++) expect(faultOf(whole(index))).toBeUndefined();
    const long = fileTree(bytesOf(8 * MiB + 100));
    const last = long.segments - 1;
    const proof = long.segmentProof(last);
    const segment = { index: last, bytes: long.segmentBytes(last), proof };
    expect(faultOf(segment, long)).toBeUndefined();
  });

  test('one flipped bit anywhere in it', () => {
    fc.assert(
      fc.property(fc.nat(4), fc.nat(SEGMENT_BYTES - 1), fc.nat(7), (index, at, bit) => {
        const segment = whole(index);
        const position = at % segment.bytes.length;
        segment.bytes[position] = (segment.bytes[position] ?? 0) ^ (1 << bit);
        expect(faultOf(segment)).toBe('content');
      }),
      { numRuns: runs(8), seed },
    );
  });

  test('each other way to be wrong, by its name', () => {
    const first = whole(0);
    const { lemma, path } = first.proof;
    expect(faultOf({ ...first, index: 5 })).toBe('index');
    expect(faultOf({ ...first, index: 0.5 })).toBe('index');
    expect(faultOf({ ...first, bytes: first.bytes.subarray(256) })).toBe('length');
    expect(faultOf({ ...whole(4), bytes: new Uint8Array(512) })).toBe('length');
    expect(faultOf({ ...first, proof: { lemma: lemma.slice(1), path } })).toBe('proof_shape');
    expect(faultOf({ ...first, proof: { lemma: [tree.root], path: [] } })).toBe('position');
    expect(faultOf({ ...first, proof: whole(1).proof })).toBe('position');
    const swapped = [...lemma.slice(0, 1), ...lemma.slice(1, -1).toReversed(), ...lemma.slice(-1)];
    expect(faultOf({ ...first, proof: { lemma: swapped, path } })).toBe('broken_proof');
    expect(faultOf(first, { root: `0x${'22'.repeat(32)}`, size: tree.size })).toBe('root');
  });

  test('a proof whose padding is not empty', () => {
    // 33 segments of data are padded with a 34th that is empty. Here it is not: the file is longer than it claims.
    const longer = fileTree(bytesOf(34 * SEGMENT_BYTES));
    const segment = { index: 32, bytes: longer.segmentBytes(32), proof: longer.segmentProof(32) };
    expect(faultOf(segment, longer)).toBeUndefined();
    expect(faultOf(segment, { root: longer.root, size: 33 * SEGMENT_BYTES })).toBe('padding');
  });
});

describe('the DA reference (protocol, section 7)', () => {
  const hexOf = (length: number) =>
    fc
      .uint8Array({ minLength: length, maxLength: length })
      .map((b): Hex => `0x${Buffer.from(b).toString('hex')}`);
  const state = fc.constantFrom('announced', 'node-confirmed', 'proven');
  const item: fc.Arbitrary<DaReference> = fc.oneof(
    fc.record({
      kind: fc.constant('0g-storage' as const),
      state,
      root: hexOf(32),
      txSeq: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    }),
    fc.record({ kind: fc.constant('0g-da' as const), state, commitment: hexOf(50) }),
  );

  test('the bytes on the page', () => {
    const root: Hex = `0x${'ab'.repeat(32)}`;
    const storage: DaReference = { kind: '0g-storage', state: 'node-confirmed', root, txSeq: 258n };
    expect(encodeDaReference([storage])).toBe(`0x010102${'ab'.repeat(32)}0000000000000102`);
    const da: DaReference = { kind: '0g-da', state: 'proven', commitment: `0x${'cd'.repeat(50)}` };
    expect(encodeDaReference([storage, da])).toBe(
      `0x010102${'ab'.repeat(32)}00000000000001020203${'cd'.repeat(50)}`,
    );
  });

  test('what is written is read', () => {
    const items = fc.array(item, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(items, (list) => {
        expect(granted(decodeDaReference(encodeDaReference(list)))).toEqual(list);
      }),
      { numRuns: runs(100), seed },
    );
  });

  test('only what could have been written is read', () => {
    const bytes = fc.uint8Array({ maxLength: 120 });
    fc.assert(
      fc.property(bytes, fc.boolean(), (tail, plausible) => {
        const head = plausible ? [1, 1 + ((tail[0] ?? 0) % 2), 1 + ((tail[1] ?? 0) % 3)] : [];
        const hex: Hex = `0x${Buffer.from([...head, ...tail]).toString('hex')}`;
        const decoded = decodeDaReference(hex);
        if (decoded.ok) expect(encodeDaReference(decoded.value)).toBe(hex);
      }),
      { numRuns: runs(300), seed },
    );
  });

  test('each refusal by its name', () => {
    const good = encodeDaReference([
      { kind: '0g-storage', state: 'announced', root: `0x${'ab'.repeat(32)}`, txSeq: 0n },
    ]);
    const refusal = (text: string) => {
      const decoded = decodeDaReference(text as Hex);
      return decoded.ok ? 'taken' : decoded.error;
    };
    expect(refusal(good)).toBe('taken');
    expect(refusal('0x')).toBe('truncated');
    expect(refusal(good.toUpperCase())).toBe('hex');
    expect(refusal(`${good}0`)).toBe('hex');
    expect(refusal('0x01')).toBe('empty');
    expect(refusal(`0x02${good.slice(4)}`)).toBe('version');
    expect(refusal(`0x0103${good.slice(6)}`)).toBe('kind');
    expect(refusal(`0x010100${good.slice(8)}`)).toBe('state');
    expect(refusal(`0x010104${good.slice(8)}`)).toBe('state');
    expect(refusal(good.slice(0, -2))).toBe('truncated');
    expect(refusal(`${good}01`)).toBe('truncated');
    expect(refusal(`${good}00`)).toBe('kind');
    expect(() => encodeDaReference([])).toThrow(RangeError);
  });
});

describe("on 0G's own contracts, with a storage node stand-in", () => {
  const key = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
  const account = privateKeyToAccount(key);
  const submitter = account.address.toLowerCase() as Address;
  let anvil: Anvil;
  let node: StorageNode;
  let dir: string;
  let publicClient: PublicClient;
  let walletClient: WalletClient<Transport, Chain, Account>;
  let flow: Address;
  let market: Address;

  const nodeClient = (timeoutMs = 5_000) =>
    zeroGStorageNode({ url: node.url, fetch, timeoutMs, network: { chainId: 31337, flow } });
  const indexerClient = () => zeroGIndexer({ url: node.url, fetch });

  async function send(tree: FileTree, value: bigint): Promise<SubmitEvent> {
    const data = submitCalldata(tree.submission, submitter);
    const hash = await walletClient.sendTransaction({ to: flow, data, value });
    const receipt = await publicClient.waitForTransactionReceipt({ hash, pollingInterval: 50 });
    expect(receipt.status).toBe('success');
    const events = receipt.logs.map((log) => parseSubmitLog(flow, log)).filter((event) => event.ok);
    expect(events).toHaveLength(1);
    const [event] = events;
    if (event === undefined) throw new Error('no Submit event');
    return event.value;
  }

  const submit = (tree: FileTree): Promise<SubmitEvent> =>
    send(tree, storageFee(tree.submission, SECTOR_PRICE));

  async function untilKnown(tree: FileTree, txSeq: bigint): Promise<void> {
    await vi.waitFor(
      async () => expect(granted(await nodeClient().find({ root: tree.root, txSeq }))).toBeDefined(),
      { timeout: 5_000, interval: 50 },
    );
  }

  async function submitted(bytes: Uint8Array): Promise<{ tree: FileTree; txSeq: bigint }> {
    const tree = fileTree(bytes);
    const { txSeq } = await submit(tree);
    await untilKnown(tree, txSeq);
    return { tree, txSeq };
  }

  const rpc = async (method: string, params: readonly unknown[]): Promise<Record<string, unknown>> => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 7, method, params });
    const response = await fetch(node.url, { method: 'POST', body });
    return (await response.json()) as Record<string, unknown>;
  };

  beforeAll(async () => {
    vi.spyOn(console, 'log').mockImplementation(() => undefined);
    anvil = await startAnvil();
    dir = await mkdtemp(path.join(tmpdir(), 'zero-g-'));
    const transport = http(anvil.url);
    publicClient = createPublicClient({ chain: foundry, transport });
    walletClient = createWalletClient({ chain: foundry, transport, account });
    ({ flow, market } = await deployZeroG({ walletClient, publicClient }));
    node = await startStorageNode({
      rpcUrl: anvil.url,
      flowAddress: flow,
      chainId: 31337,
      dir: path.join(dir, 'node'),
      pollMs: 50,
    });
  }, 30_000);

  afterEach(() => {
    Object.assign(node.faults, { down: false, refuseSegments: false, stallMs: 0, neverFinalize: false });
  });

  afterAll(async () => {
    await node?.close();
    await anvil?.close();
    if (dir !== undefined) await rm(dir, { recursive: true });
  });

  test('the Flow takes our submission for exactly the fee, and its event says what we said', async () => {
    const pricePerSector = await publicClient.readContract({
      address: market,
      abi: marketAbi,
      functionName: 'pricePerSector',
    });
    expect(pricePerSector).toBe(30_733_644_962n);
    expect(
      await publicClient.readContract({ address: flow, abi: flowAbi, functionName: 'market' }),
    ).toSatisfy((address: string) => address.toLowerCase() === market);
    for (const [size, sectors] of [
      [1, 1n],
      [1024, 4n],
      [5 * KiB + 1, 22n],
      [256 * KiB, 1024n],
      [300 * KiB, 1280n],
    ] as const) {
      const tree = fileTree(bytesOf(size, 1));
      expect(storageFee(tree.submission, pricePerSector)).toBe(sectors * pricePerSector);
      const event = await submit(tree);
      expect(event).toMatchObject({ submitter, sectors, root: tree.root });
      expect(event.identity).toBe(identityOf(tree.submission));
      expect(event.submission).toEqual(tree.submission);
      const flowRoot = await publicClient.readContract({
        address: flow,
        abi: flowAbi,
        functionName: 'getFlowRootByTxSeq',
        args: [event.txSeq],
      });
      expect(BigInt(flowRoot)).not.toBe(0n);
      // Nothing is left over in the Flow: the fee was exact.
      expect(await publicClient.getBalance({ address: flow })).toBe(0n);
    }
  });

  test('one wei too little is refused by the Flow', async () => {
    const tree = fileTree(bytesOf(700, 2));
    const fee = storageFee(tree.submission, SECTOR_PRICE);
    const args = [{ data: tree.submission, submitter }] as const;
    const call = { address: flow, abi: flowAbi, functionName: 'submit', args, account } as const;
    await expect(publicClient.simulateContract({ ...call, value: fee - 1n })).rejects.toThrow('NotEnoughFee');
    const accepted = await publicClient.simulateContract({ ...call, value: fee });
    expect(accepted.result[1]).toBe(identityOf(tree.submission));
  });

  test('logs that are not a Submit of this Flow are refused', async () => {
    const tree = fileTree(bytesOf(900, 3));
    const { txSeq } = await submit(tree);
    const logs = await publicClient.getLogs({ address: flow, fromBlock: 0n, toBlock: 'latest' });
    const log = logs.find((entry) => {
      const parsed = parseSubmitLog(flow, entry);
      return parsed.ok && parsed.value.txSeq === txSeq;
    });
    if (log === undefined) throw new Error('no log');
    const refusal = (address: Address, altered: Parameters<typeof parseSubmitLog>[1]) => {
      const parsed = parseSubmitLog(address, altered);
      return parsed.ok ? 'taken' : parsed.error;
    };
    expect(refusal(market, log)).toBe('other_contract');
    expect(refusal(flow, { ...log, topics: [`0x${'00'.repeat(32)}`] })).toBe('other_event');
    expect(refusal(flow, { ...log, data: log.data.slice(0, 400) as Hex })).toBe('malformed');
    const [topic, sender] = log.topics;
    if (topic === undefined || sender === undefined) throw new Error('no topics');
    expect(refusal(flow, { ...log, topics: [topic, sender, `0x${'33'.repeat(32)}`] })).toBe('malformed');
  });

  test.each([1, 257, 256 * KiB, 600 * KiB + 5])("%i bytes we upload, 0G's SDK downloads", async (size) => {
    const bytes = bytesOf(size, 4);
    const { tree, txSeq } = await submitted(bytes);
    const outcome = granted(await nodeClient().uploadFile(tree, { txSeq }));
    expect(outcome).toEqual({ txSeq, uploaded: tree.segments, finalized: true });

    const target = path.join(dir, `from-node-${size}`);
    expect(
      await new SdkDownloader([new SdkStorageNode(node.url)]).download(tree.root, target, true),
    ).toBeNull();
    expect(new Uint8Array(await readFile(target))).toEqual(bytes);

    const viaIndexer = path.join(dir, `from-indexer-${size}`);
    expect(await new Indexer(node.url).download(tree.root, viaIndexer, true)).toBeNull();
    expect(new Uint8Array(await readFile(viaIndexer))).toEqual(bytes);

    for (const client of [nodeClient(), indexerClient()]) {
      expect(granted(await client.download({ root: tree.root, size, txSeq }))).toEqual(bytes);
      expect(granted(await client.download({ root: tree.root, size }))).toEqual(bytes);
    }
  });

  test.each([300, 513 * KiB])(
    "%i bytes 0G's SDK uploads, we download",
    async (size) => {
      const bytes = bytesOf(size, 5);
      const provider = new JsonRpcProvider(anvil.url);
      const signer = new Wallet(key, provider);
      const flowContract = getFlowContract(flow, signer);
      const uploader = new SdkUploader([new SdkStorageNode(node.url)], anvil.url, flowContract);
      const [uploaded, error] = await uploader.uploadFile(new MemData(bytes), {});
      provider.destroy();
      expect(error).toBeNull();
      expect(uploaded.rootHash).toBe(fileTree(bytes).root);

      const file = { root: uploaded.rootHash as Hex, size, txSeq: BigInt(uploaded.txSeq) };
      expect(granted(await nodeClient().isFinalized(file))).toBe(true);
      for (const client of [nodeClient(), indexerClient()]) {
        expect(granted(await client.download(file))).toEqual(bytes);
      }
    },
    20_000,
  );

  test('the indexer flavour uploads too', async () => {
    const bytes = bytesOf(400 * KiB, 6);
    const { tree, txSeq } = await submitted(bytes);
    expect(granted(await indexerClient().isFinalized({ root: tree.root }))).toBe(false);
    const outcome = granted(await indexerClient().uploadFile(tree, { txSeq }));
    expect(outcome).toEqual({ txSeq, uploaded: 2, finalized: true });
    expect(granted(await indexerClient().fileLocations(tree.root))).toEqual([node.url]);
    expect(granted(await indexerClient().download({ root: tree.root, size: tree.size }))).toEqual(bytes);
    const again = granted(await indexerClient().uploadFile(tree));
    expect(again).toEqual({ txSeq, uploaded: 0, finalized: true });
  });

  test('uploading again sends nothing, and goes on where it was cut off', async () => {
    const bytes = bytesOf(700 * KiB, 7);
    const { tree, txSeq } = await submitted(bytes);
    let sent = 0;
    const cutting = zeroGStorageNode({
      url: node.url,
      fetch: (url, init) => {
        if (String(init.body).includes('zgs_uploadSegment')) {
          sent++;
          if (sent === 2) return Promise.reject(new Error('cut'));
        }
        return fetch(url, init);
      },
    });
    const cut = await cutting.uploadFile(tree, { txSeq });
    expect(cut).toEqual({ ok: false, error: { reason: 'unreachable', detail: 'cut' } });
    expect(granted(await nodeClient().isFinalized({ root: tree.root, txSeq }))).toBe(false);
    expect(await nodeClient().download(tree)).toEqual({ ok: false, error: { reason: 'not_finalized' } });
    expect(await indexerClient().download(tree)).toEqual({ ok: false, error: { reason: 'not_finalized' } });

    expect(granted(await nodeClient().uploadFile(tree))).toEqual({ txSeq, uploaded: 2, finalized: true });
    expect(granted(await nodeClient().uploadFile(tree))).toEqual({ txSeq, uploaded: 0, finalized: true });
    // The raw request again, as after an answer that was lost on the way.
    const segment = {
      root: tree.root,
      index: 0,
      data: Buffer.from(tree.segmentBytes(0)).toString('base64'),
      proof: tree.segmentProof(0),
      fileSize: tree.size,
    };
    expect(await rpc('zgs_uploadSegment', [segment])).toMatchObject({
      error: { code: -32602, message: 'Invalid params: root', data: 'already uploaded and finalized' },
    });
    expect(granted(await nodeClient().download(tree))).toEqual(bytes);
  });

  test('the same file submitted twice is one content under two numbers', async () => {
    const bytes = bytesOf(2000, 8);
    const first = await submitted(bytes);
    granted(await nodeClient().uploadFile(first.tree, { txSeq: first.txSeq }));
    const second = await submitted(bytes);
    expect(second.txSeq).toBeGreaterThan(first.txSeq);
    const outcome = granted(await nodeClient().uploadFile(second.tree, { txSeq: second.txSeq }));
    expect(outcome).toEqual({ txSeq: second.txSeq, uploaded: 0, finalized: true });
  });

  test("a stranger's submission of our root with another length does not stop ours", async () => {
    const bytes = bytesOf(300, 9);
    const tree = fileTree(bytes);
    const longer = new Uint8Array(400);
    longer.set(bytes);
    const strangers = fileTree(longer);
    expect(strangers.root).toBe(tree.root);
    await submitted(longer);
    const { txSeq } = await submitted(bytes);

    const byRoot = await nodeClient().uploadFile(tree);
    expect(byRoot).toEqual({ ok: false, error: { reason: 'other_file', root: tree.root, size: 400 } });
    expect(granted(await nodeClient().uploadFile(tree, { txSeq }))).toMatchObject({
      finalized: true,
      uploaded: 1,
    });
    expect(granted(await nodeClient().download({ ...tree, txSeq }))).toEqual(bytes);
    const lied = await nodeClient().download({ root: tree.root, size: 257, txSeq });
    expect(lied).toMatchObject({ ok: false, error: { reason: 'other_file' } });
  });

  test('the node refuses wrong bytes, wrong proofs, wrong sizes and unknown files, in the real words', async () => {
    const { tree } = await submitted(bytesOf(600 * KiB, 10));
    const good = (index: number) => ({
      root: tree.root,
      index,
      data: Buffer.from(tree.segmentBytes(index)).toString('base64'),
      proof: tree.segmentProof(index),
      fileSize: tree.size,
    });
    const errorOf = async (segment: object) => (await rpc('zgs_uploadSegment', [segment]))['error'];
    const tampered = tree.segmentBytes(1);
    tampered[77] = (tampered[77] ?? 0) ^ 1;
    expect(await errorOf({ ...good(1), data: Buffer.from(tampered).toString('base64') })).toMatchObject({
      message: 'data hash mismatch',
    });
    expect(await errorOf({ ...good(1), proof: good(0).proof })).toMatchObject({ message: 'wrong position' });
    const { lemma, path: sides } = good(1).proof;
    const bent = [lemma[0], ...lemma.slice(1, -1).toReversed(), lemma.at(-1)];
    expect(await errorOf({ ...good(1), proof: { lemma: bent, path: sides } })).toMatchObject({
      code: -32602,
      data: 'validation failed',
    });
    expect(await errorOf({ ...good(1), index: 3 })).toMatchObject({ data: 'index out of bound' });
    expect(await errorOf({ ...good(1), data: good(2).data })).toMatchObject({ data: 'invalid data length' });
    expect(await errorOf({ ...good(1), data: 'AAAA' })).toMatchObject({ message: 'invalid data length' });
    expect(await errorOf({ ...good(1), data: '' })).toMatchObject({ message: 'data is empty' });
    expect(await errorOf({ ...good(1), fileSize: tree.size + 1 })).toMatchObject({
      data: 'segment file size not matched with tx file size',
    });
    const unknown = fileTree(bytesOf(100, 99));
    const stray = {
      root: unknown.root,
      index: 0,
      data: Buffer.from(unknown.segmentBytes(0)).toString('base64'),
    };
    expect(await errorOf({ ...stray, proof: unknown.segmentProof(0), fileSize: 100 })).toMatchObject({
      message: 'Invalid params: file_size',
    });
    expect(await nodeClient().uploadFile(unknown)).toEqual({ ok: false, error: { reason: 'unknown_file' } });
    expect(await indexerClient().uploadFile(unknown)).toEqual({
      ok: false,
      error: { reason: 'unknown_file' },
    });
    expect(await rpc('zgs_getFileInfo', [unknown.root, true])).toMatchObject({ result: null });
    expect(await rpc('zgs_getSectorProof', [0, null])).toMatchObject({ error: { code: -32601 } });

    // Nothing of all that was stored.
    expect(await rpc('zgs_getFileInfo', [tree.root, true])).toMatchObject({
      result: { uploadedSegNum: 0, finalized: false },
    });
    const restBad = { root: tree.root, index: 1, data: Buffer.from(tampered).toString('base64') };
    const response = await fetch(`${node.url}/file/segment`, {
      method: 'POST',
      body: JSON.stringify({ ...restBad, proof: tree.segmentProof(1), expectedReplica: 1 }),
    });
    expect(await response.json()).toMatchObject({ code: 1 });
    expect(await errorOf(good(1))).toBeUndefined();
    expect(await errorOf(good(1))).toMatchObject({
      message: 'segment has already been uploaded or is being uploaded',
    });
  });

  test('what a lying node serves is refused', async () => {
    const bytes = bytesOf(300 * KiB, 11);
    const { tree, txSeq } = await submitted(bytes);
    granted(await nodeClient().uploadFile(tree, { txSeq }));
    const file = { root: tree.root, size: tree.size, txSeq };
    const lying = (change: (body: Buffer) => Uint8Array<ArrayBuffer> | string) => {
      const bent = async (url: string, init: RequestInit): Promise<Response> => {
        const response = await fetch(url, init);
        const isContent = String(init.body).includes('downloadSegment') || url.includes('/file?');
        return isContent ? new Response(change(Buffer.from(await response.arrayBuffer()))) : response;
      };
      const options = { url: node.url, fetch: bent };
      return {
        node: () => zeroGStorageNode(options).download(file),
        indexer: () => zeroGIndexer(options).download(file),
      };
    };
    const flipped = (body: Buffer, at: number): Buffer<ArrayBuffer> => {
      const bent = Buffer.from(body);
      bent[at] = (bent[at] ?? 0) ^ 4;
      return bent;
    };
    const otherData = lying((body) => {
      const segment = JSON.parse(body.toString());
      segment.result.data = flipped(Buffer.from(segment.result.data, 'base64'), 1000).toString('base64');
      return JSON.stringify(segment);
    });
    expect(await otherData.node()).toEqual({
      ok: false,
      error: { reason: 'bad_segment', index: 0, fault: 'content' },
    });
    const noProof = lying((body) => body.toString().replace(/"lemma":\[[^\]]*\]/, '"lemma":[]'));
    expect(await noProof.node()).toMatchObject({ error: { reason: 'bad_segment', fault: 'proof_shape' } });
    expect(await lying(() => '{"jsonrpc":"2.0"}').node()).toMatchObject({ error: { reason: 'malformed' } });
    expect(await lying(() => 'x'.repeat(MiB)).node()).toMatchObject({ error: { reason: 'malformed' } });

    expect(await lying((body) => flipped(body, 5)).indexer()).toEqual({
      ok: false,
      error: { reason: 'bad_file' },
    });
    expect(await lying((body) => Buffer.from(body.subarray(1))).indexer()).toEqual({
      ok: false,
      error: { reason: 'bad_file' },
    });
    const longer = lying((body) => Buffer.concat([body, body]));
    expect(await longer.indexer()).toMatchObject({ error: { reason: 'malformed' } });
  });

  test('a node of another network is refused before anything is sent', async () => {
    const tree = fileTree(bytesOf(100, 12));
    const client = (network: { chainId: number; flow: Address }) =>
      zeroGStorageNode({ url: node.url, fetch, network });
    expect(await client({ chainId: 16661, flow }).uploadFile(tree)).toEqual({
      ok: false,
      error: { reason: 'wrong_chain', expected: 16661, found: 31337 },
    });
    expect(await client({ chainId: 31337, flow: market }).uploadFile(tree)).toEqual({
      ok: false,
      error: { reason: 'wrong_flow', expected: market, found: flow },
    });
    const status = granted(await nodeClient().status());
    expect(status).toMatchObject({ chainId: 31337, flow });
    expect(status.syncedBlock).toBeGreaterThan(0);
  });

  test('outages are refusals, each under its name, and pass', async () => {
    const { tree, txSeq } = await submitted(bytesOf(1500, 13));
    node.faults.down = true;
    expect(await nodeClient().uploadFile(tree)).toMatchObject({ error: { reason: 'unreachable' } });
    expect(await indexerClient().uploadFile(tree)).toMatchObject({ error: { reason: 'unreachable' } });
    node.faults.down = false;
    node.faults.stallMs = 400;
    expect(await nodeClient(100).isFinalized(tree)).toMatchObject({ error: { reason: 'unreachable' } });
    node.faults.stallMs = 0;
    node.faults.refuseSegments = true;
    expect(await nodeClient().uploadFile(tree)).toMatchObject({ error: { reason: 'busy' } });
    expect(await indexerClient().uploadFile(tree)).toMatchObject({ error: { reason: 'busy' } });
    node.faults.refuseSegments = false;
    node.faults.neverFinalize = true;
    expect(granted(await nodeClient().uploadFile(tree))).toEqual({ txSeq, uploaded: 1, finalized: false });
    expect(granted(await nodeClient().isFinalized(tree))).toBe(false);
    node.faults.neverFinalize = false;
    expect(granted(await nodeClient().uploadFile(tree))).toEqual({ txSeq, uploaded: 0, finalized: true });
  });

  test('a submission that the chain takes back, the node takes back', async () => {
    const tree = fileTree(bytesOf(1234, 14));
    const snapshot = await publicClient.request({ method: 'evm_snapshot', params: [] } as never);
    const { txSeq } = await submit(tree);
    await untilKnown(tree, txSeq);
    granted(await nodeClient().uploadFile(tree, { txSeq }));
    await publicClient.request({ method: 'evm_revert', params: [snapshot] } as never);

    const other = fileTree(bytesOf(4321, 15));
    const replaced = await submit(other);
    expect(replaced.txSeq).toBe(txSeq);
    await untilKnown(other, txSeq).catch(() => undefined);
    await vi.waitFor(
      async () => expect(granted(await nodeClient().find({ root: tree.root }))).toBeUndefined(),
      {
        timeout: 5_000,
        interval: 50,
      },
    );
    // Under its old number there is now another file, and no bytes go there.
    expect(await nodeClient().uploadFile(tree, { txSeq })).toEqual({
      ok: false,
      error: { reason: 'other_file', root: other.root, size: 4321 },
    });
  });

  test('segments survive a restart of the node', async () => {
    const bytes = bytesOf(3000, 16);
    const { tree, txSeq } = await submitted(bytes);
    granted(await nodeClient().uploadFile(tree, { txSeq }));
    const restarted = await startStorageNode({
      rpcUrl: anvil.url,
      flowAddress: flow,
      chainId: 31337,
      dir: path.join(dir, 'node'),
      pollMs: 50,
    });
    try {
      const client = zeroGStorageNode({ url: restarted.url, fetch });
      await vi.waitFor(async () => expect(granted(await client.isFinalized(tree))).toBe(true), {
        timeout: 5_000,
        interval: 50,
      });
      expect(granted(await client.download(tree))).toEqual(bytes);
    } finally {
      await restarted.close();
    }
  });
});
