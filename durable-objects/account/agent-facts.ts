// What is known of the agent besides its rights: the registration file its owner publishes. The worker reads it, off the
// path of any request; the account keeps it and says when it is due again.
import type { Registration } from '../../protocol/identity/registration.ts';
import type { AccountStorage } from './account-storage.ts';

export type AgentFacts = {
  /** `agentURI` as the registry has it, cut to size. */
  readonly uri: string;
  /** When it was last looked at. */
  readonly checkedMs: number;
  /** The last one that could be read under this URI. */
  readonly registration?: Registration;
  /** Why the last look brought nothing. */
  readonly problem?: string;
};

/** Between two looks at a registration that reads, and at one that does not. */
export const factsRefreshMs = 15 * 60_000;
const factsRetryMs = 5 * 60_000;
/** Whoever was told to look has this long before another is told. */
const lookMs = 60_000;

const stored = 'agentFacts';

export class AgentFactsBook {
  readonly #kv: AccountStorage['kv'];
  #facts: AgentFacts | undefined;
  #nextLookMs: number;

  constructor(kv: AccountStorage['kv']) {
    this.#kv = kv;
    const json = kv.get<string>(stored);
    this.#facts = json === undefined ? undefined : (JSON.parse(json) as AgentFacts);
    this.#nextLookMs = this.#facts === undefined ? 0 : dueMs(this.#facts);
  }

  /** For whoever decides on limits, and for the agent itself. */
  get facts(): AgentFacts | undefined {
    return this.#facts;
  }

  /** Whether to look now. Whoever is told so looks: others are not told for a while. */
  takeLook(nowMs: number): boolean {
    if (nowMs < this.#nextLookMs) return false;
    this.#nextLookMs = nowMs + lookMs;
    return true;
  }

  /** Keeps what was found: a row, when it says something new. A look that failed does not undo one that succeeded. */
  keep(found: AgentFacts): void {
    const known = this.#facts;
    const registration = found.registration ?? (known?.uri === found.uri ? known.registration : undefined);
    const facts: AgentFacts = { ...found, ...(registration === undefined ? {} : { registration }) };
    const differs = JSON.stringify({ ...known, checkedMs: 0 }) !== JSON.stringify({ ...facts, checkedMs: 0 });
    if (differs) this.#kv.put(stored, JSON.stringify(facts));
    this.#facts = facts;
    this.#nextLookMs = dueMs(facts);
  }
}

const dueMs = ({ checkedMs, problem }: AgentFacts): number =>
  checkedMs + (problem === undefined ? factsRefreshMs : factsRetryMs);
