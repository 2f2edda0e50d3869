import type { Address } from 'viem';

/** An agent's account: one agent of one registry in one vault on one chain (docs/protocol.md, section 2). */
export type Account = {
  readonly chainId: number;
  readonly vault: Address;
  readonly registry: Address;
  readonly agentId: bigint;
};

/** The account's name, which is also its Durable Object's: the vault is part of it, so staging and production never share one. */
export function accountName(account: Account): string {
  return `eip155:${account.chainId}:${account.vault.toLowerCase()}:${account.registry.toLowerCase()}:${account.agentId}`;
}

/** Reads a name made by {@link accountName}; `undefined` for anything else. */
export function parseAccountName(name: string): Account | undefined {
  const match = /^eip155:([1-9]\d{0,15}):(0x[0-9a-f]{40}):(0x[0-9a-f]{40}):(0|[1-9]\d{0,77})$/.exec(name);
  if (!match) return undefined;
  return {
    chainId: Number(match[1]),
    vault: match[2] as Address,
    registry: match[3] as Address,
    agentId: BigInt(match[4] as string),
  };
}
