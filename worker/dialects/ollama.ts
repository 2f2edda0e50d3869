import type { Dialect } from './dialect.ts';
import { wrappedError } from './error-body.ts';
import { oneLimit } from './self-hosted.ts';

/** Ollama's OpenAI-compatible mode: three totals for usage, and thinking is switched by effort. */
export const ollama: Dialect = {
  name: 'ollama',
  endpoints: ['chat/completions', 'embeddings'],
  thinkingField: 'reasoning',
  spell(request) {
    if (request.endpoint !== 'chat/completions') return request.body;
    const body = oneLimit(request);
    if (request.body.get('enable_thinking') === false) body.set('reasoning_effort', 'none');
    return body;
  },
  readError: wrappedError,
};
