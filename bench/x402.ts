// What x402's two schemes cost on chain. `exact`: a transfer by authorization (EIP-3009) of Circle's own FiatToken, run here on its
// bytecode. `batch-settlement`: no package carries that contract's bytecode, so the gas of its calls is what its authors published; what
// a transaction costs around the call is computed from the call's data.
import {
  type Address,
  concat,
  encodeFunctionData,
  type Hex,
  hexToBytes,
  keccak256,
  parseAbi,
  parseEther,
  parseSignature,
  toHex,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { mined } from '../contracts/deploy-contract.ts';
import { type ChainClient, type Wallet, walletOf } from '../dev/clients.ts';
import { fund } from '../dev/contracts.ts';
import { filesOf, pinned } from './npm-artifacts.ts';

/** It has the token for chains where USDC is bridged: FiatTokenV2_2, the proxy before it, and the library it calls. */
const spec = '@stargatefinance/stg-evm-sdk-v2@1.1.12';
const at = 'package/artifacts/src/usdc/impl';
const artifacts = {
  FiatTokenProxy: `${at}/v1/FiatTokenProxy.sol/FiatTokenProxy.json`,
  FiatTokenV2_2: `${at}/v2/FiatTokenV2_2.sol/FiatTokenV2_2.json`,
  SignatureChecker: `${at}/util/SignatureChecker.sol/SignatureChecker.json`,
} as const;
const sha256 = {
  FiatTokenProxy: 'e7bc1cf845150c1270e51405735717311a3d101bed0c535da51444818bf8400b',
  FiatTokenV2_2: '43884d098e4d76691d64f9ebbe12cc3e3e6567285726f2d40a936ea47bad782a',
  SignatureChecker: 'df52d12ed9a0b2d30f6fd99117bf8f3d467480a05f8ccbf19aa48dd8aa66275a',
} as const;

type Artifact = {
  readonly bytecode: Hex;
  readonly linkReferences: Readonly<Record<string, Readonly<Record<string, readonly { start: number }[]>>>>;
};

const tokenAbi = parseAbi([
  'function initialize(string name, string symbol, string currency, uint8 decimals, address masterMinter, address pauser, address blacklister, address owner)',
  'function initializeV2(string name)',
  'function initializeV2_1(address lostAndFound)',
  'function initializeV2_2(address[] accountsToBlacklist, string symbol)',
  'function configureMinter(address minter, uint256 allowance) returns (bool)',
  'function mint(address to, uint256 amount) returns (bool)',
  'function balanceOf(address account) view returns (uint256)',
  'function version() view returns (string)',
  'function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, uint8 v, bytes32 r, bytes32 s)',
]);

const key = (word: string): Hex => keccak256(toHex(`x402 bench ${word}`));

/**
 * One payment of x402's `exact` scheme as its facilitator settles it: payer and payee hold some already, the nonce is new.
 * @returns the whole transaction's gas
 */
export async function measureExact(chain: {
  readonly url: string;
  readonly chainId: number;
  readonly reader: ChainClient;
  readonly admin: Wallet;
}): Promise<bigint> {
  const { url, chainId, reader, admin } = chain;
  const texts = filesOf(spec, artifacts);
  const artifact = (name: keyof typeof artifacts): Artifact => {
    const parsed = JSON.parse(texts[name]) as Artifact;
    pinned(`${spec}, ${name}`, parsed.bytecode, sha256[name]);
    return parsed;
  };
  const deploy = async (code: Hex): Promise<Address> => {
    const { contractAddress } = await mined(reader, await admin.sendTransaction({ data: code }));
    if (!contractAddress) throw new Error('a deployment made no contract');
    return contractAddress;
  };
  const checker = await deploy(artifact('SignatureChecker').bytecode);
  const implementation = await deploy(linked(artifact('FiatTokenV2_2'), 'SignatureChecker', checker));
  const constructorArgument: Hex = `0x${implementation.slice(2).padStart(64, '0')}`;
  const token = await deploy(concat([artifact('FiatTokenProxy').bytecode, constructorArgument]));

  // The proxy's admin may not call the token, so somebody else owns it.
  const owner = walletOf(url, chainId, privateKeyToAccount(key('owner')));
  await fund(reader, admin, owner.account.address, parseEther('10'));
  const { address: boss } = owner.account;
  const payer = privateKeyToAccount(key('payer'));
  const payee = privateKeyToAccount(key('payee')).address;
  const send = async (functionName: string, args: readonly unknown[]) =>
    mined(reader, await owner.writeContract({ address: token, abi: tokenAbi, functionName, args } as never));
  await send('initialize', ['USDC', 'USDC', 'USD', 6, boss, boss, boss, boss]);
  await send('initializeV2', ['USDC']);
  await send('initializeV2_1', [boss]);
  await send('initializeV2_2', [[], 'USDC']);
  await send('configureMinter', [boss, 10n ** 12n]);
  await send('mint', [payer.address, 10n ** 9n]);
  await send('mint', [payee, 10n ** 6n]);

  const version = await reader.readContract({ address: token, abi: tokenAbi, functionName: 'version' });
  const pay = async (number: number): Promise<bigint> => {
    const message = {
      from: payer.address,
      to: payee,
      value: 1_234n + BigInt(number),
      validAfter: 0n,
      validBefore: 4_000_000_000n,
      nonce: keccak256(toHex(`nonce ${number}`)),
    };
    const { r, s, yParity } = parseSignature(
      await payer.signTypedData({
        domain: { name: 'USDC', version, chainId, verifyingContract: token },
        types: {
          TransferWithAuthorization: [
            { name: 'from', type: 'address' },
            { name: 'to', type: 'address' },
            { name: 'value', type: 'uint256' },
            { name: 'validAfter', type: 'uint256' },
            { name: 'validBefore', type: 'uint256' },
            { name: 'nonce', type: 'bytes32' },
          ],
        },
        primaryType: 'TransferWithAuthorization',
        message,
      }),
    );
    const { gasUsed } = await send('transferWithAuthorization', [
      ...Object.values(message),
      27 + yParity,
      r,
      s,
    ]);
    return gasUsed;
  };
  const before = await balance();
  await pay(1);
  const gas = await pay(2);
  if ((await balance()) !== before + 1_235n + 1_236n) throw new Error('the payee was not paid');
  return gas;

  function balance(): Promise<bigint> {
    return reader.readContract({ address: token, abi: tokenAbi, functionName: 'balanceOf', args: [payee] });
  }
}

/** The bytecode with a library's address at its places. */
function linked({ bytecode, linkReferences }: Artifact, library: string, address: Address): Hex {
  let code = bytecode.slice(2);
  for (const places of Object.values(linkReferences)) {
    for (const { start } of places[library] ?? [])
      code = code.slice(0, 2 * start) + address.slice(2) + code.slice(2 * start + 40);
  }
  if (!/^[0-9a-f]+$/i.test(code)) throw new Error('a library is missing');
  return `0x${code}`;
}

/**
 * batch-settlement's gas in its authors' snapshots (contracts/evm/snapshots/X402BatchSettlementGasTest.json of
 * x402-foundation/x402): calls inside one test transaction, whose storage is warm, without a transaction's own cost.
 */
const published = { claimOfOne: 40_252, claimOfTen: 192_043, settle: 31_204 };

const settlementAbi = parseAbi([
  'struct Channel { address payer; address payerAuthorizer; address receiver; address receiverAuthorizer; address token; uint40 withdrawDelay; bytes32 salt; }',
  'struct Voucher { Channel channel; uint128 maxClaimableAmount; }',
  'struct VoucherClaim { Voucher voucher; bytes signature; uint128 totalClaimed; }',
  'function claim(VoucherClaim[] voucherClaims)',
  'function settle(address receiver, address token)',
]);

/** The published calls, each as a transaction of its own: with the 21,000 and the call's data. */
export function batchSettlementGas(): typeof published {
  const address = (word: string): Address => `0x${keccak256(toHex(word)).slice(-40)}`;
  const claims = Array.from({ length: 10 }, (_, number) => ({
    voucher: {
      channel: {
        payer: address(`payer ${number}`),
        payerAuthorizer: address(`authorizer ${number}`),
        receiver: address('receiver'),
        receiverAuthorizer: address('receiver authorizer'),
        token: address('token'),
        withdrawDelay: 3_600,
        salt: keccak256(toHex(`salt ${number}`)),
      },
      maxClaimableAmount: 100_000_000n + BigInt(number),
    },
    signature: concat([keccak256(toHex(`r ${number}`)), keccak256(toHex(`s ${number}`)), '0x1b']),
    totalClaimed: 99_000_000n + BigInt(number),
  }));
  const around = (data: Hex): number =>
    hexToBytes(data).reduce((gas, byte) => gas + (byte === 0 ? 4 : 16), 21_000);
  const claim = (some: typeof claims): number =>
    around(encodeFunctionData({ abi: settlementAbi, functionName: 'claim', args: [some] }));
  const settle = encodeFunctionData({
    abi: settlementAbi,
    functionName: 'settle',
    args: [address('receiver'), address('token')],
  });
  return {
    claimOfOne: published.claimOfOne + claim(claims.slice(0, 1)),
    claimOfTen: published.claimOfTen + claim(claims),
    settle: published.settle + around(settle),
  };
}
