/**
 * Bytes this isolate holds for calls that are under way. An isolate has 128 MB for everything; past half of it new calls are
 * refused, so that those under way are not all lost at once.
 */
const bytesMax = 64 * 1024 * 1024;
/** A call's own needs: frames under way, hashes, the receipt. */
const perCall = 96 * 1024;
/** Of which this is for a stream's frame that is still coming. */
const frameBytes = 64 * 1024;

let bytes = 0;

export type Allotment = {
  /** More of it; false where there is no room. */
  readonly grow: (more: number) => boolean;
  /** Room for a stream's frame of which so much has come; false where there is none. */
  readonly frame: (bytes: number) => boolean;
  readonly release: () => void;
};

/** Room for a call, and for this many bytes of a body: as received, as parsed, and as sent. Undefined when there is none. */
export function allot(bodyBytes: number): Allotment | undefined {
  let own = 0;
  let framed = frameBytes;
  const grow = (more: number): boolean => {
    if (bytes + more > bytesMax) return false;
    bytes += more;
    own += more;
    return true;
  };
  if (!grow(perCall + 3 * bodyBytes)) return undefined;
  return {
    grow,
    frame(length) {
      if (length <= framed) return true;
      if (!grow(length - framed)) return false;
      framed = length;
      return true;
    },
    release() {
      bytes -= own;
      own = 0;
    },
  };
}
