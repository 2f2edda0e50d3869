/** The name of a chain's object: one per chain. */
export const chainName = (chainId: number): string => `eip155:${chainId}`;
