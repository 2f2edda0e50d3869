import { createHash } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { type Hex, recoverAddress, serializeSignature } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { describe, expect, it, vi } from 'vitest';
import {
  formatCheckpointText,
  headNoteKey,
  openCheckpoint,
  parseCheckpoint,
  parseCheckpointText,
  signCheckpoint,
} from '../protocol/log/checkpoint.ts';
import { headDigest, headKeyId, headTypes, logIdOf, recoverHead, signHead } from '../protocol/log/head.ts';
import { inclusionProof, leafHash, rootOf } from '../protocol/log/merkle.ts';
import { ed25519NoteKey, formatNote, type NoteKey, parseNote, signEd25519 } from '../protocol/log/note.ts';
import { formatTlogProof, parseTlogProof, verifyTlogProof } from '../protocol/log/tlog-proof.ts';
import type { Result } from '../protocol/result.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);
vi.setConfig({ testTimeout: runs(15_000) });
const hex = (bytes: Uint8Array): Hex => `0x${Buffer.from(bytes).toString('hex')}`;
const bytes = (text: Hex): Uint8Array => hexToBytes(text.slice(2));
const unwrap = <T, E>(result: Result<T, E>): T => {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
};

const origin = 'log.example/tallystick';
const anchor = '0x00000000000000000000000000000000000000aa';
const owner = '0x00000000000000000000000000000000000000bb';
const logId = logIdOf({ chainId: 31_337, anchor, owner, origin });
const domain = { chainId: 31_337, anchor, logId } as const;
const ed25519Seed = new Uint8Array(32).fill(1);
const headKey: Hex = `0x${'02'.repeat(32)}`;
const headAccount = privateKeyToAccount(headKey);
const signer = { domain, ed25519Seed, headKey };
const edKey = ed25519NoteKey(origin, ed25519.getPublicKey(ed25519Seed));
const ethKey = headNoteKey(origin, domain, headAccount.address);
const root = createHash('sha256').update('root').digest();
const checkpoint = { origin, size: 5_000_000_000, root };

/** A 32-byte word of Solidity's ABI. */
const word = (value: bigint | number | string): Uint8Array =>
  typeof value === 'string'
    ? concatBytes(new Uint8Array(32 - (value.length - 2) / 2), bytes(value as Hex))
    : bytes(`0x${value.toString(16).padStart(64, '0')}`);
const keccak = (...parts: Uint8Array[]): Uint8Array => keccak_256(concatBytes(...parts));

describe('the head', () => {
  it('has the digest EIP-712 defines, put together by hand', () => {
    const domainType = 'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)';
    const separator = keccak(
      keccak(utf8ToBytes(domainType)),
      keccak(utf8ToBytes('tallystick ReceiptAnchor')),
      keccak(utf8ToBytes('1')),
      word(31_337),
      word(anchor),
    );
    const struct = keccak(
      keccak(utf8ToBytes('Head(bytes32 logId,uint64 size,bytes32 root)')),
      bytes(logId),
      word(checkpoint.size),
      root,
    );
    const digest = keccak(Uint8Array.of(0x19, 0x01), separator, struct);
    expect(headDigest({ ...domain, size: checkpoint.size, root })).toBe(hex(digest));
  });

  it('is signed as a wallet signs it: the same 65 bytes', async () => {
    const digest = headDigest({ ...domain, size: checkpoint.size, root });
    const signature = signHead(digest, headKey);
    expect(signature).toBe(
      await headAccount.signTypedData({
        domain: {
          name: 'tallystick ReceiptAnchor',
          version: '1',
          chainId: 31_337,
          verifyingContract: anchor,
        },
        types: headTypes,
        primaryType: 'Head',
        message: { logId, size: BigInt(checkpoint.size), root: hex(root) },
      }),
    );
    expect(recoverHead(digest, signature)).toBe(headAccount.address.toLowerCase());
    expect(await recoverAddress({ hash: digest, signature })).toBe(headAccount.address);
  });

  it('has no second signature by the same key', () => {
    const digest = headDigest({ ...domain, size: 1, root });
    const signature = bytes(signHead(digest, headKey));
    const s = BigInt(hex(signature.subarray(32, 64)));
    const highS = serializeSignature({
      r: hex(signature.subarray(0, 32)),
      s: hex(word(secp256k1.Point.Fn.ORDER - s)),
      yParity: signature[64] === 27 ? 1 : 0,
    });
    expect(recoverHead(digest, highS)).toBeUndefined();
    const lowV = hex(signature.map((byte, i) => (i === 64 ? byte - 27 : byte)));
    expect(recoverHead(digest, lowV)).toBeUndefined();
    expect(recoverHead(digest, '0x')).toBeUndefined();
    expect(recoverHead(digest, hex(new Uint8Array(65).fill(27)))).not.toBe(headAccount.address.toLowerCase());
  });

  it('belongs to a log id that is the ABI encoding of chain, anchor, owner and origin', () => {
    const text = utf8ToBytes(origin);
    const encoded = keccak(
      word(31_337),
      word(anchor),
      word(owner),
      word(0x80),
      word(text.length),
      text,
      new Uint8Array(32 - (text.length % 32)),
    );
    expect(logId).toBe(hex(encoded));
  });

  it('has the key id the protocol page gives', () => {
    const hash = createHash('sha256')
      .update(`${origin}\n`)
      .update(Buffer.from([0xff]))
      .update('tallystick head v1')
      .update(bytes(headAccount.address.toLowerCase() as Hex))
      .digest();
    expect(headKeyId(origin, headAccount.address)).toBe(hash.readUInt32BE(0));
  });
});

describe('checkpoints (C2SP tlog-checkpoint)', () => {
  /** The specification's example; it does not give the key. */
  const EXAMPLE =
    'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n' +
    '— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n';

  it("read the specification's example", () => {
    const { checkpoint: parsed, signatures } = unwrap(parseCheckpoint(EXAMPLE));
    expect(parsed).toMatchObject({ origin: 'example.com/behind-the-sofa', size: 20_852_163 });
    expect(parsed.root).toHaveLength(32);
    expect(signatures.map(({ name }) => name)).toEqual(['example.com/behind-the-sofa']);
    expect(formatCheckpointText(parsed)).toBe(EXAMPLE.slice(0, EXAMPLE.indexOf('\n\n') + 1));
  });

  /** The one that is proposed as the specification's first test vector (github.com/C2SP/C2SP/issues/99), made by Sigsum's code. */
  it('verify as another implementation signs them', () => {
    const origin = 'sigsum.org/v1/tree/e796172b92befd62d9dc67e41c2f5bc9d3100a3023b20b1ca40288dd1c679e69';
    const key = hexToBytes('66e0b858e462a609e66fe71370c816d8846ff103d5499a22a7fec37fdbc424a7');
    const note = `${origin}\n10\nHA5HAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— ${origin} gJ2ho0n8F8olcerUF1FFdv235A/5as/coWrpLrtE7ovMeP5whgwouYExowG/lTznxu6OUGjjt5yJQ6bXtTcf718MqAQ=\n`;
    const opened = unwrap(openCheckpoint(note, [ed25519NoteKey(origin, key)]));
    expect(opened.checkpoint).toMatchObject({ origin, size: 10 });
    const other = note.replace('\n10\n', '\n11\n');
    expect(openCheckpoint(other, [ed25519NoteKey(origin, key)]).ok).toBe(false);
  });

  it('carry both signatures, each enough, and say which verified', () => {
    const { note, headSignature } = signCheckpoint(checkpoint, signer);
    expect(note).toBe(signCheckpoint(checkpoint, signer).note);
    for (const keys of [[edKey], [ethKey], [edKey, ethKey]]) {
      const opened = unwrap(openCheckpoint(note, keys));
      expect(opened.checkpoint).toEqual({ ...checkpoint, root: Uint8Array.from(root) });
      expect(opened.signedBy.map(({ keyId }) => keyId)).toEqual(keys.map(({ keyId }) => keyId));
    }
    const [, head] = unwrap(parseNote(note)).signatures;
    expect(hex(head?.signature ?? new Uint8Array())).toBe(headSignature);
  });

  it('do not verify with any line or signature changed', () => {
    const { note } = signCheckpoint(checkpoint, signer);
    const otherRoot = createHash('sha256').update('another').digest('base64');
    const changed = [
      note.replace('5000000000', '5000000001'),
      note.replace(/\n[^\n]+\n\n/, `\n${otherRoot}\n\n`),
      note.replaceAll(origin, 'log.example/other'),
      note.replace(origin, 'log.example/other'),
    ];
    for (const forged of changed) {
      for (const keys of [[edKey], [ethKey]]) expect(openCheckpoint(forged, keys).ok).toBe(false);
    }
    fc.assert(
      fc.property(fc.nat(1), fc.nat(64), fc.integer({ min: 1, max: 255 }), (which, at, mask) => {
        const parsed = unwrap(parseNote(note));
        const signatures = parsed.signatures.map((signature, i) =>
          i === which
            ? { ...signature, signature: signature.signature.map((b, j) => (j === at ? b ^ mask : b)) }
            : signature,
        );
        // The Ed25519 signature has 64 bytes: byte 64 is only there in the head's.
        const touched = at < (parsed.signatures[which]?.signature.length ?? 0);
        expect(openCheckpoint(formatNote(parsed.text, signatures), [edKey, ethKey]).ok).toBe(!touched);
      }),
      { numRuns: runs(40), seed: 1 },
    );
  });

  it('do not verify for another chain, anchor, log or signer', () => {
    const { note } = signCheckpoint(checkpoint, signer);
    const others: NoteKey[] = [
      headNoteKey(origin, { ...domain, chainId: 1 }, headAccount.address),
      headNoteKey(origin, { ...domain, anchor: owner }, headAccount.address),
      headNoteKey(origin, { ...domain, logId: hex(root) }, headAccount.address),
    ];
    for (const key of others) {
      expect(openCheckpoint(note, [key])).toEqual({ ok: false, error: 'bad_signature' });
    }
    expect(openCheckpoint(note, [headNoteKey(origin, domain, anchor)])).toEqual({
      ok: false,
      error: 'unsigned',
    });
  });

  it('need a key that bears the name of their origin', () => {
    const text = formatCheckpointText(checkpoint);
    const witness = ed25519NoteKey('witness.example', ed25519.getPublicKey(ed25519Seed));
    const cosigned = formatNote(text, [signEd25519('witness.example', text, ed25519Seed)]);
    expect(openCheckpoint(cosigned, [witness])).toEqual({ ok: false, error: 'wrong_origin' });
  });

  it('bind the origin line under the head signature too', () => {
    const { note } = signCheckpoint(checkpoint, signer);
    const parsed = unwrap(parseNote(note));
    const forged = formatNote(parsed.text.replace(origin, 'log.example/other'), parsed.signatures.slice(1));
    expect(openCheckpoint(forged, [ethKey])).toEqual({ ok: false, error: 'bad_signature' });
  });

  const root64 = root.toString('base64');
  it.each([
    ['an extension line', `o\n1\n${root64}\nmore\n`],
    ['no root', 'o\n1\n'],
    ['a space in the origin', `o p\n1\n${root64}\n`],
    ['a control character in the origin', `o\u0007\n1\n${root64}\n`],
    ['an empty origin', `\n1\n${root64}\n`],
    ['a leading zero', `o\n01\n${root64}\n`],
    ['a sign', `o\n+1\n${root64}\n`],
    ['a hex size', `o\n0x1\n${root64}\n`],
    ['an exponent', `o\n1e3\n${root64}\n`],
    ['a space', `o\n1 \n${root64}\n`],
    ['2^53', `o\n9007199254740992\n${root64}\n`],
    ['an endless size', `o\n${'9'.repeat(100)}\n${root64}\n`],
    ['a short root', `o\n1\n${root.subarray(1).toString('base64')}\n`],
    ['a root without padding', `o\n1\n${root64.slice(0, -1)}\n`],
    ['spare bits in the root', `o\n1\n${root64.slice(0, -2)}B=\n`],
    ['no final newline', `o\n1\n${root64}`],
    ['an empty last line', `o\n1\n${root64}\n\n`],
  ])('refuse %s', (_, text) => {
    expect(parseCheckpointText(text)).toEqual({ ok: false, error: 'not_a_checkpoint' });
  });

  it('have one text for one head, and take no other text', () => {
    const head = fc.record({
      origin: fc.constantFrom('a', origin, 'è.example/x'),
      size: fc.oneof(fc.nat(3), fc.maxSafeNat()),
      root: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    });
    fc.assert(
      fc.property(head, (value) => {
        expect(unwrap(parseCheckpointText(formatCheckpointText(value)))).toEqual(value);
      }),
      { numRuns: runs(200), seed: 2 },
    );
    const lines = fc.array(fc.oneof(fc.constantFrom('a', '0', '1', '01', root64, ''), fc.string()));
    fc.assert(
      fc.property(lines, (parts) => {
        const text = parts.join('\n');
        const parsed = parseCheckpointText(text);
        if (parsed.ok) expect(formatCheckpointText(parsed.value)).toBe(text);
      }),
      { numRuns: runs(500), seed: 3 },
    );
  });

  it('are not formatted from what is no head', () => {
    expect(() => formatCheckpointText({ ...checkpoint, origin: 'a b' })).toThrow(TypeError);
    expect(() => formatCheckpointText({ ...checkpoint, size: 2 ** 53 })).toThrow(RangeError);
    expect(() => formatCheckpointText({ ...checkpoint, root: new Uint8Array(31) })).toThrow(RangeError);
  });
});

describe('offline proofs (C2SP tlog-proof@v1)', () => {
  const entries = Array.from({ length: 13 }, (_, i) => createHash('sha256').update(`${i}`).digest());
  const leaves = entries.map(leafHash);
  const source = (level: number, index: number) =>
    (index + 1) * 2 ** level <= leaves.length
      ? rootOf(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level))
      : undefined;
  const { note } = signCheckpoint({ origin, size: leaves.length, root: rootOf(leaves) }, signer);
  const proofOf = (index: number) => unwrap(inclusionProof(source, leaves.length, index));
  const textOf = (index: number, extra?: Uint8Array) =>
    formatTlogProof({ index, proof: proofOf(index), checkpoint: note, ...(extra ? { extra } : {}) });
  const entryAt = (index: number) => entries[index] ?? new Uint8Array();

  it('have the lines of the specification', () => {
    const lines = textOf(12, utf8ToBytes('x')).split('\n');
    expect(lines.slice(0, 3)).toEqual(['c2sp.org/tlog-proof@v1', 'extra eA==', 'index 12']);
    expect(lines.slice(3, 5)).toEqual(proofOf(12).map((hash) => Buffer.from(hash).toString('base64')));
    expect(lines.slice(5).join('\n')).toBe(`\n${note}`);
  });

  it('verify for their entry, and for no other', () => {
    for (const [index, entry] of entries.entries()) {
      const text = textOf(index);
      const verified = unwrap(verifyTlogProof({ text, entry, keys: [edKey, ethKey] }));
      expect(verified).toMatchObject({ index, checkpoint: { origin, size: 13 } });
      expect(verified.signedBy).toHaveLength(2);
      expect(verifyTlogProof({ text, entry: entryAt((index + 1) % 13), keys: [edKey] })).toEqual({
        ok: false,
        error: 'not_included',
      });
    }
    const text = textOf(3);
    expect(verifyTlogProof({ text, entry: entryAt(3), keys: [] })).toEqual({ ok: false, error: 'unsigned' });
    expect(verifyTlogProof({ text: '', entry: entryAt(3), keys: [edKey] })).toEqual({
      ok: false,
      error: 'not_a_proof',
    });
  });

  it('round-trip, with extra data and without', () => {
    for (const extra of [undefined, utf8ToBytes('index 7')]) {
      const text = textOf(7, extra);
      const parsed = unwrap(parseTlogProof(text));
      expect(parsed).toEqual({ index: 7, proof: proofOf(7), checkpoint: note, ...(extra ? { extra } : {}) });
      expect(formatTlogProof(parsed)).toBe(text);
    }
  });

  const good = textOf(7);
  const [, hashLine = ''] = good.split('\n').slice(1);
  it.each([
    ['another version', good.replace('@v1', '@v2')],
    ['no index', good.replace('index 7\n', '')],
    ['a leading zero', good.replace('index 7', 'index 07')],
    ['two spaces', good.replace('index 7', 'index  7')],
    ['an index of 2^53', good.replace('index 7', 'index 9007199254740992')],
    ['extra after the index', good.replace('index 7', 'index 7\nextra eA==')],
    ['extra twice', good.replace('index 7', 'extra eA==\nextra eA==\nindex 7')],
    ['empty extra', good.replace('index 7', 'extra \nindex 7')],
    ['bad extra', good.replace('index 7', 'extra eB==\nindex 7')],
    ['a short hash', good.replace(hashLine, `${hashLine.slice(0, -4)}`)],
    ['a hash in hex', good.replace(hashLine, Buffer.from(hashLine, 'base64').toString('hex'))],
    ['54 hashes', good.replace(hashLine, Array(54).fill(hashLine).join('\n'))],
    ['no empty line', good.replace('\n\n', '\n')],
    ['two empty lines', good.replace('\n\n', '\n\n\n')],
    ['carriage returns', good.replaceAll('\n', '\r\n')],
    ['no checkpoint', good.slice(0, good.indexOf('\n\n') + 2)],
    ['an unsigned checkpoint', good.slice(0, good.lastIndexOf('\n\n') + 2)],
    ['something after it', `${good}x`],
    ['something before it', `\n${good}`],
  ])('refuse %s', (_, text) => {
    expect(parseTlogProof(text)).toEqual({ ok: false, error: 'not_a_proof' });
  });

  it('never throw on a mangled proof, and take nothing they would not have written', () => {
    const mangled = fc
      .tuple(fc.nat(good.length), fc.nat(30), fc.string({ maxLength: 5 }))
      .map(([at, n, insert]) => good.slice(0, at) + insert + good.slice(at + n));
    fc.assert(
      fc.property(fc.oneof(mangled, fc.string()), (text) => {
        const parsed = parseTlogProof(text);
        if (parsed.ok) expect(formatTlogProof(parsed.value)).toBe(text);
        const verified = verifyTlogProof({ text, entry: entryAt(7), keys: [edKey] });
        // What is under no key of ours (the other signature line) may change; nothing else.
        if (verified.ok)
          expect(text.slice(0, good.lastIndexOf('\n— '))).toBe(good.slice(0, good.lastIndexOf('\n— ')));
      }),
      { numRuns: runs(300), seed: 4 },
    );
  });

  it('are not formatted from what would not read back', () => {
    const proof = { index: 7, proof: proofOf(7), checkpoint: note };
    expect(() => formatTlogProof({ ...proof, index: -1 })).toThrow(RangeError);
    expect(() => formatTlogProof({ ...proof, proof: [new Uint8Array(31)] })).toThrow(TypeError);
    expect(() => formatTlogProof({ ...proof, extra: new Uint8Array() })).toThrow(TypeError);
    expect(() => formatTlogProof({ ...proof, checkpoint: 'x' })).toThrow(TypeError);
  });
});
