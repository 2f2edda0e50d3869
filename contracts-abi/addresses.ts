import type { Address } from 'viem';

// Addresses that are the same for everybody. A vault and an anchor belong to one operator and are configuration.

/** ERC-8004's registries, which have one address on all mainnets and one on all testnets. */
const MAINNET = {
  identity: '0x8004a169fb4a3325136eb29fa0ceb6d2e539a432',
  reputation: '0x8004baa17c55a88189ae136b182e5fda19de9b63',
} as const satisfies Record<string, Address>;

const TESTNET = {
  identity: '0x8004a818bfb912233c491871b3d84c89a494bd9e',
  reputation: '0x8004b663056a597dffe9eccc1965a193b7388713',
} as const satisfies Record<string, Address>;

/** ERC-8004's identity and reputation registries by chain id. */
export const erc8004Registries = {
  /** Ethereum */ 1: MAINNET,
  /** Optimism */ 10: MAINNET,
  /** BNB Smart Chain */ 56: MAINNET,
  /** Polygon */ 137: MAINNET,
  /** Base */ 8453: MAINNET,
  /** 0G Aristotle */ 16661: MAINNET,
  /** Arbitrum One */ 42161: MAINNET,
  /** 0G Galileo */ 16602: TESTNET,
  /** Base Sepolia */ 84532: TESTNET,
  /** Sepolia */ 11155111: TESTNET,
} as const;

/** 0G Storage's Flow contract by chain id. */
export const zeroGFlow = {
  /** 0G Aristotle */ 16661: '0x62d4144db0f0a6fbbaeb6296c785c71b3d57c526',
  /** 0G Galileo */ 16602: '0x22e03a6a89b950f1c82ec5e74f8eca321a105296',
} as const satisfies Record<number, Address>;
