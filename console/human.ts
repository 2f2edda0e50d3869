// Figures as people read them. Money stays bigint: no float ever sees it.

export type Asset = { readonly symbol: string; readonly decimals: number };

/** Exact: every digit there is, with the symbol. */
export function exactAmount(amount: bigint, { symbol, decimals }: Asset): string {
  return `${decimal(amount, decimals)} ${symbol}`;
}

/** Four significant digits without the symbol, rounded down: nobody is shown more than there is. */
export const shortAmount = (amount: bigint, { decimals }: Asset): string =>
  significant(decimal(amount, decimals), 4);

function decimal(amount: bigint, decimals: number): string {
  const sign = amount < 0n ? '−' : '';
  const digits = `${amount < 0n ? -amount : amount}`.padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '');
  return `${sign}${whole}${fraction && `.${fraction}`}`;
}

function significant(text: string, digits: number): string {
  const [whole = '0', fraction = ''] = text.split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, '\u202f');
  if (fraction === '') return grouped;
  const bare = whole.replace('−', '');
  const kept = bare === '0' ? (/^0*/.exec(fraction)?.[0].length ?? 0) + digits : digits - bare.length;
  const cut = fraction.slice(0, Math.max(0, kept)).replace(/0+$/, '');
  return cut === '' ? grouped : `${grouped}.${cut}`;
}

/** 12 345 rather than 12345. */
export const grouped = (count: number | bigint): string => `${count}`.replace(/\B(?=(\d{3})+$)/g, '\u202f');

/** 1 receipt, 2 receipts. */
export const counted = (count: number | bigint, one: string, many = `${one}s`): string =>
  `${grouped(count)} ${BigInt(count) === 1n ? one : many}`;

/** A span of time, to two units: `2 h 5 min`. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h${minutes % 60 ? ` ${minutes % 60} min` : ''}`;
  return `${Math.floor(hours / 24)} d${hours % 24 ? ` ${hours % 24} h` : ''}`;
}

/** 128K, 1M: how models' limits are spoken of. */
export function tokens(count: number): string {
  if (count >= 1_000_000) return `${Number((count / 1_000_000).toFixed(1))}M`;
  return count >= 1000 ? `${Math.round(count / 1024)}K` : `${count}`;
}

/** The ends of something long; the whole of it belongs in a title. */
export const shortHex = (hex: string): string =>
  hex.length > 16 ? `${hex.slice(0, 8)}…${hex.slice(-6)}` : hex;

/** A time by the visitor's clock and habits. */
export const moment = (unixSeconds: number): string =>
  new Date(unixSeconds * 1000).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** The same where there is little room: the day and the time. */
export const shortMoment = (unixSeconds: number): string =>
  new Date(unixSeconds * 1000).toLocaleString(undefined, {
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  });
