import { createRequire } from 'node:module';
import path from 'node:path';
import {
  type Abi,
  type Account,
  type Address,
  type Chain,
  createTestClient,
  custom,
  type Hex,
  type PublicClient,
  parseAbi,
  type Transport,
  type WalletClient,
} from 'viem';

/** 0G's turbo price in wei for a sector of 256 bytes. */
export const SECTOR_PRICE = 30_733_644_962n;
const BLOCKS_PER_EPOCH = 3750n;
/** Where the market sends fees. On the real chain that is the mining reward contract; here it only swallows them. */
const REWARD: Address = '0x00000000000000000000000000000000000e0a2d';

const initializers = parseAbi([
  'function initialize(uint256 pricePerSector, address flow, address reward)',
  'function initialize(address market, uint256 blocksPerEpoch)',
]);

interface Artifact {
  readonly abi: Abi;
  readonly bytecode: Hex;
}

/**
 * A contract as 0G's SDK ships it. The package exports neither the market's factory nor its own subpaths, so the
 * CommonJS file is loaded by path; ESM and type stripping do not come into it.
 */
function artifact(folder: 'flow' | 'market', name: string): Artifact {
  const require = createRequire(import.meta.url);
  const sdk = path.dirname(require.resolve('@0gfoundation/0g-ts-sdk'));
  const loaded: Record<string, Artifact | undefined> = require(
    path.join(sdk, 'contracts', folder, 'factories', `${name}__factory.js`),
  );
  const factory = loaded[`${name}__factory`];
  if (factory === undefined) throw new Error(`0G's SDK has no ${name}__factory`);
  return { abi: factory.abi, bytecode: factory.bytecode };
}

/**
 * Deploys 0G's own FixedPriceFlow and FixedPrice, from the bytecode in 0G's SDK, on a local anvil (it needs
 * `anvil_setCode`). The sending account becomes their admin. Throws if a transaction fails.
 */
export async function deployZeroG(clients: {
  readonly walletClient: WalletClient<Transport, Chain, Account>;
  readonly publicClient: PublicClient;
}): Promise<{ flow: Address; market: Address }> {
  const { walletClient, publicClient } = clients;
  const mined = async (hash: Hex): Promise<Address | null | undefined> => {
    const receipt = await publicClient.waitForTransactionReceipt({ hash, pollingInterval: 50 });
    if (receipt.status !== 'success') throw new Error(`deploying 0G's contracts: ${hash} reverted`);
    return receipt.contractAddress;
  };
  const deploy = async (contract: Artifact, args: readonly unknown[]): Promise<Address> => {
    const address = await mined(await walletClient.deployContract({ ...contract, args }));
    if (typeof address !== 'string') throw new Error('no contract address in the receipt');
    return address.toLowerCase() as Address;
  };

  // One STOP: accepts any call and any value.
  await createTestClient({ mode: 'anvil', transport: custom(publicClient) }).setCode({
    address: REWARD,
    bytecode: '0x00',
  });
  const market = await deploy(artifact('market', 'FixedPrice'), []);
  // The constructor's argument is a delay, in blocks, before the Flow takes submissions.
  const flow = await deploy(artifact('flow', 'FixedPriceFlow'), [0n]);
  await mined(
    await walletClient.writeContract({
      address: market,
      abi: initializers,
      functionName: 'initialize',
      args: [SECTOR_PRICE, flow, REWARD],
    }),
  );
  await mined(
    await walletClient.writeContract({
      address: flow,
      abi: initializers,
      functionName: 'initialize',
      args: [market, BLOCKS_PER_EPOCH],
    }),
  );
  return { flow, market };
}
