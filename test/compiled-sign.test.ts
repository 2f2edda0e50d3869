// Receipts are signed by libsecp256k1 in WebAssembly; everybody else signs and checks with @noble/curves. The same bytes, always.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { compiledSign } from '../compiled/sign.ts';
import { addressOfKey, recoverDigest, signDigest } from '../protocol/ecdsa.ts';
import { toHex } from '../protocol/hex.ts';

const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const word = (value: bigint) => `0x${value.toString(16).padStart(64, '0')}` as const;
const runs = 200 * Number(process.env['LONG'] ?? 1);
const folder = path.join(import.meta.dirname, '../compiled');

let compiled: WebAssembly.Module;
beforeAll(() => {
  execFileSync(process.execPath, [path.join(folder, 'build-wasm.mjs')]);
  compiled = new WebAssembly.Module(readFileSync(path.join(folder, 'libsecp256k1.wasm')));
});

describe('compiled signing', () => {
  test('gives the bytes that noble gives, for any digest and key', () => {
    const sign = compiledSign(compiled);
    const scalar = fc.bigInt({ min: 1n, max: order - 1n });
    const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(bytes32, scalar, (bytes, key) => {
        const digest = toHex(bytes);
        const signature = sign(digest, word(key));
        expect(signature).toBe(signDigest(digest, word(key)));
        expect(recoverDigest(digest, signature)).toBe(addressOfKey(word(key)));
      }),
      { numRuns: runs, seed: 6_979 },
    );
  });

  test('also at the edges of keys and digests', () => {
    const sign = compiledSign(compiled);
    for (const key of [1n, 2n, order >> 1n, order - 1n])
      for (const digest of [0n, 1n, order - 1n, order, order + 1n, (1n << 256n) - 1n])
        expect(sign(word(digest), word(key))).toBe(signDigest(word(digest), word(key)));
  });

  test('refuses what is no key or no digest', () => {
    const sign = compiledSign(compiled);
    for (const key of [0n, order, (1n << 256n) - 1n])
      expect(() => sign(word(5n), word(key))).toThrow(/cannot sign/);
    expect(() => sign('0x00', word(1n))).toThrow(/32 bytes/);
    expect(() => sign(word(1n), '0x01')).toThrow(/32 bytes/);
  });

  test('leaves no key in memory', () => {
    let memory = new ArrayBuffer(0);
    const instance = WebAssembly.Instance;
    const sign = compiledSign(compiled);
    class Watched extends instance {
      constructor(...given: ConstructorParameters<typeof WebAssembly.Instance>) {
        super(...given);
        memory = (this.exports['memory'] as WebAssembly.Memory).buffer;
      }
    }
    WebAssembly.Instance = Watched;
    try {
      sign(word(7n), word(0x1234_5678_9abc_def0_1122_3344_5566_7788n));
    } finally {
      WebAssembly.Instance = instance;
    }
    expect(memory.byteLength).toBeGreaterThan(0);
    expect(Buffer.from(memory).includes(Buffer.from('123456789abcdef01122334455667788', 'hex'))).toBe(false);
  });
});
