// What is wrong with a deployment, and what to do about it: judged from what the Worker says of itself and what a chain the
// operator trusts says of the contracts. Pure: whoever gathers gives the times as well.
import { type Address, formatGwei } from 'viem';
import type { ChainFacts, Deployed, DeploymentFacts } from '../../protocol/operator/deployment-facts.ts';
import { formatAmount } from './amount.ts';

export type Finding = { readonly name: string; readonly ok: boolean; readonly detail: string };

/** One chain's contracts, as the doctor's own node has them. */
export type ChainReading = {
  readonly chainId: number;
  /** Why the code at the vault's address is not AgentVault's. */
  readonly vaultFault: string | undefined;
  /** Undefined when there is no vault to ask. */
  readonly vault:
    | {
        readonly gatewayOrigin: string;
        readonly operator: Address;
        readonly payee: Address;
        readonly admin: Address;
        readonly registries: readonly Address[];
        /** Seconds. */
        readonly withdrawalDelay: number;
        readonly paused: boolean;
      }
    | undefined;
  readonly registriesWithoutCode: readonly Address[];
  readonly secondsPerBlock: number;
};

export type AnchorReading = {
  readonly fault: string | undefined;
  readonly daFault: string | undefined;
  readonly log:
    | {
        readonly owner: Address;
        readonly sender: Address;
        readonly headKey: Address;
        readonly closed: boolean;
        /** Of the receipt key in use: known, and not retired. */
        readonly receiptKeyValid: boolean;
        readonly size: number;
      }
    | undefined;
};

export type Unread = { readonly error: string };

export type Gathered = {
  readonly facts: DeploymentFacts;
  /** The origin that was asked. */
  readonly gateway: string;
  /** Path and query, as they were sent. */
  readonly sentPath: string;
  /** By this machine's clock, when the Worker made its facts. */
  readonly askedMs: number;
  readonly chains: ReadonlyMap<number, ChainReading | Unread>;
  readonly anchor: AnchorReading | Unread | undefined;
};

/** Seconds by which clocks may differ before signatures are refused. */
const skewMax = 25;
/** A node's head may be this old before it is left out; an observation may be used for as long. Seconds. */
const headAgeMax = 60;
const observationAge = 60;
/** Gas of one publication: an anchor on a large log and a submission of some segments. */
const publicationGas = 400_000n;
const optionalBindings: ReadonlySet<string> = new Set(['ANALYTICS', 'RECEIPT_ARCHIVE', 'TILES']);

export function deploymentFindings(gathered: Gathered): Finding[] {
  const { facts } = gathered;
  const findings = [clock(gathered), urls(gathered), bindings(facts), secrets(facts), configuration(facts)];
  const { deployed } = facts;
  if (deployed === null) return findings;
  findings.push(origin(gathered, deployed), keysApart(gathered, deployed));
  for (const chain of deployed.chains) findings.push(...chainFindings(gathered, deployed, chain));
  findings.push(vaultsApart(deployed), ...logFindings(gathered, deployed), storage(gathered, deployed));
  for (const upstream of deployed.upstreams) findings.push(upstreamFinding(upstream));
  return findings;
}

const good = (name: string, detail: string): Finding => ({ name, ok: true, detail });
const fault = (name: string, detail: string): Finding => ({ name, ok: false, detail });

function clock({ facts, askedMs }: Gathered): Finding {
  const skew = Math.round((facts.nowMs - askedMs) / 1000);
  return Math.abs(skew) <= skewMax
    ? good('clock', `the Worker's and this machine's are within ${Math.abs(skew) + 1} s`)
    : fault(
        'clock',
        `The Worker's clock and this machine's are ${Math.abs(skew)} s apart. The platform's is right: set this one (NTP).`,
      );
}

function urls({ facts, sentPath }: Gathered): Finding {
  const url = new URL(facts.url);
  const seen = url.pathname + url.search;
  return seen === sentPath
    ? good('url normalisation', 'the Worker sees paths as they are sent')
    : fault(
        'url normalisation',
        `Sent ${sentPath}, the Worker saw ${seen}: signatures cover the path as sent. Switch URL normalisation off for this zone (Rules, Settings), or take away the proxy that does it.`,
      );
}

function bindings({ bindings: there }: DeploymentFacts): Finding {
  const missing = Object.entries(there).flatMap(([name, ok]) =>
    ok || optionalBindings.has(name) ? [] : [name],
  );
  return missing.length === 0
    ? good(
        'bindings',
        Object.keys(there)
          .filter((name) => there[name])
          .join(', '),
      )
    : fault(
        'bindings',
        `${missing.join(', ')}: missing, or it does not answer. Repeat every binding in the environment of wrangler.toml (nothing is inherited) and deploy; test/deploy.test.ts compares them.`,
      );
}

function secrets({ secrets: states }: DeploymentFacts): Finding {
  const wrong = Object.entries(states).filter(([, state]) => state !== 'set');
  return wrong.length === 0
    ? good('secrets', `${Object.keys(states).join(', ')} are set`)
    : fault(
        'secrets',
        `${wrong.map(([name, state]) => `${name} is ${state}`).join(', ')}: npx wrangler secret put ${wrong[0]?.[0]} --env <environment>.`,
      );
}

const configuration = ({ configuration: wrong }: DeploymentFacts): Finding =>
  wrong === null
    ? good('configuration', 'reads')
    : fault('configuration', `${wrong}. Correct it in wrangler.toml and deploy.`);

const origin = ({ gateway }: Gathered, { publicOrigin }: Deployed): Finding =>
  publicOrigin === gateway
    ? good('origin', publicOrigin)
    : fault(
        'origin',
        `It was asked as ${gateway} and calls itself ${publicOrigin}: agents sign for the second. Set PUBLIC_ORIGIN to where agents reach it, or ask there.`,
      );

function keysApart({ chains }: Gathered, deployed: Deployed): Finding {
  const parties: [string, Address][] = [
    ['OPERATOR_KEY', deployed.operator],
    ['RECEIPT_KEY', deployed.receiptKey],
    ['HEAD_KEY', deployed.headKey],
  ];
  for (const reading of chains.values())
    if ('vault' in reading && reading.vault)
      parties.push([`the payee of chain ${reading.chainId}`, reading.vault.payee]);
  for (const [at, [name, address]] of parties.entries()) {
    const same = parties
      .slice(at + 1)
      .find(([other, its]) => its === address && !(isPayee(name) && isPayee(other)));
    if (same)
      return fault(
        'keys apart',
        `${name} and ${same[0]} are one key, ${address}: its thief gets the powers of both. docs/security.md says how each is exchanged.`,
      );
  }
  return good('keys apart', 'operator, receipt and head keys and payees are different');
}

const isPayee = (name: string): boolean => name.startsWith('the payee');

function chainFindings({ chains, facts }: Gathered, deployed: Deployed, chain: ChainFacts): Finding[] {
  const { chainId } = chain;
  const name = (what: string): string => `${what} ${chainId}`;
  const findings = [
    nodes(name('nodes'), chain, facts.nowMs),
    balance(name('balance'), deployed, chain),
    ...gas(name('gas'), chain),
  ];
  const reading = chains.get(chainId);
  if (reading === undefined || 'error' in reading) {
    findings.push(
      fault(
        name('vault'),
        `This chain could not be asked from here (${reading?.error ?? 'no node'}): give --rpc.`,
      ),
    );
    return findings;
  }
  const { vault, vaultFault } = reading;
  if (vaultFault !== undefined || vault === undefined) {
    findings.push(
      fault(
        name('vault'),
        `${chain.vault}: ${vaultFault ?? 'it does not answer'}. npm run deploy:contracts says the address to put into CHAINS.`,
      ),
    );
    return findings;
  }
  findings.push(good(name('vault'), `${chain.vault}: AgentVault's code`));
  findings.push(
    vault.gatewayOrigin === deployed.publicOrigin
      ? good(name('vault origin'), vault.gatewayOrigin)
      : fault(
          name('vault origin'),
          `The vault belongs to ${vault.gatewayOrigin}, this gateway is ${deployed.publicOrigin}: clients refuse to deposit. A vault belongs to one origin for ever: deploy another, or serve that origin.`,
        ),
    vault.operator === deployed.operator
      ? good(name('vault operator'), `${vault.operator}, whose key is OPERATOR_KEY`)
      : fault(
          name('vault operator'),
          `The vault pays claims of ${vault.operator}, OPERATOR_KEY is ${deployed.operator}'s: claims will revert. The vault's admin calls setOperator, or set the other key.`,
        ),
    vault.paused
      ? fault(name('vault open'), 'The vault is paused: no deposits, no claims. Its admin calls unpause.')
      : good(name('vault open'), 'not paused'),
    registries(name('registries'), chain, vault.registries, reading.registriesWithoutCode),
    delay(name('withdrawal delay'), deployed, chain, vault.withdrawalDelay, reading.secondsPerBlock),
  );
  return findings;
}

function nodes(name: string, { chainId, nodes: list }: ChainFacts, nowMs: number): Finding {
  const wrong = list.flatMap(({ host, chainId: said, blockTime, error }) => {
    if (error !== null) return [`${host} does not answer (${error})`];
    if (said !== chainId) return [`${host} is of chain ${said}`];
    const age = Math.round(nowMs / 1000 - (blockTime ?? 0));
    return Math.abs(age) > headAgeMax ? [`${host}'s newest block is ${age} s old`] : [];
  });
  return wrong.length === 0
    ? good(
        name,
        `${list.map(({ host }) => host).join(', ')} follow${list.length === 1 ? 's' : ''} chain ${chainId}`,
      )
    : fault(name, `${wrong.join('; ')}. Change rpcUrls of chain ${chainId} in CHAINS.`);
}

/** A day of publications on the home chain, a hundred claims on another. */
function balance(name: string, { log, operator }: Deployed, chain: ChainFacts): Finding {
  const { operatorBalance, gasPrice, asset, chainId } = chain;
  if (operatorBalance === null || gasPrice === null)
    return fault(name, 'It could not be read: see the nodes of this chain.');
  const isHome = chainId === log.chainId;
  const publications = isHome ? Math.ceil(86_400 / Math.max(log.publishEverySeconds, 60)) : 100;
  const needed = BigInt(gasPrice) * publicationGas * BigInt(publications);
  const has = BigInt(operatorBalance);
  return has >= needed && has > 0n
    ? good(name, `${operator} has ${formatAmount(has, asset)}`)
    : fault(
        name,
        `${operator} has ${formatAmount(has, asset)}; a day of publishing takes about ${formatAmount(needed, asset)} at the present gas price. Send it some.`,
      );
}

/** Where the price cannot be read, the balance says so. */
function gas(name: string, { gasPrice, maxFeePerGas }: ChainFacts): Finding[] {
  if (gasPrice === null) return [];
  const gwei = (wei: string): string => `${formatGwei(BigInt(wei))} gwei`;
  return [
    BigInt(gasPrice) <= BigInt(maxFeePerGas)
      ? good(name, `${gwei(gasPrice)}, at most ${gwei(maxFeePerGas)} are paid`)
      : fault(
          name,
          `It costs ${gwei(gasPrice)}, more than maxFeePerGas, ${gwei(maxFeePerGas)}: anchors and claims wait. Raise maxFeePerGas in CHAINS and deploy, or wait with them.`,
        ),
  ];
}

function registries(
  name: string,
  chain: ChainFacts,
  served: readonly Address[],
  withoutCode: readonly Address[],
): Finding {
  if (withoutCode.length > 0)
    return fault(
      name,
      `${withoutCode.join(', ')}: no code there. Correct registries of chain ${chain.chainId} in CHAINS.`,
    );
  const unserved = chain.registries.filter((registry) => !served.includes(registry));
  return unserved.length === 0
    ? good(name, chain.registries.join(', '))
    : fault(
        name,
        `${unserved.join(', ')}: not one the vault serves (${served.join(', ')}). Correct registries of chain ${chain.chainId} in CHAINS.`,
      );
}

/** docs/money.md, "The delay". */
function delay(
  name: string,
  { holdSeconds }: Deployed,
  { settleMarginSeconds, depositDepth }: ChainFacts,
  withdrawalDelay: number,
  secondsPerBlock: number,
): Finding {
  const depth = Math.ceil(depositDepth * secondsPerBlock);
  const needed = observationAge + headAgeMax + holdSeconds + settleMarginSeconds + depth;
  const sum = `${observationAge} + ${headAgeMax} to notice, ${holdSeconds} hold, ${settleMarginSeconds} settle margin, ${depth} depth`;
  return withdrawalDelay > needed
    ? good(name, `${withdrawalDelay} s, longer than ${needed} s (${sum})`)
    : fault(
        name,
        `The vault's delay is ${withdrawalDelay} s, and a claim may need ${needed} s (${sum}): an agent could withdraw what it owes. Lower HOLD_SECONDS or settleMarginSeconds, or deploy a vault with a longer delay.`,
      );
}

function vaultsApart({ chains }: Deployed): Finding {
  const ids = chains.map(({ chainId }) => chainId);
  const repeated = ids.find((id, at) => ids.indexOf(id) !== at);
  return repeated === undefined
    ? good('one vault a chain', chains.map(({ vault }) => vault).join(', '))
    : fault(
        'one vault a chain',
        `CHAINS has chain ${repeated} twice: only the first is served. Take one away.`,
      );
}

function logFindings({ anchor }: Gathered, { log, operator, headKey, receiptKey }: Deployed): Finding[] {
  if (anchor === undefined || 'error' in anchor)
    return [fault('anchor', `It could not be asked from here (${anchor?.error ?? 'no node'}): give --rpc.`)];
  if (anchor.fault !== undefined)
    return [
      fault(
        'anchor',
        `${log.anchor}: ${anchor.fault}. npm run deploy:contracts says the address to put into ANCHOR.`,
      ),
    ];
  const findings = [good('anchor', `${log.anchor}: ReceiptAnchor's code`)];
  const zero = `0x${'00'.repeat(20)}`;
  if (anchor.log === undefined || anchor.log.owner === zero) {
    findings.push(
      fault(
        'log',
        `No log ${log.logId} is open there: LOG_OWNER (${log.owner}) and LOG_ORIGIN (${log.origin}) have to be those it was opened with, or npm run deploy:contracts opens it.`,
      ),
    );
    return findings;
  }
  const { sender, headKey: signs, closed, receiptKeyValid, size } = anchor.log;
  const wrong = [
    ...(closed ? ['it is closed: open a successor and set ANCHOR, LOG_OWNER and LOG_ORIGIN to it'] : []),
    ...(sender === operator
      ? []
      : [`its sender is ${sender}, OPERATOR_KEY is ${operator}'s: its owner calls setSender`]),
    ...(signs === headKey
      ? []
      : [`its head key is ${signs}, HEAD_KEY is ${headKey}'s: its owner calls setHeadKey`]),
    ...(receiptKeyValid
      ? []
      : [
          `RECEIPT_KEY's address ${receiptKey} is not a valid receipt key of it: its owner calls addReceiptKey, before the key is used`,
        ]),
  ];
  findings.push(
    wrong.length === 0
      ? good('log', `${size} receipts anchored; keys as the chain has them`)
      : fault('log', `Log ${log.logId}: ${wrong.join('; ')}.`),
  );
  return findings;
}

function storage({ anchor }: Gathered, { da }: Deployed): Finding {
  const daFault = anchor && !('error' in anchor) ? anchor.daFault : undefined;
  if (daFault !== undefined)
    return fault(
      'da',
      `${da.contract}: ${daFault}. Correct ZERO_G_FLOW or ZERO_G_DA_ENTRANCE; the address has to be on the home chain.`,
    );
  return da.error === null
    ? good('da', `${da.kind} answers`)
    : fault(
        'da',
        `${da.kind}: ${da.error}. Correct ZERO_G_STORAGE_URL (or ZERO_G_DA_URL); heads are not anchored until it works.`,
      );
}

function upstreamFinding({ name, status, error }: Deployed['upstreams'][number]): Finding {
  const what = `upstream ${name}`;
  if (status === null) return fault(what, `${error}. Correct baseUrl in UPSTREAMS, or its secret.`);
  if (status === 401 || status === 403)
    return fault(what, `It refuses the key (${status}). Set its secret again: npx wrangler secret put.`);
  if (status >= 500)
    return fault(what, `It answers ${status}: it is down, or baseUrl in UPSTREAMS is wrong.`);
  return status === 200
    ? good(what, 'takes the key')
    : good(what, `answers ${status} to GET /models, which does not tell whether it takes the key`);
}
