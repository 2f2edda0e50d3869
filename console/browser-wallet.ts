/** As much of EIP-1193 as is needed. */
export type Provider = {
  request(call: { readonly method: string; readonly params?: readonly unknown[] }): Promise<unknown>;
};

/** The wallet this browser has, if it has one. */
export const browserWallet = (): Provider | undefined =>
  (globalThis as { readonly ethereum?: Provider }).ethereum;
