/** The head: size and root of a log as the chain knows them (docs/protocol.md, section 5). */
import { concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { type Address, encodeAbiParameters, type Hex, hashTypedData, keccak256 } from 'viem';
import { recoverDigest, signDigest } from '../ecdsa.ts';
import { toHex } from '../hex.ts';
import { keyIdOf } from './note.ts';

/** The EIP-712 type of a head. */
export const headTypes = {
  Head: [
    { name: 'logId', type: 'bytes32' },
    { name: 'size', type: 'uint64' },
    { name: 'root', type: 'bytes32' },
  ],
} as const;

/** Which log, on which anchor contract. `chainId` is the anchor's. */
export type LogDomain = { readonly chainId: number; readonly anchor: Address; readonly logId: Hex };

export type Head = LogDomain & { readonly size: number; readonly root: Uint8Array };

/** Signature type of notes signed by the head key: C2SP's "no type assigned", then our own identifier. */
const HEAD_TYPE = concatBytes(Uint8Array.of(0xff), utf8ToBytes('tallystick head v1'));

/** The id of a log: `keccak256(abi.encode(uint256 homeChainId, address anchor, address owner, string origin))`. */
export function logIdOf(log: {
  readonly chainId: number;
  readonly anchor: Address;
  readonly owner: Address;
  readonly origin: string;
}): Hex {
  return keccak256(
    encodeAbiParameters(
      [{ type: 'uint256' }, { type: 'address' }, { type: 'address' }, { type: 'string' }],
      [BigInt(log.chainId), log.anchor, log.owner, log.origin],
    ),
  );
}

/** The EIP-712 digest of a head: what the head key signs and the anchor checks. */
export function headDigest({ chainId, anchor, logId, size, root }: Head): Hex {
  return hashTypedData({
    domain: { name: 'tallystick ReceiptAnchor', version: '1', chainId, verifyingContract: anchor },
    types: headTypes,
    primaryType: 'Head',
    message: { logId, size: BigInt(size), root: toHex(root) },
  });
}

/** Signs a head's digest: 65 bytes `r || s || v`, v 27 or 28, low-s, always the same for the same input. */
export const signHead = (digest: Hex, privateKey: Hex): Hex => signDigest(digest, privateKey);

/** The address that signed a head's digest, lower-case; `undefined` when the signature is none. */
export const recoverHead = (digest: Hex, signature: Hex): Address | undefined =>
  recoverDigest(digest, signature);

/** The note key id of a head key: `sha256(origin || 0x0a || 0xff || "tallystick head v1" || address)[0:4]`. */
export const headKeyId = (origin: string, signer: Address): number =>
  keyIdOf(origin, concatBytes(HEAD_TYPE, hexToBytes(signer.slice(2))));
