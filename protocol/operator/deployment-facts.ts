// What a deployment says of itself to its operator: GET /operator/doctor. Facts only; what is wrong with them is for whoever
// reads them to say. JSON: amounts are decimal strings. No secret is in it, nor any part of one.
import type { Address, Hex } from 'viem';

/** A secret or a variable that holds a key. */
export type SecretState = 'set' | 'missing' | 'malformed';

export type NodeFacts = {
  /** The URL's host: the rest may be a key. */
  readonly host: string;
  readonly chainId: number | null;
  /** Time of its newest block, Unix seconds. */
  readonly blockTime: number | null;
  readonly error: string | null;
};

export type ChainFacts = {
  readonly chainId: number;
  readonly vault: Address;
  readonly registries: readonly Address[];
  readonly asset: { readonly symbol: string; readonly decimals: number };
  readonly depositDepth: number;
  readonly settleMarginSeconds: number;
  readonly maxFeePerGas: string;
  readonly nodes: readonly NodeFacts[];
  /** The operator key's, base units; null when no node answered. */
  readonly operatorBalance: string | null;
  readonly gasPrice: string | null;
};

export type UpstreamFacts = {
  readonly name: string;
  /** Of GET <base>/models with the configured key; null when there was no answer. */
  readonly status: number | null;
  readonly error: string | null;
};

export type Deployed = {
  readonly publicOrigin: string;
  readonly holdSeconds: number;
  readonly operator: Address;
  readonly headKey: Address;
  readonly receiptKey: Address;
  readonly checkpointKey: string;
  readonly chains: readonly ChainFacts[];
  readonly log: {
    readonly chainId: number;
    readonly anchor: Address;
    readonly logId: Hex;
    readonly owner: Address;
    readonly origin: string;
    readonly publishEverySeconds: number;
    readonly mergeDelay: number;
  };
  readonly da: {
    readonly kind: string;
    /** Flow or DAEntrance, on the home chain. */
    readonly contract: Address;
    /** What is wrong with the endpoint; null when it answered as it should. */
    readonly error: string | null;
  };
  readonly upstreams: readonly UpstreamFacts[];
};

export type DeploymentFacts = {
  readonly nowMs: number;
  /** The request's URL as the Worker was given it. */
  readonly url: string;
  /** Bindings by name: whether they are there and answer. */
  readonly bindings: Readonly<Record<string, boolean>>;
  readonly secrets: Readonly<Record<string, SecretState>>;
  /** What is wrong with the configuration; null when it reads. */
  readonly configuration: string | null;
  /** Null when the configuration does not read, or a key is missing. */
  readonly deployed: Deployed | null;
};

/** The least an operator's token has to be long. */
export const operatorTokenMin = 32;
