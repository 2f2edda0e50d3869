// Old receipts, packed: a piece is the JSON of consecutive receipts, gzipped, in the bucket if the deployment has one, else in
// a row. Receipts never change, so a piece is written once and can be written again.
import { type Receipt, receiptFromJson } from '../../protocol/receipt.ts';

/** When receipts are packed. */
export type ArchiveTerms = {
  /** Rows in a table before the next one is begun. */
  readonly rows: number;
  /** How long after its last row a table is kept: longer than any hold, nonce or `Idempotency-Key` in it lives. */
  readonly afterMs: number;
};

export const defaultArchiveTerms: ArchiveTerms = { rows: 1_000, afterMs: 2 * 60 * 60_000 };

/** A full table's receipts, ready to be packed. */
export type Packable = {
  readonly generation: number;
  /** Sequence numbers; none when the table has no receipts. */
  readonly range: { readonly first: bigint; readonly last: bigint } | undefined;
  readonly json: string;
};

/** Where a piece is: in its row, or in the bucket under a name. */
export type Piece = {
  readonly first: bigint;
  readonly last: bigint;
  readonly packed: Uint8Array<ArrayBuffer> | undefined;
  readonly objectName: string | undefined;
};

/** A bucket by binding; R2's shape. */
export type Bucket = {
  put(name: string, bytes: Uint8Array): Promise<unknown>;
  get(name: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
};

export const objectNameOf = (account: string, { first, last }: { first: bigint; last: bigint }): string =>
  `receipts/${account}/${first}-${last}.json.gz`;

export const gzip = (text: string): Promise<Uint8Array<ArrayBuffer>> =>
  through(new Uint8Array(new TextEncoder().encode(text)), new CompressionStream('gzip'));

/** The receipts of a piece. Throws when it is not what was packed: that is a fault of storage, and nobody can go on from it. */
export async function unpack(bytes: Uint8Array<ArrayBuffer>): Promise<Receipt[]> {
  const text = new TextDecoder().decode(await through(bytes, new DecompressionStream('gzip')));
  return (JSON.parse(text) as unknown[]).map((receipt) => {
    const read = receiptFromJson({ receipt, signature: `0x${'00'.repeat(65)}` });
    if (!read.ok) throw new Error(`an archived receipt does not read: ${read.error}`);
    return read.value.receipt;
  });
}

async function through(
  bytes: Uint8Array<ArrayBuffer>,
  transform: { readonly readable: ReadableStream; readonly writable: WritableStream },
): Promise<Uint8Array<ArrayBuffer>> {
  const writer = transform.writable.getWriter();
  const written = writer.write(bytes).then(() => writer.close());
  const [result] = await Promise.all([new Response(transform.readable).arrayBuffer(), written]);
  return new Uint8Array(result);
}
