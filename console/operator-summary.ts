// `GET /operator/summary`, with the operator's token. The operator asks their own gateway: it is read as it comes.
import { answerOf } from './gateway.ts';
import type { Asset } from './human.ts';

export type OperatorSummary = {
  readonly at: number;
  readonly log: {
    /** The longest that a receipt taken lately had been in its account's outbox. */
    readonly outboxMs: number;
    readonly unanchoredSinceMs?: number;
    readonly sealToAnchorMs?: number;
  };
  readonly chains: readonly {
    readonly chainId: number;
    readonly asset: Asset;
    readonly operator: string;
    readonly gas: { readonly balance: string | null; readonly error?: string };
    readonly transactions: {
      readonly queued: number;
      readonly sent: number;
      readonly failing: readonly string[];
    };
    readonly accounts: number;
    readonly accountsShown: number;
    /** What the vault has paid. */
    readonly claimed: string;
    readonly exposure: readonly {
      readonly agent: string;
      readonly calls: string;
      readonly holds: number;
      readonly unsent: number;
      readonly held: string;
      readonly captured: string;
      readonly claimed: string;
      readonly unclaimed: string;
    }[];
    readonly revenue: readonly { readonly model: string; readonly amount: string }[];
  }[];
  readonly usage: readonly {
    readonly model: string;
    readonly calls: string;
    readonly input: string;
    readonly output: string;
  }[];
  readonly upstreams: readonly {
    readonly name: string;
    readonly dialect: string;
    readonly models: readonly string[] | null;
    readonly attempts: readonly { readonly outcome: string; readonly times: string }[];
    readonly failuresInARow: number;
    readonly leftAloneForMs: number;
  }[];
};

/** Rejects with GatewayError: 404 where there is no operator's page, 401 for another token. */
export const operatorSummary = async (token: string): Promise<OperatorSummary> =>
  (await answerOf(
    await fetch('/operator/summary', { headers: { authorization: `Bearer ${token}` }, redirect: 'error' }),
  )) as OperatorSummary;
