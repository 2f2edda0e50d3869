// Amounts as people write and read them. Base units stay bigint; no float ever sees money.
import { formatUnits, parseUnits } from 'viem';
import { usage } from './failure.ts';

export type Asset = { readonly symbol: string; readonly decimals: number };

/** `0.5`, `0.5 0G` or `500wei` (base units). Throws a usage failure for anything else. */
export function parseAmount(text: string, asset: Asset): bigint {
  const [, digits, unit = ''] = /^\s*(\d[\d_]*(?:\.\d+)?|\.\d+)\s*(\S*)\s*$/.exec(text) ?? [];
  const example = `write it as 0.5, "0.5 ${asset.symbol}", or 500wei for base units`;
  if (digits === undefined) throw usage(`${JSON.stringify(text)} is not an amount: ${example}.`);
  const number = digits.replaceAll('_', '');
  if (unit.toLowerCase() === 'wei') {
    if (!/^\d+$/.test(number)) throw usage(`${JSON.stringify(text)}: base units have no fraction.`);
    return BigInt(number);
  }
  if (unit !== '' && unit.toLowerCase() !== asset.symbol.toLowerCase()) {
    throw usage(`${JSON.stringify(text)}: the vault holds ${asset.symbol}, not ${unit}; ${example}.`);
  }
  const fraction = number.split('.')[1] ?? '';
  if (fraction.length > asset.decimals) {
    throw usage(`${JSON.stringify(text)}: ${asset.symbol} has ${asset.decimals} decimals.`);
  }
  return parseUnits(number, asset.decimals);
}

/** Exact, with the symbol: `0.001234 0G`. */
export const formatAmount = (amount: bigint, asset: Asset): string =>
  `${formatUnits(amount, asset.decimals)} ${asset.symbol}`;

/** For programs: base units, and what a person would read. */
export const amountJson = (amount: bigint, asset: Asset) => ({
  amount: `${amount}`,
  text: formatAmount(amount, asset),
});

/** `30m`, `12h`, `7d`, in seconds. */
export function parseDuration(text: string): number {
  const [, number, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const seconds = { s: 1, m: 60, h: 3600, d: 86_400 }[unit ?? ''];
  if (number === undefined || seconds === undefined) {
    throw usage(`${JSON.stringify(text)} is not a duration: write 30m, 12h or 7d.`);
  }
  return Number(number) * seconds;
}

/** `2 h 5 min`, for people. */
export function formatDuration(seconds: number): string {
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h${minutes % 60 ? ` ${minutes % 60} min` : ''}`;
  return `${Math.floor(hours / 24)} d${hours % 24 ? ` ${hours % 24} h` : ''}`;
}
