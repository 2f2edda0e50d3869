// What GET /v1/account answers: the gateway's word, read strictly.
import type { Address } from 'viem';
import { parseUint } from '../protocol/decimal.ts';
import { parseAddress } from '../protocol/hex.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';

const amounts = [
  'deposited',
  'claimed',
  'withdrawn',
  'withdrawing',
  'voucher',
  'captured',
  'held',
  'available',
] as const;

/** Where the account stands, as the gateway sees it. Base units. */
export type AccountStanding = { readonly [K in (typeof amounts)[number]]: bigint } & {
  /** As `Agent-Id` writes it. */
  readonly agent: string;
  readonly vault: Address;
  readonly epoch: bigint;
  readonly spender: Address;
  /** Of the last receipt; 0 before the first. */
  readonly sequence: bigint;
};

/** Reads the answer. The error names the member at fault. */
export function readAccountStanding(json: unknown): Result<AccountStanding, string> {
  if (typeof json !== 'object' || json === null) return refuse('not an object');
  const members = json as Readonly<Record<string, unknown>>;
  const agent = members['agent'];
  const vault = parseAddress(members['vault']);
  const spender = parseAddress(members['spender']);
  const epoch = parseUint(members['epoch'], 64);
  const sequence = parseUint(members['sequence'], 64);
  if (
    typeof agent !== 'string' ||
    vault === undefined ||
    spender === undefined ||
    epoch === undefined ||
    sequence === undefined
  ) {
    return refuse('{agent, vault, spender, epoch, sequence}');
  }
  const read: [string, bigint][] = [];
  for (const name of amounts) {
    const amount = parseUint(members[name]);
    if (amount === undefined) return refuse(`${name}: base units as a decimal string`);
    read.push([name, amount]);
  }
  const figures = Object.fromEntries(read) as { [K in (typeof amounts)[number]]: bigint };
  return ok({ ...figures, agent, vault, spender, epoch, sequence });
}
