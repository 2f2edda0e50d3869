import type { Address, Hex } from 'viem';

/** One contract, as it was deployed. */
export type DeployedContract = {
  readonly address: Address;
  readonly transaction: Hex;
  readonly block: number;
  /** The constructor's, in its order; integers as decimal strings. */
  readonly arguments: readonly (string | readonly string[])[];
};

/** What `npm run deploy:contracts` has put on one chain. A part is there once it is mined and verified. */
export type DeploymentRecord = {
  readonly chainId: number;
  readonly vault?: DeployedContract;
  readonly anchor?: DeployedContract;
  readonly log?: {
    readonly logId: Hex;
    readonly owner: Address;
    readonly origin: string;
    readonly transaction: Hex;
  };
  readonly bond?: DeployedContract;
};
