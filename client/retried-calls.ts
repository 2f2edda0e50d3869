// Client libraries repeat a call whose answer was lost. The gateway makes it once only if both bear one Idempotency-Key.
import type { Hex } from 'viem';

/** The gateway remembers keys for an hour from the call's beginning; what is older is a new call. */
const rememberedMs = 55 * 60_000;
/** Libraries repeat within seconds; whoever asks again later, knowing that the answer is gone, means a new call. */
const spentMs = 60_000;
const rememberedMax = 256;

/** What became of a call's answer, as far as its key is concerned. */
export type Ending =
  /** It came, or the call was refused and cost nothing. */
  | 'answered'
  /** Nobody knows. */
  | 'lost'
  /** The gateway says that the call was charged, and that its answer cannot be had again. */
  | 'spent';

/** A call under its key. */
export type KeyedCall = { readonly requestHash: Hex; readonly key: string; readonly beganMs: number };

type Remembered = KeyedCall & { readonly ending: Ending; readonly untilMs: number };

/**
 * Gives each call its key: a fresh one, or that of an earlier call with the same body whose answer never came. Calls that
 * run at once with the same body are different calls, and so are ones whose answer did come.
 */
export class RetriedCalls {
  readonly #now: () => number;
  #remembered: Remembered[] = [];

  /** @param now milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** @param isFirstTry the library says that it does not repeat anything: then a call known to be spent is not meant */
  begin(requestHash: Hex, isFirstTry: boolean): KeyedCall {
    const now = this.#now();
    this.#remembered = this.#remembered.filter(({ untilMs }) => untilMs > now);
    const at = this.#remembered.findIndex(
      (call) => call.requestHash === requestHash && (call.ending === 'lost' || !isFirstTry),
    );
    const [again] = at < 0 ? [] : this.#remembered.splice(at, 1);
    return again === undefined
      ? { requestHash, key: crypto.randomUUID(), beganMs: now }
      : { requestHash, key: again.key, beganMs: again.beganMs };
  }

  /** What became of a call that was begun. An answer whose body breaks off is said to be lost later. */
  end(call: KeyedCall, ending: Ending): void {
    if (ending === 'answered') return;
    const keptUntil = call.beganMs + rememberedMs;
    const untilMs = ending === 'lost' ? keptUntil : Math.min(keptUntil, this.#now() + spentMs);
    this.#remembered.push({ ...call, ending, untilMs });
    if (this.#remembered.length > rememberedMax) this.#remembered.shift();
  }
}
