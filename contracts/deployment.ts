// One chain's contracts: what would be sent, and sending it. The plan is made from the chain as it is, so it says what will
// happen; carrying it out is the same steps, each verified, and recorded as soon as it is.
import { type Address, encodeFunctionData, getContractAddress, type Hex } from 'viem';
import { codeFault } from '../contracts-abi/deployed-code.ts';
import type { DeployedContract, DeploymentRecord } from '../contracts-abi/deployment-record.ts';
import { receiptAnchorAbi } from '../contracts-abi/generated/ReceiptAnchor.ts';
import { logIdOf } from '../protocol/log/head.ts';
import { type Deployer, deployContract, mined, type Reader } from './deploy-contract.ts';
import {
  anchorContract,
  type BondSettings,
  bondOf,
  creationData,
  type Deployable,
  spelledArguments,
  type VaultSettings,
  vaultOf,
} from './deployable.ts';

export type Wanted = {
  readonly vault: VaultSettings;
  /** Absent: this chain has a vault only, and the log is anchored on another. */
  readonly log?: {
    readonly origin: string;
    readonly sender: Address;
    readonly headKey: Address;
    readonly receiptKey: Address;
  };
  readonly bond?: Omit<BondSettings, 'anchor'>;
};

type Part = 'vault' | 'anchor' | 'bond';

export type Step =
  | {
      readonly kind: 'deploy';
      readonly part: Part;
      readonly deployable: Deployable;
      /** Where it will be, if the deployer sends nothing else in between. */
      readonly address: Address;
      readonly gas: bigint;
    }
  | {
      readonly kind: 'open log';
      readonly anchor: Address;
      readonly logId: Hex;
      readonly args: readonly [string, Address, Address, Address];
      readonly gas: bigint;
    }
  | { readonly kind: 'there already'; readonly what: string; readonly address: Address };

/** The bond's constructor asks for an anchor that is not there yet when its gas is wanted: measured, plus a tenth. */
const bondGas = 4_040_000n;
/** `openLog` on an anchor that is not there yet: measured, plus a tenth. */
const openLogGas = 179_000n;

/**
 * What is still to be sent. Refuses, by throwing, to go on from a record that is not what is wanted or not on the chain:
 * somebody has to decide which of the two is right.
 */
export async function planDeployment(
  reader: Reader,
  deployer: Address,
  wanted: Wanted,
  recorded: DeploymentRecord,
): Promise<Step[]> {
  const steps: Step[] = [];
  let nonce = BigInt(await reader.getTransactionCount({ address: deployer, blockTag: 'pending' }));

  const deploy = async (part: Part, deployable: Deployable, estimate?: bigint): Promise<Address> => {
    const known = recorded[part];
    if (known) {
      await compare(reader, deployable, known);
      steps.push({ kind: 'there already', what: deployable.name, address: known.address });
      return known.address;
    }
    const address = getContractAddress({ from: deployer, nonce }).toLowerCase() as Address;
    const gas = estimate ?? (await reader.estimateGas({ account: deployer, data: creationData(deployable) }));
    steps.push({ kind: 'deploy', part, deployable, address, gas });
    nonce += 1n;
    return address;
  };

  await deploy('vault', vaultOf(wanted.vault));
  if (wanted.log === undefined) return steps;
  const anchor = await deploy('anchor', anchorContract);
  const { origin, sender, headKey, receiptKey } = wanted.log;
  if (recorded.log === undefined) {
    const logId = logIdOf({ chainId: reader.chain.id, anchor, owner: deployer, origin });
    const args = [origin, sender, headKey, receiptKey] as const;
    steps.push({ kind: 'open log', anchor, logId, args, gas: openLogGas });
    nonce += 1n;
  } else {
    if (recorded.log.origin !== origin)
      throw new Error(`the record's log is ${recorded.log.origin}, not ${origin}`);
    steps.push({ kind: 'there already', what: `log ${recorded.log.logId}`, address: anchor });
  }
  if (wanted.bond) {
    await deploy('bond', bondOf({ ...wanted.bond, anchor }), recorded.anchor ? undefined : bondGas);
  }
  return steps;
}

async function compare(reader: Reader, deployable: Deployable, known: DeployedContract): Promise<void> {
  const { address } = known;
  const fault = codeFault(await reader.getCode({ address }), deployable.runtime);
  if (fault) throw new Error(`the record has ${deployable.name} at ${address}, but ${fault}`);
  const [said, meant] = [known.arguments, spelledArguments(deployable)].map((list) => JSON.stringify(list));
  if (said !== meant)
    throw new Error(
      `the record's ${deployable.name} was made with ${said}, not ${meant}: give the same options, or take it out of the record`,
    );
}

/** Sends what is planned. `record` is called after each step that is mined and verified, with all there is by then. */
export async function carryOut(
  reader: Reader,
  deployer: Deployer,
  steps: readonly Step[],
  before: DeploymentRecord,
  record: (now: DeploymentRecord) => void,
): Promise<DeploymentRecord> {
  let now = before;
  for (const step of steps) {
    if (step.kind === 'there already') continue;
    if (step.kind === 'deploy') {
      const { address, transaction, block } = await deployContract(reader, deployer, step.deployable);
      if (address !== step.address)
        throw new Error(`${step.deployable.name} is at ${address}, not at ${step.address} as planned`);
      now = {
        ...now,
        [step.part]: { address, transaction, block, arguments: spelledArguments(step.deployable) },
      };
    } else {
      const data = encodeFunctionData({ abi: receiptAnchorAbi, functionName: 'openLog', args: step.args });
      const transaction = await deployer.sendTransaction({ to: step.anchor, data });
      await mined(reader, transaction);
      const [origin] = step.args;
      const { owner } = await reader.readContract({
        address: step.anchor,
        abi: receiptAnchorAbi,
        functionName: 'logOf',
        args: [step.logId],
      });
      if (owner !== deployer.account.address) throw new Error(`log ${step.logId} is not open`);
      const log = { logId: step.logId, owner: owner.toLowerCase() as Address, origin, transaction };
      now = { ...now, log };
    }
    record(now);
  }
  return now;
}
