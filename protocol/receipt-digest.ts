// A receipt's EIP-712 digest, computed directly: every capture, every check and every audit makes one, and a general encoder
// takes several times as long. Pure.
import { keccak_256 } from '@noble/hashes/sha3.js';
import { hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import type { Hex } from 'viem';
import { toHex } from './hex.ts';

type Field = { readonly name: string; readonly type: string };
type Types = Readonly<Record<string, readonly Field[]>>;
type Struct = Readonly<Record<string, unknown>>;

/** Digests of one type of structure in one domain (EIP-712, "Specification of the eth_signTypedData JSON RPC"). */
export function structDigest(
  domain: { readonly name: string; readonly version: string },
  types: Types,
  primaryType: string,
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

  /** hashStruct(s) = keccak256(typeHash || encodeData(s)) */
  function hashStruct(name: string, value: Struct): Uint8Array {
    const fields = types[name] ?? [];
    const data = new Uint8Array(32 * (fields.length + 1));
    data.set(typeHashes.get(name) ?? new Uint8Array(), 0);
    fields.forEach((field, i) => {
      const word = data.subarray(32 * (i + 1), 32 * (i + 2));
      const given = value[field.name];
      if (field.type in types) word.set(hashStruct(field.type, given as Struct));
      else encode(word, field, given);
    });
    return keccak_256(data);
  }

  return (message) => {
    const data = new Uint8Array(66);
    data.set([0x19, 0x01]);
    data.set(separator, 2);
    data.set(hashStruct(primaryType, message as Struct), 34);
    return toHex(keccak_256(data));
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

/** One value in its word. @throws RangeError for one that its type does not have: a receipt's reader lets none in */
function encode(word: Uint8Array, { name, type }: Field, value: unknown): void {
  if (type === 'string' && typeof value === 'string') {
    word.set(keccak_256(utf8ToBytes(value)));
  } else if (type === 'bool' && typeof value === 'boolean') {
    word[31] = value ? 1 : 0;
  } else if ((type === 'bytes32' || type === 'address') && typeof value === 'string') {
    const bytes = hexToBytes(value.slice(2));
    if (bytes.length !== (type === 'address' ? 20 : 32)) throw new RangeError(`${name}: no ${type}`);
    word.set(bytes, 32 - bytes.length);
  } else if (type.startsWith('uint') && (typeof value === 'bigint' || Number.isSafeInteger(value))) {
    let rest = BigInt(value as bigint | number);
    if (rest < 0n || rest >> BigInt(type.slice(4)) > 0n) throw new RangeError(`${name}: no ${type}`);
    for (let at = 31; rest > 0n; at -= 1, rest >>= 8n) word[at] = Number(rest & 0xffn);
  } else throw new RangeError(`${name}: no ${type}`);
}
