/** Which intake an account sends to: always the same one, so that its appends keep their order. FNV-1a over its name. */
export function intakeOf(account: string, intakes: number): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < account.length; at += 1) {
    hash = Math.imul(hash ^ account.charCodeAt(at), 0x01000193);
  }
  return (hash >>> 0) % intakes;
}
