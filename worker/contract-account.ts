// Contract accounts: what the verifier asks the chain about them (ERC-1271, ERC-6492, EIP-7702 delegations).
import {
  type Address,
  encodeAbiParameters,
  encodeFunctionData,
  erc6492SignatureValidatorAbi,
  erc6492SignatureValidatorByteCode,
  type Hex,
  numberToHex,
  type PublicClient,
  parseAbi,
} from 'viem';
import { nodeOf } from '../durable-objects/chain/node.ts';
import { headMaxSkewMs, type Observation } from '../durable-objects/chain/observation.ts';
import type { ChainConfig } from '../durable-objects/config.ts';
import type { ChainAnswer, ContractAccount } from '../protocol/identity/account-proof.ts';

const erc1271Abi = parseAbi([
  'function isValidSignature(bytes32 hash, bytes signature) view returns (bytes4)',
]);

/** ERC-1271's yes: `isValidSignature.selector`, alone in its word. */
const magic: Hex = `0x1626ba7e${'00'.repeat(28)}`;

/**
 * The verifier's questions, on behalf of one agent. Only the agent's owner and wallet are ever asked about: anybody
 * else is a stranger, for whom no chain is called, so that nobody can make the gateway call contracts of their choice.
 *
 * @param identity the agent's standing, at most as old as an identity answer may be; `undefined` when the chain cannot
 * be asked. Called at most once.
 */
export function contractAccountOf(
  chain: ChainConfig,
  identity: () => Promise<
    Pick<Observation, 'owner' | 'wallet' | 'ownerHasCode' | 'walletHasCode'> | undefined
  >,
  now: () => number,
): ContractAccount {
  let asked: ReturnType<typeof identity> | undefined;
  const codeAt = async (chainId: number, address: Hex): Promise<boolean | 'stranger' | 'unavailable'> => {
    if (chainId !== chain.chainId) return 'stranger';
    asked ??= identity();
    const known = await asked;
    if (known === undefined) return 'unavailable';
    if (address === known.wallet) return known.walletHasCode;
    return address === known.owner ? known.ownerHasCode : 'stranger';
  };
  const ask = async (
    chainId: number,
    address: Hex,
    question: (node: PublicClient) => Promise<ChainAnswer>,
  ): Promise<ChainAnswer> => {
    const code = await codeAt(chainId, address);
    return typeof code === 'boolean' ? question(nodeOf(chain)) : code;
  };
  return {
    hasCode: codeAt,
    isValidSignature: (chainId, address, hash, signature) =>
      ask(chainId, address, (node) => askErc1271(node, now, address, hash, signature)),
    verify6492: (chainId, address, hash, signature) =>
      ask(chainId, address, (node) => askErc6492(node, now, address, hash, signature)),
  };
}

async function askErc1271(
  node: PublicClient,
  now: () => number,
  address: Address,
  hash: Hex,
  signature: Hex,
): Promise<ChainAnswer> {
  const data = encodeFunctionData({
    abi: erc1271Abi,
    functionName: 'isValidSignature',
    args: [hash, signature],
  });
  const answer = await callAtHead(node, now, { to: address, data });
  // Whole word: a contract that answers something longer, or with other bits set, has not said yes.
  return typeof answer === 'string' ? answer : answer.result === magic ? 'valid' : 'invalid';
}

/**
 * The validator of ERC-6492 as the ERC publishes it, run as a contract creation inside `eth_call`: it calls the factory
 * the signature names, then asks the account by ERC-1271. Nothing is deployed, and nothing of it has to be.
 */
async function askErc6492(
  node: PublicClient,
  now: () => number,
  address: Address,
  hash: Hex,
  signature: Hex,
): Promise<ChainAnswer> {
  const [validator] = erc6492SignatureValidatorAbi;
  const parameters = encodeAbiParameters(validator.inputs, [address, hash, signature]);
  const data: Hex = `${erc6492SignatureValidatorByteCode}${parameters.slice(2)}`;
  const answer = await callAtHead(node, now, { data });
  return typeof answer === 'string' ? answer : answer.result === '0x01' ? 'valid' : 'invalid';
}

/** `eth_call` at the newest block, of a node whose newest block is recent. A revert is a no; anything else is no answer. */
async function callAtHead(
  node: PublicClient,
  now: () => number,
  call: { readonly to?: Address; readonly data: Hex },
): Promise<{ readonly result: Hex } | 'invalid' | 'unavailable'> {
  try {
    const block = await node.getBlock({ blockTag: 'latest' });
    if (Math.abs(now() - Number(block.timestamp) * 1000) > headMaxSkewMs) return 'unavailable';
    return { result: await node.request({ method: 'eth_call', params: [call, numberToHex(block.number)] }) };
  } catch (error) {
    return hasFailedInside(error) ? 'invalid' : 'unavailable';
  }
}

/** Whether the call ran and failed, as opposed to the node not having run it. */
function hasFailedInside(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code, message } = at as { code?: unknown; message: string };
    if (code === 3) return true; // execution reverted, by EIP-1474's later practice
    if (
      typeof code === 'number' &&
      /revert|out of gas|invalid opcode|bad jump|stack (under|over)flow/i.test(message)
    )
      return true;
  }
  return false;
}
