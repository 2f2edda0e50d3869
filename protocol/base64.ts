/** Bytes to a string of one character each, a piece at a time: a call takes only so many arguments. */
const PIECE = 0x2000;

/** ES2026's own, on platforms that have it. */
type WithBase64 = Uint8Array & { readonly toBase64?: () => string };

/** Base 64 with padding (RFC 4648, section 4): the one encoding of C2SP's texts, of x402's headers and of 0G's segments. */
export function toBase64(bytes: WithBase64): string {
  if (bytes.toBase64 !== undefined) return bytes.toBase64();
  let binary = '';
  for (let at = 0; at < bytes.length; at += PIECE) {
    binary += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  }
  return btoa(binary);
}

/** Reads canonical base64 only (padding there, spare bits zero, no spaces), so that bytes have one spelling. */
export function fromBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  return toBase64(bytes) === text ? bytes : undefined;
}
