import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { fromBase64, toBase64 } from '../protocol/base64.ts';
import {
  ed25519NoteKey,
  formatNote,
  formatVerifierKey,
  isKeyName,
  keyIdOf,
  type NoteKey,
  parseNote,
  parseVerifierKey,
  signEd25519,
  verifyNote,
} from '../protocol/log/note.ts';
import type { Result } from '../protocol/result.ts';

const runs = (n: number) => n * Number(process.env['LONG'] ?? 1);
vi.setConfig({ testTimeout: runs(15_000) });
const unwrap = <T, E>(result: Result<T, E>): T => {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
};

/** The example of C2SP signed-note, "Verifier keys". */
const EXAMPLE_VKEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
const EXAMPLE_NOTE =
  'This is an example message.\n\n' +
  '— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n';
/** The example at its top, whose key it does not give. */
const POEM =
  'Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n' +
  '— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n';

const keyFrom = (vkey: string): NoteKey => {
  const parsed = parseVerifierKey(vkey);
  if (parsed === undefined) throw new Error('not a vkey');
  return ed25519NoteKey(parsed.name, parsed.publicKey);
};

const seed = new Uint8Array(32).fill(1);
const nodeKey = createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]),
  format: 'der',
  type: 'pkcs8',
});
const publicKey = Uint8Array.from(
  createPublicKey(nodeKey).export({ format: 'der', type: 'spki' }).subarray(-32),
);

describe('signed notes (C2SP signed-note)', () => {
  it("verify the specification's example with its key", () => {
    const note = unwrap(parseNote(EXAMPLE_NOTE));
    expect(note.text).toBe('This is an example message.\n');
    const [signature] = unwrap(verifyNote(note, [keyFrom(EXAMPLE_VKEY)]));
    expect(signature).toMatchObject({ name: 'example.com/foo', keyId: 0x530d903a });
    expect(formatNote(note.text, note.signatures)).toBe(EXAMPLE_NOTE);
  });

  it('keep empty lines in the text: the last one separates', () => {
    const note = unwrap(parseNote(POEM));
    expect(note.text).toBe(POEM.slice(0, POEM.lastIndexOf('\n\n') + 1));
    expect(note.text).toContain('\n\n');
    expect(note.signatures).toHaveLength(1);
    expect(verifyNote(note, [keyFrom(EXAMPLE_VKEY)])).toEqual({ ok: false, error: 'unsigned' });
  });

  it('are signed as another Ed25519 signs, and verified by it', () => {
    const text = 'origin.example/log\n7\n';
    const { signature } = signEd25519('origin.example/log', text, seed);
    expect(Buffer.from(signature)).toEqual(sign(null, Buffer.from(text), nodeKey));
    expect(verify(null, Buffer.from(text), createPublicKey(nodeKey), signature)).toBe(true);
    expect(signEd25519('origin.example/log', text, seed).signature).toEqual(signature);
  });

  const key = ed25519NoteKey('a', publicKey);
  const text = 'text\n';
  const good = signEd25519('a', text, seed);
  const stranger = signEd25519('b', text, new Uint8Array(32).fill(2));
  const noteOf = (...signatures: (typeof good)[]) => unwrap(parseNote(formatNote(text, signatures)));

  it('ignore unknown keys, even of the same name or id', () => {
    const sameName = { ...stranger, name: 'a' };
    const sameId = { ...stranger, keyId: good.keyId };
    expect(unwrap(verifyNote(noteOf(stranger, sameName, sameId, good), [key]))).toEqual([good]);
    expect(verifyNote(noteOf(stranger, sameName, sameId), [key])).toEqual({ ok: false, error: 'unsigned' });
  });

  it('are rejected whole for one bad signature by a known key, wherever it stands', () => {
    const bad = { ...good, signature: good.signature.map((byte, i) => (i === 9 ? byte ^ 1 : byte)) };
    const short = { ...good, signature: good.signature.slice(1) };
    const long = { ...good, signature: concatBytes(good.signature, Uint8Array.of(0)) };
    for (const forged of [bad, short, long]) {
      expect(verifyNote(noteOf(forged), [key])).toEqual({ ok: false, error: 'bad_signature' });
      expect(verifyNote(noteOf(good, forged), [key])).toEqual({ ok: false, error: 'bad_signature' });
    }
    expect(verifyNote({ text: 'other\n', signatures: [good] }, [key])).toEqual({
      ok: false,
      error: 'bad_signature',
    });
  });

  it('are refused when two known keys share name and id', () => {
    expect(verifyNote(noteOf(good), [key, key])).toEqual({ ok: false, error: 'ambiguous_key' });
    expect(unwrap(verifyNote(noteOf(good), [ed25519NoteKey('b', publicKey), key]))).toEqual([good]);
  });

  it('reject a key of small order, with which anybody could sign', () => {
    const smallOrder = Uint8Array.of(1, ...new Uint8Array(31));
    const weak = ed25519NoteKey('a', smallOrder);
    const forged = concatBytes(smallOrder, new Uint8Array(32));
    expect(weak.verify(text, forged)).toBe(false);
  });

  const line = EXAMPLE_NOTE.slice(EXAMPLE_NOTE.indexOf('—'));
  const base64 = line.slice(line.lastIndexOf(' ') + 1, -1);
  it.each([
    ['nothing', ''],
    ['no signatures', 'text\n'],
    ['an empty line and no signatures', 'text\n\n'],
    ['no empty line', `text\n${line}`],
    ['no final newline', `text\n\n${line.slice(0, -1)}`],
    ['a line that is no signature', `text\n\n${line}hello\n`],
    ['a hyphen for the dash', `text\n\n-${line.slice(1)}`],
    ['an empty name', `text\n\n—  ${base64}\n`],
    ['a plus in the name', `text\n\n— a+b ${base64}\n`],
    ['a space in the name', `text\n\n— a b ${base64}\n`],
    ['a no-break space in the name', `text\n\n— a\u00a0b ${base64}\n`],
    ['a next-line character in the name', `text\n\n— a\u0085b ${base64}\n`],
    ['a line separator in the name', `text\n\n— a\u2028b ${base64}\n`],
    ['no signature bytes', 'text\n\n— a AAAAAA==\n'],
    ['bad base64', `text\n\n— a ${base64.slice(0, -1)}\n`],
    ['spare bits in base64', 'text\n\n— a AAAAAAB=\n'],
    ['a trailing space', `text\n\n— a ${base64} \n`],
    ['a carriage return', `text\r\n\n${line}`],
    ['a tab', `te\txt\n\n${line}`],
    ['a NUL', `te\0xt\n\n${line}`],
    ['a lone surrogate', `te\ud800xt\n\n${line}`],
    ['101 signatures', `text\n\n${line.repeat(101)}`],
  ])('refuse %s', (_, note) => {
    expect(parseNote(note)).toEqual({ ok: false, error: 'malformed' });
  });

  it('take a hundred signatures', () => {
    expect(unwrap(parseNote(`text\n\n${line.repeat(100)}`)).signatures).toHaveLength(100);
  });

  it('never throw on any text, and take nothing they would not have written', () => {
    const pieces = fc.constantFrom(
      'text',
      '\n',
      '\n\n',
      '— ',
      'a',
      ' ',
      base64,
      line,
      '+',
      '\u0007',
      'è',
      '=',
    );
    const any = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join('')),
      fc.array(pieces, { maxLength: 4 }).map((parts) => `${parts.join('')}\n\n${line}`),
    );
    fc.assert(
      fc.property(any, (candidate) => {
        const note = parseNote(candidate);
        if (note.ok) expect(formatNote(note.value.text, note.value.signatures)).toBe(candidate);
      }),
      { numRuns: runs(1_000), seed: 1 },
    );
  });

  it('refuse to be formatted with a text or name that would not read back', () => {
    expect(() => formatNote('no newline', [good])).toThrow(TypeError);
    expect(() => formatNote('bell\u0007\n', [good])).toThrow(TypeError);
    expect(() => formatNote(text, [{ ...good, name: 'a b' }])).toThrow(TypeError);
    expect(() => formatNote(text, [{ ...good, signature: new Uint8Array() }])).toThrow(TypeError);
    expect(() => formatNote(text, [])).toThrow(RangeError);
  });
});

describe('verifier keys', () => {
  it("round-trip the specification's example", () => {
    const parsed = parseVerifierKey(EXAMPLE_VKEY);
    expect(parsed?.name).toBe('example.com/foo');
    expect(formatVerifierKey('example.com/foo', parsed?.publicKey ?? new Uint8Array())).toBe(EXAMPLE_VKEY);
  });

  it('refuse every substring and every changed character', () => {
    for (let from = 0; from < EXAMPLE_VKEY.length; from++) {
      for (let to = from; to <= EXAMPLE_VKEY.length; to++) {
        if (to - from < EXAMPLE_VKEY.length) {
          expect(parseVerifierKey(EXAMPLE_VKEY.slice(from, to))).toBeUndefined();
        }
      }
      const next = String.fromCharCode(EXAMPLE_VKEY.charCodeAt(from) + 1);
      expect(
        parseVerifierKey(EXAMPLE_VKEY.slice(0, from) + next + EXAMPLE_VKEY.slice(from + 1)),
      ).toBeUndefined();
    }
  });

  it('refuse other types, other lengths and capital hex, key id adjusted', () => {
    const vkeyOf = (typedKey: Uint8Array) =>
      `a+${keyIdOf('a', typedKey).toString(16).padStart(8, '0')}+${toBase64(typedKey)}`;
    expect(parseVerifierKey(vkeyOf(concatBytes(Uint8Array.of(1), publicKey)))).toEqual({
      name: 'a',
      publicKey,
    });
    expect(parseVerifierKey(vkeyOf(concatBytes(Uint8Array.of(2), publicKey)))).toBeUndefined();
    expect(parseVerifierKey(vkeyOf(concatBytes(Uint8Array.of(1), publicKey.slice(1))))).toBeUndefined();
    expect(parseVerifierKey(vkeyOf(Uint8Array.of(1)))).toBeUndefined();
    expect(parseVerifierKey(EXAMPLE_VKEY.replace('530d903a', '530D903A'))).toBeUndefined();
    expect(() => formatVerifierKey('a', publicKey.slice(1))).toThrow(TypeError);
    expect(() => formatVerifierKey('a b', publicKey)).toThrow(TypeError);
  });

  it('know what a name is', () => {
    expect(['a', 'example.com/log', 'è'].map(isKeyName)).toEqual([true, true, true]);
    expect(['', 'a b', 'a+b', 'a\nb', 'a\u3000b', 'a\u0001b'].some(isKeyName)).toBe(false);
  });
});

describe('base64', () => {
  it('is what others write, and has one spelling', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const text = toBase64(bytes);
        expect(text).toBe(Buffer.from(bytes).toString('base64'));
        expect(fromBase64(text)).toEqual(bytes);
      }),
      { numRuns: runs(200), seed: 2 },
    );
    for (const bad of [
      'A',
      'AA',
      'AAA',
      'AB==',
      'AAB=',
      'AA=A',
      '====',
      'A===',
      ' AAA',
      'AAA\n',
      'AA-_',
      'é===',
    ]) {
      expect(fromBase64(bad), bad).toBeUndefined();
    }
    expect(fromBase64('')).toEqual(new Uint8Array());
    expect(utf8ToBytes('')).toEqual(fromBase64(''));
  });
});
