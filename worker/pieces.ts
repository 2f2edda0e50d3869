/** A body is read in pieces of at most this many bytes. The platform's own are of 4 KiB, and each costs a step that waits. */
const pieceBytesMax = 64 * 1024;

/** A stream of bytes, read in large pieces. */
export type Pieces = {
  /** The next piece, as much of it as is there; `undefined` at the end. */
  readonly next: () => Promise<Uint8Array | undefined>;
  /** Nothing more is read. Never throws. */
  readonly cancel: () => void;
};

/** One buffer for all pieces: each is copied out of it, so that what trickles takes no more than it is. */
export function piecesOf(body: ReadableStream): Pieces {
  const reader = body.getReader({ mode: 'byob' });
  let buffer = new ArrayBuffer(pieceBytesMax);
  return {
    async next() {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (done) return undefined;
      buffer = value.buffer;
      return value.slice();
    },
    cancel() {
      void reader.cancel().catch(() => undefined);
    },
  };
}
