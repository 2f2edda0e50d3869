import type { Problem } from './problem.ts';

/** All names and values together. The longest honest ones (a signature by a contract account, a voucher) are a tenth of it. */
const headerBytesMax = 32 * 1024;

/** Headers that are too long are not looked at: parsing them is the one thing a stranger can make us do. */
export function headerProblem(headers: Headers): Problem | undefined {
  let bytes = 0;
  for (const [name, value] of headers) bytes += name.length + value.length;
  if (bytes <= headerBytesMax) return undefined;
  return {
    status: 431,
    code: 'headers_too_large',
    detail: `The headers are ${bytes} bytes long; ${headerBytesMax} is the most that is read.`,
  };
}
