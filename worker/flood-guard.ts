// Before any cryptography: an address whose requests keep being refused has to slow down. In this isolate's memory, so it
// costs no rows and no calls. Good requests cost nothing here, however many: the agent's own limits are in its account.
import type { Problem } from './problem.ts';

/** Refusals one address may collect at once: two hundred calls of an agent that has run dry are no flood. */
const burst = 400;
/** Refusals it may go on collecting, per second. */
const perSecond = 10;
/** Addresses remembered. The oldest is forgotten first: a flood from everywhere is the platform's to stop. */
const addressesMax = 10_000;

/** What a client is to blame for, and can go on with for nothing: bad requests, bad signatures, no money. */
const blamed: ReadonlySet<number> = new Set([400, 401, 402, 403, 404, 408, 413, 429, 431]);

type Record = { refused: number; atMs: number };

export class FloodGuard {
  readonly #records = new Map<string, Record>();

  /** Why a request is not looked at; `undefined` when it is. */
  refusal(address: string | null, nowMs: number): Problem | undefined {
    const record = address === null ? undefined : this.#records.get(address);
    if (record === undefined) return undefined;
    const refused = decayed(record, nowMs);
    if (refused < burst) return undefined;
    const seconds = Math.ceil((refused - burst + 1) / perSecond);
    return {
      status: 429,
      code: 'too_many_refused_requests',
      detail: `Too many requests from this address were refused. Mend them, and wait ${seconds} s.`,
      headers: { 'retry-after': `${seconds}` },
    };
  }

  /** Notes how a request ended. A request that was not looked at is not noted: waiting helps. */
  note(address: string | null, status: number, nowMs: number): void {
    if (address === null || !blamed.has(status)) return;
    const record = this.#records.get(address);
    const refused = 1 + (record === undefined ? 0 : decayed(record, nowMs));
    this.#records.delete(address);
    this.#records.set(address, { refused, atMs: nowMs });
    if (this.#records.size > addressesMax) {
      for (const oldest of this.#records.keys()) {
        this.#records.delete(oldest);
        break;
      }
    }
  }
}

const decayed = ({ refused, atMs }: Record, nowMs: number): number =>
  Math.max(0, refused - ((nowMs - atMs) / 1000) * perSecond);
