/** One series, `name{label="value"}`, and what it has grown by. */
export type Count = { readonly series: string; readonly by: bigint };

/** The name of the one object that counts. */
export const countersName = 'all';
