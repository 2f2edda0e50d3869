/** What one request may bring, whatever it costs. */
export type RequestLimits = {
  readonly maxBodyBytes: number;
  readonly maxMessages: number;
  readonly maxTools: number;
};

export const defaultRequestLimits: RequestLimits = {
  maxBodyBytes: 4 * 1_024 * 1_024,
  maxMessages: 2_048,
  maxTools: 128,
};
