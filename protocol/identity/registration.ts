import { ok, type Result, refuse } from '../result.ts';
import { type AgentId, formatAgentId } from './agent-id.ts';

/** What an agent's ERC-8004 registration file says of it, cut to size. Its owner's words: nobody has checked them. */
export type Registration = {
  readonly name: string;
  readonly description: string;
  readonly image: string | null;
  /** Absent in the file means active. */
  readonly active: boolean;
  readonly x402Support: boolean;
  readonly services: readonly {
    readonly name: string;
    readonly endpoint: string;
    readonly version: string | null;
  }[];
  readonly supportedTrust: readonly string[];
  /** Whether the file names this very agent among its registrations: one that does not may be somebody else's file. */
  readonly namesThisAgent: boolean;
};

const servicesMax = 32;
const trustMax = 16;
const registrationsMax = 256;

/**
 * Reads a registration file (ERC-8004, `registration-v1`) leniently: what is missing or of another type is left out, what
 * is long is cut, so that one odd member does not hide the rest. Refuses only what is no JSON object with a name.
 */
export function readRegistration(file: unknown, agent: AgentId): Result<Registration, string> {
  if (!isObject(file)) return refuse('the registration file is not a JSON object');
  const name = textOf(file['name'], 200);
  if (name === undefined) return refuse('the registration file has no name');
  return ok({
    name,
    description: textOf(file['description'], 2000) ?? '',
    image: textOf(file['image'], 500) ?? null,
    active: file['active'] !== false,
    x402Support: file['x402Support'] === true,
    services: listOf(file['services'], servicesMax).flatMap((service) => {
      const label = isObject(service) ? textOf(service['name'], 100) : undefined;
      const endpoint = isObject(service) ? textOf(service['endpoint'], 500) : undefined;
      if (!isObject(service) || label === undefined || endpoint === undefined) return [];
      return [{ name: label, endpoint, version: textOf(service['version'], 50) ?? null }];
    }),
    supportedTrust: listOf(file['supportedTrust'], trustMax).flatMap((trust) => textOf(trust, 100) ?? []),
    namesThisAgent: listOf(file['registrations'], registrationsMax).some((entry) => names(entry, agent)),
  });
}

function names(entry: unknown, agent: AgentId): boolean {
  if (!isObject(entry)) return false;
  const { agentRegistry, agentId } = entry;
  if (typeof agentRegistry !== 'string') return false;
  // Files have the id as a number or as text; the registry in whatever case.
  const id = typeof agentId === 'number' || typeof agentId === 'string' ? `${agentId}` : '';
  return `${agentRegistry.toLowerCase()}:${id}` === formatAgentId(agent);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const listOf = (value: unknown, lengthMax: number): unknown[] =>
  Array.isArray(value) ? value.slice(0, lengthMax) : [];

/** Well-formed, without control characters, and no longer than this; `undefined` for what is no text, or an empty one. */
function textOf(value: unknown, lengthMax: number): string | undefined {
  if (typeof value !== 'string') return undefined;
  const text = value
    .slice(0, lengthMax)
    .toWellFormed()
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
  return text === '' ? undefined : text;
}
