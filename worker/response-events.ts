import { noteGarbage, noteUsage } from './chat-events.ts';
import { anyError } from './dialects/error-body.ts';
import { parsed, type ReadEvent } from './meter.ts';
import { utf8Length } from './prompt-weight.ts';
import { members } from './usage.ts';

/** What the last event of a streamed response is called. */
const lastEvents = new Set(['response.completed', 'response.incomplete']);

/**
 * The events of `POST /v1/responses`. There is no `[DONE]`: the last event carries the response as a whole, its usage in it, and
 * is the one that is held back for the receipt.
 */
export const responseEvents: ReadEvent = (data, notes) => {
  const { seen, observe } = notes;
  if (data.trim() === '[DONE]') return 'hold';
  const event = members(parsed(data));
  if (!event) return noteGarbage(data, notes);
  const type = String(event['type'] ?? '');
  const response = members(event['response']);
  const id = response?.['id'];
  if (seen.upstreamId === undefined && typeof id === 'string' && id !== '') seen.upstreamId = id;

  if (type === 'error' || type === 'response.failed') {
    const message = event['message'];
    seen.error ??= anyError(response) ??
      anyError(event) ?? {
        code: typeof event['code'] === 'string' ? event['code'] : undefined,
        message: typeof message === 'string' ? message : 'The upstream reported an error.',
      };
    noteUsage(response?.['usage'], notes);
    return 'remove';
  }
  const error = type === '' ? anyError(event) : undefined;
  if (error) {
    seen.error ??= error;
    return 'remove';
  }
  if (type.endsWith('.delta') && typeof event['delta'] === 'string') {
    const bytes = utf8Length(event['delta']);
    if (type.startsWith('response.reasoning')) observe(bytes, 0);
    else observe(0, bytes);
  }
  if (!lastEvents.has(type)) return 'pass';
  seen.finished = true;
  noteUsage(response?.['usage'], notes);
  return 'hold';
};
