// A contract that is ready to be deployed: its code, and what its constructor is given.
import { type Abi, type Address, encodeDeployData, type Hex } from 'viem';
import type { Runtime } from '../contracts-abi/deployed-code.ts';
import { agentVaultBytecode } from '../contracts-abi/generated/AgentVault.bytecode.ts';
import { agentVaultRuntime } from '../contracts-abi/generated/AgentVault.runtime.ts';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { identityRegistryBytecode } from '../contracts-abi/generated/IdentityRegistry.bytecode.ts';
import { identityRegistryRuntime } from '../contracts-abi/generated/IdentityRegistry.runtime.ts';
import { identityRegistryAbi } from '../contracts-abi/generated/IdentityRegistry.ts';
import { operatorBondBytecode } from '../contracts-abi/generated/OperatorBond.bytecode.ts';
import { operatorBondRuntime } from '../contracts-abi/generated/OperatorBond.runtime.ts';
import { operatorBondAbi } from '../contracts-abi/generated/OperatorBond.ts';
import { receiptAnchorBytecode } from '../contracts-abi/generated/ReceiptAnchor.bytecode.ts';
import { receiptAnchorRuntime } from '../contracts-abi/generated/ReceiptAnchor.runtime.ts';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';

export type Deployable = {
  readonly name: string;
  readonly abi: Abi;
  readonly bytecode: Hex;
  readonly runtime: Runtime;
  /** The constructor's arguments, named for whoever reads the plan. */
  readonly arguments: readonly (readonly [name: string, value: unknown])[];
};

export type VaultSettings = {
  readonly registries: readonly Address[];
  /** The zero address for the native asset. */
  readonly asset: Address;
  readonly admin: Address;
  readonly operator: Address;
  readonly payee: Address;
  /** Seconds. */
  readonly withdrawalDelay: bigint;
  readonly gatewayOrigin: string;
};

export const vaultOf = (settings: VaultSettings): Deployable => ({
  name: 'AgentVault',
  abi: agentVaultAbi,
  bytecode: agentVaultBytecode,
  runtime: agentVaultRuntime,
  arguments: [
    ['registries', settings.registries],
    ['asset', settings.asset],
    ['admin', settings.admin],
    ['operator', settings.operator],
    ['payee', settings.payee],
    ['withdrawalDelay', settings.withdrawalDelay],
    ['gatewayOrigin', settings.gatewayOrigin],
  ],
});

export const anchorContract: Deployable = {
  name: 'ReceiptAnchor',
  abi: receiptAnchorAbi,
  bytecode: receiptAnchorBytecode,
  runtime: receiptAnchorRuntime,
  arguments: [],
};

export type BondSettings = {
  readonly anchor: Address;
  /** Base units. */
  readonly penalty: bigint;
  readonly challengeBond: bigint;
  /** Seconds. */
  readonly mergeDelay: number;
  readonly grace: number;
  readonly answerWindow: number;
};

export const bondOf = (settings: BondSettings): Deployable => ({
  name: 'OperatorBond',
  abi: operatorBondAbi,
  bytecode: operatorBondBytecode,
  runtime: operatorBondRuntime,
  arguments: [
    ['anchor', settings.anchor],
    ['penalty', settings.penalty],
    ['challengeBond', settings.challengeBond],
    ['mergeDelay', settings.mergeDelay],
    ['grace', settings.grace],
    ['answerWindow', settings.answerWindow],
  ],
});

/** A local registry, ABI-compatible with ERC-8004 2.0.0: on real chains the official one is used. */
export const localRegistry: Deployable = {
  name: 'IdentityRegistry',
  abi: identityRegistryAbi,
  bytecode: identityRegistryBytecode,
  runtime: identityRegistryRuntime,
  arguments: [],
};

/** The transaction's data: creation code, then the constructor's arguments. */
export const creationData = ({ abi, bytecode, arguments: named }: Deployable): Hex =>
  encodeDeployData({ abi, bytecode, args: named.map(([, value]) => value) });

/** Arguments as the record and the plan spell them. */
export const spelledArguments = (deployable: Deployable): (string | readonly string[])[] =>
  deployable.arguments.map(([, value]) => (Array.isArray(value) ? value.map(String) : String(value)));
