import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ed25519 } from '@noble/curves/ed25519.js';
import { concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import type { Hex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { describe, expect, it, test, vi } from 'vitest';
import { append } from '../protocol/log/append.ts';
import {
  BLOB_LIMITS,
  type Blob,
  decodeBlob,
  decodeFile,
  encodeBlob,
  verifyBlob,
} from '../protocol/log/blob.ts';
import { headNoteKey, signCheckpoint } from '../protocol/log/checkpoint.ts';
import { logIdOf } from '../protocol/log/head.ts';
import { leafHash } from '../protocol/log/merkle.ts';
import { ed25519NoteKey, formatVerifierKey } from '../protocol/log/note.ts';
import { inclusionProofFrom, type TileBytes, tileSourceOf } from '../protocol/log/tiles.ts';
import { type Receipt, receiptDigest, signReceipt } from '../protocol/receipt.ts';
import type { Result } from '../protocol/result.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);
vi.setConfig({ testTimeout: runs(15_000) });
const unwrap = <T, E>(result: Result<T, E>): T => {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
};
const hash = (text: string): Hex => `0x${createHash('sha256').update(text).digest('hex')}`;
const bytesOf = (hex: Hex): Uint8Array => hexToBytes(hex.slice(2));
const address = (byte: string): Hex => `0x${byte.repeat(20)}`;

const origin = 'log.example/tallystick';
const anchor = address('aa');
const owner = address('bb');
const logId = logIdOf({ chainId: 31_337, anchor, owner, origin });
const domain = { chainId: 31_337, anchor, logId };
const ed25519Seed = new Uint8Array(32).fill(1);
const headKey: Hex = `0x${'02'.repeat(32)}`;
const receiptKey: Hex = `0x${'03'.repeat(32)}`;
const signer = { domain, ed25519Seed, headKey };
const edPublicKey = ed25519.getPublicKey(ed25519Seed);
const headAddress = privateKeyToAccount(headKey).address.toLowerCase() as Hex;
const keys = [ed25519NoteKey(origin, edPublicKey), headNoteKey(origin, domain, headAddress)];

const receiptOf = (agentId: bigint, sequence: bigint): Receipt => ({
  logId,
  chainId: 31_337n,
  vault: address('cc'),
  registry: address('dd'),
  agentId,
  epoch: 0n,
  sequence,
  previous: sequence === 1n ? `0x${'00'.repeat(32)}` : hash(`${agentId}/${sequence - 1n}`),
  authorizationKind: 1,
  authorization: hash('authorization'),
  requestHash: hash('request'),
  forwardedHash: hash('forwarded'),
  responseHash: hash('response'),
  upstreamResponseHash: hash('upstream response'),
  upstream: 'model-studio',
  model: 'qwen-plus',
  upstreamId: 'chatcmpl-1',
  usage: {
    input: 120n,
    cachedInput: 20n,
    cacheCreation: 0n,
    output: 30n,
    thinking: 10n,
    estimated: false,
  },
  priceTable: hash('prices'),
  amount: 1_500n,
  cumulative: 1_500n * sequence,
  time: 1_700_000_000n + sequence,
  mergeBy: 1_700_086_400n + sequence,
  assurance: 0,
  evidence: `0x${'00'.repeat(32)}`,
});

/** A log of three older entries, and the commit that adds four: two receipts each of agents 0 and 7. */
function example(): Blob {
  const older = ['a', 'b', 'c'].map((text) => bytesOf(hash(text)));
  const receipts = [receiptOf(0n, 1n), receiptOf(7n, 1n), receiptOf(0n, 2n), receiptOf(7n, 2n)];
  const entries = receipts.map((receipt) => bytesOf(receiptDigest(receipt)));
  const before = unwrap(append(() => undefined, 0, older.map(leafHash)));
  const after = unwrap(append(tileSourceOf(before.changedTiles), before.size, entries.map(leafHash)));
  const tiles = tileSourceOf([...before.changedTiles, ...after.changedTiles] satisfies TileBytes[]);
  const claims = receipts.slice(2).map((receipt, i) => {
    const index = before.size + 2 + i;
    return {
      signed: signReceipt(receipt, receiptKey),
      index,
      proof: unwrap(inclusionProofFrom(tiles, after.size, index)),
    };
  });
  const { note } = signCheckpoint({ origin, size: after.size, root: after.root }, signer);
  return { logId, first: before.size, entries, checkpoint: note, claims };
}

const blob = example();
const encoded = encodeBlob(blob);

/** Where the parts of an encoded blob begin and end. */
function partsOf(bytes: Uint8Array): readonly (readonly [part: string, start: number, end: number])[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const checkpoint = 54 + 32 * view.getUint32(50);
  const claims = checkpoint + 4 + view.getUint32(checkpoint);
  const entries = Array.from(
    { length: view.getUint32(50) },
    (_, i) =>
      [`entry ${view.getBigUint64(42) + BigInt(i)}: a receipt's digest`, 54 + 32 * i, 86 + 32 * i] as const,
  );
  return [
    ['magic: ASCII `TALLYBLB`', 0, 8],
    ['version: 1', 8, 10],
    ['log id', 10, 42],
    ['index of the first entry', 42, 50],
    ['number of entries', 50, 54],
    ...entries,
    ['bytes of checkpoint', checkpoint, checkpoint + 4],
    ['checkpoint', checkpoint + 4, claims],
    ['bytes of claim sheet', claims, claims + 4],
    ['claim sheet', claims + 4, bytes.length],
  ];
}

function hexDump(bytes: Uint8Array, start: number, end: number): string {
  const lines: string[] = [];
  for (let at = start; at < end; at += 16) {
    const row = bytes.subarray(at, Math.min(at + 16, end));
    const octets = Buffer.from(row).toString('hex').replace(/../g, '$& ').trim();
    const ascii = Array.from(row, (b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '.')).join('');
    lines.push(`${at.toString(16).padStart(8, '0')}  ${octets.padEnd(47)}  |${ascii}|`);
  }
  return lines.join('\n');
}

function page(): string {
  const parts = partsOf(encoded).map(
    ([part, start, end]) =>
      `**${part}** (${end - start} bytes)\n\n\`\`\`\n${hexDump(encoded, start, end)}\n\`\`\`\n`,
  );
  return `# A blob, byte for byte

An example of section 6 of [the protocol](protocol.md), generated and checked by \`test/log-blob.test.ts\`: a log with three
entries gets four more, two receipts each of agents 0 and 7, and the claim sheet discloses the later of each. ${encoded.length} bytes.

What it is made from (keys for this example only):

| | |
|---|---|
| origin | \`${origin}\` |
| home chain, anchor, owner | \`31337\`, \`${anchor}\`, \`${owner}\` |
| log id | \`${logId}\` |
| Ed25519 seed | 32 bytes \`01\`; vkey \`${formatVerifierKey(origin, edPublicKey)}\` |
| head key | 32 bytes \`02\`; address \`${headAddress}\` |
| receipt key | 32 bytes \`03\`; address \`${privateKeyToAccount(receiptKey).address.toLowerCase()}\` |

The checkpoint reads:

\`\`\`
${blob.checkpoint}\`\`\`

${parts.join('\n')}`;
}

test('docs/protocol.md names the limits there are', () => {
  const text = readFileSync(new URL('../docs/protocol.md', import.meta.url), 'utf8');
  const { entries, checkpointBytes, claimsBytes, proofHashes } = BLOB_LIMITS;
  const [n, note, sheet] = [entries, checkpointBytes, claimsBytes].map((limit) => limit.toLocaleString('en'));
  expect(text).toContain(
    `1 to ${n} entries, ${note} bytes of checkpoint, ${sheet} bytes of claim sheet, ${proofHashes} hashes a proof.`,
  );
});

describe('a file of several blobs', () => {
  it('reads back to back, and nothing in between, missing or out of order', () => {
    const first = example();
    const second: Blob = { ...first, first: first.first + first.entries.length, claims: [] };
    const bytes = concatBytes(encodeBlob(first), encodeBlob(second));
    expect(unwrap(decodeFile(bytes))).toEqual([first, second]);
    expect(unwrap(decodeFile(encodeBlob(first)))).toEqual([first]);
    expect(decodeFile(bytes.subarray(0, -1))).toMatchObject({ ok: false });
    expect(decodeFile(concatBytes(bytes, Uint8Array.of(0)))).toMatchObject({ ok: false });
    expect(decodeFile(concatBytes(encodeBlob(second), encodeBlob(first)))).toEqual({
      ok: false,
      error: 'bad_range',
    });
    expect(decodeFile(new Uint8Array(0))).toEqual({ ok: false, error: 'not_a_blob' });
    expect(decodeBlob(bytes)).toEqual({ ok: false, error: 'wrong_length' });
  });
});

describe('docs/blob-example.md', () => {
  it('is what the code writes', async () => {
    await expect(page()).toMatchFileSnapshot('../docs/blob-example.md');
  });

  it('has a hex dump that decodes and verifies', () => {
    const text = readFileSync(new URL('../docs/blob-example.md', import.meta.url), 'utf8');
    const octets = [...text.matchAll(/^[0-9a-f]{8} {2}((?:[0-9a-f]{2} )+) *\|/gm)].map((m) => m[1] ?? '');
    const bytes = Uint8Array.from(Buffer.from(octets.join('').replaceAll(' ', ''), 'hex'));
    const decoded = unwrap(decodeBlob(bytes));
    expect(decoded).toEqual(blob);
    expect(unwrap(verifyBlob(decoded, keys))).toMatchObject({ origin, size: 7 });
    expect(Buffer.from(encodeBlob(decoded)).equals(bytes)).toBe(true);
  });
});

describe('the layout', () => {
  it("is the table's, read with nothing but a DataView", () => {
    const view = new DataView(encoded.buffer, encoded.byteOffset);
    const text = (from: number, to: number) => Buffer.from(encoded.subarray(from, to)).toString();
    expect(text(0, 8)).toBe('TALLYBLB');
    expect(view.getUint16(8)).toBe(1);
    expect(encoded.subarray(10, 42)).toEqual(bytesOf(logId));
    expect(view.getBigUint64(42)).toBe(3n);
    expect(view.getUint32(50)).toBe(4);
    expect(encoded.subarray(54, 54 + 128)).toEqual(concatBytes(...blob.entries));
    const noteLength = view.getUint32(182);
    expect(text(186, 186 + noteLength)).toBe(blob.checkpoint);
    const sheetLength = view.getUint32(186 + noteLength);
    const sheet = JSON.parse(text(190 + noteLength, 190 + noteLength + sheetLength)) as {
      claims: Record<string, unknown>[];
    };
    expect(190 + noteLength + sheetLength).toBe(encoded.length);
    expect(sheet.claims.map((claim) => Object.keys(claim))).toEqual([
      ['receipt', 'signature', 'index', 'proof'],
      ['receipt', 'signature', 'index', 'proof'],
    ]);
    expect(sheet.claims.map((claim) => claim['index'])).toEqual(['5', '6']);
  });

  it('round-trips for any blob, at any offset in its buffer', () => {
    const any = fc.record({
      logId: fc.constantFrom(logId, hash('x')),
      first: fc.oneof(fc.nat(10), fc.integer({ min: 2 ** 32, max: Number.MAX_SAFE_INTEGER - 9 })),
      entries: fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { minLength: 1, maxLength: 9 }),
      checkpoint: fc.string({ unit: 'grapheme' }),
      claims: fc.subarray([...blob.claims]),
    });
    fc.assert(
      fc.property(any, fc.nat(5), (value, offset) => {
        const bytes = encodeBlob(value);
        const shifted = concatBytes(new Uint8Array(offset), bytes).subarray(offset);
        expect(unwrap(decodeBlob(shifted))).toEqual(value);
      }),
      { numRuns: runs(100), seed: 1 },
    );
  });
});

describe('decoding', () => {
  const withBytes = (at: number, ...replacement: number[]): Uint8Array => {
    const bytes = encoded.slice();
    bytes.set(replacement, at);
    return bytes;
  };
  const errorOf = (bytes: Uint8Array) => {
    const result = decodeBlob(bytes);
    return result.ok ? undefined : result.error;
  };
  const noteEnd = 186 + utf8ToBytes(blob.checkpoint).length;

  it('refuses every truncation and anything left over', () => {
    for (let length = 0; length < encoded.length; length++) {
      expect(decodeBlob(encoded.subarray(0, length)).ok).toBe(false);
    }
    expect(errorOf(concatBytes(encoded, Uint8Array.of(0)))).toBe('wrong_length');
  });

  it('refuses another magic or version, no entries, impossible ranges and lengths', () => {
    expect(errorOf(withBytes(0, 0x74))).toBe('not_a_blob');
    expect(errorOf(withBytes(8, 0, 2))).toBe('not_a_blob');
    expect(errorOf(withBytes(50, 0, 0, 0, 0))).toBe('bad_range');
    expect(errorOf(withBytes(42, 0, 0x20, 0, 0, 0, 0, 0, 0))).toBe('bad_range');
    expect(errorOf(withBytes(42, 0, 0x1f, 255, 255, 255, 255, 255, 252))).toBe('bad_range');
    expect(errorOf(withBytes(42, 255, 255, 255, 255, 255, 255, 255, 255))).toBe('bad_range');
    expect(errorOf(withBytes(50, 255, 255, 255, 255))).toBe('wrong_length');
    expect(errorOf(withBytes(50, 0, 0, 0, 5))).toBe('wrong_length');
    expect(errorOf(withBytes(182, 255, 255, 255, 255))).toBe('wrong_length');
    expect(errorOf(withBytes(noteEnd, 0, 0, 0, 1))).toBe('bad_claims');
    expect(errorOf(withBytes(186, 0xff))).toBe('not_utf8');
    expect(errorOf(withBytes(noteEnd + 4, 0xff))).toBe('not_utf8');
  });

  const sheet = Buffer.from(encoded.subarray(noteEnd + 4)).toString();
  const withSheet = (text: string): Uint8Array => {
    const bytes = utf8ToBytes(text);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, bytes.length);
    return concatBytes(encoded.subarray(0, noteEnd), length, bytes);
  };
  it.each([
    ['nothing', ''],
    ['no JSON', '{'],
    ['null', 'null'],
    ['an array', '[]'],
    ['no claims', '{}'],
    ['claims that are no list', '{"claims":{}}'],
    ['a claim that is no object', '{"claims":[1]}'],
    ['spaces', sheet.replace('{"claims"', '{ "claims"')],
    ['a byte order mark', `\ufeff${sheet}`],
    ['another key at the top', sheet.replace('{"claims"', '{"more":1,"claims"')],
    ['another key in a claim', sheet.replace('"index"', '"more":1,"index"')],
    ['a duplicate key', sheet.replace('"index":"5"', '"index":"6","index":"5"')],
    ['keys in another order', sheet.replace(/("index":"5"),("proof":\[[^\]]*\])/, '$2,$1')],
    ['an index that is a number', sheet.replace('"index":"5"', '"index":5')],
    ['a leading zero', sheet.replace('"index":"5"', '"index":"05"')],
    ['an index of 2^53', sheet.replace('"index":"5"', '"index":"9007199254740992"')],
    ['no proof', sheet.replace(/,"proof":\[[^\]]*\]/, '')],
    ['a short proof hash', sheet.replace(/("proof":\["0x)../, '$1')],
    ['capital hex', sheet.replace(/("proof":\["0x)[0-9a-f]{64}/, `$1${'AB'.repeat(32)}`)],
    [
      'a proof of 54 hashes',
      sheet.replace(/"proof":\[[^\]]*\]/, `"proof":[${Array(54).fill(`"${logId}"`).join(',')}]`),
    ],
    ['a short signature', sheet.replace(/("signature":"0x)../, '$1')],
    ['a receipt field missing', sheet.replace('"sequence":"2",', '')],
    ['a receipt field more', sheet.replace('"sequence":"2"', '"sequence":"2","more":"2"')],
    ['an escape that is not needed', sheet.replace('qwen', '\\u0071wen')],
  ])('refuses a claim sheet with %s', (_, text) => {
    expect(text).not.toBe(sheet);
    expect(errorOf(withSheet(text))).toBe('bad_claims');
  });

  it('takes an empty claim sheet', () => {
    expect(unwrap(decodeBlob(withSheet('{"claims":[]}'))).claims).toEqual([]);
    expect(errorOf(withSheet(sheet))).toBeUndefined();
  });

  it('never throws, and takes nothing encoding would not write', () => {
    const mutated = fc
      .tuple(fc.nat(encoded.length - 1), fc.uint8Array({ minLength: 1, maxLength: 6 }))
      .map(([at, bytes]) => withBytes(Math.min(at, encoded.length - bytes.length), ...bytes));
    const headed = fc
      .uint8Array({ maxLength: 400 })
      .map((rest) => concatBytes(encoded.subarray(0, 10), rest));
    fc.assert(
      fc.property(fc.oneof(mutated, headed, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        const decoded = decodeBlob(bytes);
        if (decoded.ok) expect(Buffer.from(encodeBlob(decoded.value)).equals(bytes)).toBe(true);
      }),
      { numRuns: runs(400), seed: 2 },
    );
  });
});

describe('verifying', () => {
  const [claim] = blob.claims;
  if (claim === undefined) throw new Error('the example has claims');
  const faultOf = (changed: Partial<Blob>) => {
    const result = verifyBlob({ ...blob, ...changed }, keys);
    return result.ok ? undefined : result.error;
  };

  it('takes the example, and finds each fault', () => {
    const [first, ...rest] = blob.entries;
    if (first === undefined) throw new Error('the example has entries');
    expect(faultOf({})).toBeUndefined();
    expect(faultOf({ claims: [] })).toBeUndefined();
    expect(faultOf({ checkpoint: blob.checkpoint.replace('\n7\n', '\n8\n') })).toBe('bad_signature');
    expect(faultOf({ checkpoint: '' })).toBe('malformed');
    expect(faultOf({ entries: rest })).toBe('checkpoint_elsewhere');
    expect(faultOf({ first: 4 })).toBe('checkpoint_elsewhere');
    expect(faultOf({ logId: hash('another log') })).toBe('claim_mismatch');
    expect(faultOf({ claims: [claim, claim] })).toBe('claim_mismatch');
    expect(faultOf({ claims: [{ ...claim, index: 6 }] })).toBe('claim_mismatch');
    expect(faultOf({ claims: [{ ...claim, index: 2 }] })).toBe('claim_mismatch');
    expect(faultOf({ claims: [{ ...claim, index: 7 }] })).toBe('claim_mismatch');
    expect(faultOf({ claims: [{ ...claim, proof: claim.proof.slice(1) }] })).toBe('claim_not_included');
    const dearer = { ...claim.signed, receipt: { ...claim.signed.receipt, cumulative: 9n } };
    expect(faultOf({ claims: [{ ...claim, signed: dearer }] })).toBe('claim_mismatch');
    expect(verifyBlob(blob, [])).toEqual({ ok: false, error: 'unsigned' });
  });

  it('does not encode what would not decode', () => {
    expect(() => encodeBlob({ ...blob, entries: [] })).toThrow(RangeError);
    expect(() => encodeBlob({ ...blob, first: Number.MAX_SAFE_INTEGER })).toThrow(RangeError);
    expect(() => encodeBlob({ ...blob, entries: [new Uint8Array(31)] })).toThrow(TypeError);
    expect(() => encodeBlob({ ...blob, logId: '0x00' })).toThrow(TypeError);
    expect(() => encodeBlob({ ...blob, checkpoint: 'x'.repeat(2 ** 16 + 1) })).toThrow(RangeError);
    const many = Array.from({ length: BLOB_LIMITS.entries + 1 }, () => blob.entries[0] ?? new Uint8Array());
    expect(() => encodeBlob({ ...blob, entries: many })).toThrow(RangeError);
  });
});
