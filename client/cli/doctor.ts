import type { Command } from 'commander';
import { type Address, createPublicClient, http } from 'viem';
import { agentVaultAbi } from '../../contracts-abi/generated/AgentVault.ts';
import { formatAgentId } from '../../protocol/identity/agent-id.ts';
import { readAnchor } from '../verify.ts';
import { formatAmount } from './amount.ts';
import { checkLines } from './check-lines.ts';
import type { Finding } from './deployment-findings.ts';
import { examineDeployment } from './doctor-deployment.ts';
import { exitCodes, Failure, failureOf } from './failure.ts';
import { type GivenOptions, Settings, withSettings } from './settings.ts';

/** Seconds by which clocks may differ before signatures are refused. */
const skewMax = 25;

/** `doctor`: what stands between this agent and an answer. */
export function addDoctor(program: Command): void {
  const command = program
    .command('doctor')
    .helpGroup('Doubting:')
    .summary('find what stands between this agent and an answer')
    .description(
      'Looks at gateway, clock, chain, key, agent, spender, deposit and log, and says what to do about what is wrong. With --operator: at the whole deployment, as its operator (OPERATOR_TOKEN in TALLYSTICK_OPERATOR_TOKEN or a file named by TALLYSTICK_OPERATOR_TOKEN_FILE).',
    )
    .option('--operator', 'examine the deployment instead of an agent')
    .action((given: GivenOptions & { operator?: boolean }) => run(given));
  withSettings(command);
}

async function run(given: GivenOptions & { readonly operator?: boolean }): Promise<void> {
  const settings = new Settings(given);
  const findings: Finding[] = [];
  const look = async <T>(name: string, work: () => Promise<readonly [string, T]>): Promise<T | undefined> => {
    try {
      const [detail, value] = await work();
      findings.push({ name, ok: true, detail });
      return value;
    } catch (error) {
      findings.push({ name, ok: false, detail: failureOf(error).message });
      return undefined;
    }
  };
  await settings.terminal.progress('looking', async () => {
    if (given.operator) findings.push(...(await examineDeployment(settings)));
    else await examine(settings, look);
  });
  const isWell = findings.every(({ ok }) => ok);
  settings.terminal.result({ ok: isWell, findings }, [
    ...checkLines(settings.terminal, findings),
    '',
    isWell ? 'All is well.' : 'Begin with the first ✗.',
  ]);
  if (!isWell) process.exitCode = exitCodes.notRight;
}

async function examine(
  settings: Settings,
  look: <T>(name: string, work: () => Promise<readonly [string, T]>) => Promise<T | undefined>,
): Promise<void> {
  const deployment = await look('gateway', async () => {
    const found = await settings.deployment();
    if (found.publicOrigin !== settings.gateway) {
      throw bad(`It calls itself ${found.publicOrigin}: use that as --gateway, signatures are made for it.`);
    }
    return [`${settings.gateway} serves ${found.chains.length} chain(s)`, found];
  });
  if (!deployment) return;
  await look('clock', async () => {
    const before = Date.now();
    const response = await fetch(`${settings.gateway}/healthz`);
    const date = response.headers.get('date');
    if (date === null) return ['not compared: the gateway’s answers carry no date', undefined];
    const skew = Math.round((Date.parse(date) - (before + Date.now()) / 2) / 1000);
    if (Math.abs(skew) > skewMax) {
      throw bad(
        `This clock is ${Math.abs(skew)} s ${skew > 0 ? 'behind' : 'ahead'}: signatures will be refused. Set it (NTP).`,
      );
    }
    return [`within ${Math.abs(skew) + 1} s of the gateway's`, undefined];
  });
  const wallet = await look('key', async () => {
    const found = await settings.wallet();
    return [`address ${found.address}`, found];
  });
  const account = await look('agent', async () => {
    const found = await settings.account();
    return [formatAgentId(found), found];
  });
  if (!account) return;
  const view = await look('chain', async () => {
    const rpcUrl = settings.rpcUrl(account.chainId);
    const client = createPublicClient({ transport: http(rpcUrl) });
    const chainId = await client.getChainId();
    if (chainId !== account.chainId)
      throw bad(`${rpcUrl} serves chain ${chainId}, the agent is on ${account.chainId}: change --rpc.`);
    const vault = { address: account.vault, abi: agentVaultAbi } as const;
    const [found, origin] = await Promise.all([
      client.readContract({ ...vault, functionName: 'account', args: [account.registry, account.agentId] }),
      client.readContract({ ...vault, functionName: 'gatewayOrigin' }),
    ]);
    if (origin !== settings.gateway)
      throw bad(`Vault ${account.vault} belongs to ${origin}, not to this gateway. Do not use it.`);
    const age = Math.round(Date.now() / 1000) - Number(found.blockTime);
    return [
      `block ${found.blockNumber}, ${Math.max(age, 0)} s old; the vault belongs to this gateway`,
      found,
    ];
  });
  if (view && wallet) {
    await look('identity', async () => {
      if (isZero(view.owner))
        throw bad(`The registry knows no agent ${account.agentId}: tallystick register.`);
      if (same(wallet.address, view.wallet)) return ['this key is the agent’s wallet', undefined];
      if (same(wallet.address, view.owner)) return ['this key owns the agent', undefined];
      throw bad(
        `This key is neither the agent’s wallet (${view.wallet}) nor its owner (${view.owner}): requests will be refused.`,
      );
    });
    await look('spender', async () => {
      if (isZero(view.spender))
        throw bad(
          'Nobody may sign vouchers for the agent yet: let its owner call setSpender (tallystick register does).',
        );
      if (!same(wallet.address, view.spender))
        throw bad(`Vouchers have to be signed by ${view.spender}, this key is ${wallet.address}.`);
      return ['this key signs the vouchers', undefined];
    });
    await look('deposit', async () => {
      const asset = await settings.asset();
      const left = view.deposited - view.withdrawn - view.claimed;
      if (left === 0n) throw bad('Nothing is deposited: tallystick deposit 1');
      const leaving = view.withdrawalAmount < left ? view.withdrawalAmount : left;
      if (leaving === left)
        throw bad(`All of ${formatAmount(left, asset)} is being withdrawn: tallystick withdraw cancel`);
      return [`${formatAmount(left - leaving, asset)} in the vault`, undefined];
    });
  }
  if (wallet) {
    await look('account', async () => {
      const { available, sequence } = await (await settings.agentFetch()).account();
      return [
        `the gateway knows it: ${formatAmount(available, await settings.asset())} available, ${sequence} receipts`,
        undefined,
      ];
    });
  }
  await look('log', async () => {
    const { log } = deployment;
    const rpcUrl = settings.rpcUrl(log.chainId);
    const { head, headKey, receiptKey } = await readAnchor(
      { rpcUrl, anchor: log.anchor, logId: log.logId },
      log.receiptKey,
    );
    if (headKey !== log.headKey || !receiptKey.known)
      throw bad(
        'The gateway’s log keys are not those the anchor contract knows: its receipts will not verify.',
      );
    return [`${head.size} receipts anchored, keys as the chain has them`, undefined];
  });
}

const bad = (detail: string): Failure => new Failure(exitCodes.notRight, 'unwell', detail);
const same = (a: Address, b: Address): boolean => a.toLowerCase() === b.toLowerCase();
const isZero = (address: Address): boolean => /^0x0+$/.test(address);
