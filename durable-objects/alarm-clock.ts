/** An alarm that should have rung this long ago will not: it was lost with the process that was to ring it. */
const lostAfterMs = 30_000;

/** What is needed of an object's storage. */
type AlarmStorage = {
  getAlarm(): Promise<number | null>;
  setAlarm(atMs: number): Promise<void>;
  deleteAlarm(): Promise<void>;
};

/**
 * Sets an object's one alarm no later than asked, and only when that changes something: `setAlarm` bills a row.
 * The object's own alarm handler calls `rang()` first, so that the next request for a time is not mistaken for a later one.
 */
export class AlarmClock {
  readonly #storage: AlarmStorage;
  #at: number | null = null;
  /** Whether anybody has asked for a time since the alarm rang. */
  #asked = false;

  constructor(storage: AlarmStorage) {
    this.#storage = storage;
  }

  /** Call once in the object's constructor, under `blockConcurrencyWhile`. */
  async load(): Promise<void> {
    this.#at = await this.#storage.getAlarm();
    this.#asked = this.#at !== null;
    if (this.#isLost()) this.noLaterThan(Date.now());
  }

  /**
   * The alarm has fired: none is set now.
   * @param fallbackMs when to ring again if the handler dies. Not a wish: {@link clear} takes it back.
   */
  rang(fallbackMs?: number): void {
    this.#at = null;
    if (fallbackMs !== undefined) this.noLaterThan(fallbackMs);
    this.#asked = false;
  }

  /** Nothing is due, as far as the caller knows: no alarm, unless somebody has asked for one since the last rang. */
  clear(): void {
    if (this.#at === null || this.#asked) return;
    this.#at = null;
    void this.#storage.deleteAlarm();
  }

  /** The write is part of the caller's transaction and under its output gate; nothing has to wait for it. */
  noLaterThan(atMs: number): void {
    this.#asked = true;
    if (this.#at !== null && this.#at <= atMs && !this.#isLost()) return;
    this.#at = atMs;
    void this.#storage.setAlarm(atMs);
  }
  /** Not while a handler runs: {@link rang} has forgotten its time. */
  #isLost(): boolean {
    return this.#at !== null && this.#at < Date.now() - lostAfterMs;
  }
}
