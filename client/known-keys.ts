// Who signed, for signers that are met again and again: a known key's signature is verified in less than half the time that
// recovering an unknown one takes. Pure: what is remembered changes how long an answer takes, and never the answer.
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { concatBytes, hexToBytes } from '@noble/hashes/utils.js';
import type { Address, Hex } from 'viem';
import { recoverDigest } from '../protocol/ecdsa.ts';

type Point = InstanceType<typeof secp256k1.Point>;
const { Point } = secp256k1;
/** A deployment has one receipt key, and another after a rotation. */
const keptMax = 4;

export class KnownKeys {
  readonly #keys = new Map<Address, Point>();
  #last: Address | undefined;

  /** The address whose key made this signature: what `recoverDigest` says. */
  signerOf(digest: Hex, signature: Hex): Address | undefined {
    const parts = partsOf(signature);
    if (parts === undefined) return undefined;
    for (const [address, key] of this.#keys) if (isBy(key, digest, parts)) return address;
    const address = recoverDigest(digest, signature);
    // Preparing a key costs as much as several recoveries: not for one that is met once.
    if (address !== undefined && address === this.#last) this.#keep(address, digest, parts);
    this.#last = address;
    return address;
  }

  #keep(address: Address, digest: Hex, { bytes, isOdd }: Parts): void {
    const recovered = secp256k1.Signature.fromBytes(
      concatBytes(Uint8Array.of(isOdd ? 1 : 0), bytes),
      'recovered',
    ).recoverPublicKey(hexToBytes(digest.slice(2)));
    this.#keys.set(address, Point.fromBytes(recovered.toBytes()).precompute(8));
    for (const oldest of this.#keys.keys()) {
      if (this.#keys.size <= keptMax) return;
      this.#keys.delete(oldest);
    }
  }
}

type Parts = { readonly bytes: Uint8Array; readonly r: bigint; readonly s: bigint; readonly isOdd: boolean };

/** r, s and the parity of a signature; undefined unless it is 65 bytes, low-s, in range, v 27 or 28. */
function partsOf(signature: Hex): Parts | undefined {
  const v = signature.slice(130).toLowerCase();
  if (!/^0x[0-9a-fA-F]{130}$/.test(signature) || (v !== '1b' && v !== '1c')) return undefined;
  const bytes = hexToBytes(signature.slice(2, 130));
  const [r, s] = [BigInt(signature.slice(0, 66)), BigInt(`0x${signature.slice(66, 130)}`)];
  const { ORDER } = Point.Fn;
  return r > 0n && r < ORDER && s > 0n && s <= ORDER / 2n ? { bytes, r, s, isOdd: v === '1c' } : undefined;
}

/** SEC 1, 4.1.4, and that the point has the parity that recovery (4.1.6) would begin from. */
function isBy(key: Point, digest: Hex, { r, s, isOdd }: Parts): boolean {
  const { Fn } = Point;
  const inverse = Fn.inv(s);
  const [u1, u2] = [Fn.mul(Fn.create(BigInt(digest)), inverse), Fn.mul(r, inverse)];
  const sum = Point.BASE.multiplyUnsafe(u1).add(key.multiplyUnsafe(u2));
  if (sum.is0()) return false;
  const { x, y } = sum.toAffine();
  return x === r && (y & 1n) === (isOdd ? 1n : 0n);
}
