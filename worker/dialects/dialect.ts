import type { JsonObject } from '../json.ts';
import type { Endpoint, PricedRequest } from '../priced-request.ts';

/** An error as an upstream reports it. */
export type UpstreamError = { readonly code: string | undefined; readonly message: string };

/**
 * How one kind of server differs from the others: what is sent to it, where its thinking is, how it words an error. Usage is
 * read by one tolerant reader (`worker/usage.ts`), because a count in a second place hurts nobody.
 */
export type Dialect = {
  readonly name: string;
  /** What this gateway asks of such a server. */
  readonly endpoints: readonly Endpoint[];
  /** The member of a delta or a message that holds the chain of thought. */
  readonly thinkingField: 'reasoning_content' | 'reasoning';
  /** The body in this server's spelling. What it generates at most stays what the request was priced for. */
  readonly spell: (request: PricedRequest) => JsonObject;
  /** The error in a parsed body; undefined where there is none to be recognised. */
  readonly readError: (body: unknown) => UpstreamError | undefined;
};
