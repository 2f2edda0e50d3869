// `doctor --operator`: gathers what the Worker says of itself and what the chain says of its contracts, for judging.
import { type Address, createPublicClient, http, type PublicClient } from 'viem';
import { codeFault } from '../../contracts-abi/deployed-code.ts';
import { agentVaultRuntime } from '../../contracts-abi/generated/AgentVault.runtime.ts';
import { agentVaultAbi } from '../../contracts-abi/generated/AgentVault.ts';
import { receiptAnchorRuntime } from '../../contracts-abi/generated/ReceiptAnchor.runtime.ts';
import { receiptAnchorAbi } from '../../contracts-abi/generated/ReceiptAnchor.ts';
import type { ChainFacts, Deployed, DeploymentFacts } from '../../protocol/operator/deployment-facts.ts';
import {
  type AnchorReading,
  type ChainReading,
  deploymentFindings,
  type Finding,
  type Gathered,
  type Unread,
} from './deployment-findings.ts';
import { exitCodes, Failure, refusalOf, usage } from './failure.ts';
import { readSecretFile } from './secret.ts';
import type { Settings } from './settings.ts';

/** Spelled as a proxy that normalises would not leave it. */
const sentPath = '/operator/doctor/%7Ea//b?q=%7e';
/** Blocks over which the time between two is measured. */
const measuredBlocks = 100n;
const patienceMs = 30_000;

/** Everything that is right or wrong with the deployment. */
export const examineDeployment = async (settings: Settings): Promise<Finding[]> =>
  deploymentFindings(await gatherDeployment(settings));

export async function gatherDeployment(settings: Settings): Promise<Gathered> {
  const { facts, askedMs } = await askWorker(settings);
  const { deployed } = facts;
  const chains = new Map<number, ChainReading | Unread>();
  for (const chain of deployed?.chains ?? [])
    chains.set(chain.chainId, await reading(settings, chain.chainId, (client) => readChain(client, chain)));
  const anchor =
    deployed === null
      ? undefined
      : await reading(settings, deployed.log.chainId, (client) => readAnchor(client, deployed));
  return { facts, gateway: settings.gateway, sentPath, askedMs, chains, anchor };
}

async function askWorker(settings: Settings): Promise<{ facts: DeploymentFacts; askedMs: number }> {
  const token = tokenOf(settings);
  const startedMs = Date.now();
  const response = await fetch(`${settings.gateway}${sentPath}`, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(patienceMs),
  });
  const endedMs = Date.now();
  if (response.status === 404) {
    throw new Failure(
      exitCodes.gateway,
      'no_operator_route',
      `${settings.gateway} has no operator's route: set the secret OPERATOR_TOKEN (32 characters or more, made once and kept: openssl rand -hex 32 > operator-token) with tr -d '\\n' < operator-token | npx wrangler secret put OPERATOR_TOKEN --env <environment>. Or the gateway is elsewhere.`,
    );
  }
  if (!response.ok) throw await refusalOf(response);
  // What takes time is asked after the clock was read, so it is the beginning that counts.
  const askedMs = Math.min(endedMs, startedMs + 1_000);
  return { facts: (await response.json()) as DeploymentFacts, askedMs };
}

function tokenOf({ terminal }: Settings): string {
  const file = process.env['TALLYSTICK_OPERATOR_TOKEN_FILE'];
  const token = file ? readSecretFile(file, terminal) : process.env['TALLYSTICK_OPERATOR_TOKEN'];
  if (!token)
    throw usage(
      'doctor --operator needs the OPERATOR_TOKEN of the deployment, in TALLYSTICK_OPERATOR_TOKEN or TALLYSTICK_OPERATOR_TOKEN_FILE.',
    );
  return token;
}

async function reading<T>(
  settings: Settings,
  chainId: number,
  read: (client: PublicClient) => Promise<T>,
): Promise<T | Unread> {
  try {
    const client = createPublicClient({ transport: http(settings.rpcUrl(chainId)) });
    const said = await client.getChainId();
    if (said !== chainId) return { error: `the node given is of chain ${said}` };
    return await read(client);
  } catch (error) {
    const short = (error as { shortMessage?: unknown }).shortMessage;
    return {
      error: typeof short === 'string' ? short : error instanceof Error ? error.message : String(error),
    };
  }
}

const lower = (address: Address): Address => address.toLowerCase() as Address;

async function readChain(client: PublicClient, chain: ChainFacts): Promise<ChainReading> {
  const contract = { address: chain.vault, abi: agentVaultAbi } as const;
  const vaultFault = codeFault(await client.getCode({ address: chain.vault }), agentVaultRuntime);
  const codes = await Promise.all(chain.registries.map((address) => client.getCode({ address })));
  const newest = await client.getBlock();
  const span = newest.number < measuredBlocks ? newest.number : measuredBlocks;
  const earlier = span === 0n ? newest : await client.getBlock({ blockNumber: newest.number - span });
  const secondsPerBlock = span === 0n ? 0 : Number(newest.timestamp - earlier.timestamp) / Number(span);
  const common = {
    chainId: chain.chainId,
    vaultFault,
    registriesWithoutCode: chain.registries.filter((_, at) => (codes[at] ?? '0x') === '0x'),
    secondsPerBlock,
  };
  if (vaultFault !== undefined) return { ...common, vault: undefined };
  const [gatewayOrigin, operator, payee, admin, registries, withdrawalDelay, paused] = await Promise.all([
    client.readContract({ ...contract, functionName: 'gatewayOrigin' }),
    client.readContract({ ...contract, functionName: 'operator' }),
    client.readContract({ ...contract, functionName: 'payee' }),
    client.readContract({ ...contract, functionName: 'admin' }),
    client.readContract({ ...contract, functionName: 'registries' }),
    client.readContract({ ...contract, functionName: 'withdrawalDelay' }),
    client.readContract({ ...contract, functionName: 'paused' }),
  ]);
  return {
    ...common,
    vault: {
      gatewayOrigin,
      operator: lower(operator),
      payee: lower(payee),
      admin: lower(admin),
      registries: registries.map(lower),
      withdrawalDelay: Number(withdrawalDelay),
      paused,
    },
  };
}

async function readAnchor(client: PublicClient, { log, da, receiptKey }: Deployed): Promise<AnchorReading> {
  const contract = { address: log.anchor, abi: receiptAnchorAbi } as const;
  const fault = codeFault(await client.getCode({ address: log.anchor }), receiptAnchorRuntime);
  const daCode = (await client.getCode({ address: da.contract })) ?? '0x';
  const daFault = daCode === '0x' ? 'there is no code' : undefined;
  if (fault !== undefined) return { fault, daFault, log: undefined };
  const [view, [size], [, toSize, known]] = await Promise.all([
    client.readContract({ ...contract, functionName: 'logOf', args: [log.logId] }),
    client.readContract({ ...contract, functionName: 'head', args: [log.logId] }),
    client.readContract({ ...contract, functionName: 'receiptKey', args: [log.logId, receiptKey] }),
  ]);
  return {
    fault,
    daFault,
    log: {
      owner: lower(view.owner),
      sender: lower(view.sender),
      headKey: lower(view.headKey),
      closed: view.closed,
      receiptKeyValid: known && toSize === 2n ** 64n - 1n,
      size: Number(size),
    },
  };
}
