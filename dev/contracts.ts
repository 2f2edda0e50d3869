import { type Abi, type Address, type Hex, parseEther, parseEventLogs } from 'viem';
import { agentVaultBytecode } from '../contracts-abi/generated/AgentVault.bytecode.ts';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { identityRegistryBytecode } from '../contracts-abi/generated/IdentityRegistry.bytecode.ts';
import { identityRegistryAbi } from '../contracts-abi/generated/IdentityRegistry.ts';
import { receiptAnchorBytecode } from '../contracts-abi/generated/ReceiptAnchor.bytecode.ts';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';
import type { ChainClient, Wallet } from './clients.ts';

const zeroAddress: Address = `0x${'00'.repeat(20)}`;

/** Sends a transaction and waits until it is mined; throws if it reverted. */
export async function mined(reader: ChainClient, hash: Hex) {
  const receipt = await reader.waitForTransactionReceipt({ hash, pollingInterval: 50 });
  if (receipt.status !== 'success') throw new Error(`transaction ${hash} reverted`);
  return receipt;
}

async function deploy(
  reader: ChainClient,
  wallet: Wallet,
  contract: { readonly abi: Abi; readonly bytecode: Hex; readonly args: readonly unknown[] },
): Promise<Address> {
  const { contractAddress } = await mined(reader, await wallet.deployContract(contract));
  if (!contractAddress) throw new Error('a deployment made no contract');
  return contractAddress.toLowerCase() as Address;
}

/** A local registry, ABI-compatible with ERC-8004 2.0.0: on real chains the official one is used. */
export const deployRegistry = (reader: ChainClient, wallet: Wallet): Promise<Address> =>
  deploy(reader, wallet, { abi: identityRegistryAbi, bytecode: identityRegistryBytecode, args: [] });

export const deployVault = (
  reader: ChainClient,
  wallet: Wallet,
  vault: {
    readonly registries: readonly Address[];
    readonly operator: Address;
    readonly payee: Address;
    /** Seconds. */
    readonly withdrawalDelay: bigint;
    readonly gatewayOrigin: string;
  },
): Promise<Address> =>
  deploy(reader, wallet, {
    abi: agentVaultAbi,
    bytecode: agentVaultBytecode,
    args: [
      vault.registries,
      zeroAddress,
      wallet.account.address,
      vault.operator,
      vault.payee,
      vault.withdrawalDelay,
      vault.gatewayOrigin,
    ],
  });

/** Deploys the anchor and opens a log on it; the wallet owns the log. */
export async function deployAnchor(
  reader: ChainClient,
  wallet: Wallet,
  log: {
    readonly origin: string;
    readonly sender: Address;
    readonly headKey: Address;
    readonly receiptKey: Address;
  },
): Promise<{ readonly anchor: Address; readonly logId: Hex }> {
  const anchor = await deploy(reader, wallet, {
    abi: receiptAnchorAbi,
    bytecode: receiptAnchorBytecode,
    args: [],
  });
  const opening = await reader.simulateContract({
    account: wallet.account,
    address: anchor,
    abi: receiptAnchorAbi,
    functionName: 'openLog',
    args: [log.origin, log.sender, log.headKey, log.receiptKey],
  });
  await mined(reader, await wallet.writeContract(opening.request));
  return { anchor, logId: opening.result };
}

/** Registers an agent, names its own key as spender and deposits for it. @returns its agentId */
export async function fundAgent(
  reader: ChainClient,
  owner: Wallet,
  where: { readonly registry: Address; readonly vault: Address },
  uri: string,
  deposit: bigint,
): Promise<bigint> {
  const agentId = await registerAgent(reader, owner, where.registry, uri);
  await setSpender(reader, owner, where, agentId, owner.account.address);
  await depositFor(reader, owner, where, agentId, deposit);
  return agentId;
}

/** Names the key that signs an agent's vouchers. */
export async function setSpender(
  reader: ChainClient,
  owner: Wallet,
  where: { readonly registry: Address; readonly vault: Address },
  agentId: bigint,
  spender: Address,
): Promise<void> {
  const hash = await owner.writeContract({
    address: where.vault,
    abi: agentVaultAbi,
    functionName: 'setSpender',
    args: [where.registry, agentId, spender],
  });
  await mined(reader, hash);
}

/** Deposits for an agent; anyone may. @returns the transaction */
export async function depositFor(
  reader: ChainClient,
  payer: Wallet,
  where: { readonly registry: Address; readonly vault: Address },
  agentId: bigint,
  amount: bigint,
): Promise<Hex> {
  const hash = await payer.writeContract({
    address: where.vault,
    abi: agentVaultAbi,
    functionName: 'deposit',
    args: [where.registry, agentId, amount],
    value: amount,
  });
  await mined(reader, hash);
  return hash;
}

export async function registerAgent(
  reader: ChainClient,
  owner: Wallet,
  registry: Address,
  uri: string,
): Promise<bigint> {
  const receipt = await mined(
    reader,
    await owner.writeContract({
      address: registry,
      abi: identityRegistryAbi,
      functionName: 'register',
      args: [uri],
    }),
  );
  const [registered] = parseEventLogs({
    abi: identityRegistryAbi,
    eventName: 'Registered',
    logs: receipt.logs,
  });
  if (registered === undefined) throw new Error('the registry did not say which agent it registered');
  return registered.args.agentId;
}

/** Gives an address asset to pay gas and deposits with. */
export const fund = async (
  reader: ChainClient,
  from: Wallet,
  to: Address,
  amount = parseEther('100'),
): Promise<void> => {
  await mined(reader, await from.sendTransaction({ to, value: amount }));
};
