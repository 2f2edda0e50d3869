import type { Account, Address, Chain, Hex, PublicClient, Transport, WalletClient } from 'viem';
import { codeFault } from '../contracts-abi/deployed-code.ts';
import { creationData, type Deployable } from './deployable.ts';

export type Reader = PublicClient<Transport, Chain>;
export type Deployer = WalletClient<Transport, Chain, Account>;

/** Sends a transaction's hash through to its receipt; throws if it reverted. */
export async function mined(reader: Reader, hash: Hex) {
  const receipt = await reader.waitForTransactionReceipt({ hash });
  if (receipt.status !== 'success') throw new Error(`transaction ${hash} reverted`);
  return receipt;
}

/** Deploys one contract, waits for it, and compares the code that is there now with the one that was meant. */
export async function deployContract(
  reader: Reader,
  deployer: Deployer,
  deployable: Deployable,
): Promise<{
  readonly address: Address;
  readonly transaction: Hex;
  readonly block: number;
  readonly gas: bigint;
}> {
  const transaction = await deployer.sendTransaction({ data: creationData(deployable) });
  const { contractAddress, blockNumber, gasUsed } = await mined(reader, transaction);
  if (!contractAddress) throw new Error(`${transaction} made no contract`);
  const address = contractAddress.toLowerCase() as Address;
  const fault = codeFault(await reader.getCode({ address }), deployable.runtime);
  if (fault) throw new Error(`${deployable.name} at ${address}: ${fault}`);
  return { address, transaction, block: Number(blockNumber), gas: gasUsed };
}
