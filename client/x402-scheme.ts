// Our scheme for stock x402 clients:
//
//   const client = x402Client.fromConfig({
//     schemes: [{ network: 'eip155:16602', client: agentVaultScheme({...}) }],
//     spendControls: { allowedAssets: [{ network: 'eip155:16602', asset: '0x0000…0000' }] }, // stock clients pay known assets only
//   });
//   const pay = wrapFetchWithPayment(signingFetch, client);
//
// It needs no package of theirs: the shapes are the specification's.
import type { Address, Hex } from 'viem';
import type { Account } from '../protocol/account-name.ts';
import { parseUint } from '../protocol/decimal.ts';
import { voucherToJson, voucherTypedData } from '../protocol/money/voucher.ts';
import { scheme } from '../protocol/money/x402.ts';
import { AgentError } from './agent-error.ts';

/** What x402 hands to a scheme; what it does not say is refused. */
type Requirements = {
  readonly scheme: string;
  readonly network: string;
  readonly amount: string;
  readonly payTo: string;
  readonly extra?: Readonly<Record<string, unknown>>;
};

export type AgentVaultSchemeOptions = {
  /** Whose account it is, by the agent's own word and not by the gateway's. */
  readonly account: Account;
  /** The spender the vault knows. */
  readonly signer: {
    readonly address: Address;
    signTypedData(parameters: ReturnType<typeof voucherTypedData>): Promise<Hex>;
  };
  /**
   * No voucher is ever signed above this cumulative, base units: it is all the operator can take in the account's life,
   * whatever it asks for. Raise it as receipts come in.
   */
  readonly total: bigint;
};

/**
 * Signs the voucher a 402 asks for. A stock client pays each demand anew, so a voucher is signed for exactly what the demand
 * says it takes; where many calls run at once, `createAgentFetch` signs ahead and sends less.
 *
 * `createPaymentPayload` rejects with AgentError when the demand is for another vault or agent, or above `total`.
 */
export function agentVaultScheme({ account, signer, total }: AgentVaultSchemeOptions) {
  return {
    scheme,
    async createPaymentPayload(
      x402Version: number,
      requirements: Requirements,
    ): Promise<{ x402Version: number; payload: Record<string, unknown> }> {
      const { extra = {} } = requirements;
      const cumulative = parseUint(requirements.amount);
      const epoch = parseUint(extra['epoch'], 64);
      const isOurs =
        x402Version === 2 &&
        requirements.scheme === scheme &&
        requirements.network === `eip155:${account.chainId}` &&
        requirements.payTo === account.vault &&
        extra['vault'] === account.vault &&
        extra['registry'] === account.registry &&
        extra['agentId'] === `${account.agentId}`;
      if (!isOurs || cumulative === undefined || epoch === undefined) {
        throw new AgentError(
          'payment_mismatch',
          `The demand is not for agent ${account.agentId} of ${account.registry} in vault ${account.vault} on eip155:${account.chainId}. Nothing was signed.`,
        );
      }
      if (cumulative > total) {
        throw new AgentError(
          'voucher_limit',
          `A voucher of ${cumulative} is asked for, and at most ${total} is signed. Nothing was signed.`,
        );
      }
      const { registry, agentId } = account;
      const voucher = { registry, agentId, epoch, cumulative };
      const signature = await signer.signTypedData(voucherTypedData(account, voucher));
      return { x402Version, payload: voucherToJson({ voucher, signature }) };
    },
  };
}
