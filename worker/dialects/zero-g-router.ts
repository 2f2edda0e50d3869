import type { Dialect } from './dialect.ts';
import { bareError, wrappedError } from './error-body.ts';

/**
 * 0G's Router. Its models are served by providers of several kinds, Model Studio among them, so the body goes as it was
 * priced. Its own trace (`x_0g_trace`) is content and passes.
 */
export const zeroGRouter: Dialect = {
  name: '0g-router',
  endpoints: ['chat/completions'],
  thinkingField: 'reasoning_content',
  spell: (request) => request.body,
  readError: (body) => wrappedError(body) ?? bareError(body),
};
