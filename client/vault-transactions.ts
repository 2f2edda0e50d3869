// What an agent's owner does on the chain: register, name a spender, deposit, withdraw. Each resolves when it is mined.
import {
  type Address,
  BaseError,
  type Chain,
  type ContractFunctionArgs,
  createPublicClient,
  createWalletClient,
  decodeErrorResult,
  defineChain,
  encodeFunctionData,
  type Hex,
  http,
  InsufficientFundsError,
  type PublicClient,
  parseEventLogs,
  type TransactionReceipt,
  type Transport,
  type Account as ViemAccount,
  type WalletClient,
} from 'viem';
import { agentVaultAbi } from '../contracts-abi/generated/AgentVault.ts';
import { identityRegistryAbi } from '../contracts-abi/generated/IdentityRegistry.ts';
import type { Account } from '../protocol/account-name.ts';
import { AgentError } from './agent-error.ts';

/** A chain, and who sends. */
export type Sender = {
  readonly reader: PublicClient<Transport, Chain>;
  readonly wallet: WalletClient<Transport, Chain, ViemAccount>;
};

/** One transaction that was mined. */
export type Mined<T = undefined> = {
  readonly transaction: Hex;
  readonly blockNumber: bigint;
  readonly value: T;
};

/** Connects an account to a node. Throws AgentError `chain_unavailable` when it cannot be asked or serves another chain. */
export async function senderOf(
  account: ViemAccount,
  node: { readonly rpcUrl: string; readonly chainId: number; readonly symbol?: string },
): Promise<Sender> {
  const { rpcUrl, chainId, symbol = 'ETH' } = node;
  const chain = defineChain({
    id: chainId,
    name: `chain ${chainId}`,
    nativeCurrency: { name: symbol, symbol, decimals: 18 },
    rpcUrls: { default: { http: [rpcUrl] } },
  });
  const transport = http(rpcUrl);
  const reader = createPublicClient({ chain, transport, pollingInterval: 500 });
  let served: number;
  try {
    served = await reader.getChainId();
  } catch (cause) {
    throw new AgentError('chain_unavailable', `No node answers at ${rpcUrl}.`, { cause });
  }
  if (served !== chainId) {
    throw new AgentError(
      'chain_unavailable',
      `${rpcUrl} serves chain ${served}, chain ${chainId} is needed.`,
    );
  }
  return { reader, wallet: createWalletClient({ account, chain, transport, pollingInterval: 500 }) };
}

/** Registers an agent in an ERC-8004 registry; the sender owns it. `uri` is its registration file. @returns its agentId */
export async function registerAgent(sender: Sender, registry: Address, uri: string): Promise<Mined<bigint>> {
  const call = {
    address: registry,
    abi: identityRegistryAbi,
    functionName: 'register',
    args: [uri],
  } as const;
  const { request } = await explained(() =>
    sender.reader.simulateContract({ ...call, account: sender.wallet.account }),
  );
  const receipt = await mined(sender, () => sender.wallet.writeContract(request));
  const [event] = parseEventLogs({ abi: identityRegistryAbi, eventName: 'Registered', logs: receipt.logs });
  if (event === undefined) {
    throw new AgentError(
      'transaction_failed',
      `Transaction ${receipt.transactionHash} registered nothing: is ${registry} an ERC-8004 registry?`,
    );
  }
  return { ...placeOf(receipt), value: event.args.agentId };
}

/** Says whose vouchers the vault pays for the agent: at once where nobody is named yet, else after the vault's delay. */
export const setSpender = (sender: Sender, account: Account, spender: Address): Promise<Mined> =>
  send(sender, account, encode({ functionName: 'setSpender', args: [...agentOf(account), spender] }));

/** Carries out a spender change whose time has come. */
export const completeSpenderChange = (sender: Sender, account: Account): Promise<Mined> =>
  send(sender, account, encode({ functionName: 'completeSpenderChange', args: agentOf(account) }));

/** Adds to the agent's deposit, base units of the chain's native asset. Anyone may. */
export const deposit = (sender: Sender, account: Account, amount: bigint): Promise<Mined> =>
  send(sender, account, encode({ functionName: 'deposit', args: [...agentOf(account), amount] }), amount);

/** Starts a withdrawal of at most `amount`, to `recipient`. Only the agent's owner. More than there is means all there is. */
export const startWithdrawal = (
  sender: Sender,
  account: Account,
  amount: bigint,
  recipient: Address,
): Promise<Mined> =>
  send(
    sender,
    account,
    encode({ functionName: 'startWithdrawal', args: [...agentOf(account), amount, recipient] }),
  );

/** Sends a withdrawal whose time has come. Only who started it. @returns what went out, base units */
export async function completeWithdrawal(sender: Sender, account: Account): Promise<Mined<bigint>> {
  const data = encode({ functionName: 'completeWithdrawal', args: agentOf(account) });
  const receipt = await transact(sender, account.vault, data, 0n);
  const [event] = parseEventLogs({
    abi: agentVaultAbi,
    eventName: 'WithdrawalCompleted',
    logs: receipt.logs,
  });
  return { ...placeOf(receipt), value: event?.args.amount ?? 0n };
}

/** Gives a pending withdrawal up. Only the agent's owner. */
export const cancelWithdrawal = (sender: Sender, account: Account): Promise<Mined> =>
  send(sender, account, encode({ functionName: 'cancelWithdrawal', args: agentOf(account) }));

type VaultFunction =
  | 'setSpender'
  | 'completeSpenderChange'
  | 'deposit'
  | 'startWithdrawal'
  | 'completeWithdrawal'
  | 'cancelWithdrawal';
type VaultCall = {
  [Name in VaultFunction]: {
    readonly functionName: Name;
    readonly args: ContractFunctionArgs<typeof agentVaultAbi, 'nonpayable' | 'payable', Name>;
  };
}[VaultFunction];

const encode = (call: VaultCall): Hex => encodeFunctionData({ abi: agentVaultAbi, ...call });

const agentOf = ({ registry, agentId }: Account) => [registry, agentId] as const;

const send = async (sender: Sender, { vault }: Account, data: Hex, value = 0n): Promise<Mined> => ({
  ...placeOf(await transact(sender, vault, data, value)),
  value: undefined,
});

async function transact(
  { reader, wallet }: Sender,
  to: Address,
  data: Hex,
  value: bigint,
): Promise<TransactionReceipt> {
  // Asked first: what would fail is told for nothing, with its reason.
  await explained(() => reader.call({ account: wallet.account, to, data, value }));
  return mined({ reader, wallet }, () => wallet.sendTransaction({ to, data, value }));
}

async function mined({ reader }: Sender, work: () => Promise<Hex>): Promise<TransactionReceipt> {
  const hash = await explained(work);
  const receipt = await explained(() => reader.waitForTransactionReceipt({ hash, timeout: 180_000 }));
  if (receipt.status === 'success') return receipt;
  throw new AgentError('transaction_failed', `Transaction ${hash} reverted in block ${receipt.blockNumber}.`);
}

const placeOf = ({ transactionHash, blockNumber }: TransactionReceipt) => ({
  transaction: transactionHash,
  blockNumber,
});

/** What the vault's and the registry's errors mean to whoever sent the transaction. */
const meanings: Readonly<Record<string, string>> = {
  NoSuchAgent: 'The registry knows no such agent: check the Agent-Id, or register.',
  NotAgentOwner: 'Only the agent’s owner may do this: use the key that registered it.',
  NotStarter: 'Only the address that started the withdrawal may complete it.',
  StarterNotOwner: 'Whoever started this does not own the agent any more: it is void.',
  NothingPending: 'Nothing of the kind is pending.',
  NotReady: 'The delay is not over.',
  ZeroAmount: 'The amount is zero, or there is nothing left.',
  AmountTooLarge: 'The amount is above what the vault can hold.',
  IsPaused: 'The vault takes no deposits at present (it is paused). Withdrawals go on.',
  RegistryNotServed: 'This vault does not serve agents of this registry.',
};

async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof AgentError) throw cause;
    if (!(cause instanceof BaseError)) throw cause;
    const refused = revertName(cause);
    if (refused !== undefined) {
      const why = meanings[refused] ?? `The contract refuses: ${refused}.`;
      throw new AgentError('transaction_failed', `${why} Nothing was sent.`, { cause });
    }
    const poor = cause.walk((error) => error instanceof InsufficientFundsError);
    if (poor || /insufficient funds|exceeds the balance/i.test(cause.message)) {
      throw new AgentError(
        'transaction_failed',
        'The address has too little of the chain’s asset for the amount and its gas. Nothing was sent.',
        { cause },
      );
    }
    throw new AgentError('chain_unavailable', `The chain could not be asked: ${cause.shortMessage}`, {
      cause,
    });
  }
}

/** The contract's own error, by name; undefined where it was not the contract that refused. */
function revertName(error: BaseError): string | undefined {
  const raw = error.walk((inner) => typeof (inner as { data?: unknown }).data === 'string');
  const data = (raw as { data?: unknown } | null)?.data;
  if (typeof data !== 'string' || data.length < 10) return undefined;
  for (const abi of [agentVaultAbi, identityRegistryAbi]) {
    try {
      return decodeErrorResult({ abi, data: data as Hex }).errorName;
    } catch {
      // an error of another contract
    }
  }
  return data.slice(0, 10);
}
