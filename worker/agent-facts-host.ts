/** Names that mean something on somebody's own network only. */
const privateSuffixes = [
  'localhost',
  'local',
  'internal',
  'intranet',
  'private',
  'corp',
  'home',
  'lan',
  'arpa',
  'test',
  'example',
  'invalid',
  'onion',
];

/** First address and prefix length of the IPv4 blocks that are not public (RFC 6890 and its successors). */
const privateBlocks: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
];

/**
 * Whether a URL's host may be fetched from on a stranger's word. `hostname` is as `URL` gives it, which has already turned
 * every spelling of an IPv4 address into four decimals.
 *
 * A name is judged by itself: a Worker cannot see what it resolves to. On Cloudflare it does not have to, since Workers reach
 * the public internet only; whoever runs this in their own workerd has to keep it off their network by other means.
 */
export function isPublicHost(hostname: string): boolean {
  if (hostname.startsWith('[')) return isPublicIpv6(hostname.slice(1, -1));
  const ipv4 = ipv4Of(hostname);
  if (ipv4 !== undefined) {
    return !privateBlocks.some(([first, length]) => (ipv4 ^ (ipv4Of(first) ?? 0)) >>> (32 - length) === 0);
  }
  const labels = hostname.replace(/\.$/, '').split('.');
  const top = labels.at(-1) ?? '';
  return labels.length > 1 && !privateSuffixes.includes(top);
}

function ipv4Of(text: string): number | undefined {
  const [, ...parts] = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text) ?? [];
  return parts.length === 4
    ? parts.reduce((address, part) => ((address << 8) | Number(part)) >>> 0, 0)
    : undefined;
}

/** Global unicast (2000::/3), less what stands for an IPv4 address or for nothing: 2001::/23, 2001:db8::/32, 2002::/16, 3fff::/20. */
function isPublicIpv6(address: string): boolean {
  const [first = 0, second = 0] = address.split(':').map((group) => Number.parseInt(group || '0', 16));
  if (first < 0x2000 || first > 0x3fff || first === 0x2002) return false;
  if (first === 0x2001) return second >= 0x200 && second !== 0xdb8;
  return !(first === 0x3fff && second < 0x1000);
}
