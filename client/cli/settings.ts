// Where, who and how: what every command may be told, as option or by environment.
import { type Command, Option } from 'commander';
import type { Address, LocalAccount } from 'viem';
import type { Account } from '../../protocol/account-name.ts';
import { type AgentId, formatAgentId, parseAgentId } from '../../protocol/identity/agent-id.ts';
import { type AgentFetch, createAgentFetch } from '../agent-fetch.ts';
import { type Deployment, readDeployment } from '../deployment.ts';
import type { CheckedReceipt } from '../receipt-desk.ts';
import { type Sender, senderOf } from '../vault-transactions.ts';
import type { VoucherLimits } from '../voucher-limit.ts';
import type { Asset } from './amount.ts';
import { exitCodes, Failure, refusalOf, usage } from './failure.ts';
import { keepReceipt } from './kept-receipts.ts';
import { readAccount } from './secret.ts';
import { Terminal } from './terminal.ts';

export type GivenOptions = {
  readonly gateway?: string;
  readonly agent?: string;
  readonly rpc?: string;
  readonly keyFile?: string;
  readonly receipts?: string;
  readonly json?: boolean;
};

/** Public nodes of the chains most agents live on. */
const publicNodes: Readonly<Record<number, string>> = {
  16661: 'https://evmrpc.0g.ai',
  16602: 'https://evmrpc-testnet.0g.ai',
};

/** Adds the options all commands have, in a group of their own. */
export function withSettings(command: Command): Command {
  return command
    .optionsGroup('Where and who (or in the environment):')
    .addOption(new Option('-g, --gateway <url>', 'the gateway').env('TALLYSTICK_GATEWAY'))
    .addOption(
      new Option('-a, --agent <id>', 'eip155:<chain>:<registry>:<number>, or only the number').env(
        'TALLYSTICK_AGENT',
      ),
    )
    .addOption(new Option('-r, --rpc <url>', 'a node of the agent’s chain').env('TALLYSTICK_RPC'))
    .addOption(
      new Option(
        '-k, --key-file <file>',
        'private key or keystore file; the key itself may be in TALLYSTICK_KEY',
      ).env('TALLYSTICK_KEY_FILE'),
    )
    .addOption(
      new Option(
        '--receipts <file>',
        'your own copy of your receipts: calls add to it, verify and audit hold the gateway against it',
      ).env('TALLYSTICK_RECEIPTS'),
    )
    .addOption(new Option('--json', 'one JSON document instead of text'));
}

/** What a command works with. Each part is made when it is first needed, and says what is missing then. */
export class Settings {
  readonly terminal: Terminal;
  readonly #given: GivenOptions;
  #deployment: Promise<Deployment> | undefined;
  #wallet: Promise<LocalAccount> | undefined;

  constructor(given: GivenOptions) {
    this.#given = given;
    this.terminal = new Terminal(given.json ?? false);
  }

  get gateway(): string {
    const { gateway } = this.#given;
    if (gateway === undefined)
      throw usage('Which gateway? Give --gateway https://…, or set TALLYSTICK_GATEWAY.');
    if (!URL.canParse(gateway) || !/^https?:$/.test(new URL(gateway).protocol)) {
      throw usage(`--gateway ${JSON.stringify(gateway)} is not a URL.`);
    }
    return new URL(gateway).origin;
  }

  /** As given; undefined where it was not. */
  get rpcGiven(): string | undefined {
    return this.#given.rpc;
  }

  get hasGateway(): boolean {
    return this.#given.gateway !== undefined;
  }

  get hasAgent(): boolean {
    return this.#given.agent !== undefined;
  }

  /** Where the agent keeps its own copy of its receipts; undefined where it keeps none. */
  get receiptsFile(): string | undefined {
    return this.#given.receipts;
  }

  wallet(): Promise<LocalAccount> {
    this.#wallet ??= readAccount(this.#given.keyFile, this.terminal);
    return this.#wallet;
  }

  deployment(): Promise<Deployment> {
    this.#deployment ??= readDeploymentOf(this.gateway);
    return this.#deployment;
  }

  /** A node of this chain: the one given, or a public one. */
  rpcUrl(chainId: number): string {
    const url = this.#given.rpc ?? publicNodes[chainId];
    if (url === undefined) throw usage(`Give --rpc (or TALLYSTICK_RPC): a node of chain ${chainId}.`);
    return url;
  }

  async agent(): Promise<AgentId> {
    const { agent } = this.#given;
    if (agent === undefined) {
      throw usage('Which agent? Give --agent, or set TALLYSTICK_AGENT. `tallystick register` makes one.');
    }
    if (/^\d+$/.test(agent)) {
      const { chainId, registry } = await this.registry();
      return { chainId, registry, agentId: BigInt(agent) };
    }
    const parsed = parseAgentId(agent.toLowerCase());
    if (!parsed.ok) throw usage(`--agent: ${parsed.error}.`);
    return parsed.value;
  }

  /** Where agents are registered, if the gateway leaves only one choice or the choice was made. */
  async registry(chain?: string, address?: string): Promise<{ chainId: number; registry: Address }> {
    const { chains } = await this.deployment();
    const all = chains.flatMap(({ chainId, registries }) =>
      registries.map((registry) => ({ chainId, registry })),
    );
    const fitting = all.filter(
      ({ chainId, registry }) =>
        (chain === undefined || `${chainId}` === chain) &&
        (address === undefined || registry === address.toLowerCase()),
    );
    const [only, ...others] = fitting;
    if (only && others.length === 0) return only;
    const list = all.map(({ chainId, registry }) => `${registry} on chain ${chainId}`).join(', ');
    throw usage(
      only
        ? `The gateway serves several registries (${list}): choose with --chain and --registry, or give the whole Agent-Id.`
        : `The gateway serves no such registry, only ${list}.`,
    );
  }

  async account(): Promise<Account> {
    const agent = await this.agent();
    return { ...agent, vault: (await this.chainOf(agent)).vault };
  }

  async chainOf({
    chainId,
    registry,
  }: {
    chainId: number;
    registry: string;
  }): Promise<Deployment['chains'][number]> {
    const { chains } = await this.deployment();
    const chain = chains.find((served) => served.chainId === chainId);
    if (chain?.registries.includes(registry as Address)) return chain;
    throw new Failure(
      exitCodes.gateway,
      'agent_not_served',
      `${this.gateway} does not serve agents of registry ${registry} on chain ${chainId}.`,
    );
  }

  /** What the agent's vault holds. */
  async asset(): Promise<Asset> {
    return assetOf(await this.chainOf(await this.agent()));
  }

  async sender(chainId: number, asset: Asset): Promise<Sender> {
    return senderOf(await this.wallet(), { rpcUrl: this.rpcUrl(chainId), chainId, symbol: asset.symbol });
  }

  /** The agent's fetch. The chain is asked where a node is known, else the gateway is believed up to `limits`. */
  async agentFetch(limits?: VoucherLimits): Promise<AgentFetch> {
    const agent = await this.agent();
    const { receipts } = this.#given;
    const rpcUrl = this.#given.rpc ?? publicNodes[agent.chainId];
    return createAgentFetch({
      wallet: await this.wallet(),
      agent: formatAgentId(agent),
      gateway: this.gateway,
      ...(rpcUrl === undefined ? {} : { rpcUrl }),
      ...(limits === undefined ? {} : { limits }),
      ...(receipts === undefined
        ? {}
        : { onReceipt: ({ signed }: CheckedReceipt) => keepReceipt(receipts, signed) }),
    });
  }

  /** A signed question; throws the gateway's refusal as a failure. */
  async ask(path: string, init: RequestInit = {}): Promise<unknown> {
    const agentFetch = await this.agentFetch();
    const response = await agentFetch(`${agentFetch.gateway}${path}`, init);
    if (!response.ok) throw await refusalOf(response);
    return response.json();
  }
}

export const assetOf = (chain: Deployment['chains'][number]): Asset =>
  chain.asset ?? { symbol: 'ETH', decimals: 18 };

async function readDeploymentOf(gateway: string): Promise<Deployment> {
  const response = await fetch(`${gateway}/.well-known/tallystick`, { signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw await refusalOf(response);
  const read = readDeployment(await response.json().catch(() => undefined));
  if (read.ok) return read.value;
  throw new Failure(
    exitCodes.gateway,
    'not_a_gateway',
    `${gateway} does not describe itself as a tallystick gateway (${read.error}). Check --gateway.`,
  );
}
