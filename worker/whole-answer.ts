import type { Usage } from '../protocol/pricing.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';
import { chatText } from './chat-events.ts';
import type { UpstreamError } from './dialects/dialect.ts';
import { anyError } from './dialects/error-body.ts';
import { parsed } from './meter.ts';
import { utf8Length } from './prompt-weight.ts';
import { members, nothingObserved, type Observed, readUsage } from './usage.ts';

/** An answer that came as one JSON body. */
export type Answer = {
  /** Undefined where upstream did not count: estimate from `observed`. */
  readonly usage: Usage | undefined;
  readonly observed: Observed;
  readonly upstreamId: string | undefined;
  /** An error in a 200. */
  readonly error: UpstreamError | undefined;
};

const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

/** Reads a whole answer of any endpoint. Refuses what is not a JSON object. */
export function readAnswer(body: Uint8Array): Result<Answer, 'not_json'> {
  const answer = members(parsed(decoder.decode(body)));
  if (!answer) return refuse('not_json');
  const choices = Array.isArray(answer['choices']) ? answer['choices'] : [];
  const { thinkingBytes, answerBytes } = chatText(choices, 'message');
  const written = outputBytes(answer['output']);
  const usage = readUsage(answer['usage']);
  const id = answer['id'];
  return ok({
    usage: usage.ok ? usage.value : undefined,
    observed: {
      reported: usage.ok ? usage.value : undefined,
      since: usage.ok
        ? nothingObserved.since
        : { thinkingBytes, answerBytes: answerBytes + written, frames: choices.length },
    },
    upstreamId: typeof id === 'string' && id !== '' ? id : undefined,
    error: anyError(answer),
  });
}

/** The text of a response's output items, whatever they are called. */
function outputBytes(output: unknown): number {
  if (typeof output === 'string') return utf8Length(output);
  if (Array.isArray(output)) return output.reduce<number>((sum, item) => sum + outputBytes(item), 0);
  const item = members(output);
  if (!item) return 0;
  return ['text', 'arguments', 'name', 'content', 'summary'].reduce(
    (sum, name) => sum + outputBytes(item[name]),
    0,
  );
}
