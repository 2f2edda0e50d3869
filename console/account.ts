// The agent's own account, as the gateway tells it to whoever holds its key.
import { type AccountStanding, readAccountStanding } from '../client/account-standing.ts';
import { receiptFromJson, type SignedReceipt } from '../protocol/receipt.ts';
import type { Asset } from './human.ts';
import type { Session } from './session.ts';

export type Standing = AccountStanding & { readonly asset: Asset; readonly epochEndsAt: number };

/** Receipts read at most: what a person looks at. `tallystick usage` adds all of them up. */
export const receiptsMax = 2_000;

export async function standing(session: Session): Promise<Standing> {
  const json = await session.get('/v1/account');
  const read = readAccountStanding(json);
  if (!read.ok) throw new Error(`The account does not read: ${read.error}`);
  const { asset, epochEndsAt } = json as { asset: Asset; epochEndsAt?: string };
  return { ...read.value, asset, epochEndsAt: Number(epochEndsAt ?? 0) };
}

/** The newest receipts, oldest first: those known already, and whatever came after them. */
export async function receiptsUpTo(
  session: Session,
  sequence: bigint,
  known: readonly SignedReceipt[],
): Promise<readonly SignedReceipt[]> {
  const first = sequence > BigInt(receiptsMax) ? sequence - BigInt(receiptsMax) + 1n : 1n;
  const list = [...known];
  for (;;) {
    const next = (list.at(-1)?.receipt.sequence ?? first - 1n) + 1n;
    if (next > sequence) break;
    const page = (await session.get(`/v1/receipts?from=${next}`)) as { receipts?: unknown };
    const items = Array.isArray(page.receipts) ? (page.receipts as unknown[]) : [];
    if (items.length === 0) break;
    for (const item of items) {
      const read = receiptFromJson(item);
      if (!read.ok) throw new Error(`A receipt does not read: ${read.error}`);
      list.push(read.value);
    }
  }
  return list.slice(-receiptsMax);
}
