/**
 * Sets an object's one alarm no later than asked, and only when that changes something: `setAlarm` bills a row.
 * The object's own alarm handler calls `rang()` first, so that the next request for a time is not mistaken for a later one.
 */
export class AlarmClock {
  readonly #storage: DurableObjectStorage;
  #at: number | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Call once in the object's constructor, under `blockConcurrencyWhile`. */
  async load(): Promise<void> {
    this.#at = await this.#storage.getAlarm();
  }

  /** The alarm has fired: none is set now. */
  rang(): void {
    this.#at = null;
  }

  /** Nothing is due: no alarm, unless somebody asks for one again. */
  clear(): void {
    if (this.#at === null) return;
    this.#at = null;
    void this.#storage.deleteAlarm();
  }

  /** The write is part of the caller's transaction and under its output gate; nothing has to wait for it. */
  noLaterThan(atMs: number): void {
    if (this.#at !== null && this.#at <= atMs) return;
    this.#at = atMs;
    void this.#storage.setAlarm(atMs);
  }
}
