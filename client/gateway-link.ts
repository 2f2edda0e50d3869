// What the client asks the gateway on its own account: who are you, what does it cost, where do we stand.
import type { Address, Hex } from 'viem';
import { type Account, accountName } from '../protocol/account-name.ts';
import { type AgentId, formatAgentId } from '../protocol/identity/agent-id.ts';
import { type AccountStanding, readAccountStanding } from './account-standing.ts';
import { AgentError } from './agent-error.ts';
import type { ReceiptTerms } from './check-receipt.ts';
import { type Deployment, type KnownPrices, readDeployment, readPrices } from './deployment.ts';
import { type MessageSigner, signCall } from './outgoing-request.ts';
import { readVault, type VaultReading } from './vault-on-chain.ts';

/** What must not be learned from the gateway. */
export type Pins = { readonly vault?: Address; readonly receiptKey?: Address; readonly priceTable?: Hex };

export type GatewayLinkOptions = {
  readonly origin: string;
  readonly agent: AgentId;
  readonly wallet: MessageSigner;
  readonly send: typeof fetch;
  readonly pins: Pins;
  readonly rpcUrl: string | undefined;
  /** Milliseconds. */
  readonly now: () => number;
};

/** What is learned at first contact: the gateway's word, and the chain's where one is asked. */
export type FirstContact = {
  readonly account: Account;
  readonly standing: AccountStanding;
  readonly vault: VaultReading | undefined;
};

/** The gateway refused a question of ours: its answer is the best one the caller can get. */
export class GatewayRefusal extends Error {
  readonly response: Response;

  constructor(response: Response) {
    super(`the gateway answered ${response.status}`);
    this.name = 'GatewayRefusal';
    this.response = response;
  }
}

const timeoutMs = 10_000;

export class GatewayLink {
  readonly #options: GatewayLinkOptions;
  readonly deployment: () => Promise<Deployment>;
  #prices: () => Promise<KnownPrices>;
  /** All it has named: what one signed stays right when another one signs the next. */
  readonly #receiptKeys = new Set<Address>();

  constructor(options: GatewayLinkOptions) {
    this.#options = options;
    this.deployment = once(() => this.#readDeployment());
    this.#prices = once(() => this.#readPrices());
  }

  /** Asks for what every receipt will need, so that it is there when the first one comes. */
  prepare(): void {
    void this.#prices().catch(() => undefined); // asked again, and then reported, when it is needed
  }

  /** The agent's account, in the vault this gateway names. Throws AgentError where that contradicts a pin. */
  async account(): Promise<Account> {
    const { agent, pins } = this.#options;
    const { chains } = await this.deployment();
    const chain = chains.find(({ chainId }) => chainId === agent.chainId);
    if (!chain?.registries.includes(agent.registry)) {
      throw unusable(`it does not serve agents of ${formatAgentId(agent)}`);
    }
    if (pins.vault !== undefined && pins.vault.toLowerCase() !== chain.vault) {
      throw unusable(`it names vault ${chain.vault}, pinned is ${pins.vault}`);
    }
    return { ...agent, vault: chain.vault };
  }

  /** GET /v1/account. Throws GatewayRefusal with the gateway's response where that is none. */
  async standing(): Promise<AccountStanding> {
    const response = await this.get('/v1/account');
    if (!response.ok) throw new GatewayRefusal(response);
    const read = readAccountStanding(await response.json());
    if (!read.ok) throw unusable(`/v1/account: ${read.error}`);
    return read.value;
  }

  /** Both sides of the account. A vault that belongs to another gateway ends it here: nothing is ever signed for it. */
  async contact(): Promise<FirstContact> {
    const { agent, rpcUrl, origin } = this.#options;
    const [account, standing] = await Promise.all([this.account(), this.standing()]);
    if (standing.vault !== account.vault || standing.agent !== formatAgentId(agent)) {
      throw unusable(
        `/v1/account is about ${standing.agent} in vault ${standing.vault}, ours is ${accountName(account)}`,
      );
    }
    const vault = rpcUrl === undefined ? undefined : await readVault(rpcUrl, account);
    if (vault && vault.gatewayOrigin !== origin) {
      throw unusable(
        `vault ${account.vault} belongs to ${vault.gatewayOrigin || 'nobody'}, not to ${origin}`,
      );
    }
    return { account, standing, vault };
  }

  /** The operator may have exchanged its receipt key since it was asked: it is asked again. */
  async readReceiptKey(): Promise<void> {
    this.#receiptKeys.add((await this.#readDeployment()).log.receiptKey);
  }

  /** What a receipt with this price table is judged by. Prices may have changed since they were read: then they are read anew. */
  async terms(priceTable: Hex): Promise<ReceiptTerms> {
    const { log } = await this.deployment();
    let prices = await this.#prices();
    if (prices.hash !== priceTable) {
      this.#prices = once(() => this.#readPrices());
      prices = await this.#prices();
    }
    const pinned = this.#options.pins.receiptKey?.toLowerCase() as Address | undefined;
    this.#receiptKeys.add(log.receiptKey);
    const receiptKeys = pinned ? [pinned] : [...this.#receiptKeys];
    return { receiptKeys, logId: log.logId, mergeDelay: log.mergeDelay, prices };
  }

  /** A signed read. */
  async get(path: string): Promise<Response> {
    const { origin, wallet, agent, now, send } = this.#options;
    const url = new URL(path, origin);
    const request = { url, method: 'GET', headers: new Headers(), body: new Uint8Array() };
    const { headers } = await signCall(request, wallet, agent, now());
    return send(url.href, { headers, redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) });
  }

  async #readDeployment(): Promise<Deployment> {
    const read = readDeployment(await this.#json('/.well-known/tallystick'));
    if (!read.ok) throw unusable(`/.well-known/tallystick: ${read.error}`);
    return read.value;
  }

  async #readPrices(): Promise<KnownPrices> {
    const { priceTable } = this.#options.pins;
    const read = readPrices(await this.#json('/v1/prices'));
    if (!read.ok) throw unusable(`/v1/prices: ${read.error}`);
    if (priceTable !== undefined && read.value.hash !== priceTable) {
      throw unusable(`/v1/prices: the table's hash is ${read.value.hash}, pinned is ${priceTable}`);
    }
    return read.value;
  }

  async #json(path: string): Promise<unknown> {
    const { origin, send } = this.#options;
    const response = await send(origin + path, {
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (!response.ok) throw unusable(`${path} answered ${response.status}`);
    return response.json();
  }
}

export const unusable = (why: string): AgentError =>
  new AgentError('gateway_unusable', `The gateway cannot be used: ${why}.`);

/** One attempt at a time, kept once it has succeeded. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= work().catch((error: unknown) => {
      result = undefined;
      throw error;
    });
    return result;
  };
}
