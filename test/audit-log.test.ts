// The auditor against a log that was really published, anchored and settled, and against everything that can be wrong with
// one: it has the chain and the DA layer, and names what is wrong.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Hex } from 'viem';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type AuditOptions, audit } from '../client/audit.ts';
import { fromBase64, toBase64 } from '../protocol/base64.ts';
import { parseTilePath } from '../protocol/log/tile-path.ts';
import { type Receipt, receiptDigest, type SignedReceipt, signReceipt } from '../protocol/receipt.ts';
import { type LogRun, startWorld, type World } from './log-world.ts';

let world: World;
let run: LogRun;
let served: {
  readonly server: Server;
  readonly url: string;
  alter?: (path: string, bytes: Uint8Array) => Uint8Array;
};
beforeAll(async () => {
  world = await startWorld();
  for (const level of ['error', 'warn'] as const)
    vi.spyOn(console, level).mockImplementation(() => undefined);
  run = await world.openLog({ SEAL_AT_ENTRIES: '50' });
  // Three anchors, one full tile and a partial one.
  for (const calls of [120, 150, 30]) {
    for (let call = 0; call < calls; call++) run.capture(call, 1_000n + BigInt(call));
    await run.run();
  }
  expect((await run.check()).size).toBe(300);
  served = await serve(run);
});
afterAll(async () => {
  served?.server.close();
  await world?.close();
});

/** The routes of the log, as a gateway has them. */
async function serve(of: LogRun): Promise<typeof served> {
  const routes: { alter?: (path: string, bytes: Uint8Array) => Uint8Array } = {};
  const server = createServer((request, response) => {
    void (async () => {
      const path = (request.url ?? '').replace('/log/', '');
      const name = parseTilePath(path);
      const answer =
        path === 'checkpoint'
          ? new TextEncoder().encode((await of.log['checkpoint']?.()) as string)
          : name && ((await of.log['tile']?.(name)) as Uint8Array | undefined);
      if (!answer) return response.writeHead(404).end();
      return response.end(routes.alter?.(path, answer) ?? answer);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(routes, { server, url });
}

const optionsOf = (of: LogRun = run): AuditOptions => ({
  rpcUrl: world.anvil.url,
  anchor: world.anchor,
  logId: of.logId,
  da: [{ kind: 'node', url: world.storage.url }],
});
const signedOf = (of: LogRun, at: number): SignedReceipt[] =>
  (of.receipts.get(world.agents[at]?.account ?? '') ?? []).map((receipt) =>
    signReceipt(receipt, world.receiptKey),
  );
const resigned = (receipt: Receipt): SignedReceipt => signReceipt(receipt, world.receiptKey);
const codesOf = (result: Awaited<ReturnType<typeof audit>>) =>
  result.findings.map(({ severity, code, where }) => `${severity} ${code} ${where}`);

const flipped = (bytes: Uint8Array, at: number): Uint8Array => {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
};

describe('a log as it should be', () => {
  test('the chain and the DA layer are enough, and it says what that proves', async () => {
    const steps: string[] = [];
    const result = await audit({ ...optionsOf(), progress: ({ step }) => steps.push(step) });
    expect(codesOf(result)).toEqual([]);
    expect(result.ok).toBe(true);
    expect(result.counts).toMatchObject({ anchors: 3, files: 3, entries: 300 });
    expect(result.counts.vaultClaims).toBeGreaterThanOrEqual(9);
    expect(result.through.size).toBe(300);
    expect(result.proves).toHaveLength(2);
    expect(result.doesNotProve.join(' ')).toContain("without an agent's own receipts");
    expect(new Set(steps)).toEqual(new Set(['chain', 'files', 'vaults']));
  });

  test("with an agent's receipts its bill is exactly them", async () => {
    const receipts = [...signedOf(run, 0), ...signedOf(run, 2)];
    const result = await audit({ ...optionsOf(), receipts });
    expect(codesOf(result)).toEqual([]);
    const total = (at: number) => signedOf(run, at).reduce((sum, { receipt }) => sum + receipt.amount, 0n);
    expect(result.bills).toEqual(
      [0, 2].map((at) => ({
        account: world.agents[at]?.account,
        receipts: 100,
        logged: 100,
        pending: 0,
        total: total(at),
        claimed: total(at),
        exact: true,
      })),
    );
    expect(result.proves).toHaveLength(4);
  });

  test('an indexer will do as well as a node; and the first that has it, of several', async () => {
    const result = await audit({
      ...optionsOf(),
      da: [
        { kind: 'node', url: 'http://127.0.0.1:1' },
        { kind: 'indexer', url: world.storage.url },
      ],
    });
    expect(codesOf(result)).toEqual([]);
  });

  test('a gateway that serves that tree', async () => {
    const result = await audit({ ...optionsOf(), gateway: served.url });
    expect(codesOf(result)).toEqual([]);
    // Two tiles and their bundles at level 0, one tile at level 1.
    expect(result.counts.tiles).toBe(5);
  });

  test('resumes where it stopped, without reading those files again', async () => {
    const states: string[] = [];
    const receipts = signedOf(run, 1);
    const gateway = served.url;
    const whole = await audit({ ...optionsOf(), receipts, gateway, keep: (state) => states.push(state) });
    expect(states).toHaveLength(3);
    const [first, , last] = states;
    for (const [state, read] of [
      [first, 2],
      [last, 0],
    ] as const) {
      let files = 0;
      const result = await audit({
        ...optionsOf(),
        receipts,
        gateway,
        ...(state === undefined ? {} : { state }),
        fetch: (input, init) => {
          if (String(init?.body).includes('zgs_getFileInfo')) files += 1;
          return fetch(input, init);
        },
      });
      expect(files).toBe(read);
      expect(result).toEqual({
        ...whole,
        through: result.through,
        counts: { ...whole.counts, tiles: expect.any(Number) },
      });
    }
    // A state of other receipts, or made up, is no state.
    const made = JSON.stringify({
      ...JSON.parse(last ?? ''),
      tree: { size: 300, root: `0x${'12'.repeat(32)}` },
    });
    for (const state of [last ?? '', made]) {
      const result = await audit({ ...optionsOf(), receipts: signedOf(run, 0), state });
      expect(codesOf(result)).toEqual([]);
      expect(result.counts.files).toBe(3);
    }
  });
});

describe('one byte', () => {
  test.each([0, 60, 3_000, 6_000])('of a published file, at %i, is named', async (at) => {
    let altered: string | undefined;
    const result = await audit({
      ...optionsOf(),
      fetch: async (input, init) => {
        const response = await fetch(input, init);
        if (altered !== undefined || !String(init?.body).includes('zgs_downloadSegment')) return response;
        const answer = (await response.json()) as { result: { root: string; data: string } };
        altered = answer.result.root;
        answer.result.data = toBase64(flipped(fromBase64(answer.result.data) ?? new Uint8Array(), at));
        return Response.json(answer);
      },
    });
    expect(codesOf(result)).toEqual([
      `wrong file_altered file ${altered} (entries 0 to 119)`,
      'unchecked tree_interrupted entries from 120 on',
      ...vaultFindings(result),
    ]);
    expect(result.proves).toEqual([]);
  });

  test.each(['tile/0/000', 'tile/0/001.p/44', 'tile/1/000.p/1', 'tile/entries/000', 'tile/entries/001.p/44'])(
    'of a served tile, %s, is named',
    async (path) => {
      served.alter = (asked, bytes) => (asked === path ? flipped(bytes, 40 % bytes.length) : bytes);
      const result = await audit({ ...optionsOf(), gateway: served.url });
      delete served.alter;
      expect(codesOf(result)).toEqual([`wrong gateway_tile ${served.url}/log/${path}`]);
      expect(result.findings[0]?.detail).toMatch(/^byte (40|8) /);
    },
  );

  test('of the served checkpoint is named', async () => {
    const note = (await (await fetch(`${served.url}/log/checkpoint`)).text()).split('\n');
    // Origin, size and root; and of its signatures the one that is checked against the chain, or by a key that is pinned.
    const places = [
      3,
      note[0]?.length ?? 0,
      (note[0]?.length ?? 0) + 2,
      note.slice(0, 2).join('\n').length + 9,
    ];
    const isSigned = note.slice(0, 5).join('\n').length + 80;
    for (const at of [...places, isSigned]) {
      served.alter = (path, bytes) => (path === 'checkpoint' ? flipped(bytes, at) : bytes);
      const result = await audit({ ...optionsOf(), gateway: served.url, checkpointKey: run.checkpointKey });
      delete served.alter;
      expect(codesOf(result)).toEqual([`wrong gateway_checkpoint ${served.url}/log/checkpoint`]);
    }
  });

  test('of a receipt is named, whoever signs it anew', async () => {
    const receipts = signedOf(run, 0);
    const account = world.agents[0]?.account;
    const [victim] = receipts.slice(40);
    if (victim === undefined) throw new Error('no receipt');
    // The receipt's own bytes: no longer signed.
    const altered = { ...victim, receipt: { ...victim.receipt, amount: victim.receipt.amount ^ 1n } };
    const unsigned = await audit({ ...optionsOf(), receipts: receipts.with(40, altered) });
    expect(codesOf(unsigned)).toEqual(
      expect.arrayContaining([
        `wrong receipt_signer ${account} sequence 41`,
        `wrong bill_broken ${account} sequence 41`,
        `wrong bill_broken ${account} sequence 42`,
      ]),
    );
    // Signed by the gateway itself: its link and its sum give it away, and it is in no log.
    const other = resigned({ ...victim.receipt, responseHash: `0x${'77'.repeat(32)}` });
    const forged = await audit({ ...optionsOf(), receipts: receipts.with(40, other) });
    expect(codesOf(forged)).toEqual([`wrong bill_broken ${account} sequence 42`]);
    expect(forged.bills[0]).toMatchObject({ exact: false, logged: 99, pending: 1 });
    // The signature's bytes.
    const badSignature = { ...victim, signature: victim.signature.replace(/..$/, '00') as Hex };
    const bad = await audit({ ...optionsOf(), receipts: receipts.with(40, badSignature) });
    expect(codesOf(bad)).toEqual([`wrong receipt_signer ${account} sequence 41`]);
  });
});

/** What a missing file takes with it: claims that rest on receipts nobody can read any more. */
const vaultFindings = (result: Awaited<ReturnType<typeof audit>>): string[] =>
  codesOf(result).filter((line) => line.startsWith('wrong vault_claim_not_committed'));

describe('what cannot be had', () => {
  test('a blob that nobody gives is withheld; what follows is read for its own sake', async () => {
    let asked = 0;
    const result = await audit({
      ...optionsOf(),
      fetch: async (input, init) => {
        if (!String(init?.body).includes('zgs_getFileInfo')) return fetch(input, init);
        asked += 1;
        return asked === 2 ? Response.json({ jsonrpc: '2.0', id: 1, result: null }) : fetch(input, init);
      },
    });
    const [first, second, ...rest] = codesOf(result);
    expect(first).toMatch(/^withheld file_withheld file 0x[0-9a-f]{64} \(entries 120 to 269\)$/);
    expect(second).toBe('unchecked tree_interrupted entries from 270 on');
    expect(rest).toEqual(vaultFindings(result));
    expect(result.counts).toMatchObject({ files: 2, entries: 120 });
    expect(result.ok).toBe(false);
  });

  test('receipts the agent did not bring, and a gateway that is not there, are said to be unchecked', async () => {
    const receipts = signedOf(run, 0).filter((_, at) => at !== 10 && at !== 99);
    const account = world.agents[0]?.account;
    const result = await audit({ ...optionsOf(), receipts, gateway: 'http://127.0.0.1:1' });
    expect(codesOf(result)).toEqual([
      `unchecked receipts_missing ${account} sequence 12`,
      `unchecked receipts_missing ${account} sequence 100`,
      'unchecked gateway_unreadable http://127.0.0.1:1',
    ]);
    expect(result.bills[0]?.exact).toBe(false);
  });

  test('a log that does not exist, and a node that does not answer', async () => {
    const result = await audit({ ...optionsOf(), logId: `0x${'ab'.repeat(32)}` });
    expect(result.findings).toMatchObject([{ severity: 'wrong', code: 'log_unknown' }]);
    await expect(audit({ ...optionsOf(), rpcUrl: 'http://127.0.0.1:1' })).rejects.toThrow();
  });
});

describe('what an operator may try', () => {
  test('two receipts for one call, a receipt left out, one that is overdue', async () => {
    const receipts = signedOf(run, 1);
    const account = world.agents[1]?.account;
    const [first] = receipts;
    const last = receipts.at(-1);
    if (first === undefined || last === undefined) throw new Error('no receipts');
    // The agent was given another last receipt than the one that is in the log.
    const twin = resigned({
      ...last.receipt,
      amount: 1n,
      cumulative: last.receipt.cumulative - last.receipt.amount + 1n,
    });
    const result = await audit({ ...optionsOf(), receipts: receipts.with(-1, twin) });
    expect(codesOf(result)).toEqual([
      `wrong two_receipts ${account} sequence ${last.receipt.sequence}`,
      `wrong bill_exceeded ${account} sequence ${last.receipt.sequence}`,
    ]);
    // Both of them, as an agent keeps who was sent both.
    const both = await audit({ ...optionsOf(), receipts: [...receipts, twin] });
    expect(codesOf(both)).toEqual([`wrong two_receipts ${account} sequence ${last.receipt.sequence}`]);
    // One more was signed and never logged, and its time has passed.
    const lost = resigned({
      ...last.receipt,
      sequence: last.receipt.sequence + 1n,
      previous: receiptDigest(last.receipt),
      cumulative: last.receipt.cumulative + last.receipt.amount,
      mergeBy: 1n,
    });
    const overdue = await audit({ ...optionsOf(), receipts: [...receipts, lost] });
    expect(codesOf(overdue)).toEqual([`wrong receipt_overdue ${account} sequence ${lost.receipt.sequence}`]);
    const early = resigned({ ...lost.receipt, mergeBy: 2n ** 40n });
    const pending = await audit({ ...optionsOf(), receipts: [...receipts, early] });
    expect(codesOf(pending)).toEqual([]);
    expect(pending.bills[0]).toMatchObject({ pending: 1, exact: true });
  });

  test('a second log of the same vault: claims rest on either, and its gateway may be ahead of its anchor', async () => {
    const larger = await world.openLog({ SEAL_AT_ENTRIES: '50' });
    for (let call = 0; call < 70; call++) larger.capture(call, 1n);
    await larger.run();
    world.storage.faults.down = true;
    for (let call = 0; call < 9; call++) larger.capture(call, 1n);
    for (let round = 0; round < 4; round++) await larger.round();
    world.storage.faults.down = false;
    expect(await larger.status()).toMatchObject({ sealed: 79, anchored: 70 });
    const ahead = await serve(larger);
    const result = await audit({ ...optionsOf(larger), otherLogs: [run.logId], gateway: ahead.url });
    expect(codesOf(result)).toEqual([]);
    ahead.server.close();
    // Alone it cannot account for what the first log's receipts were paid.
    const alone = await audit(optionsOf(larger));
    expect(new Set(alone.findings.map(({ code }) => code))).toEqual(new Set(['vault_claim_not_committed']));
    await larger.run();

    const agent = world.agents[0];
    if (agent === undefined) throw new Error('no agent');
    const claimed = (await world.claimed(agent.agentId)) + 77n;
    await world.settleByHand(0, claimed);
    const grabbed = await audit({ ...optionsOf(larger), otherLogs: [run.logId] });
    expect(codesOf(grabbed)).toEqual([
      expect.stringContaining(`wrong vault_claim_not_committed ${agent.account} claim of ${claimed} in all`),
    ]);
    expect(grabbed.proves.join(' ')).not.toContain('Every claim');
  });
});
