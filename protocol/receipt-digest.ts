// A receipt's EIP-712 digest, computed directly: every capture, every check and every audit makes one, and a general encoder
// takes several times as long. Pure.
import { keccak_256 } from '@noble/hashes/sha3.js';
import { hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { toHex } from './hex.ts';

type Field = { readonly name: string; readonly type: string };
type Types = Readonly<Record<string, readonly Field[]>>;
type Struct = Readonly<Record<string, unknown>>;

type Keccak256 = (bytes: Uint8Array) => Uint8Array;

/**
 * Digests of one type of structure in one domain (EIP-712, "Specification of the eth_signTypedData JSON RPC"). A platform may
 * have a faster Keccak than plain JavaScript.
 */
export function structDigest(
  domain: { readonly name: string; readonly version: string },
  types: Types,
  primaryType: string,
  keccak256: Keccak256 = keccak_256,
): (message: object) => Hex {
  const typeHashes = new Map(
    Object.keys(types).map((name) => [name, keccak_256(utf8ToBytes(encodeType(name, types)))]),
  );
  const separator = keccak_256(
    words(
      keccak_256(utf8ToBytes('EIP712Domain(string name,string version)')),
      keccak_256(utf8ToBytes(domain.name)),
      keccak_256(utf8ToBytes(domain.version)),
    ),
  );

  /** One value in its word. @throws RangeError for one that its type does not have: a receipt's reader lets none in */
  function encode(data: Uint8Array, words: DataView, at: number, field: Field, value: unknown): void {
    const { name, type } = field;
    if (type === 'string' && typeof value === 'string') {
      data.set(keccak256(utf8ToBytes(value)), at);
    } else if (type === 'bool' && typeof value === 'boolean') {
      data[at + 31] = value ? 1 : 0;
    } else if ((type === 'bytes32' || type === 'address') && typeof value === 'string') {
      const bytes = hexToBytes(value.slice(2));
      if (bytes.length !== (type === 'address' ? 20 : 32)) throw new RangeError(`${name}: no ${type}`);
      data.set(bytes, at + 32 - bytes.length);
    } else if (type.startsWith('uint') && (typeof value === 'bigint' || Number.isSafeInteger(value))) {
      const uint = BigInt(value as bigint | number);
      if (uint < 0n || uint >> BigInt(type.slice(4)) > 0n) throw new RangeError(`${name}: no ${type}`);
      writeUint(words, at, uint);
    } else throw new RangeError(`${name}: no ${type}`);
  }

  /** hashStruct(s) = keccak256(typeHash || encodeData(s)) */
  function hashStruct(name: string, value: Struct): Uint8Array {
    const fields = types[name] ?? [];
    const data = new Uint8Array(32 * (fields.length + 1));
    data.set(typeHashes.get(name) ?? new Uint8Array(), 0);
    const words = new DataView(data.buffer);
    let at = 32;
    for (const field of fields) {
      const given = value[field.name];
      if (field.type in types) data.set(hashStruct(field.type, given as Struct), at);
      else encode(data, words, at, field, given);
      at += 32;
    }
    return keccak256(data);
  }

  return (message) => {
    const data = new Uint8Array(66);
    data.set([0x19, 0x01]);
    data.set(separator, 2);
    data.set(hashStruct(primaryType, message as Struct), 34);
    return toHex(keccak256(data));
  };
}

/** The type's own members, then those of the types it refers to, by name. */
function encodeType(primary: string, types: Types): string {
  const referred = new Set<string>();
  const visit = (name: string): void => {
    for (const { type } of types[name] ?? []) {
      if (type in types && !referred.has(type)) {
        referred.add(type);
        visit(type);
      }
    }
  };
  visit(primary);
  referred.delete(primary);
  return [primary, ...[...referred].sort()]
    .map((name) => `${name}(${(types[name] ?? []).map((field) => `${field.type} ${field.name}`).join(',')})`)
    .join('');
}

const words = (...parts: readonly Uint8Array[]): Uint8Array => {
  const joined = new Uint8Array(32 * parts.length);
  parts.forEach((part, i) => {
    joined.set(part, 32 * i);
  });
  return joined;
};

/** An unsigned integer of at most 256 bits, big-endian, in the zeroed word at `at`. */
function writeUint(words: DataView, at: number, value: bigint): void {
  words.setBigUint64(at + 24, value); // the low 64 bits: the rest is cut off
  if (value >> 64n === 0n) return;
  words.setBigUint64(at + 16, value >> 64n);
  words.setBigUint64(at + 8, value >> 128n);
  words.setBigUint64(at, value >> 192n);
}
