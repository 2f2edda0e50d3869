// A thousand agents at once: each with an identity and a deposit of its own, made by real transactions of the agent's own address, a
// block or two for each step instead of one for each transaction.
import { createHash } from 'node:crypto';
import { type Address, encodeFunctionData, type Hex, numberToHex, parseEther } from 'viem';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { identityRegistryAbi } from '../contracts-abi/generated/IdentityRegistry.ts';
import type { LocalAgent, Stack } from '../dev/stack.ts';
import { addressOfKey } from '../protocol/ecdsa.ts';

/** What JSON-RPC is asked for in one HTTP request. */
const together = 250;

type Transaction = { readonly from: Address; readonly to: Address; readonly data: Hex; readonly value?: Hex };

/**
 * Registers so many agents on the stack's chain, names each one's own key its spender and deposits for it. The addresses' balances are
 * anvil's gift, and anvil takes their word for their transactions; contracts, state and events are those of any agent.
 */
export async function registerMany(stack: Stack, count: number, deposit: bigint): Promise<LocalAgent[]> {
  const { rpcUrl, reader, identityRegistry: registry, vault } = stack;
  const owners = Array.from({ length: count }, (_, number) => {
    const privateKey: Hex = `0x${createHash('sha256').update(`tallystick bench agent ${number}`).digest('hex')}`;
    return { privateKey, address: addressOfKey(privateKey).toLowerCase() as Address };
  });
  await rpc(rpcUrl, [
    ['anvil_autoImpersonateAccount', [true]],
    ['evm_setAutomine', [false]],
    ['evm_setBlockGasLimit', [numberToHex(10n ** 10n)]],
  ]);
  const balance = numberToHex(deposit + parseEther('1'));
  await rpc(
    rpcUrl,
    owners.map(({ address }) => ['anvil_setBalance', [address, balance]]),
  );
  const firstBlock = await reader.getBlockNumber();
  const sendAll = async (transactions: readonly Transaction[]): Promise<void> => {
    const hashes = await rpc(
      rpcUrl,
      transactions.map((transaction) => [
        'eth_sendTransaction',
        [{ ...transaction, gas: numberToHex(500_000) }],
      ]),
    );
    await rpc(rpcUrl, [['anvil_mine', ['0x1']]]);
    const receipts = (await rpc(
      rpcUrl,
      hashes.map((hash) => ['eth_getTransactionReceipt', [hash]]),
    )) as ({ readonly status: Hex } | null)[];
    const good = receipts.filter((receipt) => receipt?.status === '0x1').length;
    if (good !== transactions.length)
      throw new Error(`${good} of ${transactions.length} transactions were good`);
  };

  await sendAll(
    owners.map(({ address }) => ({
      from: address,
      to: registry,
      data: encodeFunctionData({ abi: identityRegistryAbi, functionName: 'register', args: [''] }),
    })),
  );
  const events = await reader.getContractEvents({
    address: registry,
    abi: identityRegistryAbi,
    eventName: 'Registered',
    fromBlock: firstBlock,
    strict: true,
  });
  const idOf = new Map(events.map(({ args }) => [args.owner.toLowerCase(), args.agentId]));
  const agents = owners.map(({ privateKey, address }) => {
    const agentId = idOf.get(address);
    if (agentId === undefined) throw new Error(`${address} has no agent`);
    return { privateKey, address, agentId };
  });
  await sendAll(
    agents.map(({ address, agentId }) => ({
      from: address,
      to: vault,
      data: encodeFunctionData({
        abi: agentVaultAbi,
        functionName: 'setSpender',
        args: [registry, agentId, address],
      }),
    })),
  );
  await sendAll(
    agents.map(({ address, agentId }) => ({
      from: address,
      to: vault,
      value: numberToHex(deposit),
      data: encodeFunctionData({
        abi: agentVaultAbi,
        functionName: 'deposit',
        args: [registry, agentId, deposit],
      }),
    })),
  );
  await rpc(rpcUrl, [
    ['anvil_autoImpersonateAccount', [false]],
    // Blocks by the clock from now on; anvil's mixed mining, with which it was started, cannot be had back.
    ['evm_setIntervalMining', [1]],
  ]);
  return agents.map((agent) => ({ ...agent, agentId: `${agent.agentId}` }));
}

/** JSON-RPC calls in batches, in order. @returns the results; throws at the first error */
async function rpc(url: string, calls: readonly (readonly [method: string, params: readonly unknown[]])[]) {
  const results: unknown[] = [];
  for (let from = 0; from < calls.length; from += together) {
    const batch = calls
      .slice(from, from + together)
      .map(([method, params], id) => ({ jsonrpc: '2.0', id, method, params }));
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(batch),
    });
    const answers = (await response.json()) as {
      id: number;
      result?: unknown;
      error?: { message: string };
    }[];
    for (const { error, result } of answers.toSorted((a, b) => a.id - b.id)) {
      if (error) throw new Error(error.message);
      results.push(result);
    }
  }
  return results;
}
