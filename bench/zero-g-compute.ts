// 0G Compute's own settlement, to measure beside ours: the bytecode that 0G's SDK carries (equal to mainnet's), from the npm
// registry, deployed as 0G deploys it, behind proxies.
import { type Address, concat, type Hex, keccak256, parseAbi, parseEther, toHex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { mined } from '../contracts/deploy-contract.ts';
import { type ChainClient, type Wallet, walletOf } from '../dev/clients.ts';
import { fund } from '../dev/contracts.ts';
import { filesOf, pinned } from './npm-artifacts.ts';

const sdk = '@0gfoundation/0g-compute-ts-sdk@0.9.0';
const factories = {
  LedgerManager: 'package/lib.commonjs/ledger/contract/typechain/factories/LedgerManager__factory.js',
  InferenceServing:
    'package/lib.commonjs/inference/contract/typechain/factories/InferenceServing__factory.js',
} as const;
const sha256 = {
  LedgerManager: 'd5791227d3c67c6d0629e09bed69281cb377cf8df4fe9bf0c8f01d9c76cb56d2',
  InferenceServing: '52e170984d8a3de14f7a6f9f8fb4db02572958448303e20e761524bb5fe141b2',
} as const;

export type ZeroGBytecode = Readonly<Record<keyof typeof factories, Hex>>;

/** Fetches the SDK from the npm registry and takes the two bytecodes out of it. @throws without the registry */
export function fetchBytecode(): ZeroGBytecode {
  const sources = filesOf(sdk, factories);
  const bytecode = (name: keyof typeof factories): Hex => {
    const [found] = /0x6080[0-9a-f]{10000,}/.exec(sources[name]) ?? [];
    if (found === undefined) throw new Error(`${sdk} has no bytecode for ${name}`);
    return pinned(`${sdk}, ${name}`, found as Hex, sha256[name]);
  };
  return { LedgerManager: bytecode('LedgerManager'), InferenceServing: bytecode('InferenceServing') };
}

const ledgerAbi = parseAbi([
  'function initialize(address owner)',
  'function registerService(string serviceType, string version, address serviceAddress, string description)',
  'function addLedger(string additionalInfo) payable returns (uint256, uint256)',
  'function transferFund(address provider, string serviceName, uint256 amount)',
]);
const servingAbi = parseAbi([
  'struct Service { string serviceType; string url; string model; string verifiability; uint256 inputPrice; uint256 outputPrice; string additionalInfo; address teeSignerAddress; }',
  'struct Settlement { address user; address provider; uint256 totalFee; bytes32 requestsHash; uint256 nonce; bytes signature; }',
  'function initialize(uint256 lockTime, address ledger, address owner)',
  'function addOrUpdateService(Service params) payable',
  'function acknowledgeTEESignerByOwner(address provider)',
  'function acknowledgeTEESigner(address provider, bool acknowledged)',
  'function settleFeesWithTEE(Settlement[] settlements) returns (uint8[])',
]);

/** EIP-1167: the cheapest proxy there is, so what is measured through it is in 0G's favour. */
const proxyTo = (implementation: Address): Hex =>
  concat(['0x3d602d80600a3d3981f3363d3d373d3d3d363d73', implementation, '0x5af43d82803e903d91602b57fd5bf3']);

const key = (word: string): Hex => keccak256(toHex(`0G compute bench ${word}`));

/**
 * What one settlement of each number of users costs: all have been settled with before, fees are below balances.
 * @returns whole transactions' gas, by number of users
 */
export async function measureSettlement(
  at: {
    readonly url: string;
    readonly chainId: number;
    readonly reader: ChainClient;
    readonly admin: Wallet;
  },
  bytecode: ZeroGBytecode,
  batches: readonly number[],
): Promise<ReadonlyMap<number, bigint>> {
  const { url, chainId, reader, admin } = at;
  const deploy = async (code: Hex): Promise<Address> => {
    const { contractAddress } = await mined(reader, await admin.sendTransaction({ data: code }));
    if (!contractAddress) throw new Error('a deployment made no contract');
    return contractAddress;
  };
  const ledger = await deploy(proxyTo(await deploy(bytecode.LedgerManager)));
  const serving = await deploy(proxyTo(await deploy(bytecode.InferenceServing)));
  const send = async (
    wallet: Wallet,
    address: Address,
    abi: typeof ledgerAbi | typeof servingAbi,
    functionName: string,
    args: readonly unknown[],
    value = 0n,
  ) => mined(reader, await wallet.writeContract({ address, abi, functionName, args, value } as never));

  await send(admin, ledger, ledgerAbi, 'initialize', [admin.account.address]);
  await send(admin, serving, servingAbi, 'initialize', [86_400n, ledger, admin.account.address]);
  await send(admin, ledger, ledgerAbi, 'registerService', ['inference', 'v1.0', serving, '']);
  const provider = walletOf(url, chainId, privateKeyToAccount(key('provider')));
  await fund(reader, admin, provider.account.address, parseEther('200'));
  const tee = privateKeyToAccount(key('tee'));
  const service = {
    serviceType: 'chatbot',
    url: 'https://provider.example',
    model: 'qwen3.6-plus',
    verifiability: 'TeeML',
    inputPrice: 50_000_000_000n,
    outputPrice: 100_000_000_000n,
    additionalInfo: '',
    teeSignerAddress: tee.address,
  };
  await send(provider, serving, servingAbi, 'addOrUpdateService', [service], parseEther('100'));
  await send(admin, serving, servingAbi, 'acknowledgeTEESignerByOwner', [provider.account.address]);

  const users = Array.from({ length: Math.max(...batches) }, (_, i) =>
    walletOf(url, chainId, privateKeyToAccount(key(`user ${i}`))),
  );
  for (const user of users) {
    await fund(reader, admin, user.account.address, parseEther('10'));
    await send(user, ledger, ledgerAbi, 'addLedger', [''], parseEther('5'));
    await send(user, ledger, ledgerAbi, 'transferFund', [
      provider.account.address,
      'inference-v1.0',
      parseEther('2'),
    ]);
    await send(user, serving, servingAbi, 'acknowledgeTEESigner', [provider.account.address, true]);
  }

  let nonce = 1_790_000_000_000n;
  const settle = async (count: number): Promise<bigint> => {
    nonce += 1n;
    const settlements = await Promise.all(
      users.slice(0, count).map(async ({ account }, i) => {
        const message = {
          requestsHash: keccak256(toHex(`requests ${nonce} ${i}`)),
          nonce,
          provider: provider.account.address,
          user: account.address,
          totalFee: 2_345_678_901_234_567n + BigInt(i) * 7_919n,
        };
        const signature = await tee.signTypedData({
          domain: { name: '0G Inference Serving', version: '1', chainId, verifyingContract: serving },
          types: {
            TEESettlement: [
              { name: 'requestsHash', type: 'bytes32' },
              { name: 'nonce', type: 'uint256' },
              { name: 'provider', type: 'address' },
              { name: 'user', type: 'address' },
              { name: 'totalFee', type: 'uint256' },
            ],
          },
          primaryType: 'TEESettlement',
          message,
        });
        return { ...message, signature };
      }),
    );
    const call = {
      account: provider.account,
      address: serving,
      abi: servingAbi,
      functionName: 'settleFeesWithTEE',
      args: [settlements],
    } as const;
    const { result } = await reader.simulateContract(call);
    if (result.some((status) => status !== 0)) throw new Error(`0G settled otherwise: ${result.join(' ')}`);
    const { gasUsed } = await send(provider, serving, servingAbi, 'settleFeesWithTEE', [settlements]);
    return gasUsed;
  };
  await settle(Math.max(...batches));
  const gas = new Map<number, bigint>();
  for (const count of batches) gas.set(count, await settle(count));
  return gas;
}
