import { createHash } from 'node:crypto';

export const sha256Hex = (bytes: string | Uint8Array): string =>
  `0x${createHash('sha256').update(bytes).digest('hex')}`;
