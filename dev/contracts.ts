import { type Address, type Hex, parseEther, parseEventLogs } from 'viem';
import { deployContract, mined } from '../contracts/deploy-contract.ts';
import {
  anchorContract,
  type BondSettings,
  bondOf,
  localRegistry,
  type VaultSettings,
  vaultOf,
} from '../contracts/deployable.ts';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { identityRegistryAbi } from '../contracts-abi/generated/IdentityRegistry.ts';
import { operatorBondAbi } from '../contracts-abi/generated/OperatorBond.ts';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';
import type { ChainClient, Wallet } from './clients.ts';

const zeroAddress: Address = `0x${'00'.repeat(20)}`;

/** A local registry, ABI-compatible with ERC-8004 2.0.0: on real chains the official one is used. */
export const deployRegistry = async (reader: ChainClient, wallet: Wallet): Promise<Address> =>
  (await deployContract(reader, wallet, localRegistry)).address;

/** A vault for the chain's own asset, administered by the wallet. */
export const deployVault = async (
  reader: ChainClient,
  wallet: Wallet,
  vault: Omit<VaultSettings, 'asset' | 'admin'>,
): Promise<Address> => {
  const settings = { ...vault, asset: zeroAddress, admin: wallet.account.address };
  return (await deployContract(reader, wallet, vaultOf(settings))).address;
};

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
  const { address: anchor } = await deployContract(reader, wallet, anchorContract);
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

/** Deploys the bond for an anchor's logs. */
export const deployBond = async (
  reader: ChainClient,
  wallet: Wallet,
  settings: BondSettings,
): Promise<Address> => (await deployContract(reader, wallet, bondOf(settings))).address;

/** Adds to a log's bond; anyone may. */
export async function bondLog(
  reader: ChainClient,
  payer: Wallet,
  bond: Address,
  logId: Hex,
  amount: bigint,
): Promise<void> {
  const hash = await payer.writeContract({
    address: bond,
    abi: operatorBondAbi,
    functionName: 'bond',
    args: [logId],
    value: amount,
  });
  await mined(reader, hash);
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
