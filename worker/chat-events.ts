import { anyError } from './dialects/error-body.ts';
import { type Notes, parsed, type ReadEvent } from './meter.ts';
import { utf8Length } from './prompt-weight.ts';
import { members, nothingObserved, readUsage } from './usage.ts';

/** The chunks of a streamed chat completion. */
export const chatEvents =
  ({ includeUsage }: { readonly includeUsage: boolean }): ReadEvent =>
  (data, notes) => {
    if (data.trim() === '[DONE]') return 'hold';
    const chunk = members(parsed(data));
    if (!chunk) return noteGarbage(data, notes);
    const { seen, observe } = notes;
    const id = chunk['id'];
    if (seen.upstreamId === undefined && typeof id === 'string' && id !== '') seen.upstreamId = id;
    const error = anyError(chunk);
    if (error) seen.error ??= error;
    const choices = Array.isArray(chunk['choices']) ? chunk['choices'] : undefined;
    const text = chatText(choices ?? [], 'delta');
    observe(text.thinkingBytes, text.answerBytes);
    if (text.finished) seen.finished = true;
    noteUsage(chunk['usage'], notes);
    if (error) return 'remove';
    const countsOnly = choices?.length === 0 && members(chunk['usage']) !== undefined;
    return countsOnly && !includeUsage ? 'remove' : 'pass';
  };

/** An event that is no JSON is content of unknown length. */
export function noteGarbage(data: string, { seen, observe }: Notes): 'pass' {
  seen.garbled += 1;
  observe(0, utf8Length(data));
  return 'pass';
}

/** A count covers everything up to the event it came in. */
export function noteUsage(reported: unknown, { seen }: Notes): void {
  const usage = readUsage(reported);
  if (!usage.ok) return;
  seen.usage = usage.value;
  seen.observed = { reported: usage.value, since: nothingObserved.since };
}

export type ChatText = { thinkingBytes: number; answerBytes: number; finished: boolean };

/** How much text there is in the choices of a chunk (`delta`) or of an answer (`message`). */
export function chatText(choices: readonly unknown[], holder: 'delta' | 'message'): ChatText {
  const text: ChatText = { thinkingBytes: 0, answerBytes: 0, finished: false };
  const bytes = (value: unknown): number => (typeof value === 'string' ? utf8Length(value) : 0);
  for (const choice of choices) {
    const picked = members(choice);
    if (typeof picked?.['finish_reason'] === 'string') text.finished = true;
    const written = members(picked?.[holder]);
    if (!written) continue;
    // Each dialect has one of the two (`Dialect.thinkingField`); a server between us and it may have kept either.
    text.thinkingBytes += bytes(written['reasoning_content'] ?? written['reasoning']);
    text.answerBytes += bytes(written['content']) + bytes(written['refusal']);
    const calls = Array.isArray(written['tool_calls']) ? written['tool_calls'] : [];
    for (const call of calls) {
      const made = members(members(call)?.['function']);
      text.answerBytes += bytes(made?.['name']) + bytes(made?.['arguments']);
    }
  }
  return text;
}
